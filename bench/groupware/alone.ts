import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Scope, SideDriver } from '../../src/groupware/drivers.ts'
import type { Appointment, ItemKind } from '../../src/groupware/plan/items.ts'
import { defaultRules } from '../../src/groupware/plan/rules.ts'
import { scheduleLimits } from '../../src/groupware/schedule/limits.ts'
import { Schedule, type Turn } from '../../src/groupware/schedule/schedule.ts'
import { syncLimits } from '../../src/groupware/sync/context.ts'
import { runRound } from '../../src/groupware/sync/round.ts'
import { withSharedFeed } from '../../src/groupware/sync/shared-feed.ts'
import { openSyncStore } from '../../src/groupware/sync/sqlite-sync-store.ts'
import type { SyncStore } from '../../src/groupware/sync/sync-store.ts'
import { silentLog } from '../../src/kernel/log.ts'
import { type Clock, HOUR, MINUTE, systemClock } from '../../src/kernel/time.ts'
import { MemoryCrm, MemoryExchange } from './sides.ts'

/**
 * `npm run bench:groupware`: what the sync itself costs, with sides that answer from memory: the first sync, an hour of
 * changes, and an idle hour of 10,000 mailboxes with and without notifications. Requests stand beside the fewest that
 * the protocols allow. Time is simulated; CPU is real, the durable store (SQLite on disk) included.
 */
const { values } = parseArgs({
  options: {
    first: { type: 'string', default: '1000' },
    items: { type: 'string', default: '50' },
    mailboxes: { type: 'string', default: '10000' },
  },
})
const kinds: readonly ItemKind[] = ['appointment', 'contact', 'task', 'mail']

class World {
  readonly exchange = new MemoryExchange()
  readonly crm = new MemoryCrm()
  readonly store: SyncStore
  readonly shared: SideDriver
  readonly folder = mkdtempSync(join(tmpdir(), 'isthmus-bench-'))
  now = Date.UTC(2026, 10, 23, 8)
  rounds = 0
  #keys = 0
  readonly #clock: Clock = { ...systemClock, now: () => this.now }

  constructor() {
    this.store = openSyncStore({ file: join(this.folder, 'groupware.db') })
    this.shared = withSharedFeed(this.crm, this.#clock)
    this.setTime(this.now)
  }

  setTime(now: number): void {
    this.now = now
    this.exchange.now = now
    this.crm.now = now
  }

  async sync(mailbox: string, kind: ItemKind): Promise<void> {
    this.rounds += 1
    const scope: Scope = { organization: 'x', mailbox, kind, owner: mailbox, folders: [], from: null, to: null }
    await runRound({
      scope,
      drivers: { exchange: this.exchange, crm: this.shared },
      store: this.store,
      rules: defaultRules,
      clock: this.#clock,
      signal: new AbortController().signal,
      newKey: () => {
        this.#keys += 1
        return String(this.#keys)
      },
      limits: syncLimits,
      log: silentLog,
      journal: () => {},
    })
  }

  /** Several at a time, as the schedule does: their writes share flushes. */
  async syncAll(work: readonly (readonly [string, ItemKind])[]): Promise<void> {
    const queue = work.values()
    const lane = async () => {
      for (const [mailbox, kind] of queue) await this.sync(mailbox, kind)
    }
    await Promise.all(Array.from({ length: scheduleLimits.runningPerOrganization }, lane))
  }

  async close(): Promise<void> {
    await this.store.close()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

interface Cost {
  readonly cpuMs: number
  readonly exchange: number
  readonly crm: number
  readonly rounds: number
}

async function measure(world: World, work: () => Promise<void>): Promise<Cost> {
  const cpu = process.cpuUsage()
  const before = { exchange: world.exchange.requests, crm: world.crm.requests, rounds: world.rounds }
  await work()
  const { user, system } = process.cpuUsage(cpu)
  const { exchange, crm, rounds } = before
  const cpuMs = (user + system) / 1000
  return {
    cpuMs,
    exchange: world.exchange.requests - exchange,
    crm: world.crm.requests - crm,
    rounds: world.rounds - rounds,
  }
}

const mailboxName = (number: number) => `m${number}@x.example`
const round = (value: number, digits = 2) => value.toFixed(digits)

async function firstSync(mailboxes: number, items: number): Promise<void> {
  const world = new World()
  for (let box = 0; box < mailboxes; box += 1) {
    for (let item = 0; item < items; item += 1) {
      const side = item % 2 === 0 ? world.exchange : world.crm
      side.add(mailboxName(box), appointment(`Item ${item} of ${box}`))
    }
  }
  const boxes = Array.from({ length: mailboxes }, (_, box) => [mailboxName(box), 'appointment'] as const)
  const total = mailboxes * items
  world.setTime(world.now + MINUTE)
  const cost = await measure(world, () => world.syncAll(boxes))
  const half = items / 2
  // Each side: list, and create in batches; from the mailbox also read; the mark of what came from the CRM. Before a
  // create each new item is looked for, so that nothing is doubled: that is not part of the least.
  const least = { exchange: 1 + 2 * Math.ceil(half / 50), crm: 1 + 2 * Math.ceil(half / 50) }
  const bytes = statSync(join(world.folder, 'groupware.db')).size
  console.log(`first sync, ${mailboxes} mailboxes x ${items} appointments, half from each side:`)
  console.log(`  requests per item: ${round((cost.exchange + cost.crm) / total, 3)}`)
  console.log(`    Exchange ${cost.exchange / mailboxes} per mailbox (least ${least.exchange})`)
  console.log(`    CRM ${round(cost.crm / mailboxes)} per mailbox (least ${least.crm})`)
  console.log(`  CPU per item: ${round(cost.cpuMs / total, 3)} ms; store: ${Math.round(bytes / total)} bytes per item`)

  // A steady hour: one of twenty items changes on one side.
  world.setTime(world.now + HOUR)
  await world.syncAll(boxes)
  let changed = 0
  for (const side of [world.exchange, world.crm]) {
    for (let box = 0; box < mailboxes; box += 2) {
      world.setTime(world.now + 100)
      changed += await editOne(side, mailboxName(box + (side === world.crm ? 1 : 0)))
    }
  }
  world.setTime(world.now + MINUTE)
  const hour = await measure(world, () => world.syncAll(boxes))
  const perItem = (hour.exchange + hour.crm) / changed
  console.log(`one change in each of ${changed} mailboxes, half of them on each side:`)
  console.log(`  requests per change: ${round(perItem)} (least 3: told, read, written; the CRM tells all in one)`)
  console.log(`  CPU per change: ${round(hour.cpuMs / changed, 3)} ms`)
  await world.close()
}

async function editOne(side: MemoryExchange | MemoryCrm, mailbox: string): Promise<number> {
  const scope: Scope = {
    organization: 'x',
    mailbox,
    kind: 'appointment',
    owner: mailbox,
    folders: [],
    from: null,
    to: null,
  }
  const { changes } = await side.changes(scope, undefined)
  const [item] = await side.read(
    scope,
    changes.slice(0, 1).map(change => change.id),
  )
  if (!item) return 0
  const after = { ...(item.item as Appointment), subject: `changed at ${side.now}` }
  await side.update(scope, [
    { id: item.id, version: item.version, before: item.item, after, fields: ['subject'], mark: undefined },
  ])
  return 1
}

async function idleHour(mailboxes: number, isWatched: boolean): Promise<void> {
  const world = new World()
  for (let box = 0; box < mailboxes; box += 1) world.exchange.add(mailboxName(box), appointment('Only one'))
  const all = Array.from({ length: mailboxes }, (_, box) => kinds.map(kind => [mailboxName(box), kind] as const)).flat()
  await world.syncAll(all)
  world.setTime(world.now + HOUR)
  await world.syncAll(all)
  const schedule = new Schedule(scheduleLimits, Math.random)
  for (let box = 0; box < mailboxes; box += 1) {
    schedule.add({ organization: 'x', mailbox: mailboxName(box) }, world.now, false)
    if (isWatched) schedule.setWatched({ organization: 'x', mailbox: mailboxName(box) }, true, world.now)
  }
  const syncKinds = async (mailbox: string) => {
    for (const kind of kinds) await world.sync(mailbox, kind)
  }
  const hour = async (until: number) => {
    for (let at = schedule.nextAt(world.now) ?? until; at <= until; at = schedule.nextAt(world.now) ?? until + 1) {
      // In steps of a second, in which an hour's work of 10,000 mailboxes brings some thirty turns.
      world.setTime(Math.max(world.now, Math.ceil(at / 1000) * 1000))
      for (;;) {
        const turns: Turn[] = []
        for (let turn = schedule.next(world.now); turn; turn = schedule.next(world.now)) turns.push(turn)
        if (turns.length === 0) break
        // Those that run at the same time share flushes of the store.
        await Promise.all(turns.map(turn => syncKinds(turn.mailbox)))
        for (const turn of turns) schedule.end(turn, { state: 'done', again: false }, world.now)
      }
    }
    world.setTime(until)
  }
  await hour(world.now + 31 * MINUTE)
  const cost = await measure(world, () => hour(world.now + HOUR))
  console.log(
    `an idle hour of ${mailboxes} mailboxes x ${kinds.length} kinds, ${isWatched ? 'with' : 'without'} notifications:`,
  )
  console.log(`  ${cost.rounds} rounds, ${cost.exchange} requests to Exchange, ${cost.crm} to the CRM`)
  console.log(
    `  CPU ${round(cost.cpuMs / 1000, 1)} s: ${round(cost.cpuMs / 36_000)} % of one core, ${round((cost.cpuMs * 1000) / cost.rounds, 0)} µs per round`,
  )
  console.log(`  memory ${Math.round(process.memoryUsage().rss / 2 ** 20)} MiB, the stand-ins included`)
  await world.close()
}

function appointment(subject: string): Appointment {
  const text = { type: 'text', content: 'Agenda' } as const
  return {
    kind: 'appointment',
    activity: 'appointment',
    subject,
    start: '2026-11-23T08:00:00Z',
    end: '2026-11-23T09:00:00Z',
    isAllDay: false,
    zone: 'Europe/Berlin',
    location: 'Walldorf',
    body: text,
    showAs: 'busy',
    importance: 'normal',
    sensitivity: 'normal',
    categories: [],
    reminderMinutes: 15,
    isCancelled: false,
    organizer: null,
    attendees: [],
    attachments: [],
    recurrence: null,
    exceptions: {},
  }
}

await firstSync(Number(values.first), Number(values.items))
await idleHour(Number(values.mailboxes), false)
await idleHour(Number(values.mailboxes), true)
