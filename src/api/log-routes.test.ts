import { once } from 'node:events'
import { connect } from 'node:net'
import fastify from 'fastify'
import { serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod'
import { afterEach, expect, test, vi } from 'vitest'
import type { LogLine } from '../monitor/log.ts'
import { logRoutes } from './log-routes.ts'
import type { ApiParts } from './parts.ts'

afterEach(() => {
  vi.useRealTimers()
})

test('a log that is followed ends for good, also for one who does not read it and is just asked whether they still may', async () => {
  vi.useFakeTimers({ toFake: ['setInterval'] })
  const asked = Promise.withResolvers<void>()
  const answer = Promise.withResolvers<boolean>()
  const errors: unknown[] = []
  const app = fastify().setValidatorCompiler(validatorCompiler).setSerializerCompiler(serializerCompiler)
  app.addHook('onRequest', async (_request, { raw }) => {
    raw.on('error', error => errors.push(error))
  })
  let send: ((line: LogLine) => void) | undefined
  const line: LogLine = { at: 0, level: 'info', event: 'x', fields: { text: 'x'.repeat(100_000) } }
  const logBook = {
    recent: () => [],
    follow(_level: string, hear: (line: LogLine) => void) {
      send = hear
      return () => {}
    },
  }
  logRoutes(app, { logBook } as unknown as ApiParts, () => {
    asked.resolve()
    return answer.promise
  })
  // The answer comes right after the end of all followers was asked for.
  app.addHook('preClose', async () => answer.resolve(true))
  await app.listen({ host: '127.0.0.1', port: 0 })
  const address = app.server.address()
  const follower = connect(typeof address === 'object' && address ? address.port : 0, '127.0.0.1').pause()
  await once(follower, 'connect')
  follower.write('GET /api/log?follow=true HTTP/1.1\r\nHost: hub\r\n\r\n')
  await vi.waitFor(() => expect(vi.getTimerCount()).toBe(1))
  // More than machines take in for a connection that nobody reads.
  for (let lines = 0; lines < 400; lines++) {
    send?.(line)
    if (lines % 10 === 0) await new Promise(resolve => setTimeout(resolve, 2))
  }
  vi.advanceTimersByTime(10_000)
  await asked.promise
  const closed = app.close()
  await answer.promise
  await new Promise(resolve => setImmediate(resolve))
  follower.destroy()
  await closed
  expect(errors).toEqual([])
})
