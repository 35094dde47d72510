import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Incoming, Intake, SenderContext } from '../flow/adapter.ts'
import type { HubError } from '../kernel/error.ts'
import type { Json } from '../kernel/json.ts'
import { defaultLimits } from '../kernel/limit.ts'
import { silentLog } from '../kernel/log.ts'
import { DAY, HOUR, MINUTE, SECOND } from '../kernel/time.ts'
import { SimulatedClock } from '../testing/simulated-clock.ts'
import { timer } from './timer.ts'
import { dailySchedule, periodicSchedule } from './timer-schedule.ts'

const at = (text: string) => Date.parse(text)

describe('when a timer is due', () => {
  const berlin = dailySchedule({ times: ['02:30', '18:00'], days: [], timeZone: 'Europe/Berlin' })
  const cases: readonly [string, string, string][] = [
    ['in winter', '2026-01-10T12:00:00Z', '2026-01-10T17:00:00Z'],
    ['in summer', '2026-07-10T12:00:00Z', '2026-07-10T16:00:00Z'],
    ['in the hour that the clocks skip: later by as much', '2026-03-28T20:00:00Z', '2026-03-29T01:30:00Z'],
    ['in the hour that happens twice: the first time', '2026-10-24T20:00:00Z', '2026-10-25T00:30:00Z'],
    ['and not again the second time', '2026-10-25T00:30:00Z', '2026-10-25T17:00:00Z'],
  ]
  test.each(cases)('%s', (_title, from, due) => {
    expect(new Date(berlin.next(at(from))).toISOString()).toBe(new Date(due).toISOString())
  })

  test('on days of the week, on days of the month, on the last of a month', () => {
    const rule = { times: ['06:00'], timeZone: 'UTC' }
    const week = dailySchedule({ ...rule, days: ['mon', 'fri'] })
    expect(new Date(week.next(at('2026-01-06T07:00:00Z'))).toISOString()).toBe('2026-01-09T06:00:00.000Z')
    const month = dailySchedule({ ...rule, days: [31] })
    expect(new Date(month.next(at('2026-01-31T07:00:00Z'))).toISOString()).toBe('2026-03-31T06:00:00.000Z')
    expect(new Date(month.last(at('2026-03-30T07:00:00Z'))).toISOString()).toBe('2026-01-31T06:00:00.000Z')
    const last = dailySchedule({ ...rule, days: ['last'] })
    expect(new Date(last.next(at('2028-02-03T00:00:00Z'))).toISOString()).toBe('2028-02-29T06:00:00.000Z')
  })

  test('last and next fit together at every instant, in every zone', () => {
    const zones = ['UTC', 'Europe/Berlin', 'America/St_Johns', 'Asia/Kathmandu', 'Australia/Lord_Howe', 'Pacific/Apia']
    const schedules = [
      periodicSchedule(7 * MINUTE),
      ...zones.map(timeZone => dailySchedule({ times: ['00:00', '02:15', '23:59'], days: [], timeZone })),
    ]
    fc.assert(
      fc.property(
        fc.integer({ min: at('2020-01-01'), max: at('2035-01-01') }),
        fc.constantFrom(...schedules),
        (instant, schedule) => {
          const [last, next] = [schedule.last(instant), schedule.next(instant)]
          expect(last).toBeLessThanOrEqual(instant)
          expect(next).toBeGreaterThan(instant)
          expect(schedule.next(last)).toBe(next)
          expect(schedule.last(next)).toBe(next)
          expect(next - last).toBeLessThanOrEqual(25 * HOUR)
        },
      ),
      { numRuns: 400 },
    )
  })
})

/** What a hub keeps over restarts, and one flow with a timer that runs in it. */
class World {
  readonly clock = new SimulatedClock(at('2026-01-05T08:00:30Z'))
  readonly accepted: Incoming[] = []
  readonly troubles: HubError[] = []
  readonly memory = new Map<string, Json>()
  acceptFails = false
  #stop = new AbortController()
  #running: Promise<void> = Promise.resolve()

  async start(config: object): Promise<void> {
    this.#stop = new AbortController()
    const { signal } = this.#stop
    const sender = await timer.open(this.#context(timer.config.parse(config), signal))
    this.#running = sender.receive()
    await settle()
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#running
  }

  advance = (ms: number) => this.clock.advance(ms, settle)
  dues = () => this.accepted.map(({ attributes }) => attributes['due'])

  #context(config: ReturnType<typeof timer.config.parse>, signal: AbortSignal): SenderContext<typeof config> {
    const known = () => new Map(this.accepted.map(({ sourceKey = '' }, index) => [sourceKey, `${index}`]))
    const intake: Pick<Intake, 'accept'> = {
      accept: async incoming => {
        if (this.acceptFails) throw new Error('the disk is full')
        const before = known().get(incoming.sourceKey ?? '')
        if (before !== undefined) return { id: before, duplicate: true }
        this.accepted.push(incoming)
        return { id: `${this.accepted.length - 1}`, duplicate: false }
      },
    }
    const context = {
      config,
      flow: 'nightly',
      folder: '.',
      log: silentLog,
      signal,
      clock: this.clock,
      limits: defaultLimits,
      intake,
      memory: {
        get: async (name: string) => this.memory.get(name),
        set: async (name: string, value: Json) => void this.memory.set(name, value),
      },
      supervise: async (_link: string, run: (link: object) => Promise<void>) => {
        const link = { signal, up() {}, stuck() {}, trouble: (error: HubError) => this.troubles.push(error) }
        while (!signal.aborted) {
          await run(link).catch(() => this.clock.sleep(10 * SECOND, signal))
        }
      },
    }
    return context as unknown as SenderContext<typeof config>
  }
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve()
}

test('every five minutes, and not once more over a restart', async () => {
  const world = new World()
  await world.start({ every: '5m', body: '{"scope":"all"}', type: 'application/json', headers: { 'X-Run': 'night' } })
  await world.advance(10 * MINUTE)
  await world.stop()
  await world.start({ every: '5m' })
  await world.advance(5 * MINUTE)
  await world.stop()
  expect(world.dues()).toEqual(['2026-01-05T08:05:00.000Z', '2026-01-05T08:10:00.000Z', '2026-01-05T08:15:00.000Z'])
  expect(world.accepted[0]).toMatchObject({
    type: 'application/json',
    headers: { 'x-run': 'night' },
    sourceKey: 'timer/2026-01-05T08:05:00.000Z',
  })
  expect(world.accepted[0]?.body).toEqual(Buffer.from('{"scope":"all"}'))
})

test('a crash between the acceptance and its note does not fire twice', async () => {
  const world = new World()
  await world.start({ every: '5m' })
  await world.advance(5 * MINUTE)
  await world.stop()
  world.memory.set('due', at('2026-01-05T08:00:00Z'))
  await world.start({ every: '5m' })
  await world.advance(MINUTE)
  await world.stop()
  expect(world.dues()).toEqual(['2026-01-05T08:05:00.000Z'])
})

test('after three days without running the newest missed one is made up for, and only that', async () => {
  const world = new World()
  await world.start({ at: '06:30', 'time-zone': 'Europe/Berlin' })
  await world.stop()
  await world.advance(3 * DAY)
  await world.start({ at: '06:30', 'time-zone': 'Europe/Berlin' })
  await world.stop()
  expect(world.dues()).toEqual(['2026-01-08T05:30:00.000Z'])
})

test('with catch-up none a missed one is said and passed over', async () => {
  const world = new World()
  const config = { at: '06:30', 'catch-up': 'none' }
  await world.start(config)
  await world.stop()
  await world.advance(DAY)
  await world.start(config)
  expect(world.dues()).toEqual([])
  expect(world.troubles.map(({ message }) => message)).toEqual([
    'The timer was due at 2026-01-06T06:30:00.000Z, when this flow did not run.',
  ])
  await world.advance(DAY)
  await world.stop()
  expect(world.dues()).toEqual(['2026-01-07T06:30:00.000Z'])
})

test('a flow that runs for the first time makes up for nothing', async () => {
  const world = new World()
  await world.start({ at: '06:30' })
  await world.advance(HOUR)
  await world.stop()
  expect(world.dues()).toEqual([])
})

test('a hub that could not accept fires when it can again', async () => {
  const world = new World()
  await world.start({ every: '1h' })
  world.acceptFails = true
  await world.advance(HOUR)
  expect(world.dues()).toEqual([])
  world.acceptFails = false
  await world.advance(MINUTE)
  await world.stop()
  expect(world.dues()).toEqual(['2026-01-05T09:00:00.000Z'])
})

const mistakes: readonly [object, RegExp][] = [
  [{}, /either every or at/],
  [{ every: '5m', at: '06:30' }, /either every or at/],
  [{ every: '5m', on: 'mon' }, /on belongs to at/],
  [{ every: '10ms' }, /once a second/],
  [{ at: '24:00' }, /06:30/],
  [{ at: '06:30', 'time-zone': 'Europe/Atlantis' }, /no time zone/],
  [{ at: '06:30', on: 32 }, /./],
  [{ at: '06:30', cron: '* * * * *' }, /cron/],
]
test.each(mistakes)('a document with %j is refused', (config, reason) => {
  const parsed = timer.config.safeParse(config)
  expect(parsed.success).toBe(false)
  expect(JSON.stringify(parsed.error?.issues)).toMatch(reason)
})

test('every example parses', () => {
  for (const { config } of timer.examples) expect(timer.config.safeParse(config).success).toBe(true)
})
