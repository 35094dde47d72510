import { ImapFlow } from 'imapflow'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type ExchangeEwsTwin, startExchangeEws } from '../../src/twins/exchange-ews/exchange-ews.ts'
import { type DavMail, startDavMail } from './servers/davmail.ts'
import { describeForeign } from './servers/needs.ts'

const user = 'anna@contoso.example'
const password = 'Anna-Password-1'

describeForeign('DavMail against the EWS twin', ['davmail'], () => {
  let twin: ExchangeEwsTwin
  let davmail: DavMail | undefined
  beforeAll(async () => {
    twin = await startExchangeEws({
      accounts: [{ user, password, impersonates: 'nobody', mailbox: user }],
      mailboxes: [{ address: user, name: 'Anna Schmidt' }],
      offers: ['basic'],
    })
    davmail = await startDavMail(twin.url)
  })
  afterAll(async () => {
    await davmail?.stop()
    await twin.stop()
  })

  test('logs in, lists and opens folders, and stores a mail that comes back with its very bytes', async () => {
    const client = new ImapFlow({
      host: '127.0.0.1',
      port: davmail?.imapPort ?? 0,
      secure: false,
      doSTARTTLS: false,
      auth: { user, pass: password },
      logger: false,
    })
    await client.connect()
    try {
      const folders = await client.list()
      expect(folders.map(folder => folder.path)).toEqual(expect.arrayContaining(['INBOX', 'Drafts', 'Sent']))
      const mail = `From: ${user}\r\nTo: ben@contoso.example\r\nSubject: =?utf-8?B?R3LDvMOfZQ==?=\r\nMessage-ID: <a1@contoso.example>\r\nDate: Mon, 2 Mar 2026 09:00:00 +0100\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nHallo\r\n`
      await client.append('INBOX', mail, ['\\Seen'])
      const box = await client.mailboxOpen('INBOX')
      expect(box.exists).toBe(1)
      const read = await client.fetchOne('1', { source: true, envelope: true })
      if (!read) throw new Error('the mail cannot be read')
      expect(read.envelope?.subject).toBe('Grüße')
      expect(read.source?.toString()).toBe(mail)
    } finally {
      await client.logout().catch(() => client.close())
    }
    expect(
      twin
        .mailbox(user)
        .items('inbox')
        .map(({ xml }) => /<t:Subject>([^<]*)/.exec(xml)?.[1]),
    ).toEqual(['Grüße'])
  })

  test('a wrong password is refused', async () => {
    const client = new ImapFlow({
      host: '127.0.0.1',
      port: davmail?.imapPort ?? 0,
      secure: false,
      doSTARTTLS: false,
      auth: { user, pass: 'wrong' },
      logger: false,
    })
    client.on('error', () => {})
    await expect(client.connect()).rejects.toThrow()
  })

  test('tells the calendar by CalDAV', async () => {
    const authorization = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
    const body =
      '<propfind xmlns="DAV:"><prop><displayname/><resourcetype/><getctag xmlns="http://calendarserver.org/ns/"/></prop></propfind>'
    const answer = await fetch(`http://127.0.0.1:${davmail?.caldavPort}/users/${user}/calendar/`, {
      method: 'PROPFIND',
      headers: { authorization, depth: '0', 'content-type': 'text/xml' },
      body,
    })
    const text = await answer.text()
    expect(answer.status).toBe(207)
    expect(text).toContain('calendar')
  })
})
