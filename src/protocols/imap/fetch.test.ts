import { afterEach, beforeEach, expect, test } from 'vitest'
import type { ImapConnection } from './connection.ts'
import { type FetchedMail, fetchMails, fetchSizes } from './fetch.ts'
import { addFlags, noop, searchUids, selectFolder } from './folder.ts'
import { openClient, ScriptedServer } from './mailbox-world.ts'

const MiB = 1024 * 1024
let server: ScriptedServer
let client: ImapConnection
let port: number

beforeEach(async () => {
  server = new ScriptedServer()
  port = await server.start()
  client = await openClient(port)
})
afterEach(async () => {
  client.close()
  await server.stop()
})

async function bytesOf({ body }: FetchedMail): Promise<Buffer> {
  if (body instanceof Uint8Array) return Buffer.from(body)
  const chunks: Uint8Array[] = []
  for await (const chunk of body) chunks.push(Uint8Array.from(chunk))
  return Buffer.concat(chunks)
}

/** Fetches windows two deep; returns text by UID. */
async function fetchTwoDeep(windows: number[][]): Promise<Map<number, string>> {
  const mails = new Map<number, string>()
  const runs = windows.map(uids =>
    fetchMails(client, { uids, isLone: uids.length === 1 }, async mail => {
      mails.set(mail.uid, (await bytesOf(mail)).toString('latin1'))
    }),
  )
  await Promise.all(runs)
  return mails
}

const odd = [
  '',
  '\r\n',
  'a\nb\n.\nc',
  'x\r\ry',
  '\0\0',
  'A1 OK done\r\n* BYE\r\n',
  'l'.repeat(20_000),
  ')\r\n',
  '\xff\xfe{12}\r\n',
]

test.each([0, 1, 3, 7])('odd mails come through byte for byte, cut into packets of %i octets', async pieceBytes => {
  for (const mail of odd) server.receive(Buffer.from(mail, 'latin1'))
  await selectFolder(client, 'INBOX')
  server.pieceBytes = pieceBytes
  const uids = odd.map((_, index) => index + 1)
  const mails = await fetchTwoDeep([uids.slice(0, 4), uids.slice(4)])
  expect([...mails.values()]).toEqual(odd)
})

test('a row is told by its UID when two windows stand in one packet', async () => {
  const uids = Array.from({ length: 20 }, () => server.receive('mail'))
  for (const mail of server.folder('INBOX').mails) mail.bytes = Buffer.from(`mail ${mail.uid}`)
  await selectFolder(client, 'INBOX')
  const held: string[] = []
  server.when(/^UID FETCH/, (tag, line) => {
    const range = (line.split(' ')[2] ?? '').split(':').map(Number)
    const rows = uids.filter(uid => uid >= (range[0] ?? 0) && uid <= (range[1] ?? 0))
    held.push(
      rows.map(uid => `* ${uid} FETCH (UID ${uid} BODY[] {${`mail ${uid}`.length}}\r\nmail ${uid})`).join('\r\n'),
      `${tag} OK done`,
    )
    return held.length === 4 ? held.join('\r\n') : ''
  })
  const mails = await fetchTwoDeep([uids.slice(0, 10), uids.slice(10)])
  expect(mails.size).toBe(20)
  for (const uid of uids) expect(mails.get(uid)).toBe(`mail ${uid}`)
})

test('EXISTS, EXPUNGE and flags of others between the rows change nothing; the UID may follow the body', async () => {
  await selectFolder(client, 'INBOX')
  server.when(/^UID FETCH 5,9 /, tag =>
    [
      '* 12 EXISTS',
      '* 3 FETCH (FLAGS (\\Seen) UID 4)',
      '* 4 FETCH (BODY[] {3}\r\nfiv UID 5)',
      '* 1 EXPUNGE',
      '* 2 FETCH (UID 77 BODY[] {5}\r\nother)',
      '* OK [ALERT] quota {9}',
      '* 5 FETCH (FLAGS () BODY[] {3}\r\nnin UID 9)',
      '* 5 FETCH (UID 9 BODY[] {5}\r\ntwice)',
      `${tag} OK done`,
    ].join('\r\n'),
  )
  expect([...(await fetchTwoDeep([[5, 9]]))]).toEqual([
    [5, 'fiv'],
    [9, 'nin'],
  ])
})

test('a UID without a row, and a body that is NIL, are not answered', async () => {
  await selectFolder(client, 'INBOX')
  server.when(
    /^UID FETCH/,
    tag => `* 1 FETCH (UID 1 BODY[] {1}\r\na)\r\n* 2 FETCH (UID 2 BODY[] NIL)\r\n${tag} OK done`,
  )
  const answered = await fetchMails(client, { uids: [1, 2, 3], isLone: false }, async () => {})
  expect([...answered]).toEqual([1])
})

test('a large mail is streamed, and the socket waits for a slow reader', async () => {
  const large = Buffer.alloc(24 * MiB, 'abcdefg')
  server.receive(large)
  await selectFolder(client, 'INBOX')
  let received = 0
  let isExact = true
  await fetchMails(client, { uids: [1], isLone: true }, async ({ body, bytes }) => {
    expect(bytes).toBe(large.length)
    expect(body).not.toBeInstanceOf(Uint8Array)
    if (body instanceof Uint8Array) return
    for await (const chunk of body) {
      // The first chunk is kept for a while: what comes meanwhile must stay in the socket.
      if (received === 0) await new Promise(resolve => setTimeout(resolve, 150))
      isExact &&= Buffer.compare(chunk, large.subarray(received, received + chunk.length)) === 0
      received += chunk.length
    }
  })
  expect({ received, isExact }).toEqual({ received: large.length, isExact: true })
})

test('a large mail that nobody reads is let pass, and the next command works', async () => {
  server.receive(Buffer.alloc(3 * MiB, 'x'))
  server.receive('small')
  await selectFolder(client, 'INBOX')
  await fetchMails(client, { uids: [1], isLone: true }, async () => {})
  await fetchMails(client, { uids: [1], isLone: true }, async ({ body }) => {
    if (!(body instanceof Uint8Array)) for await (const _ of body) break
  })
  expect([...(await fetchTwoDeep([[2]]))]).toEqual([[2, 'small']])
})

test('a mail that proves large within a window is streamed by its UID, or left for a request of its own', async () => {
  const large = 'y'.repeat(2 * MiB)
  await selectFolder(client, 'INBOX')
  server.when(
    /^UID FETCH 1:2 /,
    tag =>
      `* 1 FETCH (UID 1 BODY[] {${large.length}}\r\n${large})\r\n* 2 FETCH (BODY[] {${large.length}}\r\n${large} UID 2)\r\n${tag} OK done`,
  )
  const sizes = new Map<number, number>()
  const answered = await fetchMails(client, { uids: [1, 2], isLone: false }, async mail => {
    sizes.set(mail.uid, (await bytesOf(mail)).length)
  })
  expect([...sizes]).toEqual([[1, large.length]])
  expect([...answered]).toEqual([1])
})

test('a streamed body that proves to be of another mail fails before its end', async () => {
  const large = 'y'.repeat(2 * MiB)
  await selectFolder(client, 'INBOX')
  server.when(/^UID FETCH 1 /, tag => `* 1 FETCH (BODY[] {${large.length}}\r\n${large} UID 9)\r\n${tag} OK done`)
  const fetched = fetchMails(client, { uids: [1], isLone: true }, async mail => void (await bytesOf(mail)))
  await expect(fetched).rejects.toMatchObject({ code: 'IMAP_PROTOCOL' })
})

test('a connection cut at any octet of the answer fails the command, and the reader of a stream with it', async () => {
  const large = Buffer.alloc(2 * MiB, 'z')
  server.receive(large)
  await selectFolder(client, 'INBOX')
  server.when(/^UID FETCH/, (_tag, _line, send) => {
    send(Buffer.concat([Buffer.from(`* 1 FETCH (UID 1 BODY[] {${large.length}}\r\n`), large.subarray(0, MiB + 77)]))
    setTimeout(() => server.hangUp(), 20)
    return ''
  })
  let seen: unknown
  const fetched = fetchMails(client, { uids: [1], isLone: true }, async mail => {
    seen = await bytesOf(mail).catch((error: unknown) => error)
  })
  await expect(fetched).rejects.toMatchObject({ code: 'IMAP_CONNECTION_LOST', retry: 'soon' })
  expect(seen).toMatchObject({ code: 'IMAP_CONNECTION_LOST' })
})

test('a server that falls silent inside a body is left after the time limit', async () => {
  client.close()
  client = await openClient(port, 200)
  await selectFolder(client, 'INBOX')
  server.when(/^UID FETCH/, () => '* 1 FETCH (UID 1 BODY[] {100}\r\nhalf of it')
  const fetched = fetchMails(client, { uids: [1], isLone: true }, async () => {})
  await expect(fetched).rejects.toMatchObject({
    code: 'IMAP_TIMEOUT',
    fields: { command: 'UID FETCH', timeoutMs: 200 },
  })
})

test('a take that fails is reported after the others have ended', async () => {
  for (const mail of ['a', 'b', 'c']) server.receive(mail)
  await selectFolder(client, 'INBOX')
  const taken: number[] = []
  const fetched = fetchMails(client, { uids: [1, 2, 3], isLone: false }, async ({ uid }) => {
    if (uid === 1) throw new Error('the first one')
    await new Promise(resolve => setTimeout(resolve, 20))
    taken.push(uid)
  })
  await expect(fetched).rejects.toThrow('the first one')
  expect(taken).toEqual([2, 3])
  await noop(client)
})

test('sizes, search and flags use commands that Exchange accepts', async () => {
  const uids = Array.from({ length: 3_000 }, (_, index) => index * 3 + 1)
  server.folder('INBOX').mails.push(...uids.map(uid => ({ uid, bytes: Buffer.from('ab'), flags: new Set<string>() })))
  await selectFolder(client, 'INBOX')
  expect(await searchUids(client, 'UNSEEN')).toEqual(uids)
  expect(await fetchSizes(client, uids)).toEqual(new Map(uids.map(uid => [uid, 2])))
  await addFlags(client, uids, ['\\Seen'])
  expect(await searchUids(client, 'UNSEEN')).toEqual([])
  expect(Math.max(...server.lines.map(line => line.length))).toBeLessThan(10_240)
})

test('a search that is refused is an error, not an empty folder', async () => {
  await selectFolder(client, 'INBOX')
  server.when(/^UID SEARCH/, 'NO [SERVERBUG] broken')
  await expect(searchUids(client, 'ALL')).rejects.toMatchObject({ code: 'IMAP_COMMAND_REFUSED', retry: 'soon' })
})
