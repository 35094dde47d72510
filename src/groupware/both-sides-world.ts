import { silentLog } from '../kernel/log.ts'
import { systemClock } from '../kernel/time.ts'
import { ewsOptions } from '../protocols/ews/ews-world.ts'
import { startExchangeEws } from '../twins/exchange-ews/exchange-ews.ts'
import type { C4CDriverOptions } from './c4c-driver.ts'
import { startC4CDriver } from './c4c-driver-world.ts'
import type { Scope, Side, SideDriver, SideItem, WriteOutcome } from './drivers.ts'
import { kindFacts } from './ews/kinds.ts'
import { EwsDriver } from './ews-driver.ts'
import { markCategory, scopeOf, startGraphDriver } from './graph-driver-world.ts'
import type { Item, ItemKind } from './plan/items.ts'
import { defaultRules, type KindRules, type SyncRules } from './plan/rules.ts'
import { type Decision, syncLimits } from './sync/context.ts'
import { runRound } from './sync/round.ts'
import { openSyncStore } from './sync/sqlite-sync-store.ts'

/** How the mailbox side is reached. */
export const ways = ['EWS', 'Graph'] as const
export type Way = (typeof ways)[number]

type Faults = Readonly<Record<'dropBefore' | 'dropAfter', { readonly times: number; readonly writesOnly: true }>>

/** A twin of Exchange, by EWS or Graph, with a driver. */
interface MailboxSide {
  readonly driver: SideDriver
  /** The same twin behind a driver with another category. */
  readonly reopened: (markCategory: string) => Promise<SideDriver>
  readonly setFaults: (faults: Partial<Faults>) => void
  readonly clearFaults: () => void
  readonly loseTokens: () => void
  /** Makes a folder, over EWS in another one where that is said (`deleteditems`); its id. */
  readonly addFolder: (name: string, kind: ItemKind, parent?: string) => string
  readonly move: (id: string, kind: ItemKind, folder: string) => void
  /** Requests so far that change something. */
  readonly writeCount: () => number
  readonly stop: () => Promise<void>
}

const never = new AbortController().signal
const settleRounds = 8

/** Rounds between the twins of Exchange and of Cloud for Customer, over sockets: the drivers as the hub uses them. */
export class BothSides {
  mailbox: MailboxSide
  c4c: Awaited<ReturnType<typeof startC4CDriver>>
  readonly store = openSyncStore({ file: ':memory:' })
  readonly decisions: Decision[] = []
  readonly scope: { -readonly [Field in keyof Scope]?: Scope[Field] } = {}
  rules: SyncRules = defaultRules
  #keys = 0

  readonly #time: { laterMs: number }

  private constructor(
    mailbox: MailboxSide,
    c4c: Awaited<ReturnType<typeof startC4CDriver>>,
    time: { laterMs: number },
  ) {
    this.#time = time
    this.mailbox = mailbox
    this.c4c = c4c
    this.rule('appointment', { pastMs: undefined })
    this.rule('mail', { pastMs: undefined })
  }

  static async start(way: Way, more: Partial<C4CDriverOptions> = {}): Promise<BothSides> {
    const mailbox = way === 'EWS' ? await startEws() : await startGraphSide()
    const time = { laterMs: 0 }
    const clock = { ...systemClock, now: () => Date.now() + time.laterMs }
    const c4c = await startC4CDriver({ clock }, { now: () => clock.now(), ...more })
    return new BothSides(mailbox, c4c, time)
  }

  async stop(): Promise<void> {
    await this.store.close()
    await this.mailbox.stop()
    await this.c4c.stop()
  }

  /** As the hub does it when the profile names another category. */
  async reopen({ markCategory: category }: { readonly markCategory: string }): Promise<void> {
    this.rules = { ...this.rules, markCategory: category }
    this.mailbox = { ...this.mailbox, driver: await this.mailbox.reopened(category) }
  }

  /** As the hub does it when the organization says another word about visits. */
  reopenCrm({ visits }: Pick<C4CDriverOptions, 'visits'>): void {
    this.c4c = { ...this.c4c, driver: this.c4c.reopened({ visits }) }
  }

  now(): number {
    return Date.now() + this.#time.laterMs
  }

  /** Lets time pass for the hub and for Cloud for Customer. */
  pass(ms: number): void {
    this.#time.laterMs += ms
  }

  rule(kind: ItemKind, change: Partial<KindRules>): void {
    const { kinds } = this.rules
    this.rules = { ...this.rules, kinds: { ...kinds, [kind]: { ...kinds[kind], ...change } } }
  }

  round(kind: ItemKind) {
    return runRound({
      scope: scopeOf(kind, this.scope),
      drivers: { exchange: this.mailbox.driver, crm: this.c4c.driver },
      store: this.store,
      rules: this.rules,
      clock: { ...systemClock, now: () => this.now() },
      signal: never,
      newKey: () => this.#nextKey(),
      limits: { ...syncLimits, keysEveryMs: 0, lateMs: 0 },
      log: silentLog,
      journal: decision => this.decisions.push(decision),
    })
  }

  /** Rounds until nothing is left to do. */
  async settle(kind: ItemKind): Promise<void> {
    for (let count = 0; count < settleRounds; count += 1) if (!(await this.round(kind)).isUnfinished) return
  }

  driver(side: Side): SideDriver {
    return side === 'exchange' ? this.mailbox.driver : this.c4c.driver
  }

  async itemsOf(side: Side, kind: ItemKind): Promise<readonly SideItem[]> {
    const driver = this.driver(side)
    const ids: string[] = []
    for (let token: string | undefined, count = 0; count < 20; count += 1) {
      const page = await driver.changes(scopeOf(kind, this.scope), token, never)
      if (page === 'token-lost') throw new Error('the token is lost')
      ids.push(...page.changes.map(({ id }) => id))
      token = page.token
      if (!page.hasMore) break
    }
    const items = await driver.read(scopeOf(kind, this.scope), [...new Set(ids)], never)
    return items.filter(item => item !== undefined)
  }

  /** Both sides in the form that both can hold, sorted. */
  async common(kind: ItemKind): Promise<Readonly<Record<Side, readonly string[]>>> {
    const shown = async (side: Side) =>
      (await this.itemsOf(side, kind))
        .map(({ item }) => JSON.stringify(withoutMark(this.mailbox.driver.normalise(this.c4c.driver.normalise(item)))))
        .toSorted()
    return { exchange: await shown('exchange'), crm: await shown('crm') }
  }

  /** What a person creates; its id. */
  async put(side: Side, item: Item): Promise<string> {
    const wish = { key: `user-${this.#nextKey()}`, mark: null, item, openAttachment: () => bytesOf('file') }
    const [outcome] = await this.driver(side).create(scopeOf(item.kind, this.scope), [wish], never)
    if (outcome?.state !== 'done') throw outcome?.error ?? new Error('it was not created')
    return outcome.id
  }

  async find(side: Side, kind: ItemKind, subject: string): Promise<SideItem> {
    const found = (await this.itemsOf(side, kind)).find(({ item }) => titleOf(item) === subject)
    if (!found) throw new Error(`there is no ${subject}`)
    return found
  }

  /** What a person changes in the item of this title. */
  async edit(side: Side, kind: ItemKind, title: string, values: Partial<Item>): Promise<void> {
    const { id, version, item: before } = await this.find(side, kind, title)
    const after = { ...before, ...values } as Item
    const change = { id, version, before, after, fields: Object.keys(values), mark: undefined }
    succeeded(await this.driver(side).update(scopeOf(kind, this.scope), [change], never))
  }

  /** What a person deletes. */
  async drop(side: Side, kind: ItemKind, title: string): Promise<void> {
    const { id, version } = await this.find(side, kind, title)
    succeeded(await this.driver(side).remove(scopeOf(kind, this.scope), [{ id, version }], never))
  }

  #nextKey(): string {
    this.#keys += 1
    return `key-${this.#keys}`
  }
}

export function titleOf(item: Item): string {
  return item.kind === 'contact' ? item.surname : item.subject
}

function succeeded([outcome]: readonly WriteOutcome[]): void {
  if (outcome?.state !== 'done') throw new Error(`it was answered with ${outcome?.state}`)
}

function withoutMark(item: Item): Item {
  return { ...item, categories: item.categories.filter(name => name !== markCategory) }
}

async function* bytesOf(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text)
}

async function startEws(): Promise<MailboxSide> {
  const address = scopeOf('task').mailbox
  const exchange = await startExchangeEws({ mailboxes: [{ address, name: address }] })
  const open = (category: string) =>
    new EwsDriver({ ...ewsOptions(exchange.url, { auth: 'ntlm' }), markCategory: category })
  const driver = open(markCategory)
  const later: EwsDriver[] = []
  return {
    driver,
    async reopened(category) {
      later.push(open(category))
      return later.at(-1) ?? driver
    },
    setFaults: faults => exchange.setFaults(faults),
    clearFaults: () => exchange.clearFaults(),
    loseTokens: () => exchange.setFaults({ loseSyncStates: true }),
    addFolder: (name, kind, parent) => exchange.mailbox(address).addFolder(name, kindFacts[kind].folderClass, parent),
    move: (id, _, folder) => exchange.mailbox(address).move(id, folder),
    writeCount: () =>
      exchange.requests.filter(({ operation }) => /^(Create|Update|Delete)Item$/.test(operation)).length,
    async stop() {
      for (const each of [driver, ...later]) await each.close()
      await exchange.stop()
    },
  }
}

async function startGraphSide(): Promise<MailboxSide> {
  const { graph, driver, reopened, stop } = await startGraphDriver({ pageSize: 10 })
  const box = graph.mailbox(scopeOf('task').mailbox)
  const typeOf = { appointment: 'event', contact: 'contact', mail: 'message', task: 'todoTask' } as const
  return {
    driver,
    reopened: async category => reopened({ markCategory: category }),
    setFaults: faults => graph.setFaults(faults),
    clearFaults: () => graph.clearFaults(),
    loseTokens: () => graph.setFaults({ expireDeltas: true }),
    addFolder: (name, kind) => box.addFolder(name, typeOf[kind]).id,
    move: (id, kind, folder) => box.move(box.get(id, typeOf[kind]), folder),
    writeCount: () => graph.requests.filter(({ method }) => method !== 'GET').length,
    stop,
  }
}
