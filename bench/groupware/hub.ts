import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { SideDriver } from '../../src/groupware/drivers.ts'
import { GraphEndpoint } from '../../src/groupware/organizations/graph-endpoint.ts'
import { Groupware } from '../../src/groupware/organizations/groupware.ts'
import { type Log, silentLog } from '../../src/kernel/log.ts'
import { HOUR, MINUTE, SECOND } from '../../src/kernel/time.ts'
import { openSqliteStore } from '../../src/store/sqlite/open.ts'
import { BenchClock } from './bench-clock.ts'
import { mailboxName } from './items.ts'
import { type Landscape, openSides, organizationName, settingsOf } from './landscape.ts'
import { openLinePort } from './line-port.ts'
import { bytesOf, measure, restMiB } from './measure.ts'
import { printStep } from './report.ts'
import type { Counts } from './tally.ts'

/**
 * The hub's groupware sync in a process of its own, with its real parts: organizations, jobs, schedule, drivers, stores on
 * disk. Time is simulated and stands while something is under way; sockets, protocols and CPU are real.
 */
export interface HubTask {
  readonly landscape: Landscape
  readonly folder: string
  readonly now: number
  readonly mailboxes: number
  readonly items: number
  /** Notifications are asked for; else mailboxes are polled only. */
  readonly isWatched: boolean
  readonly steps: readonly ('activate' | 'first' | 'idle' | 'steady')[]
  /** How long an idle time is, in minutes; left out: an hour, polled a quarter of one. */
  readonly idleMinutes?: number
  /** The first sync in the time of the clock on the wall, in which mailboxes are polled meanwhile; else time stands. */
  readonly isTimed?: boolean
}

export interface HubReport {
  readonly now: number
  readonly storeBytes: number
  readonly logBytes: number
  readonly seen: string
}

/** Signs of life of streams must arrive before the hub takes a stream for dead. */
const stepMsMax = 30 * SECOND

const task = JSON.parse(process.argv[2] ?? '{}') as HubTask
const { landscape, folder, mailboxes, isWatched } = task
const clock = new BenchClock(task.now)
const twins = await openLinePort(landscape.port)
const warnings = new Map<string, number>()
const note: Log['warn'] = (event, fields = {}) => {
  const { code = '', text = '' } = fields as { readonly code?: string; readonly text?: string }
  const line = `${event} ${code} ${text.slice(0, 150)}`
  warnings.set(line, (warnings.get(line) ?? 0) + 1)
}
const log: Log = { ...silentLog, warn: note, error: note }

let inFlight = 0
/** Calls of a driver that are under way are counted, and the wish of the run is kept: to be watched, or polled. */
function watched(driver: SideDriver): SideDriver {
  return new Proxy(driver, {
    get(target, name) {
      if (name === 'watch' && !isWatched) return undefined
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== 'function') return value
      return (...given: unknown[]) => {
        const result: unknown = value.apply(target, given)
        if (!(result instanceof Promise) || name === 'watch') return result
        inFlight += 1
        return result.finally(() => {
          inFlight -= 1
        })
      }
    },
  })
}

const endpoint = createServer()
await new Promise<void>(resolve => endpoint.listen(0, '127.0.0.1', resolve))
const notifications = new GraphEndpoint(`http://127.0.0.1:${(endpoint.address() as AddressInfo).port}`)
endpoint.on('request', (request, response) => notifications.handle(request, response))
const open = openSides(landscape, clock, isWatched ? notifications.inbox : undefined)
const store = await openSqliteStore({ folder })
const groupware = await Groupware.open({
  records: store,
  clock,
  log,
  dataFolder: folder,
  openDrivers: async (...given) => {
    const { exchange, crm } = await open(...given)
    return { exchange: watched(exchange), crm: watched(crm) }
  },
})
await groupware.start()

const counts = () => twins.ask<Counts>('counts')
console.log(`${isWatched ? 'with notifications' : 'polled every 5 minutes'}; opened with ${restMiB().toFixed(0)} MiB`)

/** Until nothing is under way: no turn, no request, and nothing new for a moment. */
async function settle(): Promise<void> {
  for (let quiet = 0; quiet < 3; ) {
    await new Promise(resolve => setTimeout(resolve, 2))
    quiet = groupware.runningCount === 0 && inFlight === 0 ? quiet + 1 : 0
  }
}

/** Lets time pass, a second at a time where something is due; `each` does what belongs to a moment. */
async function pass(ms: number, each: (now: number) => Promise<void> = async () => {}): Promise<void> {
  const until = clock.now() + ms
  await settle()
  while (clock.now() < until) {
    const step = Math.min(until, clock.now() + stepMsMax, clock.nextStep() ?? until)
    const next = Math.min(until, Math.max(clock.now() + SECOND, step))
    await twins.ask('time', { now: next })
    // While the hub rests: what it does about it begins when its own time moves on.
    await each(next)
    clock.set(next)
    await settle()
  }
}

/** Time goes as it does outside, until something is done. */
async function flow(isDone: () => boolean): Promise<void> {
  let last = performance.now()
  for (let isOver = false; !isOver; ) {
    await new Promise(resolve => setTimeout(resolve, 100))
    const now = performance.now()
    const next = Math.floor(clock.now() + now - last)
    last = now
    await twins.ask('time', { now: next })
    clock.set(next)
    isOver = groupware.runningCount === 0 && inFlight === 0 && isDone()
  }
}

async function run(step: string, work: () => Promise<void>): Promise<void> {
  const cost = await measure(counts, work)
  printStep(task, { step, cost, connections: await connectionCount() })
}

async function connectionCount(): Promise<number> {
  const { streams, subscriptions } = await twins.ask<{ streams: number; subscriptions: number }>('counts')
  return streams + subscriptions
}

async function activate(): Promise<void> {
  await groupware.createOrganization(organizationName, { ...settingsOf(landscape), every: '5m' })
  const list = Array.from({ length: mailboxes }, (_, number) => mailboxName(number)).join('\n')
  await groupware.addList(organizationName, list, false)
  // Activated while the organization rests, so that the tests of access are counted apart from the first sync.
  await groupware.setPaused(organizationName, true)
  await run('activate', async () => {
    const job = await groupware.startJob(organizationName, 'activate', 'all')
    const { failedCount, failures } = await groupware.jobEnded(job.id)
    if (failedCount > 0) throw new Error(`${failedCount} were not activated: ${JSON.stringify(failures[0])}`)
  })
}

async function first(): Promise<void> {
  await run('first', async () => {
    await groupware.setPaused(organizationName, false)
    const isDone = () =>
      groupware.mailboxes().every(({ address }) => groupware.progressOf(address).firstRoundAt !== undefined)
    if (task.isTimed) await flow(isDone)
    else while (!isDone()) await pass(SECOND)
  })
  // What the sync wrote comes back as changes of both sides, and is known again.
  await run('echo', () => pass(6 * MINUTE))
}

/** What stands in the items of the last changes. */
let lastWord = ''
/** One change in each mailbox, spread over the hour, half of them on each side. */
async function steady(): Promise<void> {
  const began = clock.now()
  let changed = 0
  // Other words each time: what is there already is no change.
  const word = `Changed at ${began}`
  lastWord = word
  await pass(HOUR, async now => {
    const due = Math.min(mailboxes, Math.floor(((now - began) / (50 * MINUTE)) * mailboxes))
    for (; changed < due; changed += 1) {
      const kind = (['appointment', 'contact', 'task'] as const)[changed % 3] ?? 'task'
      await twins.ask('change', { mailbox: changed, side: changed % 2 === 0 ? 'exchange' : 'crm', kind, word })
    }
  })
}

for (const step of task.steps) {
  if (step === 'activate') await activate()
  if (step === 'first') await first()
  if (step === 'idle' || step === 'steady') {
    // Notifications get connected, and what happened before them is asked for.
    if (isWatched) await run(`before ${step}`, () => pass(12 * MINUTE))
    const idleMinutes = task.idleMinutes ?? (isWatched ? 60 : 15)
    if (step === 'idle') await run(`idle for ${idleMinutes} minutes`, () => pass(idleMinutes * MINUTE))
    else await run(step, steady)
  }
}
const seen = await twins.ask<object>('look', { word: lastWord })
const report: HubReport = {
  now: clock.now(),
  storeBytes: bytesOf(join(folder, 'groupware'), ['links.sqlite']),
  logBytes: bytesOf(join(folder, 'groupware'), ['log.sqlite']),
  seen: JSON.stringify({ ...seen, warnings: Object.fromEntries(warnings) }),
}
await groupware.close()
await store.close()
endpoint.close()
twins.close()
process.send?.(report)
process.disconnect?.()
