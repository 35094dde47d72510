import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { DAY, HOUR } from '../kernel/time.ts'
import { BothSides, ways } from './both-sides-world.ts'
import { scopeOf } from './graph-driver-world.ts'
import type { Appointment, Exception, Recurrence } from './plan/items.ts'
import { sampleAppointment, weekly } from './sample-items-world.ts'
import { decideHeld } from './sync/held-deletions.ts'

// A series of the mailbox as single appointments in Cloud for Customer, over sockets. It is the 5th of October 2026; the
// clocks of Berlin go back on the 25th.

const aheadMs = { day: 20 * DAY, week: 60 * DAY, month: 180 * DAY, year: 400 * DAY }
const mondays: Appointment = {
  ...sampleAppointment,
  subject: 'Jour fixe',
  start: '2026-10-05T07:00:00Z',
  end: '2026-10-05T08:00:00Z',
  recurrence: { ...weekly, firstDay: '2026-10-05', count: null },
}

describe.each(ways)('over %s', way => {
  let both: BothSides
  beforeEach(async () => {
    both = await BothSides.start(way)
    both.pass(Date.UTC(2026, 9, 5, 5) - Date.now())
    both.scope.series = { as: 'occurrences', aheadMs }
    both.rules = { ...both.rules, series: both.scope.series }
  })
  afterEach(() => both.stop())

  const rows = () => both.c4c.twin.store.all(both.c4c.twin.store.kind('Appointment'))
  const starts = () =>
    rows()
      .map(row => String(row.values['StartDate']).replace('.000', ''))
      .toSorted()
  const rowOf = (original: string) => {
    const found = rows().find(row => String(row.values['GroupwareItemID']).endsWith(`#${original}`))
    if (!found) throw new Error(`there is no occurrence of ${original}`)
    return found
  }
  const change = (original: string, values: Record<string, string>) =>
    both.c4c.twin.store.change(rowOf(original), values)
  const settle = () => both.settle('appointment')
  const tags = () => new Map(rows().map(row => [row.id, row.tag]))

  async function series(): Promise<Appointment> {
    const [found, ...others] = await both.itemsOf('exchange', 'appointment')
    if (found?.item.kind !== 'appointment' || others.length > 0) throw new Error('there is not one series')
    return found.item
  }

  /** Nothing is written by further rounds, one link stands for the series, and both sides say the same. */
  async function expectInStep(): Promise<void> {
    const [before, writes] = [tags(), both.mailbox.writeCount()]
    await settle()
    expect(tags()).toEqual(before)
    expect(both.mailbox.writeCount()).toBe(writes)
    expect(await both.store.countLinks(scopeOf('appointment'))).toBe(1)
    const { exchange, crm } = await both.common('appointment')
    expect(crm).toEqual(exchange)
  }

  async function putMondays(values: Partial<Appointment> = {}): Promise<void> {
    await both.put('exchange', { ...mondays, ...values })
    await settle()
  }

  test('each occurrence is an appointment, at its hour also when the clocks are changed', async () => {
    await putMondays()
    expect(starts()).toEqual([
      '2026-10-05T07:00:00Z',
      '2026-10-12T07:00:00Z',
      '2026-10-19T07:00:00Z',
      '2026-10-26T08:00:00Z',
      '2026-11-02T08:00:00Z',
      '2026-11-09T08:00:00Z',
      '2026-11-16T08:00:00Z',
      '2026-11-23T08:00:00Z',
      '2026-11-30T08:00:00Z',
    ])
    const { values } = rowOf('2026-10-26T08:00:00Z')
    expect(values).toMatchObject({ Subject: 'Jour fixe', Location: 'Walldorf', OwnerPartyID: '8000001' })
    expect(values['RecurrenceActGroupwareID']).toBe(String(values['GroupwareItemID']).split('#')[0])
    const [people] = both.c4c.twin.store.childrenOf(
      both.c4c.twin.store.kind('AppointmentInvolvedParties'),
      rowOf('2026-10-26T08:00:00Z').id,
    )
    expect(people?.values['PartyEmailURI']).toBe('b@x.example')
    await expectInStep()
  })

  test.each([
    ['deleted', undefined],
    ['another text', () => 'Bring cake'],
    ['a zone that nobody knows', (text: string) => text.replaceAll('Europe/Berlin', 'Middle Earth')],
    ['an exception of no day', (text: string) => text.replaceAll('2026-10-12T07:00:00Z', 'next week')],
    ['a first day that is none', (text: string) => text.replaceAll('"2026-10-05"', '"someday"')],
    ['every 0 weeks', (text: string) => text.replace('"interval":1', '"interval":0')],
  ])(
    'the note of a series that somebody has spoiled in the CRM (%s) is written anew, and the series stays',
    async (_, spoil) => {
      await putMondays({ exceptions: { '2026-10-12T07:00:00Z': { isDeleted: true } } })
      const before = [await series(), starts()]
      const { store } = both.c4c.twin
      const note = store
        .all(store.kind('AppointmentTextCollection'))
        .find(({ values }) => String(values['Text']).includes('Do not edit'))
      if (!note) throw new Error('there is no note')
      const text = String(note.values['Text'])
      expect(spoil?.(text)).not.toBe(text)
      if (spoil) store.change(note, { Text: spoil(text) })
      else store.remove(note)
      await settle()
      expect([await series(), starts()]).toEqual(before)
      const notes = store.all(store.kind('AppointmentTextCollection')).map(({ values }) => String(values['Text']))
      expect(notes).toContain(text)
      await expectInStep()
    },
  )

  test('exceptions of the mailbox, there from the beginning and later', async () => {
    await putMondays({ exceptions: { '2026-10-12T07:00:00Z': { isDeleted: true } } })
    expect(starts()).not.toContain('2026-10-12T07:00:00Z')
    const moved: Exception = { start: '2026-10-27T10:00:00Z', end: '2026-10-27T11:00:00Z', subject: 'on Tuesday' }
    const { exceptions } = await series()
    await both.edit('exchange', 'appointment', 'Jour fixe', {
      exceptions: { ...exceptions, '2026-10-26T08:00:00Z': moved, '2026-11-02T08:00:00Z': { isDeleted: true } },
    })
    await settle()
    expect(rowOf('2026-10-26T08:00:00Z').values).toMatchObject({ Subject: 'on Tuesday' })
    expect(starts()).toContain('2026-10-27T10:00:00Z')
    expect(starts()).not.toContain('2026-11-02T08:00:00Z')
    expect(rows()).toHaveLength(7)
    await expectInStep()
  })

  test('exceptions of whole days, which begin the evening before by the clocks of UTC', async () => {
    const exceptions: Appointment['exceptions'] = {
      '2026-10-10': { isDeleted: true },
      '2026-10-15': { start: '2026-10-15', end: '2026-10-18' },
    }
    const recurrence: Recurrence = { ...weekly, unit: 'day', days: [], interval: 5, firstDay: '2026-10-05', count: 4 }
    await putMondays({ isAllDay: true, start: '2026-10-05', end: '2026-10-06', recurrence, exceptions })
    expect((await series()).exceptions).toEqual(exceptions)
    expect(starts().map(start => start.slice(0, 10))).toEqual(['2026-10-05', '2026-10-15', '2026-10-20'])
    change('2026-10-20', { StartDate: '2026-10-21T00:00:00Z', EndDate: '2026-10-22T00:00:00Z' })
    await settle()
    const moved = { start: '2026-10-21', end: '2026-10-22' }
    expect((await series()).exceptions).toEqual({ ...exceptions, '2026-10-20': moved })
    await expectInStep()
  })

  test('what somebody does to one occurrence in the CRM is an exception in the mailbox', async () => {
    await putMondays()
    change('2026-10-19T07:00:00Z', { Subject: 'renamed in the CRM', Location: 'Berlin' })
    change('2026-10-26T08:00:00Z', { StartDate: '2026-10-28T09:00:00Z', EndDate: '2026-10-28T10:00:00Z' })
    change('2026-11-02T08:00:00Z', { LifeCycleStatusCode: '4' })
    await settle()
    expect((await series()).exceptions).toEqual({
      '2026-10-19T07:00:00Z': { subject: 'renamed in the CRM', location: 'Berlin' },
      '2026-10-26T08:00:00Z': { start: '2026-10-28T09:00:00Z', end: '2026-10-28T10:00:00Z' },
      '2026-11-02T08:00:00Z': { isDeleted: true },
    })
    await expectInStep()
    // One that is gone is found by the census, as other deletions are.
    both.c4c.twin.store.remove(rowOf('2026-11-09T08:00:00Z'))
    await settle()
    expect((await series()).exceptions).toMatchObject({ '2026-11-09T08:00:00Z': { isDeleted: true } })
    expect((await series()).subject).toBe('Jour fixe')
    await expectInStep()
    // What differs stays so when its day is over.
    both.pass(30 * DAY)
    await settle()
    expect(Object.keys((await series()).exceptions)).toHaveLength(4)
    await expectInStep()
  })

  test('both sides may change the same occurrence, and the series at the same time', async () => {
    await putMondays()
    change('2026-10-19T07:00:00Z', { Location: 'Berlin' })
    await both.edit('exchange', 'appointment', 'Jour fixe', {
      subject: 'Weekly',
      exceptions: { '2026-10-19T07:00:00Z': { subject: 'of Exchange' } },
    })
    await settle()
    expect(rowOf('2026-10-19T07:00:00Z').values).toMatchObject({ Subject: 'of Exchange', Location: 'Berlin' })
    expect(rowOf('2026-11-09T08:00:00Z').values).toMatchObject({ Subject: 'Weekly', Location: 'Walldorf' })
    expect((await series()).exceptions).toEqual({
      '2026-10-19T07:00:00Z': { subject: 'of Exchange', location: 'Berlin' },
    })
    await expectInStep()
  })

  test('a series that is shortened takes along what somebody does meanwhile to an occurrence that it has no more', async () => {
    await putMondays()
    await both.edit('exchange', 'appointment', 'Jour fixe', {
      recurrence: { ...weekly, firstDay: '2026-10-05', count: 4 },
    })
    change('2026-10-19T07:00:00Z', { Subject: 'within' })
    change('2026-11-16T08:00:00Z', { Subject: 'beyond' })
    await settle()
    const { recurrence, exceptions } = await series()
    expect([recurrence?.count, exceptions]).toEqual([4, { '2026-10-19T07:00:00Z': { subject: 'within' } }])
    expect(starts()).toEqual([
      '2026-10-05T07:00:00Z',
      '2026-10-12T07:00:00Z',
      '2026-10-19T07:00:00Z',
      '2026-10-26T08:00:00Z',
    ])
    await expectInStep()
  })

  test('the horizon moves on by itself; what is over stays in the CRM', async () => {
    await putMondays()
    const before = starts()
    const writes = both.mailbox.writeCount()
    both.pass(2 * DAY)
    await expectInStep()
    both.pass(19 * DAY)
    await settle()
    expect(starts()).toEqual([...before, '2026-12-07T08:00:00Z', '2026-12-14T08:00:00Z', '2026-12-21T08:00:00Z'])
    expect(both.mailbox.writeCount()).toBe(writes)
    await expectInStep()
  })

  test('the horizon may be lowered and raised, and the series stand as one again', async () => {
    await putMondays()
    const set = async (as: 'occurrences' | 'one', weekDays: number) => {
      const wish = { as, aheadMs: { ...aheadMs, week: weekDays * DAY } }
      both.scope.series = wish
      both.rules = { ...both.rules, series: wish }
      await settle()
    }
    change('2026-11-30T08:00:00Z', { Subject: 'the last one' })
    await settle()
    await set('occurrences', 16)
    expect(starts()).toEqual(['2026-10-05T07:00:00Z', '2026-10-12T07:00:00Z', '2026-10-19T07:00:00Z'])
    await expectInStep()
    await set('occurrences', 30)
    expect(starts()).toHaveLength(5)
    await set('one', 30)
    expect(starts()).toEqual(['2026-10-05T07:00:00Z'])
    await expectInStep()
    await set('occurrences', 60)
    expect(starts()).toHaveLength(9)
    // What somebody had changed is remembered all the time.
    expect(rowOf('2026-11-30T08:00:00Z').values).toMatchObject({ Subject: 'the last one' })
    await expectInStep()
  })

  test('all memory may be lost, of the hub and of Exchange: nothing is doubled', async () => {
    await putMondays()
    change('2026-10-19T07:00:00Z', { Subject: 'renamed in the CRM' })
    await settle()
    const before = starts()
    await both.store.forget(scopeOf('appointment'))
    both.mailbox.loseTokens()
    await settle()
    both.mailbox.clearFaults()
    expect(starts()).toEqual(before)
    await expectInStep()
    expect((await series()).exceptions).toEqual({ '2026-10-19T07:00:00Z': { subject: 'renamed in the CRM' } })
  })

  test.each(['dropAfter', 'dropBefore'] as const)(
    'an answer or a request that is lost (%s) doubles nothing',
    async fault => {
      both.c4c.twin.setFaults({ [fault]: { times: 2, writesOnly: true } })
      await both.put('exchange', mondays)
      for (let count = 0; count < 3; count += 1) await settle().catch(() => undefined)
      both.c4c.twin.clearFaults()
      await settle()
      expect(starts()).toHaveLength(9)
      await expectInStep()
    },
  )

  test('another pattern, another hour and another name reach all that is ahead', async () => {
    await putMondays()
    const recurrence: Recurrence = { ...weekly, firstDay: '2026-10-05', count: null, interval: 2 }
    await both.edit('exchange', 'appointment', 'Jour fixe', {
      subject: 'Every other week',
      start: '2026-10-05T09:00:00Z',
      end: '2026-10-05T10:00:00Z',
      recurrence,
    })
    await settle()
    expect(starts()).toEqual([
      '2026-10-05T09:00:00Z',
      '2026-10-19T09:00:00Z',
      '2026-11-02T10:00:00Z',
      '2026-11-16T10:00:00Z',
      '2026-11-30T10:00:00Z',
    ])
    expect(new Set(rows().map(row => row.values['Subject']))).toEqual(new Set(['Every other week']))
    await expectInStep()
  })

  test('whoever moves or renames the first appointment in the CRM moves or renames the series', async () => {
    await putMondays()
    const head = rows().find(row => !String(row.values['GroupwareItemID']).includes('#'))
    if (!head) throw new Error('there is no series')
    const hour = { StartDate: '2026-10-05T12:00:00Z', EndDate: '2026-10-05T13:00:00Z' }
    both.c4c.twin.store.change(head, { Subject: 'after lunch', ...hour })
    await settle()
    expect(await series()).toMatchObject({ subject: 'after lunch', start: '2026-10-05T12:00:00Z', exceptions: {} })
    expect(starts().at(-1)).toBe('2026-11-30T13:00:00Z')
    expect(new Set(rows().map(row => row.values['Subject']))).toEqual(new Set(['after lunch']))
    await expectInStep()
  })

  test('whoever moves the first appointment in the CRM to another day moves all of them there', async () => {
    await putMondays()
    const head = rows().find(row => !String(row.values['GroupwareItemID']).includes('#'))
    if (!head) throw new Error('there is no series')
    const tuesday = { StartDate: '2026-10-06T07:00:00Z', EndDate: '2026-10-06T08:00:00Z' }
    both.c4c.twin.store.change(head, tuesday)
    await settle()
    expect(await series()).toMatchObject({
      start: '2026-10-06T07:00:00Z',
      recurrence: { days: ['tuesday'], firstDay: '2026-10-06' },
    })
    expect(starts().slice(0, 4)).toEqual([
      '2026-10-06T07:00:00Z',
      '2026-10-13T07:00:00Z',
      '2026-10-20T07:00:00Z',
      '2026-10-27T08:00:00Z',
    ])
    expect(starts().at(-1)).toBe('2026-12-01T08:00:00Z')
    await expectInStep()
  })

  test('a series that is deleted on one side goes on the other, all of it', async () => {
    await putMondays()
    await both.drop('exchange', 'appointment', 'Jour fixe')
    await settle()
    expect(rows()).toEqual([])
    await putMondays()
    const head = rows().find(row => !String(row.values['GroupwareItemID']).includes('#'))
    if (head) both.c4c.twin.store.remove(head)
    await settle()
    expect(await both.itemsOf('exchange', 'appointment')).toEqual([])
    expect(rows()).toEqual([])
  })

  test('a series that was deleted by mistake comes back with its occurrences', async () => {
    both.rules = { ...both.rules, brake: { freeCount: 0, share: 0 } }
    await putMondays()
    await both.drop('exchange', 'appointment', 'Jour fixe')
    await settle()
    await decideHeld(both.store, scopeOf('appointment'), 'restore', both.now())
    await settle()
    expect(starts()).toHaveLength(9)
    await expectInStep()
    expect((await series()).recurrence).toMatchObject({ unit: 'week' })
  })

  test.each<[string, Partial<Appointment>, readonly string[]]>([
    [
      'whole days',
      {
        isAllDay: true,
        start: '2026-10-05',
        end: '2026-10-06',
        recurrence: { ...weekly, unit: 'day', days: [], interval: 5, firstDay: '2026-10-05', count: 4 },
      },
      ['2026-10-05T00:00:00Z', '2026-10-10T00:00:00Z', '2026-10-15T00:00:00Z', '2026-10-20T00:00:00Z'],
    ],
    [
      'each month on its last day',
      {
        start: '2026-10-31T08:00:00Z',
        end: '2026-10-31T09:00:00Z',
        recurrence: { ...weekly, unit: 'month', days: [], dayOfMonth: 31, firstDay: '2026-10-31', count: null },
      },
      ['2026-10-31', '2026-11-30', '2026-12-31', '2027-01-31', '2027-02-28', '2027-03-31'].map(day =>
        day.endsWith('03-31') ? `${day}T07:00:00Z` : `${day}T08:00:00Z`,
      ),
    ],
    [
      'each year',
      {
        recurrence: {
          ...weekly,
          unit: 'year',
          days: [],
          dayOfMonth: 5,
          month: 10,
          firstDay: '2026-10-05',
          count: null,
        },
      },
      ['2026-10-05T07:00:00Z', '2027-10-05T07:00:00Z'],
    ],
  ])('%s', async (_, values, expected) => {
    await putMondays(values)
    expect(starts()).toEqual(expected)
    await expectInStep()
  })

  test('a single appointment that becomes a series, and a series that ends', async () => {
    await putMondays({ recurrence: null })
    expect(starts()).toHaveLength(1)
    await both.edit('exchange', 'appointment', 'Jour fixe', { recurrence: mondays.recurrence })
    await settle()
    expect(starts()).toHaveLength(9)
    await expectInStep()
    await both.edit('exchange', 'appointment', 'Jour fixe', {
      recurrence: { ...weekly, firstDay: '2026-10-05', count: null, lastDay: '2026-10-20' },
    })
    await settle()
    expect(starts()).toEqual(['2026-10-05T07:00:00Z', '2026-10-12T07:00:00Z', '2026-10-19T07:00:00Z'])
    await expectInStep()
    both.pass(60 * DAY + HOUR)
    await expectInStep()
  })
})
