import { connect, createServer } from 'node:net'
import { duplexPair } from 'node:stream'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { systemClock } from '../../kernel/time.ts'
import { ImapConnection } from './connection.ts'
import { appendMail, createFolder, hasFolder, noop, selectFolder } from './folder.ts'
import { idle } from './idle.ts'
import { logInWithPassword, logInWithToken, readCapabilities, startTls } from './login.ts'
import { openClient, ScriptedServer } from './mailbox-world.ts'
import { type Copied, deleteMails, moveMails } from './move.ts'

let server: ScriptedServer
let port: number
let client: ImapConnection | undefined

beforeEach(async () => {
  server = new ScriptedServer()
  port = await server.start()
})
afterEach(async () => {
  client?.close()
  await server.stop()
})

async function open(timeoutMs?: number): Promise<ImapConnection> {
  const opened = await openClient(port, timeoutMs)
  client = opened
  return opened
}

const user = 'orders@contoso.com'

test('XOAUTH2 names the mailbox and carries the token, in one line where the server allows it', async () => {
  const connection = await open()
  await logInWithToken(connection, user, 'token')
  const sent = server.lines.find(line => line.startsWith('AUTHENTICATE'))
  expect(Buffer.from(sent?.split(' ')[2] ?? '', 'base64').toString()).toBe(`user=${user}\x01auth=Bearer token\x01\x01`)
})

test('capabilities are asked for again after the log-in: MOVE may show only then', async () => {
  server.capabilities = 'IMAP4rev1 AUTH=XOAUTH2'
  const connection = await open()
  server.capabilities = 'IMAP4rev1 MOVE'
  await logInWithToken(connection, user, 'token')
  expect(connection.capabilities.has('MOVE')).toBe(true)
})

test('a refused token: the JSON is answered with an empty line, and NO follows', async () => {
  const connection = await open()
  const json = Buffer.from('{"status":"400","schemes":"Bearer"}').toString('base64')
  let answer: string | undefined
  server.when(/^AUTHENTICATE/, (tag, _line, send) => {
    send(`+ ${json}\r\n`)
    setTimeout(() => send(`${tag} NO AUTHENTICATE failed.\r\n`), 20)
    return ''
  })
  server.when(/^$/, (_tag, line) => {
    answer = line
    return ''
  })
  await expect(logInWithToken(connection, user, 'old')).rejects.toMatchObject({
    code: 'IMAP_AUTH_REFUSED',
    retry: 'after-change',
    message: expect.stringContaining('{"status":"400","schemes":"Bearer"}'),
  })
  expect(answer).toBe('')
  await noop(connection)
})

test.each([
  ['NO AUTHENTICATE failed.', 'IMAP_AUTH_REFUSED', undefined],
  ['NO [AUTHENTICATIONFAILED] no', 'IMAP_AUTH_REFUSED', undefined],
  ['BAD User is authenticated but not connected.', 'IMAP_CONNECTED_NOT_AUTHORISED', 900_000],
  ['NO User is authenticated but not connected.', 'IMAP_CONNECTED_NOT_AUTHORISED', 900_000],
  ['BAD Request is throttled. Suggested Backoff Time: 299961 milliseconds', 'IMAP_THROTTLED', 299_961],
  ['NO Request is throttled. Suggested Backoff Time: 99999999999 milliseconds', 'IMAP_THROTTLED', 7_200_000],
  ['NO Request is throttled', 'IMAP_THROTTLED', 300_000],
  ['NO Server Unavailable. 15', 'IMAP_SERVER_BUSY', 30_000],
  ['NO [UNAVAILABLE] later', 'IMAP_SERVER_BUSY', 30_000],
  ['BAD Command Error. 12', 'IMAP_COMMAND_REFUSED', undefined],
])('a log-in answered with %s is %s', async (answer, code, retryAfterMs) => {
  const connection = await open()
  server.when(/^AUTHENTICATE/, answer)
  await expect(logInWithToken(connection, user, 'x')).rejects.toMatchObject({ code, retryAfterMs })
})

test('BYE for an expired token is told apart from a lost connection', async () => {
  const connection = await open()
  server.say('* BYE Session invalidated - AccessTokenExpired')
  expect(await connection.ended).toMatchObject({ code: 'IMAP_TOKEN_EXPIRED' })
  await expect(noop(connection)).rejects.toMatchObject({ code: 'IMAP_TOKEN_EXPIRED' })
})

test.each([
  ['* BYE too many connections', 'IMAP_SERVER_BUSY'],
  ['* BYE go away', 'IMAP_CONNECTION_LOST'],
  ['* NO nothing here', 'IMAP_PROTOCOL'],
  ['220 mail.contoso.com ESMTP', 'IMAP_PROTOCOL'],
  ['HTTP/1.1 400 Bad Request', 'IMAP_PROTOCOL'],
])('a server that greets with %s is no mailbox: %s', async (greeting, code) => {
  server.greeting = greeting
  await expect(open()).rejects.toMatchObject({ code })
})

test('passwords: PLAIN where it is offered, for another mailbox too; else LOGIN, in literals beyond ASCII', async () => {
  const plain = await open()
  await logInWithPassword(plain, 'shared@contoso.com', user, 'pä"ss')
  const initial = server.lines.find(line => line.startsWith('AUTHENTICATE'))?.split(' ')[2] ?? ''
  expect(Buffer.from(initial, 'base64').toString()).toBe(`shared@contoso.com\0${user}\0pä"ss`)
  plain.close()

  server.capabilities = 'IMAP4rev1'
  const login = await open()
  await logInWithPassword(login, user, user, 'a"b\\c')
  expect(server.lines).toContain(`LOGIN "${user}" "a\\"b\\\\c"`)
  const octets: string[] = []
  let loginTag = ''
  server.when(/^LOGIN \{18\}$/, tag => {
    loginTag = tag
    return '+ '
  })
  server.when(/^\{2\}$/, name => {
    octets.push(name)
    return '+ '
  })
  server.when(/^$/, password => {
    octets.push(password)
    return `${loginTag} OK in`
  })
  await logInWithPassword(login, user, user, 'ä')
  expect(octets).toEqual([user, Buffer.from('ä').toString('latin1')])
})

test("LOGIN opens the user's own mailbox, so it is not taken for another one", async () => {
  server.capabilities = 'IMAP4rev1'
  const connection = await open()
  await expect(logInWithPassword(connection, 'shared@contoso.com', user, 'pw')).rejects.toMatchObject({
    code: 'IMAP_OWN_MAILBOX_ONLY',
    fields: { user: 'shared@contoso.com', login: user },
  })
  expect(server.lines.filter(line => line.startsWith('LOGIN'))).toEqual([])
  // Names of mailboxes are the same in upper and lower case.
  await logInWithPassword(connection, user.toUpperCase(), user, 'pw')
  expect(server.lines.at(-2)).toBe(`LOGIN "${user}" "pw"`)
})

test('a method the server does not offer is said by name', async () => {
  server.capabilities = 'IMAP4rev1 AUTH=GSSAPI LOGINDISABLED'
  const connection = await open()
  await expect(logInWithToken(connection, user, 'x')).rejects.toMatchObject({
    code: 'IMAP_METHOD_MISSING',
    fields: { method: 'XOAUTH2', offered: 'AUTH=GSSAPI LOGINDISABLED' },
  })
  await expect(logInWithPassword(connection, user, user, 'x')).rejects.toMatchObject({ code: 'IMAP_METHOD_MISSING' })
})

test.each(['* CAPABILITY AUTH=PLAIN', 'A9 OK in', '* half', ''])(
  'STARTTLS: %j before the handshake is an attack',
  async injected => {
    server.capabilities = 'IMAP4rev1 STARTTLS'
    const connection = await open()
    server.when(/^STARTTLS/, (tag, _line, send) => {
      send(injected === '* half' ? `${tag} OK go\r\n* half` : `${tag} OK go\r\n${injected}\r\n`)
      return ''
    })
    await expect(startTls(connection, async socket => socket)).rejects.toMatchObject({ code: 'IMAP_PROTOCOL' })
  },
)

test('STARTTLS: the other byte stream is used, and what was announced before is forgotten', async () => {
  server.capabilities = 'IMAP4rev1 STARTTLS'
  const connection = await open()
  const [near, far] = duplexPair()
  far.on('data', (octets: Buffer) => {
    const tag = octets.toString().split(' ')[0]
    far.write(`* CAPABILITY IMAP4rev1 SECURE\r\n${tag} OK done\r\n`)
  })
  await startTls(connection, async () => near)
  expect(connection.capabilities.size).toBe(0)
  expect([...(await readCapabilities(connection))]).toEqual(['IMAP4REV1', 'SECURE'])
})

test('STARTTLS that is not offered is not asked for', async () => {
  await expect(startTls(await open(), async socket => socket)).rejects.toMatchObject({ code: 'IMAP_TLS_MISSING' })
})

test('folders: missing, created, named in other letters', async () => {
  const connection = await open()
  await expect(selectFolder(connection, 'Aufträge')).rejects.toMatchObject({
    code: 'IMAP_FOLDER_MISSING',
    fields: { folder: 'Aufträge' },
  })
  expect(await hasFolder(connection, 'Aufträge')).toBe(false)
  await createFolder(connection, 'Aufträge')
  expect(await hasFolder(connection, 'Aufträge')).toBe(true)
  server.folder('INBOX').uidValidity = 77
  expect(await selectFolder(connection, 'INBOX')).toEqual({
    folder: 'INBOX',
    uidValidity: 77,
    uidNext: 1,
    mailCount: 0,
  })
  expect(server.lines.filter(line => line.startsWith('CREATE'))).toEqual(['CREATE "Auftr&AOQ-ge"'])
})

test('a mail is put into a folder byte for byte', async () => {
  const connection = await open()
  await appendMail(connection, 'INBOX', Buffer.from('Subject: x\r\n\r\nA9 LOGOUT\r\n'))
  expect(server.folder('INBOX').mails.map(mail => mail.bytes.toString())).toEqual(['Subject: x\r\n\r\nA9 LOGOUT\r\n'])
})

function fill(): void {
  for (const mail of ['a', 'b', 'c', 'd']) server.receive(mail)
  server.folders.set('Done', { uidValidity: 1, uidNext: 1, mails: [] })
}

test('moving uses MOVE; without it COPY, a mark and UID EXPUNGE, never a bare EXPUNGE', async () => {
  fill()
  const connection = await open()
  await selectFolder(connection, 'INBOX')
  server.folder('Done').uidNext = 41
  const toDone = (...uids: [number, number][]) => ({ left: 'gone', uidValidity: 1, uids: new Map(uids) })
  expect(await moveMails(connection, [1], 'Done', new Map())).toEqual(toDone([1, 41]))
  server.capabilities = 'IMAP4rev1 UIDPLUS'
  await readCapabilities(connection)
  server.folder('INBOX').mails[2]?.flags.add('\\Deleted')
  expect(await moveMails(connection, [3, 2], 'Done', new Map())).toEqual(toDone([2, 42], [3, 43]))
  expect(server.folder('Done').mails.map(mail => mail.bytes.toString())).toEqual(['a', 'b', 'c'])
  // The mail that somebody else had marked is still there.
  expect(server.folder('INBOX').mails.map(mail => mail.uid)).toEqual([4])
  expect(server.lines.some(line => line === 'EXPUNGE')).toBe(false)
})

test.each([
  'COPYUID 1 1 2:3',
  'COPYUID 1 1:4294967295 1:4294967295',
  'COPYUID x 1 2',
  'COPYUID 1 1',
  'COPYUID 1 1,3 1,2',
  'ALERT',
])('where mails went is not believed of [%s]', async code => {
  fill()
  const connection = await open()
  await selectFolder(connection, 'INBOX')
  server.when(/^UID MOVE/, tag => `* OK [${code}] moved\r\n${tag} OK [${code}] done`)
  const moved = await moveMails(connection, [1, 2], 'Done', new Map())
  expect([moved.uidValidity, moved.uids.size]).toEqual([undefined, 0])
})

test('a move that failed half way does not copy twice', async () => {
  fill()
  server.capabilities = 'IMAP4rev1 UIDPLUS'
  const connection = await open()
  await selectFolder(connection, 'INBOX')
  server.when(/^UID STORE/, 'NO not now', 1)
  const copied: Copied = new Map()
  await expect(moveMails(connection, [1, 2], 'Done', copied)).rejects.toMatchObject({ code: 'IMAP_COMMAND_REFUSED' })
  const moved = await moveMails(connection, [1, 2], 'Done', copied)
  // Where it went was told at the first time only.
  expect([...moved.uids]).toEqual([
    [1, 1],
    [2, 2],
  ])
  expect(server.folder('Done').mails.map(mail => mail.bytes.toString())).toEqual(['a', 'b'])
  expect(copied.size).toBe(0)
})

test('mails that one of several commands has copied are not copied again when a later one is refused', async () => {
  server.capabilities = 'IMAP4rev1 AUTH=PLAIN UIDPLUS'
  server.folders.set('Processed', { uidValidity: 7, uidNext: 1, mails: [] })
  const uids: number[] = []
  for (let count = 0; count < 1_500; count++) {
    // With gaps between them they do not fit into one command.
    server.folder('INBOX').uidNext += 1_000_000
    uids.push(server.receive('Subject: x\r\n\r\n'))
  }
  const connection = await open()
  await selectFolder(connection, 'INBOX')
  let copies = 0
  server.when(/^UID COPY/, tag => (++copies === 2 ? `${tag} NO [OVERQUOTA] full` : undefined))
  const copied: Copied = new Map()
  await expect(moveMails(connection, uids, 'Processed', copied)).rejects.toMatchObject({ code: 'IMAP_COMMAND_REFUSED' })
  const moved = await moveMails(connection, uids, 'Processed', copied)
  expect(server.folder('Processed').mails).toHaveLength(uids.length)
  expect([moved.uids.size, server.folder('INBOX').mails.length]).toEqual([uids.length, 0])
})

test('without UIDPLUS mails are only marked as deleted, and that is said', async () => {
  fill()
  server.capabilities = 'IMAP4rev1'
  const connection = await open()
  await selectFolder(connection, 'INBOX')
  expect(await deleteMails(connection, [1, 2])).toBe('marked')
  expect(server.lines.filter(line => line.includes('EXPUNGE'))).toEqual([])
})

test('a move into a folder that is missing is an error by name, never a silent no', async () => {
  fill()
  const connection = await open()
  await selectFolder(connection, 'INBOX')
  await expect(moveMails(connection, [1], 'Nowhere', new Map())).rejects.toMatchObject({ code: 'IMAP_FOLDER_MISSING' })
})

test('IDLE ends with news, and DONE is said', async () => {
  const connection = await open()
  await selectFolder(connection, 'INBOX')
  const waiting = idle(connection, new AbortController().signal)
  await expect.poll(() => server.lines).toContain('IDLE')
  server.receive('new')
  expect(await waiting).toBe('news')
  expect(server.lines.at(-1)).toBe('DONE')
  await noop(connection)
})

test('IDLE stops when it is asked to, also before the server has agreed', async () => {
  const connection = await open()
  await selectFolder(connection, 'INBOX')
  const stop = new AbortController()
  const waiting = idle(connection, stop.signal)
  stop.abort()
  expect(await waiting).toBe('stopped')
  expect(await idle(connection, stop.signal)).toBe('stopped')
  await noop(connection)
})

test('a dead connection shows when IDLE should end', async () => {
  const connection = await open(100)
  await selectFolder(connection, 'INBOX')

  server.when(/^DONE/, () => '')
  const stop = new AbortController()
  const waiting = idle(connection, stop.signal)
  await expect.poll(() => server.lines).toContain('IDLE')
  setTimeout(() => stop.abort(), 20)
  await expect(waiting).rejects.toMatchObject({ code: 'IMAP_TIMEOUT', fields: { command: 'DONE' } })
})

test('a command without an answer is given up, and so is everything behind it', async () => {
  const connection = await open(100)
  server.when(/^NOOP/, () => '')
  const results = await Promise.allSettled([noop(connection), noop(connection), selectFolder(connection, 'INBOX')])
  expect(results.map(result => (result.status === 'rejected' ? result.reason.code : result.status))).toEqual(
    Array.from({ length: 3 }, () => 'IMAP_TIMEOUT'),
  )
  expect(connection.isOver).toBe(true)
})

test('a server that drips untagged lines does not keep a command alive', async () => {
  const connection = await open(150)
  server.when(/^NOOP/, () => '')
  const drip = setInterval(() => server.say('* 1 EXISTS'), 20)
  await expect(noop(connection).finally(() => clearInterval(drip))).rejects.toMatchObject({ code: 'IMAP_TIMEOUT' })
})

test.each(['A99 OK for nobody', '+ go on', '\0\0\0', '* 1 2 3', 'hello'])(
  'the line %j ends the connection',
  async line => {
    const connection = await open()
    server.say(line)
    expect(await connection.ended).toMatchObject({ code: 'IMAP_PROTOCOL' })
  },
)

test('an untagged literal that nobody asked for is not kept when it is large', async () => {
  const connection = await open()
  server.say('* 1 FETCH (BODY[] {100000}')
  expect(await connection.ended).toMatchObject({ code: 'IMAP_LIMIT' })
})

test('a server that hangs up, and one that is not there any more, are noticed', async () => {
  const connection = await open()
  server.hangUp()
  expect(await connection.ended).toMatchObject({ code: 'IMAP_CONNECTION_LOST' })
  const silent = createServer(() => {}).listen(0, '127.0.0.1')
  await new Promise(resolve => silent.once('listening', resolve))
  const address = silent.address()
  const socket = connect(typeof address === 'object' ? (address?.port ?? 0) : 0, '127.0.0.1')
  const names = { user, credential: 'm365-mail' }
  const mute = new ImapConnection(socket, { clock: systemClock, timeoutMs: 100, names })
  await expect(mute.greet()).rejects.toMatchObject({ code: 'IMAP_TIMEOUT', fields: { command: 'the greeting' } })
  silent.close()
})

test('LOGOUT waits for BYE and is not an error', async () => {
  const connection = await open()
  server.when(/^LOGOUT/, tag => `* BYE see you\r\n${tag} OK done`)
  await connection.logout()
  expect(connection.isOver).toBe(true)
  await connection.logout()
})
