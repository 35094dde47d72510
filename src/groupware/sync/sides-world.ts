import type { HubError } from '../../kernel/error.ts'
import { MINUTE } from '../../kernel/time.ts'
import type {
  Abilities,
  Change,
  ChangePage,
  Concern,
  CreateOutcome,
  Creation,
  FeedPage,
  Removal,
  Scope,
  Side,
  SideDriver,
  SideItem,
  Update,
  WriteOutcome,
} from '../drivers.ts'
import type { Appointment, Item } from '../plan/items.ts'
import { askSince, watermarkToken } from './watermark.ts'

/** An item as a side of the test world has it. */
export interface Held {
  id: string
  uid: string
  version: number
  item: Item
  mark: string | null
  changedAt: number
  /** When the last change shows in the feed. */
  visibleAt: number
}

/** Time of a test world, and what happens to requests. */
export interface Surroundings {
  now: number
  /** Called before and after each request; a write that has several items is cut in the middle by `part`. */
  onRequest(side: Side, name: string, when: 'before' | 'after'): void
  /** Of a batch of writes only so many are carried out before the connection is cut; undefined: all of them. */
  cutAfter(side: Side, count: number): number | undefined
  /** A write that is carried out only later; false: now. */
  delays(side: Side, write: () => void): boolean
}

export const calm = (now = Date.UTC(2026, 10, 23)): Surroundings => ({
  now,
  onRequest() {},
  cutAfter: () => undefined,
  delays: () => false,
})

const pageChanges = 5
let uniqueId = 0

abstract class WorldSide implements SideDriver {
  abstract readonly side: Side
  readonly held = new Map<string, Held>()
  readonly requests = new Map<string, number>()
  /** Why the next creates and updates of these items (by subject) are refused. */
  readonly refusals = new Map<string, HubError>()
  /** Why this side cannot show these items (by id). */
  readonly damaged = new Map<string, HubError>()
  /** Writes that people's edits are not part of. */
  writeCount = 0
  readonly around: Surroundings

  constructor(around: Surroundings) {
    this.around = around
  }

  abstract abilities(): Abilities
  abstract changes(scope: Scope, token: string | undefined): Promise<ChangePage | 'token-lost'>
  abstract normalise(item: Item): Item
  protected abstract changed(held: Held, how: 'changed' | 'deleted'): void

  // ---- what people do

  add(item: Item, lagMs = 0): Held {
    uniqueId += 1
    const id = `${this.side === 'exchange' ? 'A' : 'B'}${uniqueId}`
    const held = { id, uid: `U${id}`, version: 1, item, mark: null, changedAt: this.around.now, visibleAt: 0 }
    held.visibleAt = this.around.now + lagMs
    this.held.set(id, held)
    this.changed(held, 'changed')
    return held
  }

  edit(id: string, change: (item: Item) => Item, lagMs = 0): void {
    const held = this.held.get(id)
    if (!held) return
    held.item = change(held.item)
    this.touch(held, lagMs)
  }

  drop(id: string): void {
    const held = this.held.get(id)
    if (!held) return
    this.held.delete(id)
    this.changed(held, 'deleted')
  }

  protected touch(held: Held, lagMs = 0): void {
    held.version += 1
    held.changedAt = this.around.now
    held.visibleAt = this.around.now + lagMs
    this.changed(held, 'changed')
  }

  // ---- what the sync asks

  protected request<T>(name: string, answer: () => T): Promise<T> {
    this.requests.set(name, (this.requests.get(name) ?? 0) + 1)
    this.around.onRequest(this.side, name, 'before')
    const value = answer()
    this.around.onRequest(this.side, name, 'after')
    return Promise.resolve(value)
  }

  async read(_scope: Scope, ids: readonly string[]): Promise<readonly (SideItem | undefined)[]> {
    const [error] = ids.flatMap(id => this.damaged.get(id) ?? [])
    if (error) throw error
    return this.request('read', () => ids.map(id => this.show(this.held.get(id))))
  }

  async findByMark(_scope: Scope, marks: readonly string[]): Promise<readonly (readonly SideItem[])[]> {
    return this.request('find', () => marks.map(mark => this.search(held => held.mark === mark)))
  }

  async findByIdentity(_scope: Scope, identities: readonly string[]): Promise<readonly (readonly SideItem[])[]> {
    return this.request('find', () =>
      identities.map(identity => this.search(held => this.identityOf(held) === identity)),
    )
  }

  async create(_scope: Scope, items: readonly Creation[]): Promise<readonly CreateOutcome[]> {
    return this.writeAll('create', items, ({ item, mark }): CreateOutcome => {
      const error = this.refusals.get('subject' in item ? item.subject : '')
      if (error) return { state: 'refused', error }
      const held = this.add(this.normalise(item))
      held.mark = mark
      return { state: 'done', id: held.id, version: String(held.version), identity: this.identityOf(held) }
    })
  }

  async update(_scope: Scope, changes: readonly Update[]): Promise<readonly WriteOutcome[]> {
    return this.writeAll('update', changes, ({ id, version, after, before, fields, mark }): WriteOutcome => {
      const held = this.held.get(id)
      if (!held) return { state: 'gone' }
      if (String(held.version) !== version) return { state: 'conflict' }
      const error = this.refusals.get('subject' in after ? after.subject : '')
      if (error) return { state: 'refused', error }
      const values = Object.fromEntries(fields.map(field => [field, after[field as keyof Item]]))
      if (after !== before) held.item = this.normalise({ ...held.item, ...values })
      if (mark !== undefined) held.mark = mark
      if (mark === null) held.item = { ...held.item, categories: [] }
      this.touch(held)
      return { state: 'done', id, version: String(held.version), identity: this.identityOf(held) }
    })
  }

  async remove(_scope: Scope, items: readonly Removal[]): Promise<readonly WriteOutcome[]> {
    return this.writeAll('remove', items, ({ id }): WriteOutcome => {
      this.drop(id)
      return { state: 'done', id, version: '', identity: null }
    })
  }

  concerns({ isAboutMessage }: HubError): Concern {
    return isAboutMessage ? 'item' : 'mailbox'
  }

  protected identityOf(held: Held): string | null {
    if (this.side === 'crm') return held.id
    // As in Exchange: contacts and tasks have nothing that stays with them but our mark.
    return held.item.kind === 'contact' || held.item.kind === 'task' ? null : held.uid
  }

  protected show(held: Held | undefined): SideItem | undefined {
    if (!held) return undefined
    const { id, version, item, mark, changedAt } = held
    return {
      id,
      version: String(version),
      identity: this.identityOf(held),
      mark,
      modifiedAt: changedAt,
      folder: null,
      item,
    }
  }

  private search(fits: (held: Held) => boolean): readonly SideItem[] {
    return [...this.held.values()].filter(fits).flatMap(held => this.show(held) ?? [])
  }

  private writeAll<T, O>(name: string, items: readonly T[], write: (one: T) => O): Promise<readonly O[]> {
    const cut = this.around.cutAfter(this.side, items.length)
    return this.request(name, () => {
      this.writeCount += items.length
      const done = items.slice(0, cut)
      if (this.around.delays(this.side, () => done.map(write))) return []
      const outcomes = done.map(write)
      if (cut !== undefined) this.around.onRequest(this.side, `${name} (cut)`, 'after')
      return outcomes
    })
  }
}

/** A calendar as Exchange has it: SyncState that can be lost, ChangeKeys, UIDs, a searchable mark. */
export class WorldMailbox extends WorldSide {
  readonly side = 'exchange'
  #log: { readonly id: string; readonly isDeleted: boolean; readonly version: number }[] = []
  #epoch = 1
  /** Changes of a page in another order, and some of them twice. */
  isDisorderly = false

  abilities(): Abilities {
    return {
      holds: true,
      holdsMark: true,
      listsMarks: true,
      tellsDeletions: true,
      holdsSeries: true,
      batch: { read: 10, write: 10, find: 10 },
    }
  }

  loseState(): void {
    this.#epoch += 1
  }

  /** Moved to another folder: another id, the same item. */
  move(id: string): void {
    const held = this.held.get(id)
    if (!held) return
    this.drop(id)
    uniqueId += 1
    held.id = `A${uniqueId}`
    this.held.set(held.id, held)
    this.touch(held)
  }

  normalise(item: Item): Item {
    return item
  }

  changes(_scope: Scope, token: string | undefined): Promise<ChangePage | 'token-lost'> {
    return this.request('changes', () => {
      const [epoch, from = 0] = (token ?? `${this.#epoch}:0`).split(':').map(Number)
      if (epoch !== this.#epoch) return 'token-lost'
      const latest = new Map<string, { isDeleted: boolean; at: number; version: number }>()
      const known = new Set(this.#log.slice(0, from).map(({ id }) => id))
      for (const [index, { id, isDeleted, version }] of this.#log.entries()) {
        if (index < from) continue
        latest.delete(id)
        latest.set(id, { isDeleted, at: index, version })
      }
      // As Exchange: what came and went since the token is not spoken of.
      const all = [...latest].filter(([id, change]) => !change.isDeleted || known.has(id))
      const page = all.slice(0, pageChanges)
      const hasMore = all.length > page.length
      const upTo = hasMore ? (page.at(-1)?.[1].at ?? 0) + 1 : this.#log.length
      const changes = page.map(([id, { isDeleted, version }]): Change => {
        return isDeleted ? { id, isDeleted } : { id, isDeleted, version: String(version) }
      })
      if (this.isDisorderly) changes.push(...changes.slice(0, 2).toReversed())
      return { changes: this.isDisorderly ? changes.toReversed() : changes, token: `${this.#epoch}:${upTo}`, hasMore }
    })
  }

  protected changed({ id, version }: Held, how: 'changed' | 'deleted'): void {
    this.#log.push({ id, isDeleted: how === 'deleted', version })
  }
}

/**
 * A CRM as Cloud for Customer: changes by time that show late, no word of deletions, a mark that appointments have. What
 * it cannot hold: categories, reminders, blanks in a row in the place.
 */
export class WorldCrm extends WorldSide {
  readonly side = 'crm'
  readonly #deleted: { readonly held: Held; readonly until: number }[] = []
  overlapMs = 3000
  holdsMark = true
  /** Whose items all of them are. */
  owner = ''
  /** For how long the feed still shows what is deleted. */
  staleMs = 0

  abilities(): Abilities {
    return {
      holds: true,
      holdsMark: this.holdsMark,
      tellsDeletions: false,
      holdsSeries: true,
      batch: { read: 10, write: 10, find: 10 },
    }
  }

  normalise(item: Item): Item {
    if (item.kind !== 'appointment') return { ...item, categories: [] }
    return { ...item, categories: [], reminderMinutes: null, location: item.location.replace(/ +/g, ' ').trim() }
  }

  changes(_scope: Scope | undefined, token: string | undefined): Promise<ChangePage> {
    return this.request('changes', () => {
      const { now } = this.around
      const since = askSince(token, this.overlapMs) ?? 0
      const stale = this.#deleted.filter(({ until }) => until > now).map(({ held }) => held)
      const shown = [...this.held.values(), ...stale].filter(held => held.changedAt >= since && held.visibleAt <= now)
      const changes = shown.flatMap((held): Change[] => {
        const item = this.show(held)
        return item ? [{ id: held.id, isDeleted: false, version: item.version, item }] : []
      })
      return { changes, token: watermarkToken(now), hasMore: false }
    })
  }

  async feed(_organization: string, _kind: string, token: string | undefined): Promise<FeedPage> {
    const page = await this.changes(undefined, token)
    return { ...page, owners: page.changes.map(() => [this.owner]) }
  }

  keys(): Promise<ReadonlySet<string>> {
    return this.request('keys', () => new Set(this.held.keys()))
  }

  async findAlike(_scope: Scope, item: Item, since: number): Promise<readonly SideItem[]> {
    const start = 'start' in item ? item.start : undefined
    return this.request('find', () =>
      [...this.held.values()]
        .filter(
          held => held.changedAt >= since - MINUTE && ('start' in held.item ? held.item.start : undefined) === start,
        )
        .flatMap(held => this.show(held) ?? []),
    )
  }

  protected changed(held: Held, how: 'changed' | 'deleted'): void {
    if (how === 'deleted') this.#deleted.push({ held: { ...held }, until: this.around.now + this.staleMs })
  }
}

/** An appointment with nothing special about it. */
export function appointment(fields: Partial<Appointment> = {}): Appointment {
  return {
    kind: 'appointment',
    activity: 'appointment',
    subject: 'Jour fixe',
    start: '2026-11-23T08:00:00Z',
    end: '2026-11-23T09:00:00Z',
    isAllDay: false,
    zone: 'Europe/Berlin',
    location: 'Walldorf',
    body: { type: 'text', content: 'Agenda' },
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
    ...fields,
  }
}
