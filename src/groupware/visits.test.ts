import { Readable } from 'node:stream'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { HOUR } from '../kernel/time.ts'
import { BothSides, ways } from './both-sides-world.ts'
import { startC4CDriver } from './c4c-driver-world.ts'
import type { Creation, SideDriver, SideItem } from './drivers.ts'
import { markCategory, scopeOf } from './graph-driver-world.ts'
import type { Appointment, Item } from './plan/items.ts'
import { defaultRules } from './plan/rules.ts'
import { anyItem, sampleAppointment, sampleSeries, weekly } from './sample-items-world.ts'

// Visits of Cloud for Customer: appointments of another set, in the same calendar.

const never = new AbortController().signal
const scope = scopeOf('appointment', { series: defaultRules.series })
const visit: Appointment = { ...sampleAppointment, activity: 'visit', subject: 'Shelf check', categories: ['Visit'] }
const alone = { attendees: [], organizer: null }

describe('the driver', () => {
  let world: Awaited<ReturnType<typeof startC4CDriver>>
  beforeEach(async () => {
    world = await startC4CDriver({ pageSize: 3 }, { visits: 'owner' })
  })
  afterEach(() => world.stop())

  async function create(item: Item, mark: string | null = null, driver = world.driver): Promise<SideItem> {
    const wish: Creation = { key: 'k', mark, item, openAttachment: () => Readable.from([]) }
    const [outcome] = await driver.create(scope, [wish], never)
    if (outcome?.state !== 'done') throw new Error('it was not created')
    return read(outcome.id, driver)
  }

  async function read(id: string, driver: SideDriver = world.driver): Promise<SideItem> {
    const [found] = await driver.read(scope, [id], never)
    if (!found) throw new Error('it is not there')
    return found
  }

  const shown = (item: Item) => world.driver.normalise(item)
  const rowsOf = (entity: 'Appointment' | 'Visit') => world.twin.store.all(world.twin.store.kind(entity))

  /** Nobody looks for occurrences of a visit. */
  const expectNoSeries = () =>
    expect(world.twin.requests.filter(({ target }) => target.includes('RecurringBusinessActivityNodeID'))).toEqual([])

  test('a visit is created, read, found, changed and removed in its own set', async () => {
    const made = await create(visit, 'UID-1')
    expect(rowsOf('Appointment')).toEqual([])
    expect(rowsOf('Visit').map(({ values }) => values)).toMatchObject([
      {
        Subject: 'Shelf check',
        AllDayEvent: false,
        StartTimeZoneCode: 'CET',
        GroupwareItemID: 'UID-1',
        PriorityCode: '2',
      },
    ])
    expect(made).toMatchObject({ mark: 'UID-1', item: { activity: 'visit', categories: ['Visit'], showAs: 'busy' } })
    expect(shown(made.item)).toEqual(shown(visit))
    const other = await create(sampleAppointment, 'UID-2')
    const found = await world.driver.findByMark(scope, ['UID-2', 'UID-1', 'UID-3'], never)
    expect(found.map(list => list.map(({ id }) => id))).toEqual([[other.id], [made.id], []])

    const changes: Partial<Appointment>[] = [
      { subject: 'New', location: 'Berlin', importance: 'low', isCancelled: true },
      { start: '2026-12-01T08:00:00Z', end: '2026-12-01T09:00:00Z', zone: 'America/New_York' },
      { body: { type: 'text', content: '' }, attendees: visit.attendees.slice(1) },
      { recurrence: { ...weekly, firstDay: '2026-12-01', days: ['tuesday'] } },
      { recurrence: null },
    ]
    let before = made
    for (const values of changes) {
      const after = { ...before.item, ...values } as Item
      const fields = 'recurrence' in values ? ['start', 'end', 'isAllDay', 'zone', 'recurrence'] : Object.keys(values)
      const change = { id: made.id, version: before.version, before: before.item, after, fields, mark: undefined }
      const [outcome] = await world.driver.update(scope, [change], never)
      const changed = await read(made.id)
      expect(shown(changed.item)).toEqual(shown(after))
      expect(outcome).toMatchObject({ state: 'done', version: changed.version })
      expect(await world.driver.update(scope, [change], never)).toEqual([{ state: 'conflict' }])
      before = changed
    }
    await world.driver.remove(scope, [{ id: made.id, version: before.version }], never)
    expect([rowsOf('Visit').length, rowsOf('Appointment').length]).toEqual([0, 1])
    expectNoSeries()
  })

  test('any visit comes back as it is said it would', async () => {
    await fc.assert(
      fc.asyncProperty(anyItem.appointment, async item => {
        const once = shown({ ...item, activity: 'visit' } as Appointment)
        expect(shown(once)).toEqual(once)
        expect(shown((await create({ ...item, activity: 'visit' } as Appointment)).item)).toEqual(once)
      }),
      { numRuns: 25 },
    )
  })

  test('one that repeats is one visit, with how it repeats in a note', async () => {
    const made = await create({ ...visit, ...sampleSeries, activity: 'visit' })
    expect(shown(made.item)).toEqual(shown({ ...sampleSeries, activity: 'visit' }))
    await world.driver.sweep?.(scope, [made.id], never)
    await world.driver.remove(scope, [{ id: made.id, version: '' }], never)
    expectNoSeries()
  })

  test('listings, keys and the feed tell visits beside appointments, of whom the setting names', async () => {
    const made = await create({ ...visit, ...alone })
    await create({ ...sampleAppointment, ...alone })
    const [row] = rowsOf('Visit')
    if (!row) throw new Error('no visit')
    expect(row.values['OrganizerPartyID']).toBe(row.values['OwnerPartyID'])
    const ben = world.twin.store.all(world.twin.store.kind('EmployeeBasicData'))[1]
    world.twin.store.change(row, { OrganizerPartyID: ben?.values['BusinessPartnerID'] ?? '' })

    const ofOrganizers = world.reopened({ visits: 'organizer' })
    const counts = async (driver: SideDriver, owner: string) => {
      const page = await driver.changes({ ...scope, owner }, undefined, never)
      const keys = await driver.keys?.({ ...scope, owner }, never)
      if (page === 'token-lost') throw new Error('token')
      return [page.changes.length, page.changes.filter(({ id }) => id === made.id).length, keys?.has(made.id)]
    }
    expect(await counts(world.driver, 'ada@contoso.com')).toEqual([2, 1, true])
    expect(await counts(world.driver, 'ben@contoso.com')).toEqual([0, 0, false])
    expect(await counts(ofOrganizers, 'ada@contoso.com')).toEqual([1, 0, false])
    expect(await counts(ofOrganizers, 'ben@contoso.com')).toEqual([1, 1, true])
    for (const isBrief of [true, false]) {
      const feed = await ofOrganizers.feed?.('contoso', 'appointment', undefined, never, isBrief)
      const at = feed?.changes.findIndex(({ id }) => id === made.id) ?? -1
      expect(feed?.owners[at]).toEqual(['ben@contoso.com'])
      expect(feed?.changes).toHaveLength(2)
    }
    expect((await ofOrganizers.allKeys?.('contoso', 'appointment', never))?.size).toBe(2)
  })

  test('a window leaves visits outside of it out of a first listing', async () => {
    const made = await create(visit)
    await create({ ...visit, start: '2027-11-23T08:00:00Z', end: '2027-11-23T09:00:00Z' })
    const window = { ...scope, from: '2026-11-01T00:00:00.000Z', to: '2026-12-01T00:00:00.000Z' }
    expect(await world.driver.changes(window, undefined, never)).toMatchObject({ changes: [{ id: made.id }] })
  })

  test('one that people have cancelled, or marked for deletion, is cancelled', async () => {
    const made = await create(visit)
    const [row] = rowsOf('Visit')
    if (!row) throw new Error('no visit')
    for (const [values, isCancelled] of [
      [{ Status: '4' }, true],
      [{ Status: '3' }, false],
      [{ MarkedForDeletion: true }, true],
    ] as const) {
      world.twin.store.change(row, values)
      expect((await read(made.id)).item).toMatchObject({ isCancelled })
    }
  })

  test('where visits are off nobody asks for them, and a category makes none; one that is linked is read all the same', async () => {
    const made = await create(visit)
    const off = world.reopened({ visits: undefined })
    world.twin.setFaults({ withdrawRights: ['VisitCollection'] })
    expect(await world.driver.check?.([scope], never)).toMatchObject([{ error: { code: 'C4C_FORBIDDEN' } }])
    expect(await off.changes(scope, undefined, never)).toMatchObject({ changes: [] })
    expect([...((await off.allKeys?.('contoso', 'appointment', never)) ?? [])]).toEqual([])
    expect(await off.check?.([scope], never)).toEqual([{ itemCount: undefined }])
    expect(await off.findByMark(scope, ['UID-1'], never)).toEqual([[]])
    expect((await create(visit, null, off)).item).toMatchObject({ activity: 'appointment' })
    world.twin.clearFaults()
    expect((await read(made.id, off)).item).toMatchObject({ activity: 'visit' })
  })
})

describe.each(ways)('between Exchange over %s and Cloud for Customer', way => {
  let both: BothSides
  beforeEach(async () => {
    both = await BothSides.start(way, { visits: 'owner' })
  })
  afterEach(() => both.stop())

  const rowsOf = (entity: 'Appointment' | 'Visit') => both.c4c.twin.store.all(both.c4c.twin.store.kind(entity))

  async function expectQuiet(): Promise<void> {
    const written = () => [
      both.mailbox.writeCount(),
      ...[...rowsOf('Visit'), ...rowsOf('Appointment')].map(row => row.changedAt),
    ]
    const before = written()
    await both.settle('appointment')
    expect(written()).toEqual(before)
    const { exchange, crm } = await both.common('appointment')
    expect(crm).toEqual(exchange)
  }

  test('a visit comes into the calendar under its category, and what is changed there comes back', async () => {
    await both.put('crm', { ...visit, ...alone })
    await both.settle('appointment')
    const found = await both.find('exchange', 'appointment', 'Shelf check')
    expect(found.item.categories.toSorted()).toEqual([markCategory, 'Visit'].toSorted())
    await expectQuiet()

    // How it shows is the mailbox's own; so is the category, once it has said what it had to.
    const values: Partial<Appointment> = { location: 'Store 7', showAs: 'free', categories: [markCategory] }
    await both.edit('exchange', 'appointment', 'Shelf check', values)
    await both.settle('appointment')
    expect(rowsOf('Visit').map(({ values: row }) => row['Location'])).toEqual(['Store 7'])
    expect((await both.find('exchange', 'appointment', 'Shelf check')).item).toMatchObject({ showAs: 'free' })
    for (const row of rowsOf('Visit')) both.c4c.twin.store.change(row, { Subject: 'Shelf check 2' })
    await both.settle('appointment')
    expect((await both.find('exchange', 'appointment', 'Shelf check 2')).item).toMatchObject({
      showAs: 'free',
      location: 'Store 7',
    })
    await both.drop('exchange', 'appointment', 'Shelf check 2')
    await both.settle('appointment')
    expect([rowsOf('Visit').length, rowsOf('Appointment').length]).toEqual([0, 0])
  })

  test('an appointment with the category becomes a visit, once, also where the hub has lost its books', async () => {
    await both.put('exchange', { ...visit, ...alone })
    await both.put('exchange', { ...sampleAppointment, ...alone })
    await both.settle('appointment')
    expect([rowsOf('Visit').length, rowsOf('Appointment').length]).toEqual([1, 1])
    await expectQuiet()
    await both.store.forget(scope)
    await both.settle('appointment')
    expect([rowsOf('Visit').length, rowsOf('Appointment').length]).toEqual([1, 1])
    await expectQuiet()
  })

  test('a visit that somebody deletes or marks for deletion leaves the calendar', async () => {
    await both.put('crm', { ...visit, ...alone })
    await both.put('crm', { ...visit, ...alone, subject: 'Shelf check 2' })
    await both.settle('appointment')
    const [first, second] = rowsOf('Visit')
    if (!first || !second) throw new Error('no visits')
    both.c4c.twin.store.remove(first)
    both.c4c.twin.store.change(second, { MarkedForDeletion: true })
    await both.settle('appointment')
    expect(await both.itemsOf('exchange', 'appointment')).toEqual([])
  })

  test('visits of before come when they are switched on; switched off, those that came go on', async () => {
    await both.put('crm', { ...visit, ...alone })
    both.reopenCrm({ visits: undefined })
    both.pass(HOUR)
    await both.put('exchange', { ...sampleAppointment, ...alone })
    await both.settle('appointment')
    expect([(await both.itemsOf('exchange', 'appointment')).length, rowsOf('Appointment').length]).toEqual([1, 1])
    both.reopenCrm({ visits: 'owner' })
    await both.settle('appointment')
    expect(await both.itemsOf('exchange', 'appointment')).toHaveLength(2)
    await expectQuiet()

    both.reopenCrm({ visits: undefined })
    await both.settle('appointment')
    await both.edit('exchange', 'appointment', 'Shelf check', { location: 'Store 8' })
    await both.settle('appointment')
    expect(rowsOf('Visit').map(({ values }) => values['Location'])).toEqual(['Store 8'])
    expect(await both.itemsOf('exchange', 'appointment')).toHaveLength(2)
  })
})
