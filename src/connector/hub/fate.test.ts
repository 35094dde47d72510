import { expect, test } from 'vitest'
import { type Clock, HOUR, SECOND, systemClock } from '../../kernel/time.ts'
import { wireLimits } from '../wire.ts'
import { askFate } from './fate.ts'
import { hubLimits } from './limits.ts'
import { TunnelRegistry } from './registry.ts'
import type { Tunnel } from './tunnel.ts'

const owner = { connector: 'c-1', location: 'dc-frankfurt', serial: '1' }
const trace = { connector: 'c-1', location: 'dc-frankfurt', stream: 'one' }
const mail = { mailAt: 4, written: 6 }
const { signal } = new AbortController()

/** A clock that jumps to whatever is waited for, and a little further. */
function jumping(aheadMs = 0): Clock & { waited: number } {
  let now = 10 * HOUR
  return {
    ...systemClock,
    waited: 0,
    now: () => now,
    after(ms, callback) {
      this.waited += ms
      now += ms + aheadMs
      const timer = setImmediate(callback)
      return () => clearImmediate(timer)
    },
  }
}

/** One tunnel that stands all the time. */
function reaching(ask: unknown): TunnelRegistry {
  const registry = new TunnelRegistry()
  const tunnel = { owner, hello: { run: '1' }, isAlive: true, isUsable: true, isSuspect: false, isEnding: false, ask }
  registry.add({ ...tunnel, closed: () => new Promise(() => {}) } as unknown as Tunnel)
  return registry
}

test('a connector that stays away is waited for no longer than that', async () => {
  const clock = jumping()
  expect(await askFate(trace, mail, { registry: new TunnelRegistry(), clock, startedAt: 0, signal })).toBeUndefined()
  expect(clock.waited).toBe(hubLimits.fateMs)
})

test('a hub that has just started waits longer: connectors have to find it first', async () => {
  const clock = jumping()
  const startedAt = clock.now() - SECOND
  expect(await askFate(trace, mail, { registry: new TunnelRegistry(), clock, startedAt, signal })).toBeUndefined()
  expect(clock.waited).toBe(hubLimits.fateAfterStartMs - SECOND)
})

test('one whose tunnels are all silent is asked again until the time is over', async () => {
  const clock = jumping()
  let asked = 0
  const ask = async () => {
    asked++
    throw new Error('no answer')
  }
  const registry = reaching(ask)
  expect(await askFate(trace, mail, { registry, clock, startedAt: 0, signal })).toBeUndefined()
  expect([asked, clock.waited]).toEqual([20, hubLimits.fateMs])
})

/** A connector that answers each question with the next of these, and has a tunnel all the time. */
function answering(clock: Clock, ...answers: object[]) {
  const asked: unknown[] = []
  const times: number[] = []
  interface Question {
    readonly body: { readonly waitMs: number }
    readonly timeoutMs: number
  }
  const ask = async (_path: string, _schema: unknown, { body, timeoutMs }: Question) => {
    asked.push(body)
    times.push(body.waitMs, timeoutMs)
    await new Promise<void>(resolve => clock.after(body.waitMs, resolve))
    return answers[asked.length - 1] ?? answers.at(-1)
  }
  return { registry: reaching(ask), asked, times }
}

test('what a mail server said comes with how far the bytes came', async () => {
  const clock = jumping()
  const { registry, asked } = answering(clock, { bytes: 6, isDue: true }, { bytes: 6, reply: 'MjUwIG9rDQo=' })
  const fate = await askFate(trace, mail, { registry, clock, startedAt: 0, signal })
  expect([fate?.passedOn, String(fate?.reply)]).toEqual([6, '250 ok\r\n'])
  const question = { stream: 'one', ...mail, waitMs: wireLimits.passedOnWaitMs }
  expect(asked).toEqual([question, question])
})

test('a server that has a whole mail is waited for longer than a connector, but not for ever', async () => {
  const clock = jumping()
  const { registry } = answering(clock, { bytes: 6, isDue: true })
  expect(await askFate(trace, mail, { registry, clock, startedAt: 0, signal })).toEqual({
    passedOn: 6,
    reply: undefined,
  })
  expect(clock.waited).toBe(hubLimits.answerMs)
})

test('the time of a question is a whole number, whatever the clock says', async () => {
  const clock = jumping(0.4)
  const { registry, times } = answering(clock, { bytes: 6, isDue: true })
  await askFate(trace, mail, { registry, clock, startedAt: 0, signal })
  expect(times.length).toBeGreaterThan(40)
  expect(times.filter(ms => !Number.isInteger(ms))).toEqual([])
})

test('what was known is told when the connector is started anew meanwhile', async () => {
  const clock = jumping()
  const { registry } = answering(clock, { bytes: 6, isDue: true }, {})
  expect(await askFate(trace, mail, { registry, clock, startedAt: 0, signal })).toEqual({
    passedOn: 6,
    reply: undefined,
  })
})

test('whoever is to stop waits for no answer that is under way', async () => {
  const stopping = new AbortController()
  const ask = (_path: string, _schema: unknown, { signal: ended }: { readonly signal: AbortSignal }) =>
    new Promise((_resolve, reject) => {
      ended.addEventListener('abort', () => reject(new Error('not waited for')))
      stopping.abort()
    })
  const parts = { registry: reaching(ask), clock: systemClock, startedAt: 0, signal: stopping.signal }
  expect(await askFate(trace, mail, parts)).toBeUndefined()
})
