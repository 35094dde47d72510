import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { ImapFlow } from 'imapflow'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { hostileMails } from '../corpus/hostile-mails.ts'
import { asDovecotServes, type Dovecot, dovecotPassword, startDovecot } from './servers/dovecot.ts'
import { describeForeign, missingNeeds } from './servers/needs.ts'
import { type Postfix, startPostfix } from './servers/postfix.ts'
import { descendants } from './servers/server-process.ts'
import { startSmtpSink } from './servers/smtp-sink.ts'
import { sendWithSwaks } from './servers/swaks.ts'
import { startTokenServer, type TokenServer } from './servers/token-server.ts'

const own = 'svc@contoso.com'
const shared = 'shared@contoso.com'
const stranger = 'eve@contoso.com'

function mail(name: string, body = 'A line.\r\n.\r\n..two dots\r\n'): Buffer {
  return Buffer.from(`Message-ID: <${name}@contoso.com>\r\nSubject: ${name}\r\n\r\n${body}`)
}

describeForeign('Dovecot with the token server', ['dovecot', 'dovecot-auth-lua', 'openssl', 'curl'], () => {
  let tokenServer: TokenServer
  let dovecot: Dovecot

  beforeAll(async () => {
    tokenServer = await startTokenServer()
    const users = [own, shared, stranger]
    dovecot = await startDovecot({ users, tokenServer, delegates: { [shared]: [own] } })
  })
  afterAll(async () => {
    await dovecot?.stop()
    await tokenServer?.stop()
  })

  /** Opens INBOX and returns its mails as IMAP serves them; throws when the log-in is refused. */
  async function readInbox(server: Dovecot, auth: { user: string; pass?: string; accessToken?: string }) {
    const client = new ImapFlow({
      host: '127.0.0.1',
      port: server.imapsPort,
      secure: true,
      tls: { ca: server.ca },
      logger: false,
      auth,
    })
    client.on('error', () => {})
    try {
      await client.connect()
      const inbox = await client.mailboxOpen('INBOX')
      const mails = inbox.exists > 0 ? await client.fetchAll('1:*', { source: true, uid: true }) : []
      return mails.map(row => ({ uid: row.uid, source: row.source?.toString('latin1') ?? '' }))
    } finally {
      client.close()
    }
  }

  test('a password opens the mailbox, and what was put in comes out', async () => {
    dovecot.seed(own, [mail('seeded')])
    const [first] = await readInbox(dovecot, { user: own, pass: dovecotPassword })
    expect(first?.source).toBe(mail('seeded').toString('latin1'))
    expect(dovecot.list(own)).toMatchObject([{ isSeen: false, uid: first?.uid }])
    await expect(readInbox(dovecot, { user: own, pass: 'wrong' })).rejects.toMatchObject({ authenticationFailed: true })
  })

  test('every hostile mail is served, in order, and changed only where IMAP cannot carry an octet', async () => {
    const mails = hostileMails()
    dovecot.seed(
      stranger,
      mails.map(({ bytes }) => bytes),
    )
    const rows = await readInbox(dovecot, { user: stranger, pass: dovecotPassword })
    const changed = mails.filter(({ bytes }, index) => {
      return rows[index]?.source !== Buffer.from(asDovecotServes(bytes)).toString('latin1')
    })
    expect(rows).toHaveLength(mails.length)
    expect(changed.map(({ name }) => name)).toEqual([])
  })

  test('a token opens the mailbox of its own user', async () => {
    const { access_token: accessToken } = await tokenServer.signIn(own)
    await expect(readInbox(dovecot, { user: own, accessToken })).resolves.toBeInstanceOf(Array)
  })

  test("a delegate's token opens the shared mailbox, a stranger's does not", async () => {
    const delegate = await tokenServer.signIn(own)
    const eve = await tokenServer.signIn(stranger)
    await expect(readInbox(dovecot, { user: shared, accessToken: delegate.access_token })).resolves.toEqual([])
    await expect(readInbox(dovecot, { user: shared, accessToken: eve.access_token })).rejects.toMatchObject({
      authenticationFailed: true,
    })
  })

  test("an application's token opens any mailbox, and nonsense opens none", async () => {
    const app = await tokenServer.signInApp()
    await expect(readInbox(dovecot, { user: shared, accessToken: app.access_token })).resolves.toEqual([])
    await expect(readInbox(dovecot, { user: own, accessToken: 'abc.def.ghi' })).rejects.toMatchObject({
      authenticationFailed: true,
    })
  })

  test('a refresh token works once and is replaced', async () => {
    const first = await tokenServer.signIn(own)
    const second = await tokenServer.refresh(first.refresh_token ?? '')
    expect(second.refresh_token).not.toBe(first.refresh_token)
    await expect(readInbox(dovecot, { user: own, accessToken: second.access_token })).resolves.toBeInstanceOf(Array)
    await expect(tokenServer.refresh(first.refresh_token ?? '')).rejects.toThrow('invalid_grant')
  })

  test('a token is refused when its time is over', async () => {
    const shortLived = await startTokenServer({ accessTokenTtlS: 1 })
    const server = await startDovecot({ users: [own], tokenServer: shortLived })
    onTestFinished(async () => {
      await server.stop()
      await shortLived.stop()
    })
    const { access_token: accessToken } = await shortLived.signIn(own)
    await expect(readInbox(server, { user: own, accessToken })).resolves.toEqual([])
    await new Promise(resolve => setTimeout(resolve, 2_100))
    await expect(readInbox(server, { user: own, accessToken })).rejects.toMatchObject({ authenticationFailed: true })
  })

  test('two servers live side by side; one is killed, keeps its mail and UIDs, and comes back', async () => {
    const second = await startDovecot({ users: [own] })
    onTestFinished(() => second.stop())
    expect(second.imapsPort).not.toBe(dovecot.imapsPort)
    second.seed(own, [mail('one'), mail('two')])
    const before = await readInbox(second, { user: own, pass: dovecotPassword })
    await second.kill9()
    await expect(readInbox(second, { user: own, pass: dovecotPassword })).rejects.toThrow()
    expect(second.list(own)).toHaveLength(2)
    await second.restart()
    expect(await readInbox(second, { user: own, pass: dovecotPassword })).toEqual(before)
    await expect(readInbox(dovecot, { user: own, pass: dovecotPassword })).resolves.toBeInstanceOf(Array)
  })

  test('a cloned mailbox has the same mails under the same UIDs, and leads its own life', async () => {
    const server = await startDovecot({ users: [own, shared] })
    onTestFinished(() => server.stop())
    server.seed(own, [mail('one'), mail('two'), mail('three')])
    const original = await readInbox(server, { user: own, pass: dovecotPassword })
    server.cloneMailbox(own, shared)
    expect(await readInbox(server, { user: shared, pass: dovecotPassword })).toEqual(original)
    server.seed(shared, [mail('four')])
    expect(server.list(own)).toHaveLength(3)
    expect(server.list(shared)).toHaveLength(4)
  })
})

describeForeign('Postfix and swaks', ['postfix', 'swaks'], () => {
  let postfix: Postfix

  beforeAll(async () => {
    postfix = await startPostfix({ keep: 'maildir' })
  })
  afterAll(() => postfix?.stop())

  const send = (server: Postfix, bytes: Uint8Array, to = 'orders@s4.local') =>
    sendWithSwaks({ port: server.port, from: own, to: [to], bytes })

  test('a mail is accepted, reported with sender, recipient, Message-ID and size, and kept byte for byte', async () => {
    const bytes = mail('kept', `A line.\r\n.\r\n..two\r\n${'long '.repeat(500)}\r\nGr\xfc\xdfe\r\n`)
    const { transcript, isAccepted } = await send(postfix, bytes)
    expect(transcript).toContain('250 2.0.0 Ok: queued as')
    expect(isAccepted).toBe(true)
    const [entry] = await postfix.waitForDelivered(1, 10_000)
    expect(entry).toMatchObject({
      messageId: '<kept@contoso.com>',
      from: own,
      to: ['orders@s4.local'],
      sentCount: 1,
    })
    expect(entry?.sizeBytes).toBeGreaterThan(bytes.length / 2)
    expect(postfix.received()).toEqual([{ queueId: entry?.queueId, bytes }])
  })

  test('a stranger domain is refused', async () => {
    const { transcript, isAccepted } = await sendWithSwaks({
      port: postfix.port,
      from: own,
      to: ['not an address'],
      bytes: mail('refused'),
    })
    expect(isAccepted).toBe(false)
    expect(transcript).toMatch(/ 5\d\d /)
  })

  test('two servers live side by side; the second is killed, keeps what it accepted, and comes back', async () => {
    const second = await startPostfix()
    onTestFinished(() => second.stop())
    await send(second, mail('before'))
    await second.waitForDelivered(1, 10_000)
    await second.kill9()
    expect((await send(second, mail('lost'))).isAccepted).toBe(false)
    await second.restart()
    await send(second, mail('after'))
    const delivered = await second.waitForDelivered(2, 10_000)
    expect(delivered.map(entry => entry.messageId)).toEqual(['<before@contoso.com>', '<after@contoso.com>'])
    expect(postfix.delivered().map(entry => entry.messageId)).not.toContain('<after@contoso.com>')
  })

  test('a mail larger than the limit is refused', async () => {
    const small = await startPostfix({ messageBytesMax: 10_000 })
    onTestFinished(() => small.stop())
    const { isAccepted, transcript } = await send(small, mail('large', `${'x'.repeat(70)}\r\n`.repeat(200)))
    expect(isAccepted).toBe(false)
    expect(transcript).toContain('552')
  })
})

describeForeign('smtp-sink', ['smtp-sink', 'swaks'], () => {
  test.each([
    { protocol: 'SMTP', lmtp: false, args: [] },
    { protocol: 'LMTP', lmtp: true, args: ['--protocol', 'LMTP'] },
  ])('counts what arrives by $protocol', async ({ lmtp, args }) => {
    const sink = await startSmtpSink({ lmtp })
    onTestFinished(() => sink.stop())
    expect(sink.lastArrivalMs()).toBeUndefined()
    for (const name of ['one', 'two']) {
      const envelope = { from: own, to: ['orders@s4.local'], bytes: mail(name) }
      expect(await sendWithSwaks({ port: sink.port, ...envelope, args })).toMatchObject({ isAccepted: true })
    }
    expect(sink.receivedCount()).toBe(2)
    expect(sink.lastArrivalMs()).toBeGreaterThan(0)
  })
})

describeForeign('a server that was stopped', ['dovecot', 'postfix', 'smtp-sink', 'openssl'], () => {
  test.each<{ name: string; start: () => Promise<{ stop(): Promise<void>; kill9?(): Promise<void> }> }>([
    { name: 'Dovecot', start: () => startDovecot({ users: [own] }) },
    { name: 'Postfix', start: () => startPostfix() },
    { name: 'smtp-sink', start: () => startSmtpSink() },
  ])('$name leaves no process and no folder behind, stopped or killed', async ({ start }) => {
    const before = new Set([...liveDescendants(), ...workFolders()])
    const stopped = await start()
    const killed = await start()
    const started = [...liveDescendants()].filter(pid => !before.has(pid))
    expect(started.length).toBeGreaterThanOrEqual(2)
    await killed.kill9?.()
    await killed.stop()
    await stopped.stop()
    expect(started.filter(isAlive)).toEqual([])
    expect(workFolders().filter(folder => !before.has(folder))).toEqual([])
  })
})

describe('what a machine lacks', () => {
  test('is named', () => {
    const missing = missingNeeds(['dovecot', 'postfix', 'swaks'])
    expect(missing.every(name => /^(dovecot as root|dovecot|postfix as root|postfix|swaks)$/.test(name))).toBe(true)
  })
})

function workFolders(): string[] {
  return readdirSync('/tmp').filter(name => name.startsWith('i-') && name.includes(`-${process.pid}-`))
}

function liveDescendants(): string[] {
  return descendants(process.pid).map(String).filter(isAlive)
}

// A zombie waits for its parent to look at it; it holds no port and no file.
function isAlive(pid: string): boolean {
  const path = `/proc/${pid}/status`
  return existsSync(path) && !/^State:\s+Z/m.test(readFileSync(path, 'utf8'))
}
