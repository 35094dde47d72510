import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DAY, HOUR, MINUTE, SECOND } from '../../kernel/time.ts'
import { SimulatedClock } from '../../testing/simulated-clock.ts'
import { DueHeap } from './due-heap.ts'
import { scheduleLimits } from './limits.ts'
import { Schedule, type Turn } from './schedule.ts'
import { quick, SimulatedSchedule } from './schedule-world.ts'
import { Turns } from './turns.ts'

const done = { state: 'done', again: false } as const
const x = (number: number) => ({ organization: 'x', mailbox: `${number}@x` })

describe('10,000 mailboxes behind one account', () => {
  test('are polled within their interval, spread evenly, never more at a time than the account bears', () => {
    const world = new SimulatedSchedule()
    world.add('x', 10_000)
    world.run(HOUR)
    // Twelve polls each; the first is somewhere in the first interval.
    expect(world.done.length).toBeGreaterThan(10_000 * 11)
    expect(world.done.length).toBeLessThan(10_000 * 13)
    expect(world.runningMax).toBeLessThanOrEqual(scheduleLimits.runningPerOrganization)
    const perMinute = world.done.filter(({ at }) => at > 30 * MINUTE && at <= 31 * MINUTE).length
    expect(perMinute).toBeGreaterThan(1500)
    expect(perMinute).toBeLessThan(2500)
  })

  test('that an earlier life of the hub left in the midst of their rounds all go on within minutes, spread', () => {
    const world = new SimulatedSchedule()
    for (let number = 0; number < 10_000; number += 1) {
      world.schedule.add(x(number), world.now, false, DAY)
      world.schedule.goOn(x(number), world.now)
    }
    world.run(SECOND)
    expect(world.started.length).toBeLessThan(200)
    world.run(5 * MINUTE)
    expect(new Set(world.done.map(({ turn }) => turn.mailbox)).size).toBe(10_000)
    expect(world.runningMax).toBeLessThanOrEqual(scheduleLimits.runningPerOrganization)
  })

  test('with notifications are asked six times less often', () => {
    const world = new SimulatedSchedule()
    world.add('x', 1000)
    world.run(10 * MINUTE)
    for (let number = 0; number < 1000; number += 1) world.schedule.setWatched(x(number), true, world.now)
    world.run(MINUTE)
    const before = world.done.length
    world.run(HOUR)
    expect(world.done.length - before).toBeGreaterThan(1500)
    expect(world.done.length - before).toBeLessThan(2500)
  })
})

describe('shares', () => {
  test('a huge first sync does not starve the small organization beside it', () => {
    const world = new SimulatedSchedule({ running: 8 })
    world.behave = turn => (turn.lane === 'initial' ? { takesMs: 30 * SECOND, ending: done } : quick(turn, 0))
    world.add('big', 5000, true)
    world.run(MINUTE)
    world.add('small', 20)
    const waits: number[] = []
    for (let number = 0; number < 20; number += 1) {
      const name = { organization: 'small', mailbox: `${number}@small` }
      world.run(20 * SECOND)
      const asked = world.now
      world.schedule.request(name, 'push', asked)
      world.run(2 * MINUTE)
      const turn = world.started.find(one => one.mailbox === name.mailbox && one.startedAt >= asked)
      waits.push((turn?.startedAt ?? Infinity) - asked)
    }
    expect(Math.max(...waits)).toBeLessThan(35 * SECOND)
  })

  test('two organizations with work without end get the same time, though one has long turns', () => {
    const world = new SimulatedSchedule({ running: 4, againAtOnce: 100_000 })
    world.behave = turn => {
      const takesMs = turn.organization === 'slow' ? 1000 : 100
      return { takesMs, ending: { state: 'done', again: true } }
    }
    world.add('slow', 50, true)
    world.add('fast', 50, true)
    world.run(10 * MINUTE)
    const slowMs = world.countOf('slow') * 1000
    const fastMs = world.countOf('fast') * 100
    expect(slowMs / fastMs).toBeGreaterThan(0.8)
    expect(slowMs / fastMs).toBeLessThan(1.25)
  })

  test('within an organization: the person first, then notifications, polls, first syncs, which come last but not never', () => {
    const world = new SimulatedSchedule({ running: 1, pollMs: 10 * SECOND })
    world.behave = () => ({ takesMs: SECOND, ending: done })
    world.add('x', 40)
    world.run(MINUTE)
    for (let number = 100; number < 110; number += 1) world.schedule.add(x(number), world.now, true)
    world.schedule.request(x(1), 'push', world.now)
    world.schedule.request(x(2), 'user', world.now)
    world.started.length = 0
    world.run(30 * SECOND)
    const lanes = world.started.map(({ lane }) => lane)
    expect(lanes.indexOf('user')).toBeLessThanOrEqual(1)
    expect(lanes.indexOf('push')).toBeLessThan(lanes.lastIndexOf('delta'))
    expect(lanes.filter(lane => lane === 'initial').length).toBeGreaterThanOrEqual(2)
    expect(lanes.filter(lane => lane === 'initial').length).toBeLessThanOrEqual(6)
  })
})

describe('patience', () => {
  test('a busy account rests as long as it asks, and takes fewer turns at a time afterwards', () => {
    const world = new SimulatedSchedule()
    world.add('x', 1000)
    world.add('y', 10)
    world.run(20 * MINUTE)
    const windowBefore = world.schedule.accountState('x')?.window ?? 0
    let busyUntil = world.now + MINUTE
    world.behave = (turn, now) =>
      turn.organization === 'x' && now < busyUntil
        ? { takesMs: 50, ending: { state: 'account-failed', retryAfterMs: 297_749, needsChange: false } }
        : quick(turn, now)
    world.run(MINUTE)
    busyUntil = 0
    const failures = world.done.filter(({ ending }) => ending.state === 'account-failed')
    const [first] = failures
    // Those that were under way together fail together, and no more are sent into it.
    expect(failures.length).toBeLessThanOrEqual(scheduleLimits.runningPerOrganization)
    const after = world.started.filter(turn => turn.organization === 'x' && turn.startedAt > (failures.at(-1)?.at ?? 0))
    expect(after).toEqual([])
    expect(world.schedule.accountState('x')?.window).toBeLessThanOrEqual(Math.ceil(windowBefore / 2))
    world.run(10 * MINUTE)
    const again = world.started.filter(turn => turn.organization === 'x' && turn.startedAt > (first?.at ?? 0) + 1000)
    expect(again[0]?.startedAt).toBeGreaterThanOrEqual((first?.at ?? 0) + 297_749)
    expect(world.countOf('y')).toBeGreaterThan(10 * 5)
  })

  test('a refused account is tried by one turn now and then, until somebody changes something', () => {
    const world = new SimulatedSchedule()
    world.add('x', 500)
    world.behave = () => ({ takesMs: 50, ending: { state: 'account-failed', needsChange: true } })
    world.run(10 * MINUTE)
    const before = world.started.length
    world.run(HOUR)
    expect(world.started.length - before).toBeLessThanOrEqual(5)
    world.behave = quick
    world.schedule.resume('x')
    world.run(HOUR)
    expect(
      new Set(world.done.filter(({ ending }) => ending.state === 'done').map(({ turn }) => turn.mailbox)).size,
    ).toBe(500)
  })

  test('an account that is perhaps not the one that is refused is tried soon, then later each time, by one turn', () => {
    const world = new SimulatedSchedule()
    world.add('x', 500, true)
    world.behave = () => ({ takesMs: 50, ending: { state: 'account-failed', needsChange: true, isInDoubt: true } })
    world.run(2 * HOUR)
    const waits = world.started.slice(1).map((turn, index) => turn.startedAt - (world.started[index]?.startedAt ?? 0))
    const rests = waits.filter(ms => ms > 100)
    expect(rests.slice(0, 4).map(ms => Math.round(ms / SECOND))).toEqual([1, 2, 4, 8])
    expect(rests.at(-1)).toBeGreaterThanOrEqual(scheduleLimits.accountProbeMs)
    expect(world.schedule.accountState('x')).toMatchObject({ isRefused: true, window: 1 })
    world.behave = quick
    world.run(20 * MINUTE)
    expect(world.schedule.accountState('x')).toMatchObject({ isRefused: false })
    expect(
      new Set(world.done.filter(({ ending }) => ending.state === 'done').map(({ turn }) => turn.mailbox)).size,
    ).toBe(500)
  })

  test('a mailbox that fails waits longer each time, alone; a person ends its wait', () => {
    const world = new SimulatedSchedule({ jitter: 0 })
    world.add('x', 2)
    world.behave = turn =>
      turn.mailbox === '0@x'
        ? { takesMs: 0, ending: { state: 'mailbox-failed', needsChange: false } }
        : { takesMs: 0, ending: done }
    world.run(24 * HOUR)
    const times = world.started.filter(turn => turn.mailbox === '0@x').map(turn => turn.startedAt)
    const waits = times.slice(1).map((time, index) => time - (times[index] ?? 0))
    expect(waits.slice(0, 4)).toEqual([MINUTE, 2 * MINUTE, 4 * MINUTE, 8 * MINUTE])
    expect(Math.max(...waits)).toBe(scheduleLimits.mailboxUpToMs)
    expect(world.started.filter(turn => turn.mailbox === '1@x').length).toBeGreaterThan(280)
    const count = world.started.length
    world.schedule.request(x(0), 'push', world.now)
    world.run(SECOND)
    expect(world.started.slice(count).filter(turn => turn.mailbox === '0@x')).toEqual([])
    world.schedule.request(x(0), 'user', world.now)
    world.run(0)
    expect(world.started.at(-1)).toMatchObject({ mailbox: '0@x', lane: 'user' })
  })

  test('a mailbox that is never done does not keep the hub busy', () => {
    const world = new SimulatedSchedule()
    world.add('x', 1, true)
    world.behave = () => ({ takesMs: 10, ending: { state: 'done', again: true } })
    world.run(HOUR)
    expect(world.started.length).toBeLessThan(30)
    expect(world.started.slice(0, 4).every(turn => turn.startedAt < SECOND)).toBe(true)
  })

  test('a wait that the server names is kept', () => {
    const world = new SimulatedSchedule()
    world.add('x', 1)
    world.behave = () => ({
      takesMs: 0,
      ending: { state: 'mailbox-failed', retryAfterMs: 45 * MINUTE, needsChange: false },
    })
    world.run(HOUR)
    const [first = 0, second = 0] = world.started.map(turn => turn.startedAt)
    expect(second - first).toBe(45 * MINUTE)
  })

  test.each(['mailbox-failed', 'account-failed'] as const)(
    'a wait that is over at once is no leave to hammer, and one of years is not sat out (%s)',
    state => {
      const world = new SimulatedSchedule()
      world.add('x', 100, true)
      let retryAfterMs = 0
      world.behave = () => ({ takesMs: 100, ending: { state, retryAfterMs, needsChange: false } })
      world.run(MINUTE)
      // A few tries of each, or of the one that tries it for all.
      expect(world.started.length).toBeLessThan(1000)
      world.run(MINUTE)
      const before = world.started.length
      world.run(10 * MINUTE)
      expect(world.started.length - before).toBeLessThan(100 * 25)
      retryAfterMs = 30 * 365 * DAY
      world.run(10 * MINUTE)
      world.behave = quick
      world.run(12 * HOUR)
      expect(
        new Set(world.done.filter(({ ending }) => ending.state === 'done').map(({ turn }) => turn.mailbox)).size,
      ).toBe(100)
    },
  )
})

describe('notifications', () => {
  test('a burst brings one turn, only for the kinds that it names, and does not put off the full one', () => {
    const world = new SimulatedSchedule({ jitter: 0 })
    world.add('x', 1)
    world.schedule.setWatched(x(0), true, world.now)
    world.run(10 * MINUTE)
    world.started.length = 0
    for (let minute = 0; minute < 60; minute += 1) {
      for (let count = 0; count < 5; count += 1) world.schedule.request(x(0), 'push', world.now, 'mail')
      world.schedule.request(x(0), 'push', world.now, 'task')
      world.run(MINUTE)
    }
    const partial = world.started.filter(turn => turn.kinds !== undefined)
    const full = world.started.filter(turn => turn.kinds === undefined)
    expect(partial.length).toBeGreaterThanOrEqual(56)
    expect(partial[0]?.kinds).toEqual(['mail', 'task'])
    expect(full.length).toBeGreaterThanOrEqual(2)
  })

  test('of other kinds do not put off what waits for its time, and that keeps nobody busy', () => {
    const world = new SimulatedSchedule({ jitter: 0 })
    world.add('x', 1)
    world.schedule.setWatched(x(0), true, world.now)
    world.run(10 * MINUTE)
    let dueAt = world.now + 3 * MINUTE
    world.behave = turn => {
      const again = turn.kinds === undefined ? { ...done, laterMs: dueAt - world.now } : done
      return { takesMs: 0, ending: again }
    }
    world.schedule.request(x(0), 'user', world.now)
    world.run(0)
    world.started.length = 0
    for (let count = 0; count < 4; count += 1) {
      world.schedule.request(x(0), 'push', world.now, 'mail')
      world.run(50 * SECOND)
    }
    const full = () => world.started.filter(turn => turn.kinds === undefined).map(turn => turn.startedAt)
    expect(full()).toEqual([dueAt])
    // It is due again at once, each time.
    dueAt = 0
    world.run(10 * MINUTE)
    expect(full().length).toBeLessThan(12)
    dueAt = Infinity
    world.run(HOUR)
    expect(full().length).toBeLessThan(16)
  })

  test('one that comes while the mailbox is synced brings another turn after it', () => {
    const world = new SimulatedSchedule()
    world.behave = () => ({ takesMs: 10 * SECOND, ending: done })
    world.add('x', 1, true)
    world.run(5 * SECOND)
    world.schedule.request(x(0), 'push', world.now, 'contact')
    world.run(10 * SECOND)
    expect(world.started.map(turn => turn.kinds)).toEqual([undefined, ['contact']])
  })
})

test('a mailbox that is taken out has no further turn, also while one runs', () => {
  const world = new SimulatedSchedule()
  world.add('x', 2, true)
  world.run(0)
  world.schedule.remove(x(0))
  world.run(HOUR)
  expect(world.started.filter(turn => turn.mailbox === '0@x')).toHaveLength(1)
  world.schedule.remove(x(1))
  world.run(HOUR)
  expect(world.schedule.nextAt(world.now)).toBeUndefined()
})

test('the heap gives what is due in order, whatever was put in, moved and taken out', () => {
  const entry = fc.record({ item: fc.nat(20), at: fc.nat(100), isOut: fc.boolean() })
  fc.assert(
    fc.property(fc.array(entry), steps => {
      const items = Array.from({ length: 21 }, (_, number) => ({ number }))
      const heap = new DueHeap<{ number: number }>()
      const expected = new Map<number, number>()
      for (const { item, at, isOut } of steps) {
        const one = items[item]
        if (!one) continue
        if (isOut) heap.delete(one)
        else heap.set(one, at)
        if (isOut) expected.delete(item)
        else expected.set(item, at)
      }
      const times: number[] = []
      for (let one = heap.takeDue(100); one; one = heap.takeDue(100)) times.push(expected.get(one.number) ?? -1)
      expect(times).toEqual([...expected.values()].toSorted((left, right) => left - right))
      expect(heap.size).toBe(0)
    }),
  )
})

test('turns run under a clock, and a stop waits for those that run', async () => {
  const clock = new SimulatedClock()
  const schedule = new Schedule(scheduleLimits, () => 0)
  const started: Turn[] = []
  let finish = (): void => {}
  const turns = new Turns(schedule, clock, async turn => {
    started.push(turn)
    if (started.length === 3) await new Promise<void>(resolve => (finish = resolve))
    return done
  })
  schedule.add(x(0), clock.now(), true)
  turns.wake()
  await clock.advance(HOUR)
  expect(started).toHaveLength(3)
  let hasStopped = false
  const stopping = turns.stop().then(() => (hasStopped = true))
  await clock.advance(MINUTE)
  expect(hasStopped).toBe(false)
  finish()
  await stopping
  await clock.advance(HOUR)
  expect(started).toHaveLength(3)
})
