import { once } from 'node:events'
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Agent } from 'undici'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { EndedHere, requestWhole } from './whole-answer.ts'

let server: Server
let agent: Agent
let origin: string
let answer: (response: ServerResponse) => void
let arrived: number
beforeEach(async () => {
  arrived = 0
  server = createServer((request, response) => {
    arrived += 1
    request.resume().on('end', () => answer(response))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  agent = new Agent({ connections: 1, pipelining: 1 })
})
afterEach(async () => {
  server.closeAllConnections()
  server.close()
  await agent.destroy()
})

const ask = (ends: { timeoutMs?: number; signal?: AbortSignal } = {}, body?: string) =>
  requestWhole(
    agent,
    { origin, path: '/', method: 'POST', ...(body !== undefined && { body }) },
    { timeoutMs: ends.timeoutMs ?? 10_000, signal: ends.signal ?? new AbortController().signal },
  )

test('an answer of many chunks comes whole, with its headers in lower case, and what was announced before is not it', async () => {
  answer = response => {
    response.writeEarlyHints({ link: '</a>; rel=preload' })
    response.writeHead(207, { 'X-One': 'a', 'Set-Cookie': ['b=1', 'c=2'] })
    response.write('first ')
    setImmediate(() => response.end('second'))
  }
  const { status, headers, body } = await ask()
  expect(status).toBe(207)
  expect(headers).toMatchObject({ 'x-one': 'a', 'set-cookie': 'b=1, c=2' })
  expect(headers['link']).toBeUndefined()
  expect(Buffer.from(body).toString()).toBe('first second')
})

test('an answer that does not come, or not to its end, is given up in time, and the connection is closed', async () => {
  for (const begin of [() => {}, (response: ServerResponse) => void response.write('half')]) {
    answer = begin
    const closed = new Promise<void>(resolve => {
      server.once('connection', socket => socket.once('close', () => resolve()))
    })
    await expect(ask({ timeoutMs: 100 })).rejects.toMatchObject({ why: 'timeout' })
    await closed
  }
})

test('the caller may end it: before, while it waits for a connection, and under way; nothing of it goes out late', async () => {
  answer = () => {}
  await expect(ask({ signal: AbortSignal.abort() })).rejects.toBeInstanceOf(EndedHere)
  const first = new AbortController()
  const second = new AbortController()
  const running = ask({ signal: first.signal })
  const waiting = ask({ signal: second.signal })
  const ends = Promise.allSettled([running, waiting])
  await expect.poll(() => arrived).toBe(1)
  second.abort()
  await expect(waiting).rejects.toMatchObject({ why: 'aborted' })
  first.abort()
  await ends
  // The connection is free again, and the next one is the only further request.
  answer = response => void response.writeHead(204).end()
  expect((await ask()).status).toBe(204)
  expect(arrived).toBe(2)
})

test('what undici throws comes as it is', async () => {
  server.closeAllConnections()
  server.close()
  await once(server, 'close')
  await expect(ask()).rejects.toMatchObject({ code: 'ECONNREFUSED' })
})
