import { silentLog } from '../../kernel/log.ts'
import { systemClock } from '../../kernel/time.ts'
import type { Scope } from '../drivers.ts'
import type { Contact, Item, ItemKind, Task } from '../plan/items.ts'
import { defaultRules, type KindRules, type SyncRules } from '../plan/rules.ts'
import { Claims } from './claims.ts'
import { type Decision, type SyncLimits, syncLimits } from './context.ts'
import { runRound } from './round.ts'
import type { RoundReport } from './round-state.ts'
import { calm, type Held, type Surroundings, WorldCrm, WorldMailbox } from './sides-world.ts'
import { openSyncStore } from './sqlite-sync-store.ts'
import type { SyncStore } from './sync-store.ts'

/** A mailbox and a CRM between which rounds run, for stories. */
export class Pair {
  readonly around: Surroundings
  readonly mailbox: WorldMailbox
  readonly crm: WorldCrm
  store: SyncStore
  readonly claims: Claims
  readonly scope: Scope
  readonly decisions: Decision[] = []
  rules: SyncRules
  limits: SyncLimits = { ...syncLimits, keysEveryMs: 0 }
  #keys = 0

  constructor(kind: ItemKind = 'appointment', beside?: Pair, file = ':memory:') {
    this.around = beside?.around ?? calm()
    this.mailbox = new WorldMailbox(this.around)
    this.crm = beside?.crm ?? new WorldCrm(this.around)
    this.store = beside?.store ?? openSyncStore({ file })
    this.claims = beside?.claims ?? new Claims({ now: () => this.around.now })
    const mailbox = beside ? 'b@x.example' : 'a@x.example'
    this.scope = { organization: 'x', mailbox, owner: mailbox, kind, folders: [], from: null, to: null }
    this.rules = defaultRules
    this.rule({ pastMs: undefined, onlyCategory: undefined })
  }

  rule(change: Partial<KindRules>): void {
    const { kind } = this.scope
    this.rules = { ...this.rules, kinds: { ...this.rules.kinds, [kind]: { ...this.rules.kinds[kind], ...change } } }
  }

  /** One round, four seconds after the last. */
  async round(): Promise<RoundReport> {
    this.around.now += 4000
    return runRound({
      scope: this.scope,
      drivers: { exchange: this.mailbox, crm: this.crm },
      store: this.store,
      rules: this.rules,
      clock: { ...systemClock, now: () => this.around.now },
      signal: new AbortController().signal,
      newKey: () => {
        this.#keys += 1
        return `${this.scope.mailbox} ${this.#keys}`
      },
      limits: this.limits,
      claims: this.claims,
      log: silentLog,
      journal: decision => this.decisions.push(decision),
    })
  }

  /** Rounds until nothing is left to do at once. */
  async settle(): Promise<void> {
    for (let count = 0; count < 6; count += 1) {
      const report = await this.round()
      if (!report.isUnfinished) return
    }
  }

  /** What was decided since the last question, as `created crm`, `skipped exchange private`. */
  told(): readonly string[] {
    return this.decisions
      .splice(0)
      .map(({ what, side, reason, error }) => [what, side, reason ?? error?.code].filter(Boolean).join(' '))
  }
}

/** A CRM that tells a mailbox what its employee owns, which is what that mailbox has brought; `owners` by id. */
export function ownedBy(owner: string, crm: WorldCrm, owners: Map<string, string>): WorldCrm {
  const isOwn = (id: string) => owners.get(id) === owner
  const own: Partial<WorldCrm> = {
    async changes(scope, token) {
      const page = await crm.changes(scope, token)
      return { ...page, changes: page.changes.filter(({ id }) => isOwn(id)) }
    },
    keys: async () => new Set([...(await crm.keys())].filter(isOwn)),
    async create(scope, items) {
      const outcomes = await crm.create(scope, items)
      for (const outcome of outcomes) if (outcome.state === 'done') owners.set(outcome.id, owner)
      return outcomes
    },
  }
  return new Proxy<WorldCrm>(crm, {
    get(target, name) {
      const value: unknown = Reflect.get(own, name) ?? Reflect.get(target, name)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

export function only(held: ReadonlyMap<string, Held>): Held {
  const [one, ...others] = held.values()
  if (!one || others.length > 0) throw new Error(`expected one item, found ${held.size}`)
  return one
}

export const titles = (held: ReadonlyMap<string, Held>): readonly string[] =>
  [...held.values()].map(({ item }) => ('subject' in item ? item.subject : item.surname)).toSorted()

export function edit<I extends Item>(change: Partial<I>): (item: Item) => Item {
  return item => ({ ...item, ...change })
}

export function contact(fields: Partial<Contact> = {}): Contact {
  const address = { street: '', postalCode: '', city: '', region: '', country: '' }
  return {
    kind: 'contact',
    party: 'contact',
    givenName: 'Ada',
    middleName: '',
    surname: 'Byron',
    company: 'Analytical Engines',
    department: '',
    jobTitle: '',
    emails: ['ada@c.example'],
    phones: { business: '', mobile: '', home: '', fax: '' },
    businessAddress: address,
    homeAddress: address,
    website: '',
    birthday: null,
    body: { type: 'text', content: '' },
    sensitivity: 'normal',
    categories: [],
    ...fields,
  }
}

export function task(fields: Partial<Task> = {}): Task {
  return {
    kind: 'task',
    subject: 'Call back',
    body: { type: 'text', content: '' },
    startDay: null,
    dueDay: '2026-11-30',
    completedDay: null,
    percentComplete: 0,
    status: 'open',
    importance: 'normal',
    sensitivity: 'normal',
    categories: [],
    reminderAt: null,
    recurrence: null,
    ...fields,
  }
}
