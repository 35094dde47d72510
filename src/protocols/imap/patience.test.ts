import { connect, createServer, type Socket } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { HOUR, MINUTE, SECOND } from '../../kernel/time.ts'
import { SimulatedClock } from '../../testing/simulated-clock.ts'
import { listenOnLoopback } from '../../twins/listen.ts'
import { ImapConnection } from './connection.ts'
import { fetchMails, fetchSizes } from './fetch.ts'
import { addFlags, noop, searchUids, selectFolder } from './folder.ts'
import { idle } from './idle.ts'
import { ScriptedServer } from './mailbox-world.ts'
import { moveMails } from './move.ts'

/** A server that is never silent for long, while the test owns the time. */
const timeoutMs = MINUTE
const stepMs = 50 * SECOND

let server: ScriptedServer
let clock: SimulatedClock
let socket: Socket
let client: ImapConnection
/** Octets to the client, whatever they are. */
let send: (octets: string) => void

beforeEach(async () => {
  server = new ScriptedServer()
  clock = new SimulatedClock()
  connectTo(await server.start())
  await client.greet()
  for (let count = 0; count < 3; count++) server.receive('mail')
  await selectFolder(client, 'INBOX')
})
afterEach(async () => {
  client.close()
  await server.stop()
})

function connectTo(port: number): void {
  socket = connect(port, '127.0.0.1')
  const names = { user: 'orders@contoso.com', credential: 'm365-mail' }
  client = new ImapConnection(socket, { clock, timeoutMs, names })
}

/** Answers a command with `begin`, and with nothing after it but what the test sends. */
function neverEnd(pattern: RegExp, begin = ''): Promise<void> {
  return new Promise(resolve => {
    server.when(pattern, (_tag, _line, write) => {
      write(begin)
      send = write
      resolve()
      return ''
    })
  })
}

async function drip(octets: string, times: number): Promise<void> {
  for (let count = 0; count < times && !client.isOver; count++) {
    const expected = socket.bytesRead + octets.length
    send(octets)
    while (socket.bytesRead < expected && !client.isOver) await setImmediate()
    await clock.advance(stepMs)
  }
}

const fetchOne = () => fetchMails(client, { uids: [1], isLone: true }, async ({ body }) => void (await readAll(body)))

async function readAll(body: Uint8Array | AsyncIterable<Uint8Array>): Promise<number> {
  if (body instanceof Uint8Array) return body.length
  let bytes = 0
  for await (const piece of body) bytes += piece.length
  return bytes
}

test.each<[string, RegExp, () => Promise<unknown>, string, string]>([
  ['a body', /^UID FETCH/, fetchOne, '* 1 FETCH (UID 1 BODY[] {5000}\r\n', 'x'],
  ['a large body', /^UID FETCH/, fetchOne, '* 1 FETCH (UID 1 BODY[] {50000000}\r\n', 'x'],
  ['a line', /^UID FETCH/, fetchOne, '* 1 FETCH (UID ', '1'],
  ['sizes', /^UID FETCH/, () => fetchSizes(client, [1]), '', '* 2 FETCH (UID 2 RFC822.SIZE 4)\r\n'],
  ['a move', /^UID MOVE/, moveOne, '', '* OK still working\r\n'],
  ['marks', /^UID STORE/, () => addFlags(client, [1], ['\\Seen']), '', '* 3 EXISTS\r\n'],
])('%s that drips is given up, though the server is never silent', async (_, pattern, run, begin, octets) => {
  client.capabilities = new Set(['MOVE'])
  const begun = neverEnd(pattern, begin)
  const running = expect(run()).rejects.toMatchObject({
    code: 'IMAP_TOO_SLOW',
    retry: 'soon',
    message: expect.stringMatching(
      new RegExp(`${pattern.source.slice(1)} had not ended after 1[12]m.*, and the last 1[12]m.* brought \\d+ bytes`),
    ),
  })
  await begun
  await drip(octets, 20)
  await running
  expect(client.isOver).toBe(true)
})

function moveOne(): Promise<unknown> {
  return moveMails(client, [1], 'Done', new Map())
}

test.each<[string, RegExp, () => Promise<unknown>]>([
  ['a search', /^UID SEARCH/, () => searchUids(client, 'ALL')],
  ['opening a folder', /^SELECT/, () => selectFolder(client, 'INBOX')],
  ['NOOP', /^NOOP/, () => noop(client)],
])('%s that drips has no more time than a silent one', async (_, pattern, run) => {
  const begun = neverEnd(pattern)
  const running = expect(run()).rejects.toMatchObject({ code: 'IMAP_TIMEOUT' })
  await begun
  await drip('* 3 EXISTS\r\n', 2)
  await running
})

test('a greeting that drips has no more time than a silent one', async () => {
  client.close()
  const begun = Promise.withResolvers<void>()
  const listener = await listenOnLoopback(
    createServer(peer => {
      peer.on('error', () => {})
      send = octets => void peer.write(octets)
      begun.resolve()
    }),
  )
  connectTo(listener.port)
  const greeted = expect(client.greet()).rejects.toMatchObject({
    code: 'IMAP_TIMEOUT',
    fields: { command: 'the greeting' },
  })
  await begun.promise
  await drip('*', 2)
  await greeted
  await listener.stop()
})

test('LOGOUT ends in time, whatever the server says', async () => {
  const begun = neverEnd(/^LOGOUT/)
  const leaving = client.logout()
  await begun
  await drip('* OK one moment\r\n', 2)
  await leaving
})

test('a large mail over a slow line passes, however long it takes', async () => {
  const pieceBytes = 400_000
  const begun = neverEnd(/^UID FETCH/, `* 1 FETCH (UID 1 BODY[] {${30 * pieceBytes}}\r\n`)
  let bytes = 0
  const fetched = fetchMails(client, { uids: [1], isLone: true }, async ({ body }) => {
    bytes = await readAll(body)
  })
  await begun
  await drip('x'.repeat(pieceBytes), 30)
  send(')\r\nA2 OK done\r\n')
  await fetched
  expect(bytes).toBe(30 * pieceBytes)
})

test('a body at just the lowest rate is given up after a day', async () => {
  const begun = neverEnd(/^UID FETCH/, `* 1 FETCH (UID 1 BODY[] {3000000000}\r\n`)
  const startedAt = clock.now()
  const fetched = expect(fetchOne()).rejects.toMatchObject({
    code: 'IMAP_TOO_SLOW',
    fields: { time: expect.stringMatching(/^1d/) },
  })
  await begun
  await drip('x'.repeat(100_000), 2_000)
  await fetched
  expect(clock.now() - startedAt).toBeLessThan(25 * HOUR)
})

test('a body that comes quickly and then drips is given up as soon as one that drips from the beginning', async () => {
  const begun = neverEnd(/^UID FETCH/, '* 1 FETCH (UID 1 BODY[] {50000000}\r\n')
  const fetched = expect(fetchOne()).rejects.toMatchObject({ code: 'IMAP_TOO_SLOW' })
  await begun
  await drip('x'.repeat(20_000_000), 1)
  await drip('x', 20)
  await fetched
})

test('the time in which the hub itself did not read is not the server’s', async () => {
  const begun = neverEnd(/^UID FETCH/, '* 1 FETCH (UID 1 BODY[] {8}\r\n')
  const fetched = fetchOne()
  await begun
  await drip('x', 5)
  client.hold()
  await clock.advance(HOUR)
  client.release()
  await drip('x', 3)
  send(')\r\nA2 OK done\r\n')
  await fetched
})

test('each of several commands on their way has its time from when it is the first', async () => {
  const begun = neverEnd(/^UID FETCH 1 /)
  server.when(/^UID FETCH 2 /, () => '')
  const first = fetchSizes(client, [1])
  const second = fetchSizes(client, [2])
  await begun
  await drip('* 3 EXISTS\r\n', 10)
  send('A2 OK done\r\n')
  await first
  await drip('* 3 EXISTS\r\n', 10)
  send('A3 OK done\r\n')
  expect((await second).size).toBe(0)
})

test('IDLE: a server that asks to go on again and again does not put the end of DONE off', async () => {
  const begun = neverEnd(/^IDLE/, '+ idling\r\n')
  // The server does not know that it is in IDLE: to it DONE is a tag without a command.
  server.when(/^$/, () => '')
  const stop = new AbortController()
  const waiting = expect(idle(client, stop.signal)).rejects.toMatchObject({
    code: 'IMAP_TIMEOUT',
    fields: { command: 'DONE' },
  })
  await begun
  await drip('+ idling\r\n', 1)
  stop.abort()
  await drip('+ idling\r\n', 3)
  await waiting
  expect(server.lines.filter(line => line === '').length).toBe(1)
})
