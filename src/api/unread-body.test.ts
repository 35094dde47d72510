import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { endAnswer } from './unread-body.ts'

test.each([
  ['that stays away', { ms: 60_000, silentMs: 50 }, 0],
  ['that comes in drops', { ms: 300, silentMs: 60_000 }, 20],
])('nobody waits for the rest of a refused body %s', async (_what, limits, dropEveryMs) => {
  const server = createServer((incoming, response) => {
    response.writeHead(404, { connection: 'close', 'content-length': 2 })
    endAnswer(incoming, response, 'no', new AbortController().signal, limits)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  socket.write('POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000\r\n\r\nhello')
  const drops = dropEveryMs > 0 ? setInterval(() => socket.write('x'), dropEveryMs) : undefined
  expect(await text(socket)).toMatch(/^HTTP\/1\.1 404 .*\r\n\r\nno$/s)
  clearInterval(drops)
  socket.destroy()
  await new Promise(resolve => server.close(resolve))
})
