import { afterEach, beforeEach, expect, test } from 'vitest'
import { silentLog } from '../kernel/log.ts'
import { systemClock } from '../kernel/time.ts'
import { ewsOptions } from '../protocols/ews/ews-world.ts'
import { type ExchangeEwsTwin, startExchangeEws } from '../twins/exchange-ews/exchange-ews.ts'
import { startC4CDriver } from './c4c-driver-world.ts'
import type { SideItem } from './drivers.ts'
import { EwsDriver } from './ews-driver.ts'
import { markCategory, scopeOf } from './graph-driver-world.ts'
import type { Appointment, Item, ItemKind } from './plan/items.ts'
import { defaultRules, type SyncRules } from './plan/rules.ts'
import { sampleAppointment, sampleContact, sampleMail, sampleSeries, sampleTask } from './sample-items-world.ts'
import { type Decision, syncLimits } from './sync/context.ts'
import { runRound } from './sync/round.ts'
import { openSyncStore } from './sync/sqlite-sync-store.ts'
import type { SyncStore } from './sync/sync-store.ts'

// Rounds of the sync between the twins of Exchange and of Cloud for Customer, over sockets: the drivers as the hub uses them.

const never = new AbortController().signal
let exchange: ExchangeEwsTwin
let mailbox: EwsDriver
let c4c: Awaited<ReturnType<typeof startC4CDriver>>
let store: SyncStore
let decisions: Decision[]
let laterMs: number

beforeEach(async () => {
  const address = scopeOf('task').mailbox
  exchange = await startExchangeEws({ mailboxes: [{ address, name: address }] })
  mailbox = new EwsDriver({ ...ewsOptions(exchange.url, { auth: 'ntlm' }), markCategory })
  c4c = await startC4CDriver()
  store = openSyncStore({ file: ':memory:' })
  decisions = []
  laterMs = 0
})
afterEach(async () => {
  await store.close()
  await mailbox.close()
  await exchange.stop()
  await c4c.stop()
})

const rules: SyncRules = {
  ...defaultRules,
  kinds: {
    ...defaultRules.kinds,
    appointment: { ...defaultRules.kinds.appointment, pastMs: undefined },
    mail: { ...defaultRules.kinds.mail, pastMs: undefined },
  },
}
let keys = 0

async function round(kind: ItemKind) {
  return runRound({
    scope: scopeOf(kind),
    drivers: { exchange: mailbox, crm: c4c.driver },
    store,
    rules,
    clock: { ...systemClock, now: () => Date.now() + laterMs },
    signal: never,
    newKey: () => {
      keys += 1
      return `key-${keys}`
    },
    limits: { ...syncLimits, keysEveryMs: 0, lateMs: 0 },
    log: silentLog,
    journal: decision => decisions.push(decision),
  })
}

/** Rounds until nothing is left to do. */
async function settle(kind: ItemKind): Promise<void> {
  for (let count = 0; count < 8; count += 1) if (!(await round(kind)).isUnfinished) return
}

async function itemsOf(side: 'exchange' | 'crm', kind: ItemKind): Promise<readonly SideItem[]> {
  const driver = side === 'exchange' ? mailbox : c4c.driver
  const ids: string[] = []
  for (let token: string | undefined, count = 0; count < 20; count += 1) {
    const page = await driver.changes(scopeOf(kind), token, never)
    if (page === 'token-lost') throw new Error('the token is lost')
    ids.push(...page.changes.map(({ id }) => id))
    token = page.token
    if (!page.hasMore) break
  }
  const items = await driver.read(scopeOf(kind), [...new Set(ids)], never)
  return items.filter(item => item !== undefined)
}

/** Both sides in the form that both can hold, sorted. */
async function common(kind: ItemKind) {
  const shown = async (side: 'exchange' | 'crm') =>
    (await itemsOf(side, kind))
      .map(({ item }) => JSON.stringify(withoutMark(mailbox.normalise(c4c.driver.normalise(item)))))
      .toSorted()
  return { exchange: await shown('exchange'), crm: await shown('crm') }
}

function withoutMark(item: Item): Item {
  return { ...item, categories: item.categories.filter(name => name !== markCategory) }
}

async function put(side: 'exchange' | 'crm', item: Item): Promise<void> {
  const driver = side === 'exchange' ? mailbox : c4c.driver
  keys += 1
  const wish = { key: `user-${keys}`, mark: null, item, openAttachment: () => bytesOf('file') }
  const [outcome] = await driver.create(scopeOf(item.kind), [wish], never)
  if (outcome?.state !== 'done') throw outcome?.error ?? new Error('it was not created')
}

/** Requests that change something. */
function writeCount(): number {
  return exchange.requests.filter(({ operation }) => /^(Create|Update|Delete)Item$/.test(operation)).length
}

async function* bytesOf(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text)
}

async function edit(side: 'exchange' | 'crm', kind: ItemKind, subject: string, values: Partial<Item>): Promise<void> {
  const driver = side === 'exchange' ? mailbox : c4c.driver
  const found = (await itemsOf(side, kind)).find(({ item }) => 'subject' in item && item.subject === subject)
  if (!found) throw new Error(`there is no ${subject}`)
  const after = { ...found.item, ...values } as Item
  const change = {
    id: found.id,
    version: found.version,
    before: found.item,
    after,
    fields: Object.keys(values),
    mark: undefined,
  }
  expect(await driver.update(scopeOf(kind), [change], never)).toMatchObject([{ state: 'done' }])
}

test('appointments, contacts and tasks travel both ways, and stay as they are in further rounds', async () => {
  const pairs: [Item, Item][] = [
    [sampleAppointment, { ...sampleAppointment, subject: 'from the CRM', attendees: [], organizer: null }],
    [sampleContact, { ...sampleContact, surname: 'Cem', emails: ['cem@x.example'] }],
    [sampleTask, { ...sampleTask, subject: 'from the CRM' }],
  ]
  for (const [mine, theirs] of pairs) {
    await put('exchange', mine)
    await put('crm', theirs)
    await settle(mine.kind)
    const both = await common(mine.kind)
    expect(both.exchange).toHaveLength(2)
    expect(both.crm).toEqual(both.exchange)
    const writes = writeCount()
    await settle(mine.kind)
    expect(writeCount()).toBe(writes)
  }
})

test('edits of both sides meet field by field; what is deleted on one side goes on the other', async () => {
  await put('exchange', sampleAppointment)
  await put('exchange', { ...sampleAppointment, subject: 'to be deleted' })
  await settle('appointment')
  await edit('exchange', 'appointment', sampleAppointment.subject, { location: 'Berlin' })
  await edit('crm', 'appointment', sampleAppointment.subject, {
    start: '2026-11-24T08:00:00Z',
    end: '2026-11-24T09:00:00Z',
  })
  await settle('appointment')
  const both = await common('appointment')
  expect(both.crm).toEqual(both.exchange)
  expect(both.crm.join()).toContain('Berlin')
  expect(both.crm.join()).toContain('2026-11-24T08:00:00Z')
  const doomed = (await itemsOf('crm', 'appointment')).find(
    ({ item }) => (item as Appointment).subject === 'to be deleted',
  )
  if (!doomed) throw new Error('it did not come over')
  await c4c.driver.remove(scopeOf('appointment'), [doomed], never)
  await settle('appointment')
  expect(await itemsOf('exchange', 'appointment')).toHaveLength(1)
})

test('a series with exceptions goes over whole, and comes back changed', async () => {
  await put('exchange', sampleSeries)
  await settle('appointment')
  const first = await common('appointment')
  expect(first.crm).toEqual(first.exchange)
  expect(first.crm.join()).toContain('on Tuesday')
  await edit('crm', 'appointment', sampleSeries.subject, { subject: 'renamed there' })
  await settle('appointment')
  const second = await common('appointment')
  expect(second.crm).toEqual(second.exchange)
  expect(second.exchange.join()).toContain('renamed there')
  expect(second.exchange.join()).toContain('on Tuesday')
})

test('a mail goes to the CRM when somebody marks it so, with its files', async () => {
  const attachments = [{ id: 'x', name: 'offer.txt', type: 'text/plain', bytes: 4, isInline: false }]
  await put('exchange', { ...sampleMail, categories: [markCategory], attachments })
  await put('exchange', { ...sampleMail, subject: 'not for the CRM', messageId: '<m2@x.example>' })
  await settle('mail')
  const [mail, ...others] = await itemsOf('crm', 'mail')
  expect(others).toEqual([])
  expect(mail).toMatchObject({
    mark: '<m1@x.example>',
    item: { subject: 'Offer 4711', attachments: [{ name: 'offer.txt', bytes: 4 }] },
  })
})

test.each([
  ['the answer of Cloud for Customer', () => c4c.twin.setFaults({ dropAfter: { times: 1, writesOnly: true } })],
  ['the answer of Exchange', () => exchange.setFaults({ dropAfter: { times: 1, writesOnly: true } })],
  ['the request to Cloud for Customer', () => c4c.twin.setFaults({ dropBefore: { times: 1, writesOnly: true } })],
  ['the request to Exchange', () => exchange.setFaults({ dropBefore: { times: 1, writesOnly: true } })],
])('%s is lost in the middle of a round: nothing is lost, nothing is doubled', async (_, fail) => {
  await put('exchange', sampleAppointment)
  await put('crm', { ...sampleAppointment, subject: 'from the CRM', attendees: [], organizer: null })
  fail()
  await round('appointment').catch(() => undefined)
  exchange.clearFaults()
  c4c.twin.clearFaults()
  await settle('appointment')
  await settle('appointment')
  const both = await common('appointment')
  expect(both.exchange).toHaveLength(2)
  expect(both.crm).toEqual(both.exchange)
})

test('a lost SyncState costs a listing, and no item is doubled', async () => {
  await put('exchange', sampleAppointment)
  await put('crm', { ...sampleAppointment, subject: 'from the CRM', attendees: [], organizer: null })
  await settle('appointment')
  laterMs = 3_600_000
  exchange.setFaults({ loseSyncStates: true })
  await settle('appointment')
  const both = await common('appointment')
  expect(both.exchange).toHaveLength(2)
  expect(both.crm).toEqual(both.exchange)
})
