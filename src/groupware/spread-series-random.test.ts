import { expect, test } from 'vitest'
import { DAY, MINUTE } from '../kernel/time.ts'
import { BothSides } from './both-sides-world.ts'
import { scopeOf } from './graph-driver-world.ts'
import type { Appointment, Exception } from './plan/items.ts'
import type { SeriesRules } from './plan/rules.ts'
import { randomOf } from './random-world.ts'
import { sampleAppointment, weekly } from './sample-items-world.ts'

// Random edits of a series and of its occurrences on both sides, days that go by, answers that are lost, memory that is
// lost, rules that are changed: at the end both sides say the same, and no occurrence is there twice.

const firstSeed = Number(process.env['ISTHMUS_GROUPWARE_SEED'] ?? 1)
const scheduleCount = Number(process.env['ISTHMUS_GROUPWARE_SERIES'] ?? 6)
const steps = 12
const begin = Date.UTC(2026, 9, 5, 5)

class Schedule {
  readonly story: string[] = []
  /** Names that people gave to occurrences in the CRM, by their original start; nobody gave them others since. */
  readonly names = new Map<string, string>()
  readonly #both: BothSides
  readonly #random: () => number
  #value = 0

  constructor(both: BothSides, seed: number) {
    this.#both = both
    this.#random = randomOf(seed)
    both.pass(begin - Date.now())
    this.#spread({ as: 'occurrences', aheadMs: { day: 20 * DAY, week: 40 * DAY, month: 180 * DAY, year: 400 * DAY } })
  }

  async run(): Promise<void> {
    const unit = this.#random() < 0.5 ? 'week' : 'day'
    await this.#both.put('exchange', {
      ...sampleAppointment,
      subject: 'Series',
      start: '2026-10-05T07:00:00Z',
      end: '2026-10-05T08:00:00Z',
      recurrence: {
        ...weekly,
        unit,
        days: unit === 'week' ? ['monday', 'thursday'] : [],
        firstDay: '2026-10-05',
        count: null,
        // The stand-in of Exchange looks at each occurrence there is.
        lastDay: '2027-02-28',
      },
    })
    await this.#settle()
    for (let step = 0; step < steps; step += 1) {
      await this.#step()
      if (this.#random() < 0.6) await this.#settle()
    }
    this.#both.c4c.twin.clearFaults()
    await this.#settle()
    await this.#settle()
  }

  async #settle(): Promise<void> {
    this.story.push('rounds')
    await this.#both.settle('appointment').catch((thrown: unknown) => this.story.push(`   ${String(thrown)}`))
  }

  async #step(): Promise<void> {
    const { store } = this.#both.c4c.twin
    const rows = store.all(store.kind('Appointment'))
    const ahead = rows.filter(
      ({ values }) =>
        values['LifeCycleStatusCode'] !== '4' &&
        String(values['GroupwareItemID']).includes('#') &&
        Date.parse(String(values['StartDate'])) > this.#both.now(),
    )
    const row = ahead[Math.floor(this.#random() * ahead.length)]
    const dice = Math.floor(this.#random() * 12)
    this.#value += 1
    const text = `value ${this.#value}`
    const tell = (what: string) =>
      this.story.push(`${what} ${row ? String(row.values['GroupwareItemID']) : ''} ${text}`)
    if (dice <= 1 && row) {
      tell('the CRM renames')
      store.change(row, { Subject: text })
      this.names.set(originalOf(row.values), text)
    } else if (dice === 2 && row) {
      tell('the CRM moves')
      const at = Date.parse(String(row.values['StartDate'])) + 45 * MINUTE
      store.change(row, { StartDate: iso(at), EndDate: iso(at + 30 * MINUTE) })
    } else if (dice === 3 && row) {
      tell('the CRM deletes')
      store.remove(row)
      this.names.delete(originalOf(row.values))
    } else if (dice === 4 && row) {
      tell('the CRM cancels')
      store.change(row, { LifeCycleStatusCode: '4' })
      this.names.delete(originalOf(row.values))
    } else if (dice === 5) {
      tell('Exchange renames the series')
      await this.#editSeries(() => ({ subject: text }))
    } else if (dice === 6 && row) {
      tell('Exchange changes')
      const original = originalOf(row.values)
      const isDeleted = this.#random() < 0.3
      await this.#editSeries(({ exceptions }) => {
        const before = exceptions[original]
        const exception: Exception =
          isDeleted || before?.isDeleted ? { isDeleted: true } : { ...before, location: text }
        return { exceptions: { ...exceptions, [original]: exception } }
      })
      if (isDeleted) this.names.delete(original)
    } else if (dice === 7) {
      tell('days go by')
      // What was done to a day that is over by then would not be looked at any more.
      await this.#settle()
      this.#both.pass(Math.ceil(this.#random() * 6) * DAY)
    } else if (dice === 8) {
      tell('other rules')
      const as = this.#random() < 0.3 ? 'one' : 'occurrences'
      const week = Math.ceil(this.#random() * 50) * DAY
      this.#spread({ as, aheadMs: { day: week, week, month: 180 * DAY, year: 400 * DAY } })
    } else if (dice === 9) {
      tell('memory is lost')
      // Without it nobody knows whose word is the later one; the first rounds may lose an answer.
      await this.#settle()
      await this.#settle()
      await this.#both.store.forget(scopeOf('appointment'))
      this.#both.c4c.twin.clearFaults()
      await this.#settle()
    } else if (dice === 10) {
      tell('the CRM renames the series')
      const head = rows.find(({ values }) => !String(values['GroupwareItemID']).includes('#'))
      if (head) store.change(head, { Subject: text })
    } else {
      tell('an answer is lost')
      this.#both.c4c.twin.setFaults({ dropAfter: { times: 1, writesOnly: true } })
    }
  }

  #spread(series: SeriesRules): void {
    this.#both.scope.series = series
    this.#both.rules = { ...this.#both.rules, series }
  }

  async #editSeries(change: (item: Appointment) => Partial<Appointment>): Promise<void> {
    const [found] = await this.#both.itemsOf('exchange', 'appointment')
    if (found?.item.kind !== 'appointment') throw new Error('the series is gone')
    await this.#both.edit('exchange', 'appointment', found.item.subject, change(found.item))
  }
}

test(`${scheduleCount} random schedules of a series from seed ${firstSeed} end equal, with each occurrence once`, async () => {
  for (let seed = firstSeed; seed < firstSeed + scheduleCount; seed += 1) {
    const both = await BothSides.start(seed % 2 === 0 ? 'EWS' : 'Graph')
    const schedule = new Schedule(both, seed)
    try {
      await schedule.run()
      const { exchange, crm } = await both.common('appointment')
      const story = `seed ${seed}\n${schedule.story.join('\n')}`
      expect(crm, story).toEqual(exchange)
      expect(crm, story).toHaveLength(1)
      const [{ item } = { item: undefined }] = await both.itemsOf('exchange', 'appointment')
      const exceptions = item?.kind === 'appointment' ? item.exceptions : {}
      for (const [original, name] of schedule.names) expect(exceptions[original]?.subject, story).toBe(name)
      const { store } = both.c4c.twin
      const marks = store.all(store.kind('Appointment')).map(({ values }) => values['GroupwareItemID'])
      expect(new Set(marks).size, story).toBe(marks.length)
      expect(await both.store.countLinks(scopeOf('appointment')), story).toBe(1)
      // Nothing is left to write.
      const tags = () => store.all(store.kind('Appointment')).map(({ id, tag }) => `${id} ${tag}`)
      const [before, writes] = [tags(), both.mailbox.writeCount()]
      await both.settle('appointment')
      expect([tags(), both.mailbox.writeCount()], story).toEqual([before, writes])
    } finally {
      await both.stop()
    }
  }
}, 240_000)

function originalOf(values: Readonly<Record<string, unknown>>): string {
  return String(values['GroupwareItemID']).split('#').at(-1) ?? ''
}

function iso(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`
}
