import { expect, test } from 'vitest'
import type { Link } from '../flow/adapter.ts'
import { type HubError, hubErrors } from '../kernel/error.ts'
import { MINUTE, SECOND } from '../kernel/time.ts'
import { SimulatedClock } from '../testing/simulated-clock.ts'
import { superviseLink } from './supervise.ts'

const settle = () => new Promise<void>(resolve => setImmediate(resolve))

function world(run: (link: Link, attempt: number) => Promise<void>, firstOwner?: string) {
  const clock = new SimulatedClock(0)
  const stop = new AbortController()
  const startsAt: number[] = []
  const downs: HubError[] = []
  let owner = firstOwner
  let wake = new AbortController()
  const done = superviseLink(
    {
      clock,
      store: {
        async lease(_, asking) {
          if (owner !== undefined && owner !== asking) return undefined
          owner = asking
          return 1
        },
        async endLease() {
          owner = undefined
        },
      },
      owner: 'hub-1',
      lease: 'flow/link',
      signal: stop.signal,
      wakeSignal: () => wake.signal,
      onUp: () => {},
      onDown: error => downs.push(error),
      onStuck() {},
      onTrouble: () => {},
      random: () => 1,
    },
    link => {
      startsAt.push(clock.now())
      return run(link, startsAt.length)
    },
  )
  return {
    clock,
    startsAt,
    downs,
    advance: (ms: number) => clock.advance(ms, settle),
    wake: () => {
      const before = wake
      wake = new AbortController()
      before.abort()
      return settle()
    },
    setOwner: (other: string | undefined) => {
      owner = other
    },
    async stop() {
      stop.abort()
      await done
    },
  }
}

const failing = () => Promise.reject(hubErrors.UNEXPECTED({ text: 'reset' }))

test('a link that fails is tried again after a growing wait', async () => {
  const it = world(failing)
  await it.advance(20 * SECOND)
  expect(it.startsAt).toEqual([0, SECOND, 3 * SECOND, 7 * SECOND, 15 * SECOND])
  expect(it.downs).toHaveLength(5)
  await it.stop()
})

test('the other side’s wish for time is honoured', async () => {
  const it = world(() => Promise.reject(hubErrors.UNEXPECTED({ text: 'throttled' }, { retryAfterMs: 299_961 })))
  await it.advance(299_960)
  expect(it.startsAt).toEqual([0])
  await it.advance(1)
  expect(it.startsAt).toEqual([0, 299_961])
  await it.stop()
})

test('what awaits a change is tried slowly, and at once when somebody changed something', async () => {
  const it = world(() => Promise.reject(hubErrors.UNEXPECTED({ text: 'refused' }, { retry: 'after-change' })))
  await it.advance(2 * MINUTE)
  expect(it.startsAt).toEqual([0])
  await it.wake()
  await it.advance(0)
  expect(it.startsAt).toEqual([0, 2 * MINUTE])
  await it.stop()
})

test('a change that comes while the link still tries counts: it is tried anew at once', async () => {
  const it = world(async (_link, attempt) => {
    if (attempt === 1) await it.clock.sleep(2 * SECOND)
    throw hubErrors.UNEXPECTED({ text: 'refused' }, { retry: 'after-change' })
  })
  await it.advance(SECOND)
  await it.wake()
  await it.advance(MINUTE)
  expect(it.startsAt).toEqual([0, 2 * SECOND])
  await it.stop()
})

test('a link that brings something each time is tried again soon, however soon it breaks', async () => {
  const it = world(async (link, attempt) => {
    link.up('logged in')
    if (attempt < 4) link.moved()
    throw hubErrors.UNEXPECTED({ text: 'reset' })
  })
  await it.advance(9 * SECOND)
  expect(it.startsAt).toEqual([0, SECOND, 2 * SECOND, 3 * SECOND, 5 * SECOND, 9 * SECOND])
  await it.stop()
})

test('a link that stood for a while begins its back-off anew', async () => {
  const it = world(async (link, attempt) => {
    if (attempt >= 4) link.up('logged in')
    if (attempt >= 4) await it.clock.sleep(MINUTE, link.signal)
    throw hubErrors.UNEXPECTED({ text: 'reset' })
  })
  await it.advance(7 * SECOND + MINUTE + SECOND)
  expect(it.startsAt).toEqual([0, SECOND, 3 * SECOND, 7 * SECOND, 7 * SECOND + MINUTE + SECOND])
  await it.stop()
})

test('a link waits while another hub has its lease', async () => {
  const it = world(async link => it.clock.sleep(1e9, link.signal), 'hub-2')
  await it.advance(MINUTE)
  expect(it.startsAt).toEqual([])
  it.setOwner(undefined)
  await it.advance(10 * SECOND)
  expect(it.startsAt).toHaveLength(1)
  await it.stop()
})

test('a link ends when its lease went to another hub', async () => {
  let endedAt = 0
  const it = world(async link => {
    await it.clock.sleep(1e9, link.signal)
    endedAt = it.clock.now()
  })
  await it.advance(SECOND)
  it.setOwner('hub-2')
  await it.advance(10 * SECOND)
  expect(endedAt).toBe(10 * SECOND)
  await it.stop()
})

test('a renewal that is under way when the link ends does not go on renewing', async () => {
  const clock = new SimulatedClock(0)
  const stop = new AbortController()
  const renewal = Promise.withResolvers<void>()
  let asked = 0
  const done = superviseLink(
    {
      clock,
      store: {
        async lease() {
          asked++
          if (asked === 2) await renewal.promise
          return 1
        },
        async endLease() {},
      },
      owner: 'hub-1',
      lease: 'flow/link',
      signal: stop.signal,
      wakeSignal: () => new AbortController().signal,
      onUp: () => {},
      onDown: () => {},
      onStuck() {},
      onTrouble: () => {},
      random: () => 1,
    },
    link => clock.sleep(1e9, link.signal),
  )
  await clock.advance(10 * SECOND, settle)
  stop.abort()
  await done
  renewal.resolve()
  await settle()
  await clock.advance(2 * MINUTE, settle)
  expect(asked).toBe(2)
})

test('a link that ends after the clock of its machine was set back begins again within a second', async () => {
  let end = () => {}
  const it = world(
    link =>
      new Promise(resolve => {
        end = resolve
        link.signal.addEventListener('abort', () => resolve())
      }),
  )
  await settle()
  it.clock.set(it.clock.now() - 60 * MINUTE)
  end()
  await settle()
  await it.advance(SECOND)
  expect(it.startsAt).toHaveLength(2)
  await it.stop()
})
