import { afterEach, expect, test } from 'vitest'
import { MemoryRecords } from '../../src/auth/records-world.ts'
import type { Scope, SideDriver } from '../../src/groupware/drivers.ts'
import { Groupware } from '../../src/groupware/organizations/groupware.ts'
import { makeOpenDrivers } from '../../src/groupware/organizations/open-drivers.ts'
import type { Appointment, Item } from '../../src/groupware/plan/items.ts'
import { defaultRules } from '../../src/groupware/plan/rules.ts'
import { sampleAppointment, sampleContact, sampleMail, sampleTask } from '../../src/groupware/sample-items-world.ts'
import { silentLog } from '../../src/kernel/log.ts'
import { type Clock, DAY, SECOND, systemClock } from '../../src/kernel/time.ts'
import { makeConnect } from '../../src/protocols/net/connect.ts'
import { type C4CTwin, c4cUser, startC4C } from '../../src/twins/c4c/c4c.ts'
import { exchangeAccount, startExchangeEws } from '../../src/twins/exchange-ews/exchange-ews.ts'
import { startGraph } from '../../src/twins/graph/graph.ts'

// How many requests the sync of mailboxes takes, counted by the servers: whoever adds one to each mailbox changes a number
// here. The bench (bench/groupware) does the same with a thousand mailboxes, and measures what it costs.

const mailboxCount = 20
const itemCount = 10
const patienceMs = 60_000
const organization = 'contoso'
const addresses = Array.from({ length: mailboxCount }, (_, number) => `m${number}@contoso.com`)
const never = new AbortController().signal
const closing: (() => Promise<unknown>)[] = []

afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
})

/** Ten items: those of three kinds half from each side, and mail, which goes to the CRM only. */
function itemsOf(side: 'exchange' | 'crm', mailbox: number): readonly Item[] {
  const tomorrow = Math.ceil(Date.now() / DAY) * DAY
  const instant = (ms: number) => new Date(ms).toISOString().replace('.000Z', 'Z')
  const address = addresses[mailbox] ?? ''
  const name = (word: string) => `${word} of ${side} ${mailbox}`
  const [start, end] = [instant(tomorrow), instant(tomorrow + DAY / 24)]
  const appointments = ['First', 'Second'].map(
    (word): Appointment => ({
      ...sampleAppointment,
      subject: name(word),
      start,
      end,
      organizer: { address, name: address },
    }),
  )
  const contact = { ...sampleContact, surname: name('Zoe'), emails: [`${side}.${mailbox}@x.example`] }
  const task = { ...sampleTask, subject: name('Call back') }
  const mails = [1, 2].map(number => ({
    ...sampleMail,
    messageId: `<${number}.${mailbox}@x.example>`,
    sentAt: instant(tomorrow - 2 * DAY),
    categories: [defaultRules.markCategory],
  }))
  return [...appointments, contact, task, ...(side === 'exchange' ? mails : [])]
}

interface World {
  readonly groupware: Groupware
  readonly c4c: C4CTwin
  readonly sides: { readonly exchange: SideDriver; readonly crm: SideDriver }
  /** Ids of the first appointments by mailbox and side. */
  readonly appointments: ReadonlyMap<string, string>
  /** Time goes on by so much. */
  skip(ms: number): void
}

/** A hub beside Exchange (or Graph) and Cloud for Customer with items in them. */
async function startWorld(access: 'ews-impersonation' | 'graph', url: string): Promise<World> {
  let skippedMs = 0
  const clock: Clock = { ...systemClock, now: () => Date.now() + skippedMs }
  // Time goes on there too: within one second of its clock a second answer is as old as the first, and tells nothing new.
  const c4c = await startC4C({ employees: addresses, clock })
  closing.push(() => c4c.stop())
  const open = makeOpenDrivers({
    connect: makeConnect(),
    async credential(name) {
      if (name === 'c4c') return { kind: 'basic', ...c4cUser }
      if (access === 'ews-impersonation') return { kind: 'basic', ...exchangeAccount }
      return { kind: 'oauth2', user: undefined, token: async () => ({ value: 'token', expiresAt: Infinity }) }
    },
    clock,
    rulesOf: () => defaultRules,
  })
  const settings = { access, exchange: { url, auth: 'm365' }, crm: { url: c4c.root, auth: 'c4c' } }
  let sides: World['sides'] | undefined
  const groupware = await Groupware.open({
    records: new MemoryRecords(),
    clock,
    log: silentLog,
    dataFolder: ':memory:',
    async openDrivers(...given) {
      const both = await open(...given)
      // What people do does not go through the hub.
      sides = await open(...given)
      closing.push(
        async () => sides?.exchange.close?.(),
        async () => sides?.crm.close?.(),
      )
      // Polled: who is told of changes asks at times of its own.
      return { exchange: Object.assign(both.exchange, { watch: undefined }), crm: both.crm }
    },
  })
  closing.push(() => groupware.close())
  await groupware.createOrganization(organization, settings)
  await groupware.addList(organization, addresses.join('\n'), false)
  // A test of access opens the drivers; both sides are filled before anything is synced.
  expect(await groupware.testOrganization(organization)).toMatchObject({ ok: true })
  if (!sides) throw new Error('no driver was opened')
  const appointments = new Map<string, string>()
  for (const [number, mailbox] of addresses.entries()) {
    for (const side of ['exchange', 'crm'] as const) {
      for (const [kind, items] of Map.groupBy(itemsOf(side, number), ({ kind: of }) => of)) {
        const wishes = items.map((item, index) => {
          const key = `${side} ${mailbox} ${kind} ${index}`
          return { key, mark: null, item, openAttachment: () => nothing() }
        })
        const [first] = await sides[side].create(scopeOf(mailbox, kind), wishes, never)
        if (first?.state !== 'done') throw first?.error ?? new Error('it was not created')
        if (kind === 'appointment') appointments.set(`${side} ${mailbox}`, first.id)
      }
    }
  }
  await groupware.start()
  return {
    groupware,
    c4c,
    sides,
    appointments,
    skip: ms => {
      skippedMs += ms
    },
  }
}

function scopeOf(mailbox: string, kind: Item['kind']): Scope {
  return { organization, mailbox, owner: mailbox, kind, folders: [], from: null, to: null }
}

async function* nothing(): AsyncGenerator<Uint8Array> {
  // No item has a file.
}

async function activateAll({ groupware }: World): Promise<void> {
  const job = await groupware.startJob(organization, 'activate', 'all')
  expect(await groupware.jobEnded(job.id)).toMatchObject({ done: mailboxCount, failedCount: 0 })
  const isSynced = () => addresses.every(address => groupware.progressOf(address).firstRoundAt !== undefined)
  await expect.poll(() => isSynced() && groupware.runningCount === 0, { timeout: patienceMs }).toBe(true)
}

/** The first appointment of each mailbox is renamed on a side. */
async function rename({ sides, appointments }: World, side: 'exchange' | 'crm', subject: string): Promise<void> {
  for (const mailbox of addresses) {
    const scope = scopeOf(mailbox, 'appointment')
    const [found] = await sides[side].read(scope, [appointments.get(`${side} ${mailbox}`) ?? ''], never)
    if (!found) throw new Error(`${mailbox} has no appointment`)
    const { id, version, item: before } = found
    const after = { ...(before as Appointment), subject }
    const change = { id, version, before, after, fields: ['subject'], mark: undefined }
    expect(await sides[side].update(scope, [change], never)).toMatchObject([{ state: 'done' }])
  }
}

async function syncAll({ groupware }: World): Promise<void> {
  for (const address of addresses) groupware.syncNow(address)
  await expect.poll(() => groupware.runningCount, { timeout: patienceMs }).toBe(0)
}

function less(after: Readonly<Record<string, number>>, before: Readonly<Record<string, number>>) {
  const names = Object.keys(after).filter(name => after[name] !== before[name])
  return Object.fromEntries(names.map(name => [name, ((after[name] ?? 0) - (before[name] ?? 0)) / mailboxCount]))
}

const inCrm = (c4c: C4CTwin) =>
  ['Appointment', 'Contact', 'Tasks', 'EMail'].reduce((sum, name) => sum + c4c.count(name), 0)

test('over EWS: the requests of activation and first sync, of an hour without changes, and of changes on both sides', async () => {
  const exchange = await startExchangeEws({ mailboxes: addresses.map(address => ({ address })) })
  closing.push(() => exchange.stop())
  const world = await startWorld('ews-impersonation', exchange.url)
  const { c4c } = world
  const operations = () =>
    Object.fromEntries(Object.entries(exchange.byOperation).filter(([name]) => name !== 'log-in'))
  let [before, crmBefore] = [operations(), c4c.counters.requests]
  await activateAll(world)
  expect(inCrm(c4c)).toBe(mailboxCount * itemCount)
  expect(less(operations(), before)).toEqual({
    // All folders of a mailbox together; access was tested with one of them before.
    GetFolder: (mailboxCount - 1) / mailboxCount,
    SyncFolderItems: 5,
    // Of each kind all together, and no search for marks: the listing told that there are none.
    GetItem: 4,
    CreateItem: 3,
    // What Cloud for Customer has no field for is marked in the mailbox.
    UpdateItem: 2,
  })
  // The employee; and for all kinds together to list, to find what may be there, to create and to mark.
  expect((c4c.counters.requests - crmBefore) / mailboxCount).toBeLessThanOrEqual(1 + 4 + 0.5)

  // What was written comes back, is known by its version, and read by nobody.
  world.skip(40 * SECOND)
  ;[before, crmBefore] = [operations(), c4c.counters.requests]
  await syncAll(world)
  expect(less(operations(), before)).toEqual({ SyncFolderItems: 5 })
  expect(c4c.counters.requests - crmBefore).toBeLessThanOrEqual(4)

  await rename(world, 'exchange', 'renamed in Exchange')
  world.skip(40 * SECOND)
  ;[before, crmBefore] = [operations(), c4c.counters.requests]
  await syncAll(world)
  expect(less(operations(), before)).toEqual({ SyncFolderItems: 5, GetItem: 1 })
  // The other half is read and written.
  expect(c4c.counters.requests - crmBefore).toBeLessThanOrEqual(2 * mailboxCount + 4)

  await rename(world, 'crm', 'renamed in the CRM')
  world.skip(40 * SECOND)
  ;[before, crmBefore] = [operations(), c4c.counters.requests]
  await syncAll(world)
  expect(less(operations(), before)).toEqual({ SyncFolderItems: 5, GetItem: 1, UpdateItem: 1 })
  // The feed brings the changed items of all mailboxes, of all kinds at once.
  expect(c4c.counters.requests - crmBefore).toBeLessThanOrEqual(4)
})

test('over Graph: the requests of activation and first sync, and of changes on both sides', async () => {
  const roles = ['Mail', 'Calendars', 'Contacts'].map(name => `${name}.ReadWrite`)
  const claims = { aud: 'https://graph.microsoft.com', appid: 'hub', roles: [...roles, 'Tasks.ReadWrite.All'] }
  const graph = await startGraph({ mailboxes: addresses, verify: () => claims })
  closing.push(() => graph.stop())
  const world = await startWorld('graph', graph.root)
  const perMailbox = (before: number) => (graph.counters.requests - before) / mailboxCount
  let before = graph.counters.requests
  await activateAll(world)
  expect(inCrm(world.c4c)).toBe(mailboxCount * itemCount)
  // Access 2; for all kinds together to list, to read and to create; to look for marks of appointments; to mark, of tasks in three.
  expect(perMailbox(before)).toBeLessThanOrEqual(2 + 1 + 1 + 1 + 1 + 3)

  world.skip(40 * SECOND)
  before = graph.counters.requests
  await syncAll(world)
  expect(perMailbox(before)).toBe(1)

  await rename(world, 'exchange', 'renamed in Exchange')
  world.skip(40 * SECOND)
  before = graph.counters.requests
  await syncAll(world)
  expect(perMailbox(before)).toBe(1 + 1)

  await rename(world, 'crm', 'renamed in the CRM')
  world.skip(40 * SECOND)
  before = graph.counters.requests
  await syncAll(world)
  expect(perMailbox(before)).toBe(1 + 2)
})
