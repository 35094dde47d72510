import { once } from 'node:events'
import net from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { startTwinAdmin } from './admin.ts'
import { startExchangeImap } from './exchange-imap/exchange-imap.ts'
import { startSignIn } from './sign-in/sign-in.ts'

const stops: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const stop of stops.splice(0).toReversed()) await stop()
})

test('all twins are listed with their ports; one tells which faults it knows', async () => {
  const { call, imap, signIn } = await start()
  const { status, document } = await call('GET', '/twins')
  expect(status).toBe(200)
  expect(document.twins).toMatchObject([
    { name: 'sign-in', ports: { http: signIn.port } },
    { name: 'exchange-imap', ports: { imap: imap.port }, state: { connections: [] } },
  ])
  const one = await call('GET', '/twins/exchange-imap')
  expect(Object.keys(one.document.faults.properties)).toContain('cutLiteral')
})

test('a mail is put into a mailbox, octet by octet', async () => {
  const { call, imap } = await start()
  const mail = Buffer.from('Subject: x\n\nbare LF, NUL \0 and \xff', 'latin1')
  const path = '/twins/exchange-imap/mails?mailbox=orders%40contoso.com&folder=Archive'
  expect(await call('POST', path, mail, 'message/rfc822')).toMatchObject({
    status: 201,
    document: { folder: 'Archive', uid: 1, bytes: mail.length },
  })
  expect(Buffer.from(imap.list('orders@contoso.com', 'Archive')[0]?.content() ?? [])).toEqual(mail)
})

test('faults are set, replaced and cleared', async () => {
  const { call, imap } = await start()
  await call('POST', '/twins/exchange-imap/faults', { throttle: { commands: ['FETCH'], times: 3 } })
  expect(imap.faults).toEqual({
    throttle: { commands: ['FETCH'], times: 3, backoffMs: 299_961, answer: 'BAD', bye: false },
  })
  const { document } = await call('POST', '/twins/exchange-imap/faults', { sizeEstimated: true })
  expect(document.state.faults).toEqual({ sizeEstimated: true })
  await call('DELETE', '/twins/exchange-imap/faults')
  expect(imap.faults).toEqual({})
})

test.each([
  [
    'an unknown fault',
    'POST',
    '/twins/sign-in/faults',
    '{"trottle":{}}',
    'application/json',
    400,
    /Unrecognized key: "trottle"/,
  ],
  [
    'a fault of the wrong form',
    'POST',
    '/twins/sign-in/faults',
    '{"slowMs":"1s"}',
    'application/json',
    400,
    /slowMs: /,
  ],
  ['a document that is none', 'POST', '/twins/sign-in/faults', '{', 'application/json', 400, /not JSON/],
  [
    'a document that is too large',
    'POST',
    '/twins/sign-in/faults',
    ' '.repeat(2 ** 20 + 1),
    'application/json',
    413,
    /larger than 1048576 bytes/,
  ],
  ['a form post of a web page', 'POST', '/twins/sign-in/faults', '{}', 'text/plain', 415, /text\/plain/],
  ['an unknown twin', 'GET', '/twins/nobody', undefined, undefined, 404, /sign-in, exchange-imap/],
  ['an unknown path', 'PUT', '/twins/sign-in/faults', '{}', 'application/json', 404, /PUT/],
  [
    'mail for a twin without mailboxes',
    'POST',
    '/twins/sign-in/mails?mailbox=x',
    'x',
    'message/rfc822',
    400,
    /no mailboxes/,
  ],
  ['mail for nobody', 'POST', '/twins/exchange-imap/mails', 'x', 'message/rfc822', 400, /which mailbox/],
  [
    'mail for an unknown folder',
    'POST',
    '/twins/exchange-imap/mails?mailbox=orders@contoso.com&folder=x',
    'x',
    'message/rfc822',
    400,
    /no folder x/,
  ],
])('%s is refused with a sentence', async (_, method, path, body, type, status, sentence) => {
  const { call } = await start()
  const answer = await call(method, path, body, type)
  expect(answer.status).toBe(status)
  expect(answer.document.error.message).toMatch(sentence)
  expect(answer.document.error.next).not.toBe('')
})

test('a caller that came by a foreign name is sent away', async () => {
  const { port } = await start()
  const socket = net.connect(port, '127.0.0.1')
  socket.write('GET /twins HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n')
  const [answer] = await once(socket, 'data')
  expect(String(answer)).toMatch(/^HTTP\/1.1 403 /)
  socket.destroy()
})

async function start() {
  const signIn = await startSignIn()
  const imap = await startExchangeImap({ signIn, mailboxes: { 'orders@contoso.com': {} } })
  const admin = await startTwinAdmin([signIn, imap])
  stops.push(
    () => signIn.stop(),
    () => imap.stop(),
    () => admin.stop(),
  )
  return {
    signIn,
    imap,
    port: admin.port,
    async call(method: string, path: string, body?: unknown, type = 'application/json') {
      const isRaw = typeof body === 'string' || body instanceof Uint8Array
      const content = body === undefined ? {} : { body: isRaw ? body : JSON.stringify(body) }
      const response = await fetch(`${admin.origin}${path}`, {
        method,
        headers: body === undefined ? {} : { 'Content-Type': type },
        ...(content as { body?: string }),
      })
      return { status: response.status, document: JSON.parse(await response.text()) }
    },
  }
}
