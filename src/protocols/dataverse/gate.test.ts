import { expect, test } from 'vitest'
import { HOUR, MINUTE, SECOND } from '../../kernel/time.ts'
import { SimulatedClock } from '../../testing/simulated-clock.ts'
import { Gate, shareGate, type Turn } from './gate.ts'

const never = new AbortController().signal
const server = 'contoso.crm4.dynamics.com'

/** A gate, and everybody who got through it so far. */
function world(options: { readonly concurrent?: number; readonly requests?: number } = {}) {
  const clock = new SimulatedClock()
  const gate = new Gate({ server, clock, ...options })
  const turns: Turn[] = []
  const refused: unknown[] = []
  const settle = () => new Promise<void>(resolve => setImmediate(resolve))
  return {
    clock,
    gate,
    turns,
    refused,
    settle,
    async ask(count: number, signal = never, patienceMs = 10 * MINUTE, flow = 'materials') {
      for (let index = 0; index < count; index++) {
        gate.enter(flow, signal, clock.now() + patienceMs).then(
          turn => turns.push(turn),
          (error: unknown) => refused.push(error),
        )
      }
      await settle()
    },
    advance: (ms: number) => clock.advance(ms, settle),
  }
}

test('it begins with a few, and lets one more through for each round that goes well, up to the limit', async () => {
  const it = world()
  await it.ask(5000)
  expect(it.turns).toHaveLength(10)
  for (let done = 0; done < 2000; done++) {
    it.turns[done]?.end()
    await it.settle()
  }
  expect(it.gate.concurrent).toBe(52)
  expect(it.gate.running).toBe(52)
})

test('a machine whose clock is set back by an hour waits no longer than Retry-After says', async () => {
  const it = world({ requests: 12 })
  await it.ask(30)
  for (const turn of it.turns) turn.turnedAway(17 * SECOND)
  it.clock.set(it.clock.now() - HOUR)
  await it.advance(17 * SECOND)
  expect(it.turns).toHaveLength(12)
  for (const turn of it.turns) turn.end()
  await it.advance(6 * MINUTE)
  expect(it.refused).toEqual([])
  expect(it.turns.length).toBeGreaterThan(12)
})

test('after a 429 half as many go, and none before Retry-After is over', async () => {
  const it = world()
  await it.ask(30)
  expect(it.turns[0]?.turnedAway(17 * SECOND)).toBe(17 * SECOND)
  // Nine others that began before the cut are turned away too: that is one event, not nine.
  for (const turn of it.turns.slice(1, 10)) turn.turnedAway(17 * SECOND)
  expect(it.gate.concurrent).toBe(5)
  await it.advance(16 * SECOND)
  expect(it.turns).toHaveLength(10)
  await it.advance(SECOND)
  expect(it.turns).toHaveLength(15)
  it.turns[10]?.turnedAway(SECOND)
  expect(it.gate.concurrent).toBe(2)
})

test('without a time in the answer it waits longer each time, and forgets that when one gets through', async () => {
  const it = world({ concurrent: 1 })
  await it.ask(4)
  const waits: (number | undefined)[] = []
  for (let index = 0; index < 3; index++) {
    const waitMs = it.turns[index]?.turnedAway(undefined)
    waits.push(waitMs)
    await it.advance(waitMs ?? 0)
  }
  expect(waits).toEqual([2 * SECOND, 4 * SECOND, 8 * SECOND])
  it.turns[3]?.end()
  await it.ask(1)
  expect(it.turns[4]?.turnedAway(undefined)).toBe(2 * SECOND)
})

test('a time that is over at once is no leave to go on without end', async () => {
  const it = world({ concurrent: 1 })
  await it.ask(1000)
  const since = it.clock.now()
  for (let index = 0; index < 100; index++) await it.advance(it.turns[index]?.turnedAway(0) ?? 0)
  // No more than a few in each second.
  expect(it.clock.now() - since).toBeGreaterThan(20 * SECOND)
  it.turns[100]?.end()
  await it.settle()
  expect(it.turns[101]?.turnedAway(0)).toBeLessThan(10)
})

test('no five minutes have more requests than the budget', async () => {
  const it = world({ requests: 20 })
  await it.ask(100, never, HOUR)
  const sent: number[] = []
  let seen = 0
  for (let minute = 0; minute < 26; minute++) {
    for (; seen < it.turns.length; seen++) {
      sent.push(it.clock.now())
      it.turns[seen]?.end()
      await it.settle()
    }
    await it.advance(MINUTE)
  }
  expect(sent.length).toBeGreaterThanOrEqual(60)
  for (const at of sent) {
    expect(sent.filter(other => other >= at && other < at + 5 * MINUTE).length).toBeLessThanOrEqual(20)
  }
})

test('who cannot wait so long is told at once, as throttling', async () => {
  const it = world()
  await it.ask(1)
  it.turns[0]?.turnedAway(20 * MINUTE)
  await it.ask(2)
  expect(it.refused).toMatchObject([
    { code: 'DATAVERSE_THROTTLED', isThrottling: true, retryAfterMs: 20 * MINUTE },
    { code: 'DATAVERSE_THROTTLED' },
  ])
  expect(it.gate.waiting).toBe(0)
})

test('who waits for others longer than it may is told too', async () => {
  const it = world({ concurrent: 1 })
  await it.ask(2, never, MINUTE)
  await it.advance(MINUTE)
  expect(it.refused).toMatchObject([{ code: 'DATAVERSE_THROTTLED', isThrottling: true }])
})

test('a flow with a long row does not keep the others waiting: flows take turns', async () => {
  const it = world({ concurrent: 1 })
  await it.ask(200)
  const order: string[] = []
  for (const flow of ['crm-products', 'crm-users', 'crm-products']) {
    void it.gate.enter(flow, never, it.clock.now() + MINUTE).then(turn => {
      order.push(flow)
      it.turns.push(turn)
    })
  }
  for (let done = 0; done < 10; done++) {
    it.turns[done]?.end()
    await it.settle()
  }
  expect(order).toEqual(['crm-products', 'crm-users', 'crm-products'])
  for (let done = 10; done < 203; done++) {
    it.turns[done]?.end()
    await it.settle()
  }
  expect([it.turns.length, it.gate.waiting, it.gate.running]).toEqual([203, 0, 0])
})

test('who is stopped leaves the row, before and after', async () => {
  const it = world({ concurrent: 1 })
  const stop = new AbortController()
  await it.ask(3, stop.signal)
  stop.abort()
  await it.settle()
  await it.ask(1, stop.signal)
  expect(it.refused).toMatchObject([1, 2, 3].map(() => ({ code: 'DATAVERSE_INTERRUPTED', retry: 'soon' })))
  expect(it.gate.waiting).toBe(0)
  it.turns[0]?.end()
  it.turns[0]?.end()
  expect(it.gate.running).toBe(0)
})

test('flows with one environment and one credential share a gate for as long as one of them uses it', () => {
  const clock = new SimulatedClock()
  const first = shareGate('dynamics', { server, clock })
  const second = shareGate('dynamics', { server, clock, concurrent: 3 })
  const other = shareGate('dynamics-2', { server, clock })
  expect(second.gate).toBe(first.gate)
  expect(other.gate).not.toBe(first.gate)
  // The lowest limit of those who share it counts, as long as its flow runs.
  expect([first.gate.concurrent, other.gate.concurrent]).toEqual([3, 10])
  first.release()
  first.release()
  const third = shareGate('dynamics', { server, clock })
  expect(third.gate).toBe(second.gate)
  for (const { release } of [second, third, other]) release()
  const anew = shareGate('dynamics', { server, clock })
  expect(anew.gate).not.toBe(third.gate)
  anew.release()
})

test('a flow that is started again waits as long as it was asked to, and keeps the budget of five minutes', async () => {
  const clock = new SimulatedClock()
  const options = { server: 'again.crm4.dynamics.com', clock, requests: 3 }
  const before = shareGate('dynamics', options)
  const enter = () => before.gate.enter('materials', never, clock.now() + MINUTE)
  const [turn, other] = await Promise.all([enter(), enter()])
  turn?.turnedAway(17 * SECOND)
  other?.end()
  before.release()
  const after = shareGate('dynamics', options)
  expect(() => after.gate.requireOpen(clock.now() + 16 * SECOND)).toThrow('no turn for this request')
  after.release()
  await clock.advance(20 * SECOND, async () => {})
  const later = shareGate('dynamics', options)
  ;(await later.gate.enter('materials', never, clock.now() + MINUTE)).end()
  expect(() => later.gate.requireOpen(clock.now() + MINUTE)).toThrow('no turn for this request')
  later.release()
  await clock.advance(6 * MINUTE, async () => {})
  // Nothing is left to remember.
  const anew = shareGate('dynamics', options)
  expect(anew.gate).not.toBe(before.gate)
  anew.release()
})
