import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { MINUTE } from '../../src/kernel/time.ts'
import { type C4CTwin, c4cUser, startC4C } from '../../src/twins/c4c/c4c.ts'
import { type ExchangeEwsTwin, exchangeAccount, startExchangeEws } from '../../src/twins/exchange-ews/exchange-ews.ts'
import { seededRandom } from '../corpus/seeded-random.ts'
import { waitFor } from '../foreign/servers/wait.ts'
import { HubUnderTest } from '../hub/hub-under-test.ts'

// Bulk jobs of a hub in a process of its own that is killed (kill -9) at random points and started again.

const seed = Number(process.env['ISTHMUS_GROUPWARE_SEED'] ?? 20_261_121)
const mailboxCount = 60
const ofEachSide = 4
const killsPerJob = 5
/** A create whose answer was lost is searched for three minutes before it is repeated. */
const patienceMs = 6 * MINUTE
const addresses = Array.from(
  { length: mailboxCount },
  (_, index) => `user${String(index).padStart(3, '0')}@contoso.com`,
)

interface Job {
  readonly id: string
  readonly state: string
  readonly total: number
  readonly done: number
  readonly failed: number
  readonly failures: readonly { readonly mailbox: string }[]
}

let folder: string
let exchange: ExchangeEwsTwin
let c4c: C4CTwin
let hub: HubUnderTest

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'groupware-kill-'))
  exchange = await startExchangeEws({ mailboxes: addresses.map(address => ({ address })) })
  c4c = await startC4C()
  for (const address of addresses) fill(address)
  hub = new HubUnderTest({
    dataFolder: join(folder, 'data'),
    flowFiles: [],
    basic: { exchange: exchangeAccount, c4c: c4cUser },
  })
  await hub.start()
  // Answers take their time, so that kills fall into the midst of many requests.
  exchange.setFaults({ slowMs: 5 })
  c4c.setFaults({ slowMs: 5 })
})
afterEach(async () => {
  await hub.stop()
  await exchange.stop()
  await c4c.stop()
  rmSync(folder, { recursive: true, force: true })
})

const hour = (index: number) => `2027-01-${String(10 + index)}T08:00:00Z`

function fill(address: string): void {
  const owner = c4c.addEmployee(address)
  for (let index = 0; index < ofEachSide; index++) {
    const start = `<t:Start>${hour(index)}</t:Start><t:End>${hour(index).replace('08', '09')}</t:End>`
    const subject = `<t:Subject>${address} mine ${index}</t:Subject>`
    exchange.mailbox(address).put('calendar', `<t:CalendarItem>${subject}${start}</t:CalendarItem>`)
    c4c.store.create(c4c.store.kind('Appointment'), {
      Subject: `${address} theirs ${index}`,
      StartDate: hour(index),
      EndDate: hour(index).replace('08', '09'),
      StartDatetimeZoneCode: 'UTC',
      EnddatetimeZoneCode: 'UTC',
      OwnerPartyID: owner,
    })
  }
  // The CRM has no field that says which task of the mailbox one of its own is.
  exchange.mailbox(address).put('tasks', `<t:Task><t:Subject>${address} mine task</t:Subject></t:Task>`)
  c4c.store.create(c4c.store.kind('Tasks'), { Subject: `${address} theirs task`, ProcessorPartyID: owner })
}

const subjectsOf = (address: string) =>
  ['calendar', 'tasks']
    .flatMap(folder => exchange.mailbox(address).items(folder))
    .map(({ xml }) => /<t:Subject>([^<]*)</.exec(xml)?.[1] ?? '')
    .toSorted()
const subjectsInCrm = () =>
  ['Appointment', 'Tasks']
    .flatMap(name => c4c.store.all(c4c.store.kind(name)))
    .map(({ values }) => String(values['Subject']))
    .toSorted()
const expectedOf = (address: string) =>
  ['mine', 'theirs'].flatMap(whose => [
    ...Array.from({ length: ofEachSide }, (_, at) => `${address} ${whose} ${at}`),
    `${address} ${whose} task`,
  ])
const itemCount = () => addresses.reduce((sum, address) => sum + subjectsOf(address).length, 0)

async function createContoso(members: readonly string[]): Promise<void> {
  await hub.call('POST', '/api/organizations/contoso?test=false', {
    access: 'ews-impersonation',
    exchange: { url: exchange.url, auth: 'exchange', logIn: 'basic' },
    crm: { url: c4c.root, auth: 'c4c' },
    every: '10s',
  })
  await hub.call('POST', '/api/organizations/contoso/mailboxes/list', { text: members.join('\n') })
}

/** Starts a job and kills the hub again and again while it is under way; the job when it has ended. */
async function runUnderKills(action: string, random: () => number): Promise<{ job: Job; kills: number }> {
  const { id } = await hub.call<Job>('POST', '/api/organizations/contoso/jobs', { action, mailboxes: 'all' })
  const see = () => hub.call<Job>('GET', `/api/groupware-jobs/${id}`)
  let [before, kills] = [0, 0]
  for (; kills < killsPerJob; kills++) {
    await sleep(random() * 300)
    await hub.kill9()
    await hub.start()
    const { done, total, state, failed } = await see()
    // Never back behind what was told before, never beyond what there is.
    expect(done).toBeGreaterThanOrEqual(before)
    expect(done).toBeLessThanOrEqual(total)
    expect(failed).toBeLessThanOrEqual(done)
    before = done
    if (state !== 'running') break
  }
  const job = await waitFor(`the job to ${action} to end`, patienceMs, async () => {
    const seen = await see()
    return seen.state === 'running' ? undefined : seen
  })
  return { job, kills }
}

async function states(): Promise<readonly string[]> {
  const { mailboxes } = await hub.call<{ mailboxes: { state: string }[] }>('GET', '/api/mailboxes?limit=1000')
  return mailboxes.map(({ state }) => state)
}

/** What the hub did in the mailboxes that lack something, or whose items are missing in the CRM. */
async function showLogs(): Promise<void> {
  const inCrm = new Set(subjectsInCrm())
  for (const address of addresses) {
    const inMailbox = new Set(subjectsOf(address))
    if (expectedOf(address).every(subject => inMailbox.has(subject) && inCrm.has(subject))) continue
    const { lines } = await hub.call<{ lines: unknown[] }>('GET', `/api/mailboxes/${address}/log?limit=50`)
    console.error(address, JSON.stringify(lines))
  }
  console.error(hub.output())
}

async function activationsOf(address: string): Promise<number> {
  const { lines } = await hub.call<{ lines: { text?: string }[] }>('GET', `/api/mailboxes/${address}/log?limit=1000`)
  return lines.filter(({ text }) => text === 'Activated.').length
}

test(
  `bulk jobs outlive kill -9 at any point: each mailbox once, no item lost or doubled (seed ${seed})`,
  async () => {
    const random = seededRandom(seed)
    const nobodys = ['nobody1@contoso.com', 'nobody2@contoso.com']
    await createContoso([...addresses, ...nobodys])

    const activated = await runUnderKills('activate', random)
    console.log(`${activated.kills} kills during activation (seed ${seed})`)
    expect(activated.job).toMatchObject({ state: 'done', total: 62, done: 62, failed: 2 })
    expect(activated.job.failures.map(({ mailbox }) => mailbox).toSorted()).toEqual(nobodys)
    expect((await states()).toSorted()).toEqual([...addresses.map(() => 'active'), 'error', 'error'])
    for (const address of addresses.slice(0, 10)) expect(await activationsOf(address)).toBeLessThanOrEqual(1)

    const everything = addresses.flatMap(expectedOf).toSorted()
    const expectInStep = () => {
      expect(subjectsInCrm()).toEqual(everything)
      for (const address of addresses) expect(subjectsOf(address)).toEqual(expectedOf(address))
    }
    await waitFor('all items on both sides', patienceMs, () => {
      return itemCount() >= everything.length && subjectsInCrm().length >= everything.length
    }).catch(async (thrown: unknown) => {
      // What is missing says more than that something is, and what the hub said of it more than that.
      await showLogs()
      expectInStep()
      throw thrown
    })
    expectInStep()

    const resynced = await runUnderKills('resync', random)
    expect(resynced.job).toMatchObject({ state: 'done', done: resynced.job.total })
    const [first = ''] = addresses
    await waitFor('a round of the first mailbox after the resync', patienceMs, async () => {
      const seen = await hub.call<{ lastRoundAt?: string }>('GET', `/api/mailboxes/${first}`)
      return seen.lastRoundAt !== undefined
    })
    expectInStep()

    const ended = await runUnderKills('deactivate', random)
    expect(ended.job).toMatchObject({ state: 'done', done: ended.job.total, failed: 0 })
    expect(new Set(await states())).toEqual(new Set(['not-activated']))
    expectInStep()
  },
  20 * MINUTE,
)
