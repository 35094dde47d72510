import { z } from 'zod'
import { defineSender, type Incoming, type Link, type Sender, type SenderContext } from '../flow/adapter.ts'
import { defineErrors } from '../kernel/error.ts'
import { duration } from '../kernel/schema.ts'
import { MINUTE } from '../kernel/time.ts'
import { isTimeZone } from '../protocols/time-zone/local-time.ts'
import { dailySchedule, periodicSchedule, type Schedule, weekdays } from './timer-schedule.ts'

const timerErrors = defineErrors('TIMER', {
  MISSED: {
    side: 'hub',
    retry: 'never',
    means: 'The timer was due at {due}, when this flow did not run.',
    next: 'Nothing, since catch-up is none; with catch-up: last the newest missed one would have been made up for.',
  },
})

const timeOfDay = z
  .string()
  .regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'a time of day is written 06:30')
  .meta({ examples: ['06:30'] })
const dayRule = z.union([z.enum(weekdays), z.int().min(1).max(31), z.literal('last')])
const listOf = <T extends z.ZodType>(one: T) => z.union([one.transform(value => [value]), z.array(one).min(1)])

const config = z
  .strictObject({
    every: duration
      .refine(ms => ms >= 1000, 'a timer is due at most once a second')
      .optional()
      .meta({ description: 'Time from one message to the next, counted from midnight UTC of 1970-01-01.' }),
    at: listOf(timeOfDay)
      .optional()
      .meta({ description: 'Times of day, in the time zone.', examples: ['06:30'] }),
    on: listOf(dayRule)
      .optional()
      .meta({
        description: 'Days for `at`: of the week, of the month, or its last one. Default: every day.',
        examples: [['mon', 'tue', 'wed', 'thu', 'fri'], ['last']],
      }),
    'time-zone': z
      .string()
      .refine(isTimeZone, 'this is no time zone; write Europe/Berlin or UTC')
      .default('UTC')
      .meta({ description: 'Time zone of `at`; it follows the change of clocks.', examples: ['Europe/Berlin'] }),
    body: z
      .string()
      .default('')
      .meta({ description: 'Body of each message.', examples: ['{"scope":"all"}'] }),
    type: z.string().default('text/plain').meta({ description: 'Media type of the body.' }),
    headers: z.record(z.string(), z.string()).default({}).meta({ description: 'Headers of each message.' }),
    'catch-up': z.enum(['last', 'none']).default('last').meta({
      description: 'After a time without running: make up for the newest missed message, or for none.',
    }),
  })
  .refine(given => (given.every === undefined) !== (given.at === undefined), 'a timer has either every or at')
  .refine(given => given.on === undefined || given.at !== undefined, 'on belongs to at')

type TimerConfig = z.output<typeof config>

export const timer = defineSender({
  id: 'timer',
  title: 'Timer',
  summary: 'Starts the flow by the clock, with a message of fixed content.',
  config,
  examples: [
    { title: 'Every five minutes', config: { every: '5m' } },
    {
      title: 'On working days in the morning, local time',
      config: { at: '06:30', on: ['mon', 'tue', 'wed', 'thu', 'fri'], 'time-zone': 'Europe/Berlin' },
    },
    { title: 'On the last day of each month', config: { at: '22:00', on: 'last', body: '{"period":"closed"}' } },
  ],
  errors: timerErrors,
  attributes: ['due'],
  sample: (config, body) => messageOf(body.length > 0 ? { ...config, body: Buffer.from(body).toString() } : config, 0),
  open: async context => new TimerSender(context),
})

const memoryName = 'due'
/** A sleeping machine or a corrected clock is noticed after this time at the latest. */
const longestSleepMs = MINUTE
/** Later than this counts as missed. */
const lateMs = MINUTE

class TimerSender implements Sender {
  readonly #context: SenderContext<TimerConfig>
  readonly #schedule: Schedule

  constructor(context: SenderContext<TimerConfig>) {
    this.#context = context
    const { every, at = [], on = [], 'time-zone': timeZone } = context.config
    this.#schedule = every === undefined ? dailySchedule({ times: at, days: on, timeZone }) : periodicSchedule(every)
  }

  receive(): Promise<void> {
    return this.#context.supervise('schedule', link => this.#run(link))
  }

  async check() {
    return { ok: true as const, detail: `next at ${iso(this.#schedule.next(this.#context.clock.now()))}` }
  }

  async probe(token: string): Promise<void> {
    const now = this.#context.clock.now()
    await this.#context.intake.accept({
      ...messageOf(this.#context.config, now),
      sourceKey: `timer/probe/${token}`,
      probe: token,
    })
  }

  async close(): Promise<void> {}

  async #run(link: Link): Promise<void> {
    const { clock, memory } = this.#context
    let done = await this.#doneUntil()
    link.up(`next at ${iso(this.#schedule.next(clock.now()))}`)
    while (!link.signal.aborted) {
      const now = clock.now()
      const due = this.#schedule.last(now)
      // The clock was set back: what was done counts up to now, or nothing would fire until the old time comes again.
      if (done > now) done = due
      if (due > done) {
        await this.#fire(due, now, link)
        // Accepted first, remembered second: after a crash in between, the source key refuses the repeat.
        await memory.set(memoryName, due)
        done = due
        link.up(`next at ${iso(this.#schedule.next(due))}`)
      }
      await clock.sleep(Math.min(this.#schedule.next(now) - now, longestSleepMs), link.signal)
    }
  }

  /** The instant up to which everything was done; a flow that never ran has nothing to make up for. */
  async #doneUntil(): Promise<number> {
    const { clock, memory } = this.#context
    const known = await memory.get(memoryName)
    if (typeof known === 'number') return known
    const now = clock.now()
    await memory.set(memoryName, now)
    return now
  }

  async #fire(due: number, now: number, link: Link): Promise<void> {
    const { config, intake, log } = this.#context
    if (config['catch-up'] === 'none' && now - due > lateMs) {
      link.trouble(timerErrors.MISSED({ due: iso(due) }))
      return
    }
    const accepted = await intake.accept({ ...messageOf(this.#context.config, due), sourceKey: `timer/${iso(due)}` })
    log.debug('timer.fired', { due: iso(due), delivery: accepted.id, duplicate: accepted.duplicate })
  }
}

function messageOf({ body, type, headers }: Pick<TimerConfig, 'body' | 'type' | 'headers'>, due: number): Incoming {
  const lower = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value] as const)
  return { headers: Object.fromEntries(lower), attributes: { due: iso(due) }, type, body: Buffer.from(body) }
}

function iso(instant: number): string {
  return new Date(instant).toISOString()
}
