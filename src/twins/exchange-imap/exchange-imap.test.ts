import { once } from 'node:events'
import { ImapFlow } from 'imapflow'
import { afterEach, expect, test } from 'vitest'
import { makeTwinCertificate } from '../certificate.ts'
import { contoso, contosoClientId } from '../sign-in/contoso.ts'
import { type SignInTwin, startSignIn } from '../sign-in/sign-in.ts'
import { openConversation, sasl } from './conversation.ts'
import { type ExchangeImapOptions, type ExchangeImapTwin, startExchangeImap } from './exchange-imap.ts'

const stops: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const stop of stops.splice(0).toReversed()) await stop()
})

const odd = Buffer.concat([
  Buffer.from('From: a@b\r\nSubject: bare line feeds\nand a header that is none\r\n\r\n'),
  Buffer.from('bare LF\nbare CR\rNUL \0 and \xff\xfe 8 bit\r\n.\r\n..two dots', 'latin1'),
])

test('imapflow over TLS: log in, append, search, read the very bytes, mark, move, delete', async () => {
  const { cert, key, ca } = await makeTwinCertificate()
  const { twin, signIn } = await start({ tls: { cert, key } })
  const client = flow(twin, signIn.issue({ user: 'svc@contoso.com' }), { secure: true, tls: { ca } })
  await client.connect()
  expect((await client.list()).map(folder => folder.path)).toContain('Sent Items')
  await client.mailboxCreate('Verarbeitet/Früh')
  const appended = await client.append('INBOX', odd, ['\\Flagged'], new Date('2026-03-01T10:00:00Z'))
  expect(appended).toMatchObject({ uid: 1 })
  const large = Buffer.alloc(3_000_000, 'Subject: large\r\n\r\n0123456789abcdef\r\n')
  twin.deliver('orders@contoso.com', large)
  const small = Array.from({ length: 30 }, (_, index) =>
    Buffer.from(`Subject: order ${index}\r\n\r\nbody ${index}\r\n`),
  )
  for (const mail of small) twin.deliver('orders@contoso.com', mail)

  const lock = await client.getMailboxLock('INBOX')
  expect(await client.search({ seen: false }, { uid: true })).toHaveLength(32)
  expect(await client.search({ subject: 'order 1' }, { uid: true })).toEqual([
    4, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22,
  ])
  expect(await client.search({ since: new Date('2026-03-02') }, { uid: true })).not.toContain(1)
  expect(await client.search({ header: { subject: 'LARGE' }, not: { flagged: true } }, { uid: true })).toEqual([2])
  const sources = new Map<number, Buffer | undefined>()
  for await (const mail of client.fetch('1:*', { source: true, uid: true, size: true }, { uid: true })) {
    sources.set(mail.uid, mail.source)
    expect(mail.size).toBe(mail.source?.length)
  }
  expect(sources.get(1)).toEqual(odd)
  expect(sources.get(2)).toEqual(large)
  expect([...sources.values()].slice(2)).toEqual(small)
  expect(await client.search({ seen: true })).toEqual([])
  const part = await client.fetchOne('2', { source: { start: 1_000_000, maxLength: 50 } }, { uid: true })
  expect(part).toMatchObject({ source: large.subarray(1_000_000, 1_000_050) })

  await client.messageFlagsAdd('1:10', ['\\Seen'], { uid: true })
  expect(await client.search({ seen: true }, { uid: true })).toHaveLength(10)
  const moved = await client.messageMove('3:12', 'Verarbeitet/Früh', { uid: true })
  expect(moved).toMatchObject({ uidMap: new Map(Array.from({ length: 10 }, (_, n) => [n + 3, n + 1])) })
  expect(twin.list('orders@contoso.com', 'Verarbeitet/Früh')).toHaveLength(10)
  await client.messageDelete('1,2', { uid: true })
  expect(await client.status('INBOX', { messages: true, unseen: true })).toMatchObject({ messages: 20, unseen: 20 })
  lock.release()
  await client.logout()
  expect(twin.list('orders@contoso.com').map(mail => mail.uid)).toEqual(Array.from({ length: 20 }, (_, n) => n + 13))
})

test('a client that idles hears of a new mail, and of one that another client deletes', async () => {
  const { twin, signIn } = await start()
  const client = flow(twin, signIn.issue({ user: 'svc@contoso.com' }))
  await client.connect()
  await client.mailboxOpen('INBOX')
  const idling = client.idle()
  const exists = once(client, 'exists')
  await untilIdle(twin)
  twin.deliver('orders@contoso.com', odd)
  expect((await exists)[0]).toMatchObject({ count: 1, prevCount: 0 })
  const expunged = once(client, 'expunge')
  twin.mailboxes.get('orders@contoso.com')?.folder('INBOX')?.remove(1)
  expect((await expunged)[0]).toMatchObject({ seq: 1 })
  client.close()
  await idling.catch(() => {})
})

test.each([
  ['the owner', { user: 'orders@contoso.com' }, 'OK'],
  ['a user with full access', { user: 'svc@contoso.com' }, 'OK'],
  ['the app, which has full access', {}, 'OK'],
  ['a user without access', { user: 'stranger@contoso.com' }, 'BAD'],
  [
    'a token without the IMAP permission',
    { user: 'svc@contoso.com', scope: 'https://outlook.office.com/SMTP.Send' },
    'BAD',
  ],
  ['an app token without roles', { roles: [] }, 'BAD'],
])('a mailbox opens for %s, or says "authenticated but not connected"', async (_, wish, expected) => {
  const { twin, signIn } = await start()
  const { say: line, rest } = await converse(twin)
  expect(await line(`1 AUTHENTICATE XOAUTH2 ${sasl('Orders@contoso.com', signIn.issue(wish))}`)).toEqual([
    '1 OK AUTHENTICATE completed.',
  ])
  const answer = await line('2 STATUS INBOX (MESSAGES)')
  if (expected === 'OK') {
    expect(answer).toEqual(['* STATUS INBOX (MESSAGES 0)', '2 OK STATUS completed.'])
    return
  }
  expect(answer).toEqual(['2 BAD User is authenticated but not connected.'])
  expect(await line('3 LIST "" *')).toEqual(['3 BAD User is authenticated but not connected.'])
  expect(await rest()).toBe('* BYE Connection closed. 14\r\n')
})

test.each([
  [
    'an expired token',
    (signIn: SignInTwin) => sasl('orders@contoso.com', signIn.issue({ user: 'svc@contoso.com', expiresInMs: -1 })),
  ],
  ['nonsense', () => 'bm9uc2Vuc2U='],
  ['a foreign token', () => sasl('orders@contoso.com', 'eyJ.eyJ.x')],
])('%s is refused, at once or after a challenge', async (_, response) => {
  const { twin, signIn } = await start()
  const { say: line } = await converse(twin)
  expect(await line(`1 AUTHENTICATE XOAUTH2 ${response(signIn)}`)).toEqual(['1 NO AUTHENTICATE failed.'])
  expect(await line('2 SELECT INBOX')).toEqual(['2 BAD Command received in Invalid state.'])
  if (response(signIn) === 'bm9uc2Vuc2U=') return
  twin.setFaults({ challengeRefusals: true })
  expect((await line(`3 AUTHENTICATE XOAUTH2 ${response(signIn)}`))[0]).toMatch(/^\+ [A-Za-z0-9+/]+=*$/)
  expect(await line('', '3')).toEqual(['3 NO AUTHENTICATE failed.'])
})

test.each([
  ['svc@contoso.com', 'OK'],
  ['other@contoso.com', 'BAD'],
])(
  'with the password of %s, who names the mailbox of somebody else, that one opens or none',
  async (user, expected) => {
    const { twin } = await start({
      isPasswordAllowed: true,
      mailboxes: {
        'orders@contoso.com': { fullAccess: ['svc@contoso.com'] },
        'svc@contoso.com': { password: 'pw' },
        'other@contoso.com': { password: 'pw' },
      },
    })
    twin.deliver('orders@contoso.com', odd)
    const { say: line } = await converse(twin)
    const response = Buffer.from(`orders@contoso.com\0${user}\0pw`).toString('base64')
    expect(await line(`1 AUTHENTICATE PLAIN ${response}`)).toEqual(['1 OK AUTHENTICATE completed.'])
    const answer = await line('2 STATUS INBOX (MESSAGES)')
    expect(answer[0]).toBe(
      expected === 'OK' ? '* STATUS INBOX (MESSAGES 1)' : '2 BAD User is authenticated but not connected.',
    )
  },
)

test('MOVE is announced only after log-in, and the words are those of Exchange', async () => {
  const { twin, signIn } = await start()
  const { say: line } = await converse(twin)
  expect(await line('1 CAPABILITY')).toEqual([
    '* CAPABILITY IMAP4 IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 SASL-IR UIDPLUS ID UNSELECT CHILDREN IDLE NAMESPACE LITERAL+',
    '1 OK CAPABILITY completed.',
  ])
  expect(await line('2 AUTHENTICATE XOAUTH2')).toEqual(['+ '])
  expect(await line(sasl('orders@contoso.com', signIn.issue({ user: 'svc@contoso.com' })), '2')).toEqual([
    '2 OK AUTHENTICATE completed.',
  ])
  expect((await line('3 CAPABILITY'))[0]).toContain(' UIDPLUS MOVE ID ')
  expect(await line('4 XYZZY')).toEqual(['4 BAD Command Error. 12'])
  expect(await line('5 UID FETCH x (FLAGS)')).toEqual(['5 BAD Command received in Invalid state.'])
  expect((await line('6 SELECT inbox')).at(-1)).toBe('6 OK [READ-WRITE] SELECT completed.')
  expect(await line('7 UID FETCH x (FLAGS)')).toEqual(['7 BAD Command Argument Error. 11'])
  expect(await line(`8 UID FETCH ${'1,'.repeat(5_200)}1 (FLAGS)`)).toEqual(['8 BAD Command Error. 12'])
  expect(await line('9 LOGOUT')).toEqual([
    '* BYE Microsoft Exchange Server IMAP4 server signing off.',
    '9 OK LOGOUT completed.',
  ])
})

async function converse(twin: ExchangeImapTwin) {
  const conversation = await openConversation(twin.ports['imap'] ?? 0)
  stops.push(() => conversation.end())
  return conversation
}

async function start(options: Partial<ExchangeImapOptions> = {}) {
  const signIn = await startSignIn({
    tenants: [{ ...contoso(), users: [...contoso().users, { name: 'orders@contoso.com' }] }],
  })
  const twin = await startExchangeImap({
    signIn,
    mailboxes: { 'orders@contoso.com': { fullAccess: ['svc@contoso.com', contosoClientId] } },
    ...options,
  })
  stops.push(
    () => signIn.stop(),
    () => twin.stop(),
  )
  return { twin, signIn }
}

function flow(twin: ExchangeImapTwin, accessToken: string, options = {}): ImapFlow {
  const client = new ImapFlow({
    host: '127.0.0.1',
    port: twin.port,
    secure: false,
    auth: { user: 'orders@contoso.com', accessToken },
    logger: false,
    disableAutoIdle: true,
    ...options,
  })
  client.on('error', () => {})
  stops.push(() => client.close())
  return client
}

async function untilIdle(twin: ExchangeImapTwin): Promise<void> {
  for (let turn = 0; turn < 500 && twin.commands.at(-1)?.line !== 'IDLE'; turn += 1) {
    await new Promise(resolve => setTimeout(resolve, 2))
  }
}
