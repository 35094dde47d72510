import { Readable } from 'node:stream'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { MiB } from '../kernel/size.ts'
import { systemClock } from '../kernel/time.ts'
import { startC4CDriver } from './c4c-driver-world.ts'
import type { Creation, Scope, SideDriver, SideItem, Update } from './drivers.ts'
import { scopeOf } from './graph-driver-world.ts'
import { type Appointment, type Item, type ItemKind, itemKinds } from './plan/items.ts'
import {
  anyItem,
  sampleAppointment,
  sampleContact,
  sampleMail,
  sampleSeries,
  samples,
  sampleTask,
} from './sample-items-world.ts'
import { withSharedFeed } from './sync/shared-feed.ts'

// The driver with the twin, over sockets: what goes in comes out as `normalise` says.

const never = new AbortController().signal
let world: Awaited<ReturnType<typeof startC4CDriver>>

beforeEach(async () => {
  world = await startC4CDriver({ pageSize: 3 })
})
afterEach(() => world.stop())

async function* filesOf(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text)
}

function creation(item: Item, mark: string | null = null): Creation {
  return { key: 'k', mark, item, openAttachment: () => filesOf('hello') }
}

async function create(scope: Scope, item: Item, mark: string | null = null): Promise<SideItem> {
  const [outcome] = await world.driver.create(scope, [creation(item, mark)], never)
  if (outcome?.state !== 'done') throw outcome?.error ?? new Error('nothing came back')
  const made = await read(scope, outcome.id)
  expect(made.version).toBe(outcome.version)
  return made
}

async function read(scope: Scope, id: string): Promise<SideItem> {
  const [found] = await world.driver.read(scope, [id], never)
  if (!found) throw new Error('it is not there')
  return found
}

async function update(scope: Scope, at: SideItem, after: Item, fields: readonly string[], mark?: string | null) {
  const change: Update = { id: at.id, version: at.version, before: at.item, after, fields, mark }
  const [outcome] = await world.driver.update(scope, [change], never)
  return outcome
}

const shown = (item: Item): Item => world.driver.normalise(item)
const held = (item: Item): Item => (item.kind === 'mail' ? shown(item) : item)
const company = { ...sampleContact, party: 'account' as const }
const person = { ...sampleContact, party: 'individual-customer' as const }

test.each([...Object.values(samples), sampleSeries, company, person])(
  '$kind: what is created is read as it was',
  async item => {
    const scope = scopeOf(item.kind)
    const isMarked = world.driver.abilities(item.kind).holdsMark
    const made = await create(scope, item, 'UID-1*')
    expect(held(made.item)).toEqual(shown(item))
    expect(made.mark).toBe(isMarked ? 'UID-1*' : null)
    await create(scope, item, 'UID-1 another')
    const found = await world.driver.findByMark(scope, ['UID-1*', "it's not there"], never)
    expect(found.map(list => list.map(each => each.id))).toEqual(isMarked ? [[made.id], []] : [[], []])
    expect(await world.driver.findByIdentity(scope, [made.identity ?? '', 'nobody'], never)).toMatchObject([
      [{ id: made.id }],
      [],
    ])
  },
)

describe('round trips', () => {
  test.each(itemKinds)('any %s comes back as it is said it would, and that is said the same twice', async kind => {
    const scope = scopeOf(kind)
    await fc.assert(
      fc.asyncProperty(anyItem[kind], async item => {
        const once = shown(item)
        expect(shown(once)).toEqual(once)
        expect(held((await create(scope, item)).item)).toEqual(once)
      }),
      { numRuns: 25 },
    )
  })
})

test('fields are changed one by one, under the version that was read', async () => {
  const cases: [Item, Partial<Item>][] = [
    [sampleAppointment, { subject: 'New', location: 'Berlin', showAs: 'away' }],
    [sampleAppointment, { start: '2026-12-01T08:00:00Z', end: '2026-12-01T09:00:00Z', zone: 'America/New_York' }],
    [sampleAppointment, { body: { type: 'text', content: '' } }],
    [sampleAppointment, { body: { type: 'text', content: 'other' }, attendees: sampleAppointment.attendees.slice(1) }],
    [sampleSeries, { exceptions: {} }],
    [sampleSeries, { recurrence: null, exceptions: {}, zone: 'Europe/Berlin' }],
    [sampleContact, { phones: { ...sampleContact.phones, mobile: '', fax: '1' }, emails: [] }],
    [sampleContact, { body: { type: 'text', content: 'other' }, birthday: null }],
    [company, { company: 'Fabrikam', website: 'https://fabrikam.example' }],
    [sampleTask, { status: 'completed', percentComplete: 100, completedDay: '2026-11-24' }],
    [sampleTask, { dueDay: null, body: { type: 'text', content: '' } }],
    [sampleMail, { importance: 'high' }],
  ]
  for (const [item, values] of cases) {
    const scope = scopeOf(item.kind)
    const made = await create(scope, item)
    const after = { ...made.item, ...values } as Item
    const outcome = await update(scope, made, after, Object.keys(values))
    const changed = await read(scope, made.id)
    expect(shown(changed.item)).toEqual(shown(after))
    expect(outcome).toMatchObject({ state: 'done', id: made.id, version: changed.version })
    // The version of then is over: nothing is overwritten.
    expect(await update(scope, made, after, Object.keys(values))).toEqual({ state: 'conflict' })
  }
})

test.each([
  [
    'the parts of an address',
    sampleContact,
    'Contact',
    { BusinessAddressStreet: 'Weg', BusinessAddressHouseNumber: '12/3 ff.', BusinessAddressCountryCode: 'XK' },
    (item: Item) => item.kind === 'contact' && { businessAddress: { ...item.businessAddress, city: 'Pristina' } },
  ],
  [
    'the hour of a day',
    sampleTask,
    'Tasks',
    { StartDateTime: '2026-11-20T09:30:00Z' },
    (item: Item) => item.kind === 'task' && { startDay: item.startDay, dueDay: '2026-11-30', recurrence: null },
  ],
  [
    'a zone without another name',
    sampleAppointment,
    'Appointment',
    { StartDatetimeZoneCode: 'AUSVIC', EnddatetimeZoneCode: 'AUSVIC' },
    () => ({ start: '2026-12-01T08:00:00Z', end: '2026-12-01T09:00:00Z' }),
  ],
] as const)(
  '%s stays in the CRM as it is there while something beside it changes',
  async (_, item, entity, values, change) => {
    const { twin } = world
    const rows = () => twin.store.all(twin.store.kind(entity))
    const scope = scopeOf(item.kind)
    const { id } = await create(scope, item)
    for (const row of rows()) twin.store.change(row, values)
    const at = await read(scope, id)
    const changed = change(at.item)
    const after = { ...at.item, ...changed } as Item
    expect(await update(scope, at, after, Object.keys(changed))).toMatchObject({ state: 'done' })
    expect((await read(scope, id)).item).toEqual(after)
    const [row] = rows()
    for (const [name, value] of Object.entries(values))
      expect(String(row?.values[name]).replace('.000', '')).toBe(value)
  },
)

test('another street takes the house number of the old one along', async () => {
  const { twin } = world
  const scope = scopeOf('contact')
  const { id } = await create(scope, sampleContact)
  for (const row of twin.store.all(twin.store.kind('Contact')))
    twin.store.change(row, { BusinessAddressStreet: 'Weg', BusinessAddressHouseNumber: '12/3 ff.' })
  const at = await read(scope, id)
  const businessAddress = { ...sampleContact.businessAddress, street: 'Am Markt' }
  await update(scope, at, { ...at.item, businessAddress } as Item, ['businessAddress'])
  expect((await read(scope, id)).item).toMatchObject({ businessAddress: { street: 'Am Markt', city: 'Walldorf' } })
})

test.each([
  ['five in the afternoon in Los Angeles', '2026-11-21T01:00:00Z', 'PST'],
  ['the beginning of the day in Berlin', '2026-11-19T23:00:00Z', 'CET'],
  ['the beginning of the day in UTC', '2026-11-20T00:00:00Z', 'UTC'],
  ['no zone', '2026-11-20T00:00:00Z', ''],
])('a task is due on the day that people see in the CRM: %s', async (_, DueDateTime, DueDatetimeZoneCode) => {
  const { twin } = world
  const scope = scopeOf('task')
  const { id } = await create(scope, sampleTask)
  const rows = () => twin.store.all(twin.store.kind('Tasks')).map(({ values }) => values)
  expect(rows()).toMatchObject([{ StartDatetimeZoneCode: 'UTC', DueDatetimeZoneCode: 'UTC' }])
  for (const row of twin.store.all(twin.store.kind('Tasks')))
    twin.store.change(row, { DueDateTime, DueDatetimeZoneCode })
  const at = await read(scope, id)
  expect(at.item).toMatchObject({ dueDay: '2026-11-20' })
  await update(scope, at, { ...at.item, dueDay: '2026-11-23' } as Item, ['startDay', 'dueDay'])
  expect((await read(scope, id)).item).toMatchObject({ dueDay: '2026-11-23' })
  expect(rows()).toMatchObject([{ DueDatetimeZoneCode: 'UTC' }])
})

test.each([
  ['of its zone', '2026-11-19T23:00:00Z', '2026-11-20T23:00:00Z', 'CET'],
  ['of its zone, to its last second', '2026-11-20T08:00:00Z', '2026-11-21T07:59:59Z', 'PST'],
  ['of UTC', '2026-11-20T00:00:00Z', '2026-11-21T00:00:00Z', 'CET'],
  ['of UTC, to its last second', '2026-11-20T00:00:00Z', '2026-11-20T23:59:59Z', 'AUSNSW'],
])('a whole day in the CRM, from midnight %s, is that day', async (_, StartDate, EndDate, zone) => {
  const { twin } = world
  const scope = scopeOf('appointment')
  const days = { isAllDay: true, start: '2026-12-01', end: '2026-12-02' }
  const { id } = await create(scope, { ...sampleAppointment, ...days })
  for (const row of twin.store.all(twin.store.kind('Appointment')))
    twin.store.change(row, { StartDate, EndDate, StartDatetimeZoneCode: zone, EnddatetimeZoneCode: zone })
  expect((await read(scope, id)).item).toMatchObject({ isAllDay: true, start: '2026-11-20', end: '2026-11-21' })
})

test('of an item it is said whose it is: the owner, or the organizer of a meeting', async () => {
  const [ada, ben] = ['ada@contoso.com', 'ben@contoso.com']
  const isOthers = async (item: Item, owner: string) => {
    const { id } = await create(scopeOf(item.kind), item)
    return (await read(scopeOf(item.kind, { mailbox: owner, owner }), id)).isOthers
  }
  for (const item of [sampleAppointment, sampleTask, sampleContact, company, sampleMail]) {
    expect(await isOthers(item, ada)).toBeUndefined()
    expect(await isOthers(item, ben)).toBe(true)
    expect(await isOthers(item, 'nobody@contoso.com')).toBeUndefined()
  }
  const meeting = { ...sampleAppointment, organizer: { address: ben, name: '' } }
  expect(await isOthers(meeting, ben)).toBeUndefined()
})

test('a mark is written, changed and taken away', async () => {
  for (const item of [sampleAppointment, sampleMail]) {
    const scope = scopeOf(item.kind)
    const bare = await create(scope, item)
    await update(scope, bare, bare.item, [], 'UID-2')
    const marked = await read(scope, bare.id)
    expect(marked.mark).toBe('UID-2')
    await update(scope, marked, marked.item, [], null)
    expect((await read(scope, bare.id)).mark).toBeNull()
  }
})

test('changes are told by time, with an overlap, to whom they belong; keys tell what is left', async () => {
  const { driver, twin } = world
  for (const kind of itemKinds) {
    const scope = scopeOf(kind)
    const ben = scopeOf(kind, { mailbox: 'ben@contoso.com', owner: 'ben@contoso.com' })
    const made = [await create(scope, samples[kind]), await create(scope, samples[kind])]
    const other = await create(ben, samples[kind])
    const first = await changesOf(scope)
    expect(first.ids).toEqual(made.map(each => each.id))
    // The overlap tells them once more, whole this time: but for mails, which are read with their files.
    const second = await changesOf(scope, first.token)
    expect(second.ids).toEqual(first.ids)
    const whole = kind === 'mail' ? {} : { item: { id: made[0]?.id } }
    expect(second.changes[0]).toMatchObject({ version: made[0]?.version, ...whole })
    const later = new Date(Date.now() + 3_600_000).toISOString()
    expect((await changesOf(scope, later)).ids).toEqual([])
    expect(await driver.keys?.(scope, never)).toEqual(new Set(first.ids))
    const feed = await driver.feed?.('contoso', kind, first.token, never)
    expect(feed?.changes.map(({ id }, index) => [id, feed.owners[index]])).toEqual([
      ...first.ids.map(id => [id, ['ada@contoso.com']]),
      [other.id, ['ben@contoso.com']],
    ])
    expect(await driver.allKeys?.('contoso', kind, never)).toEqual(new Set([...first.ids, other.id]))
    const [gone] = made
    if (!gone) throw new Error('nothing was made')
    expect(await driver.remove(scope, [gone, gone], never)).toMatchObject([{ state: 'done' }, { state: 'done' }])
    expect(await driver.keys?.(scope, never)).toEqual(new Set(first.ids.slice(1)))
  }
  expect(await driver.changes(scopeOf('task'), 'a token of another driver', never)).toBe('token-lost')
  expect(twin.count('Appointment')).toBe(2)
})

test('a change that becomes visible late is told after the token that came before it', async () => {
  let aheadMs = 0
  await world.stop()
  world = await startC4CDriver({ clock: { ...systemClock, now: () => Date.now() + aheadMs } })
  const scope = scopeOf('task')
  const { token } = await changesOf(scope)
  world.twin.setFaults({ visibleAfterMs: 60_000 })
  const made = await create(scope, sampleTask)
  const early = await changesOf(scope, token)
  expect(early.ids).toEqual([])
  aheadMs = 60_001
  expect((await changesOf(scope, early.token)).ids).toEqual([made.id])
})

test.each([-1, 1])('a hub whose clock is wrong (%i h) overlooks nothing', async hours => {
  await world.stop()
  world = await startC4CDriver({}, { now: () => Date.now() + hours * 3_600_000 })
  const scope = scopeOf('task')
  const first = await changesOf(scope)
  const made = await create(scope, sampleTask)
  const second = await changesOf(scope, first.token)
  expect(second.ids).toEqual([made.id])
  const feed = await world.driver.feed?.('contoso', 'task', first.token, never)
  expect(feed?.changes.map(({ id }) => id)).toEqual([made.id])
  expect(Math.abs(Date.parse(feed?.token ?? '') - Date.now())).toBeLessThan(60_000)
  const alike = await world.driver.findAlike?.(scope, sampleTask, Date.now() + hours * 3_600_000, never)
  expect(alike?.map(({ id }) => id)).toEqual([made.id])
})

test('a window leaves out of a first listing what lies outside it', async () => {
  const made = await create(scopeOf('appointment'), sampleAppointment)
  await create(scopeOf('appointment'), {
    ...sampleAppointment,
    start: '2020-01-01T08:00:00Z',
    end: '2020-01-01T09:00:00Z',
  })
  const scope = scopeOf('appointment', { from: '2026-11-23T09:00:00Z', to: '2026-12-01T00:00:00Z' })
  expect((await changesOf(scope)).ids).toEqual([made.id])
})

test('a copy that was made before an answer was lost is found again, where no mark tells', async () => {
  const { driver, twin } = world
  for (const item of [sampleTask, sampleContact, company]) {
    const scope = scopeOf(item.kind)
    const since = Date.now()
    await driver.changes(scope, undefined, never)
    twin.setFaults({ dropAfter: { times: 1, writesOnly: true } })
    // Of several requests the last one is cut: the one that writes.
    const failed = driver.create(scope, [creation(item)], never)
    await expect(failed).rejects.toMatchObject({ isOutcomeUnknown: true })
    twin.clearFaults()
    const found = await driver.findAlike?.(scope, item, since, never)
    expect(found?.map(each => each.item)).toEqual([shown(item)])
    const other = item.kind === 'task' ? { ...item, dueDay: '2027-01-01' } : { ...item, emails: ['other@x.example'] }
    expect(await driver.findAlike?.(scope, other, since, never)).toEqual([])
  }
})

test('a contact of Germany has the code of Germany in the CRM', async () => {
  const { twin } = world
  for (const item of [sampleContact, company]) await create(scopeOf('contact'), item)
  const [contact, account] = ['Contact', 'CorporateAccount'].map(entity => twin.store.all(twin.store.kind(entity))[0])
  expect(contact?.values).toMatchObject({ BusinessAddressCountryCode: 'DE' })
  expect(account?.values).toMatchObject({ CountryCode: 'DE' })
})

test('a mail carries its files, and belongs to the contact that it came from', async () => {
  const { driver, twin } = world
  const contact = await create(scopeOf('contact'), { ...sampleContact, emails: ['b@x.example'] })
  const scope = scopeOf('mail')
  const attachments = [{ id: 'x', name: 'offer.txt', type: 'text/plain', bytes: 5, isInline: false }]
  const made = await create(scope, { ...sampleMail, attachments }, '<m1@x.example>')
  expect(made.item).toMatchObject({
    messageId: '<m1@x.example>',
    attachments: [{ name: 'offer.txt', type: 'text/plain' }],
  })
  const [attachment] = made.item.kind === 'mail' ? made.item.attachments : []
  if (!attachment || !driver.openAttachment) throw new Error('there is none')
  const chunks = await Array.fromAsync(driver.openAttachment(scope, made.id, attachment, never))
  expect(Buffer.concat(chunks).toString()).toBe('hello')
  const number = (entity: string, id: string, field: string) =>
    twin.store.all(twin.store.kind(entity)).find(row => row.id === id.replace(/^.*:/, ''))?.values[field]
  expect(number('EMail', made.id, 'MainContactPartyID')).toBe(number('Contact', contact.id, 'ContactID'))
})

test('an appointment belongs to the contact who is invited, or who invites', async () => {
  const { twin } = world
  await create(scopeOf('contact'), { ...sampleContact, emails: ['b@x.example'] })
  const [contact] = twin.store.all(twin.store.kind('Contact'))
  const invited = [{ address: 'ada@contoso.com', name: '', role: 'required', response: 'none' }] as const
  await create(scopeOf('appointment'), sampleAppointment)
  const organizer = { address: 'b@x.example', name: 'Ben' }
  await create(scopeOf('appointment'), { ...sampleAppointment, organizer, attendees: invited })
  const appointments = twin.store.all(twin.store.kind('Appointment'))
  const number = contact?.values['ContactID']
  expect(appointments.map(({ values }) => values['MainContactPartyID'])).toEqual([number, number])
})

test('mails with large files go and come one after the other, however many there are of them', async () => {
  const { driver } = world
  const scope = scopeOf('mail')
  const bytes = 9 * MiB
  const attachments = [{ id: 'x', name: 'film.mp4', type: 'video/mp4', bytes, isInline: false }]
  const marks = Array.from({ length: 5 }, (_, number) => `<m${number}@x.example>`)
  const openAttachment = () => Readable.from([Buffer.alloc(bytes)])
  const wishes = marks.map(mark => ({ ...creation({ ...sampleMail, attachments }, mark), openAttachment }))
  const outcomes = await driver.create(scope, wishes, never)
  expect(outcomes.map(({ state }) => state)).toEqual(marks.map(() => 'done'))
  expect((await driver.findByMark(scope, marks, never)).map(found => found.length)).toEqual(marks.map(() => 1))
  const ids = outcomes.map(outcome => (outcome.state === 'done' ? outcome.id : ''))
  const items = await driver.read(scope, [...ids, 'nothing'], never)
  for (const item of items.slice(0, -1)) expect(item?.item).toMatchObject({ attachments: [{ name: 'film.mp4' }] })
  expect(items.at(-1)).toBeUndefined()
  const [first] = items
  const [attachment] = first?.item.kind === 'mail' ? first.item.attachments : []
  if (!first || !attachment || !driver.openAttachment) throw new Error('there is none')
  const chunks = await Array.fromAsync(driver.openAttachment(scope, first.id, attachment, never))
  expect(Buffer.concat(chunks)).toHaveLength(bytes)
})

test('a request that is refused says nothing against the mails that went before it', async () => {
  const { driver, twin } = world
  const scope = scopeOf('mail')
  const sizes = [9 * MiB, 1, 9 * MiB]
  const marks = sizes.map((_, number) => `<m${number}@x.example>`)
  const wishes = sizes.map((bytes, number): Creation => {
    const attachments = [{ id: 'x', name: 'film.mp4', type: 'video/mp4', bytes, isInline: false }]
    return {
      ...creation({ ...sampleMail, attachments }, marks[number]),
      openAttachment: () => {
        // The first one is there by now. The others are refused together, and the second then alone, too.
        if (number === 2) twin.setFaults({ fail: { times: 2, status: 413, message: 'Too large' } })
        return Readable.from([Buffer.alloc(bytes)])
      },
    }
  })
  const outcomes = await driver.create(scope, wishes, never)
  expect(outcomes.map(({ state }) => state)).toEqual(['done', 'refused', 'done'])
  expect((await driver.findByMark(scope, marks, never)).map(found => found.length)).toEqual([1, 0, 1])
})

test('files that are too large by what the mailbox says are not fetched', async () => {
  const attachments = [{ id: 'x', name: 'film.mp4', type: 'video/mp4', bytes: 100 * MiB, isInline: false }]
  let openCount = 0
  const openAttachment = () => {
    openCount += 1
    return filesOf('x')
  }
  const wish = { ...creation({ ...sampleMail, attachments }), openAttachment }
  const [outcome] = await world.driver.create(scopeOf('mail'), [wish], never)
  expect(outcome).toMatchObject({ state: 'refused', error: { code: 'C4C_ATTACHMENT_TOO_LARGE' } })
  expect(openCount).toBe(0)
})

test('somebody who changes an appointment between our change and its reading is not overlooked', async () => {
  const { driver, twin } = world
  const scope = scopeOf('appointment')
  const made = await create(scope, sampleAppointment)
  const after: Appointment = { ...(made.item as Appointment), subject: 'ours' }
  twin.afterWrite = row => {
    twin.afterWrite = undefined
    twin.store.change(row, { Location: 'theirs' })
  }
  const outcome = await update(scope, made, after, ['subject'])
  expect(outcome).toMatchObject({ state: 'done', version: '' })
  expect(await driver.read(scope, [made.id], never)).toMatchObject([{ item: { subject: 'ours', location: 'theirs' } }])
})

test.each<[string, ItemKind, Item, string]>([
  [
    'a value that the tenant does not take',
    'appointment',
    { ...sampleAppointment, organizer: { address: `${'x'.repeat(300)}@x.example`, name: '' } },
    'C4C_REFUSED',
  ],
  [
    'files that are too large',
    'mail',
    { ...sampleMail, attachments: [{ id: 'x', name: 'big', type: 'a/b', bytes: 1, isInline: false }] },
    'C4C_ATTACHMENT_TOO_LARGE',
  ],
])('%s concerns one item only', async (_, kind, item, code) => {
  const large = async function* () {
    for (let count = 0; count < 11; count += 1) yield new Uint8Array(1024 * 1024)
  }
  const wishes = [{ ...creation(item), openAttachment: large }, creation(samples[kind])]
  const outcomes = await world.driver.create(scopeOf(kind), wishes, never)
  expect(outcomes).toMatchObject([{ state: 'refused', error: { code } }, { state: 'done' }])
})

test('whom a failure stops: the account, one mailbox', async () => {
  const { driver, twin } = world
  const failure = async (scope: Scope) => {
    try {
      await driver.changes(scope, undefined, never)
    } catch (thrown) {
      return [driver.concerns(thrown as never), (thrown as { code: string }).code]
    }
    return []
  }
  expect(await failure(scopeOf('task', { owner: 'nobody@contoso.com' }))).toEqual(['mailbox', 'C4C_EMPLOYEE_UNKNOWN'])
  twin.setFaults({ busy: { times: 1 } })
  expect(await failure(scopeOf('task'))).toEqual(['account', 'C4C_BUSY'])
  twin.setFaults({ lockUser: true })
  expect(await failure(scopeOf('task'))).toEqual(['account', 'C4C_LOGIN_REFUSED'])
})

async function changesOf(scope: Scope, token?: string) {
  const page = await world.driver.changes(scope, token, never)
  if (page === 'token-lost') throw new Error('the token is lost')
  expect(page.hasMore).toBe(false)
  return { ids: page.changes.map(({ id }) => id), changes: page.changes, token: page.token }
}

test('behind a shared feed the driver can do all that it can without', () => {
  const { driver } = world
  const names = [...Object.keys(driver), ...Object.getOwnPropertyNames(Object.getPrototypeOf(driver))]
  const shared: Partial<SideDriver> = withSharedFeed(driver, systemClock)
  // The feed and all keys are what is shared.
  const own = new Set(['constructor', 'feed', 'allKeys'])
  expect(names.filter(name => !own.has(name) && shared[name as keyof SideDriver] === undefined)).toEqual([])
})

test.each([0, 20])('who stops asking for an employee stops nobody else, with %i employees known', async known => {
  for (let number = 0; number < known; number++) {
    const owner = `user${number}@contoso.com`
    world.twin.addEmployee(owner)
    await world.driver.check?.([{ ...scopeOf('task'), owner }], never)
  }
  world.twin.setFaults({ slowMs: 100 })
  const stop = new AbortController()
  const [stopped, other] = [stop.signal, never].map(each => world.driver.check?.([scopeOf('task')], each))
  setTimeout(() => stop.abort(), 20)
  expect(await stopped).toEqual([{ error: expect.anything() }])
  expect(await other).toEqual([{ itemCount: undefined }])
})
