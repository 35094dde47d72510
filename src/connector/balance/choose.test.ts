import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { seededRandom } from '../../../test/corpus/seeded-random.ts'
import { SECOND } from '../../kernel/time.ts'
import { simulate } from './balance-world.ts'
import { chooseTarget, mayEject } from './choose.ts'
import { Target, type TargetSetting } from './target.ts'

const setting = (address: string, change: Partial<TargetSetting> = {}): TargetSetting => ({
  address,
  weight: 1,
  openMax: 100,
  probe: { downAfter: 3, upAfter: 2 },
  ejection: { after: 3, firstMs: 10 * SECOND, upToMs: 300 * SECOND },
  slowStartMs: 30 * SECOND,
  ...change,
})

describe('spread', () => {
  test('equal servers get equal shares, busy or not', () => {
    for (const concurrency of [1, 30]) {
      const { servers } = simulate({ servers: [{}, {}, {}], concurrency, untilMs: 60 * SECOND, seed: 1 })
      const all = servers.reduce((sum, { served }) => sum + served, 0)
      for (const { served } of servers) expect(served / all).toBeCloseTo(1 / 3, 1)
    }
  })

  test('shares follow the weights, busy or not', () => {
    for (const concurrency of [1, 40]) {
      const servers = [{ weight: 1 }, { weight: 3 }]
      const result = simulate({ servers, concurrency, untilMs: 60 * SECOND, seed: 2 })
      const [light = 0, heavy = 0] = result.servers.map(({ served }) => served)
      expect(heavy / (light + heavy)).toBeGreaterThan(0.65)
      expect(heavy / (light + heavy)).toBeLessThan(0.85)
    }
  })

  test('a slow server gets its small share, and the slowest hundredth does not wait for it', () => {
    const { servers, p99Ms } = simulate({
      servers: [{ answerMs: 5 }, { answerMs: 5 }, { answerMs: 55 }],
      concurrency: 12,
      untilMs: 20 * SECOND,
      seed: 3,
    })
    const all = servers.reduce((sum, { served }) => sum + served, 0)
    const share = (servers[2]?.served ?? 0) / all
    expect(share).toBeGreaterThan(0)
    expect(share).toBeLessThan(0.02)
    expect(p99Ms).toBeLessThan(20)
  })

  test('a server that was slow once is found again', () => {
    const { servers } = simulate({
      servers: [{}, { answerMs: now => (now < 20 * SECOND ? 500 : 20) }],
      concurrency: 8,
      untilMs: 180 * SECOND,
      seed: 4,
    })
    const last = servers.map(({ servedSince }) => servedSince(150 * SECOND))
    expect((last[1] ?? 0) / ((last[0] ?? 0) + (last[1] ?? 0))).toBeGreaterThan(0.35)
  })
})

describe('failures', () => {
  test('a server that is down for 2 of every 6 seconds costs few tries, and no mail', () => {
    const { servers, tries, done, lost } = simulate({
      servers: [{}, {}, { isUp: now => now % (6 * SECOND) >= 2 * SECOND }],
      concurrency: 12,
      untilMs: 120 * SECOND,
      seed: 5,
    })
    expect(lost).toBe(0)
    expect(tries - done).toBeLessThan(done * 0.01)
    expect(servers[2]?.served).toBeGreaterThan(0)
  })

  test('a server that comes back gets its share bit by bit', () => {
    const { servers } = simulate({
      servers: [{}, {}, { isUp: now => now > 5 * SECOND }],
      concurrency: 12,
      untilMs: 90 * SECOND,
      seed: 6,
    })
    const share = (fromMs: number, toMs: number) => {
      const each = servers.map(({ servedSince }) => servedSince(fromMs) - servedSince(toMs))
      return (each[2] ?? 0) / each.reduce((sum, served) => sum + served, 0)
    }
    const early = share(14 * SECOND, 17 * SECOND)
    const middle = share(22 * SECOND, 26 * SECOND)
    const late = share(60 * SECOND, 90 * SECOND)
    expect(early).toBeLessThan(0.15)
    expect(middle).toBeGreaterThan(early)
    expect(late).toBeGreaterThan(middle)
    expect(late).toBeCloseTo(1 / 3, 1)
  })

  test('two of three that refuse are tried rarely, though only one of them may be ejected', () => {
    const never = () => false
    const { tries, done, lost } = simulate({
      servers: [{}, { isUp: never }, { isUp: never }],
      concurrency: 6,
      untilMs: 60 * SECOND,
      seed: 7,
    })
    expect(lost).toBe(0)
    expect(tries - done).toBeLessThan(done * 0.01)
  })
})

test('the same seed gives the same run', () => {
  const options = { servers: [{}, { answerMs: 20 }, {}], concurrency: 9, untilMs: 10 * SECOND, seed: 8 }
  const shares = () => simulate(options).servers.map(({ served }) => served)
  expect(shares()).toEqual(shares())
})

describe('whatever happened before', () => {
  const event = fc.record({
    at: fc.nat(2),
    what: fc.constantFrom('good', 'bad', 'probe-good', 'probe-bad', 'drain', 'undrain', 'begin', 'end'),
    afterMs: fc.nat(20_000),
  })

  test('a choice is never drained, down, full or tried, and never ejected while another is usable', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 60 }), fc.integer(), fc.subarray([0, 1, 2]), (events, seed, triedAt) => {
        const targets = ['a:25', 'b:25', 'c:25'].map(address => new Target(setting(address, { openMax: 2 })))
        const random = seededRandom(seed)
        let now = 1_000_000
        for (const { at, what, afterMs } of events) {
          now += afterMs
          const target = targets[at]
          if (target) play(target, what, now, targets)
          expect(targets.filter(each => each.state(now) === 'ejected').length).toBeLessThanOrEqual(1)
        }
        const tried = new Set(targets.filter((_, index) => triedAt.includes(index)))
        const left = targets.filter(target => !tried.has(target))
        const { target } = chooseTarget(targets, now, random, tried)
        if (!target) {
          const isOpen = left.filter(each => !each.isFull && each.isUsable(now))
          expect(isOpen).toEqual([])
          return
        }
        expect(left).toContain(target)
        expect(target.isFull).toBe(false)
        expect(['up', 'unknown', 'ejected']).toContain(target.state(now))
        if (target.state(now) === 'ejected') expect(left.some(each => each.isUsable(now))).toBe(false)
        expect(target.effectiveWeight(now)).toBeGreaterThan(0)
        expect(target.effectiveWeight(now)).toBeLessThanOrEqual(1)
      }),
    )
  })
})

function play(target: Target, what: string, now: number, all: readonly Target[]): void {
  if (what === 'good') target.served(now)
  else if (what === 'bad') target.failed('reset', now, mayEject(all, now, 0.5))
  else if (what === 'probe-good') target.probed(true, '220', 3, now)
  else if (what === 'probe-bad') target.probed(false, 'refused', 3, now)
  else if (what === 'drain') target.drain(true, now)
  else if (what === 'undrain') target.drain(false, now)
  else if (what === 'begin') target.open += target.isFull ? 0 : 1
  else target.open = Math.max(0, target.open - 1)
}
