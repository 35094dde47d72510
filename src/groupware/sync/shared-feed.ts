import { type Clock, HOUR, MINUTE, SECOND, steadyClock } from '../../kernel/time.ts'
import type { Change, ChangePage, Scope, SideDriver, SideItem } from '../drivers.ts'
import { groupwareErrors } from '../errors.ts'
import type { ItemKind } from '../plan/items.ts'
import { syncLimits } from './context.ts'
import { watermarkLimits } from './watermark.ts'

export const feedLimits = {
  /** The feed is asked again when its last answer is older than this; all mailboxes of an organization share it. */
  freshMs: 30 * SECOND,
  /** After an answer of more changes it is asked again only later, as many times as long as it has so many changes. */
  changesAtOnce: 1000,
  freshUpToMs: 5 * MINUTE,
  /** Above so many writes of our own within some minutes the feed is asked for keys and versions only. */
  writesBrief: 200,
  /** The keys of all items are fetched at most so often. */
  keysFreshMs: 10 * MINUTE,
  /** Answers are kept for so long. */
  keptMs: 60 * MINUTE,
  /** Changes that are kept at most, whatever their age. */
  keptChanges: 100_000,
  /** Whole items that are kept beside them; others are read when their turn comes. */
  keptItems: 2000,
  /** A mailbox that comes from before the kept answers has the feed asked anew from then; after longer it asks by itself. */
  reachMs: 24 * HOUR,
  /** Others come soon after it, from a little earlier. */
  reachSpareMs: 40 * MINUTE,
} as const

type FeedLimits = { readonly [K in keyof typeof feedLimits]: number }

/**
 * A driver whose changes of all owners are asked for once and handed out to the mailboxes: with 10,000 mailboxes one
 * question instead of 10,000. Drivers without a feed are left as they are.
 */
export function withSharedFeed(driver: SideDriver, clock: Clock, limits: FeedLimits = feedLimits): SideDriver {
  if (!driver.feed) return driver
  const feeds = new Map<string, KindFeed>()
  const steady = steadyClock(clock)
  const feedOf = ({ organization, kind }: Pick<Scope, 'organization' | 'kind'>): KindFeed => {
    const name = `${kind} ${organization}`
    const feed = feeds.get(name) ?? new KindFeed(driver, organization, kind, steady, limits)
    feeds.set(name, feed)
    return feed
  }
  const changes: SideDriver['changes'] = async (scope, token, signal) => {
    const answer = token === undefined ? undefined : await feedOf(scope).since(scope.owner, token, signal)
    return answer ?? (await driver.changes(scope, token, signal))
  }
  const keys = driver.allKeys
    ? (scope: Scope, signal: AbortSignal) => feedOf(scope).keys(signal)
    : driver.keys?.bind(driver)
  const plain = bound(driver)
  return {
    ...plain,
    changes,
    ...(keys && { keys }),
    feedRestMs: (organization, kind) => feedOf({ organization, kind }).restMs,
    create: (scope, items, signal) =>
      feedOf(scope).afterCreating(items.length, () => plain.create(scope, items, signal)),
    update: (scope, items, signal) => feedOf(scope).whileWriting(items, () => plain.update(scope, items, signal)),
    remove: (scope, items, signal) => feedOf(scope).whileWriting(items, () => plain.remove(scope, items, signal)),
  }
}

/** The driver as a plain object: it may be of a class, whose methods and private fields a spread would lose. */
function bound(driver: SideDriver): SideDriver {
  const { side, sharesRequests, check, findAlike, refusal, sweep, openAttachment, watch, translateIds, close } = driver
  return {
    side,
    ...(sharesRequests && { sharesRequests }),
    abilities: kind => driver.abilities(kind),
    changes: (...parameters) => driver.changes(...parameters),
    read: (...parameters) => driver.read(...parameters),
    findByMark: (...parameters) => driver.findByMark(...parameters),
    findByIdentity: (...parameters) => driver.findByIdentity(...parameters),
    create: (...parameters) => driver.create(...parameters),
    update: (...parameters) => driver.update(...parameters),
    remove: (...parameters) => driver.remove(...parameters),
    normalise: item => driver.normalise(item),
    concerns: error => driver.concerns(error),
    ...(check && { check: check.bind(driver) }),
    ...(findAlike && { findAlike: findAlike.bind(driver) }),
    ...(refusal && { refusal: refusal.bind(driver) }),
    ...(sweep && { sweep: sweep.bind(driver) }),
    ...(openAttachment && { openAttachment: openAttachment.bind(driver) }),
    ...(watch && { watch: watch.bind(driver) }),
    ...(translateIds && { translateIds: translateIds.bind(driver) }),
    ...(close && { close: close.bind(driver) }),
  }
}

/** One answer of the feed: everything that became visible between the question before and this one, or was told twice. */
interface Answer {
  readonly number: number
  /** When it was asked for, by the clock of the hub. */
  readonly at: number
  /** Token that the question began from, and the one that it ended with, by the clock of the CRM. */
  readonly from: number
  readonly upTo: number
  readonly byOwner: ReadonlyMap<string, readonly Change[]>
  readonly count: number
}

class KindFeed {
  readonly #driver: SideDriver
  readonly #organization: string
  readonly #kind: ItemKind
  readonly #clock: Clock
  readonly #limits: FeedLimits
  #answers: Answer[] = []
  #answerCount = 0
  /** Items that we wrote, each with the last answer that may show what it was before. */
  readonly #written = new Map<string, number>()
  /** The newest items as the feed brought them, apart from the answers, which repeat themselves. */
  readonly #items = new Map<string, SideItem>()
  /** Writes of our own, as they fade in the feed, and when they were counted. */
  #ownWrites = 0
  #ownWritesAt = 0
  #freshMs: number
  #askedAt = Number.NEGATIVE_INFINITY
  #asking: Promise<void> | undefined
  #keys: { readonly at: number; readonly keys: Promise<ReadonlySet<string>> } | undefined

  constructor(driver: SideDriver, organization: string, kind: ItemKind, clock: Clock, limits: FeedLimits) {
    this.#driver = driver
    this.#organization = organization
    this.#kind = kind
    this.#clock = clock
    this.#limits = limits
    this.#freshMs = limits.freshMs
  }

  /** After this time whoever asks is told of all that the CRM tells now. */
  get restMs(): number {
    if (this.#asking) return this.#limits.freshUpToMs
    return Math.max(0, this.#askedAt + this.#freshMs - this.#clock.now())
  }

  /** What an owner's items did since a token, or undefined when the kept answers do not reach back so far. */
  async since(owner: string, token: string, signal: AbortSignal): Promise<ChangePage | undefined> {
    const since = Date.parse(token)
    if (this.#clock.now() - this.#askedAt > this.#freshMs) await this.#ask(since, signal)
    // Somebody else's question may have been under way, which began later.
    for (let tries = 0; tries < 2 && !this.#reaches(since); tries += 1) {
      if (this.#tokenTime() - since > this.#limits.reachMs) return undefined
      await this.#ask(since, signal)
    }
    const last = this.#answers.at(-1)
    if (!last || !this.#reaches(since)) return undefined
    const latest = new Map<string, Change>()
    for (const { upTo, byOwner, number } of this.#answers) {
      if (upTo <= since) continue
      for (const change of byOwner.get(owner) ?? []) latest.set(change.id, this.#asOfNow(change, number))
    }
    return { changes: [...latest.values()], token: new Date(Math.max(last.upTo, since)).toISOString(), hasMore: false }
  }

  /** What the feed knows of items that are written is of yesterday from then on: they are read anew. */
  async whileWriting<T>(items: readonly { readonly id: string }[], write: () => Promise<T>): Promise<T> {
    this.#noteWritten(items)
    this.#countOwn(items.length)
    try {
      return await write()
    } finally {
      this.#noteWritten(items)
    }
  }

  async afterCreating<T>(count: number, create: () => Promise<T>): Promise<T> {
    this.#countOwn(count)
    return create()
  }

  /** What we write comes back for as long as watermarks overlap. */
  #countOwn(count: number): void {
    const now = this.#clock.now()
    this.#ownWrites *= Math.exp((this.#ownWritesAt - now) / watermarkLimits.overlapMs)
    this.#ownWrites += count
    this.#ownWritesAt = now
  }

  #noteWritten(items: readonly { readonly id: string }[]): void {
    // A question that is under way may have been answered before the write.
    const number = this.#answerCount + (this.#asking ? 1 : 0)
    for (const { id } of items) this.#written.set(id, number)
  }

  #asOfNow(change: Change, number: number): Change {
    if (change.isDeleted) return change
    if (number <= (this.#written.get(change.id) ?? 0)) return { id: change.id, isDeleted: false }
    const item = this.#items.get(change.id)
    return item && item.version === change.version ? { ...change, item } : change
  }

  #reaches(since: number): boolean {
    const [first] = this.#answers
    return first !== undefined && since >= first.from
  }

  /** Now, by the clock of the tokens: it is the one of the CRM, which may be far from the hub's. */
  #tokenTime(): number {
    const last = this.#answers.at(-1)
    return last ? last.upTo + this.#clock.now() - last.at : this.#clock.now()
  }

  keys(signal: AbortSignal): Promise<ReadonlySet<string>> {
    const { allKeys } = this.#driver
    if (!allKeys) return Promise.resolve(new Set())
    const now = this.#clock.now()
    if (!this.#keys || now - this.#keys.at > this.#limits.keysFreshMs) {
      const keys = allKeys.call(this.#driver, this.#organization, this.#kind, signal)
      this.#keys = { at: now, keys }
      // Whoever asked is told of the failure; the next one asks anew.
      keys.catch(() => {
        if (this.#keys?.keys === keys) this.#keys = undefined
      })
    }
    return this.#keys.keys
  }

  /** One question at a time, whoever asks. */
  async #ask(since: number, signal: AbortSignal): Promise<void> {
    this.#asking ??= this.#fetch(since, signal).finally(() => {
      this.#asking = undefined
    })
    await this.#asking
  }

  async #fetch(since: number, signal: AbortSignal): Promise<void> {
    const last = this.#answers.at(-1)
    // After a start of the hub all mailboxes come from some time ago: one question for all of it instead of one for each.
    const isOn = last !== undefined && this.#reaches(since)
    const start = new Date(isOn ? last.upTo : since - this.#limits.reachSpareMs).toISOString()
    const askedAt = this.#clock.now()
    const byOwner = new Map<string, Change[]>()
    this.#countOwn(0)
    // Most of what is told then are our own writes, whose versions say so.
    const isBrief = this.#ownWrites > this.#limits.writesBrief
    let token = start
    let count = 0
    for (let pages = 1; ; pages += 1) {
      const page = await this.#driver.feed?.(this.#organization, this.#kind, token, signal, isBrief)
      if (!page) return
      for (const [index, change] of page.changes.entries()) {
        for (const owner of page.owners[index] ?? []) {
          const changes = byOwner.get(owner) ?? []
          changes.push(this.#withoutItem(change))
          byOwner.set(owner, changes)
          count += 1
        }
      }
      token = page.token
      if (!page.hasMore) break
      if (pages >= syncLimits.pagesMax) {
        throw groupwareErrors.ENDLESS_LISTING({ side: 'crm', mailbox: 'all mailboxes', kind: this.#kind, pages })
      }
    }
    this.#answerCount += 1
    if (!isOn) this.#answers = []
    const [from, upTo] = [Date.parse(start), Date.parse(token)]
    this.#answers.push({ number: this.#answerCount, at: askedAt, from, upTo, byOwner, count })
    this.#askedAt = askedAt
    const { freshMs, freshUpToMs, changesAtOnce } = this.#limits
    this.#freshMs = Math.max(freshMs, Math.min(freshUpToMs, (freshMs * count) / changesAtOnce))
    this.#forgetOld()
  }

  #withoutItem(change: Change): Change {
    if (change.isDeleted || !change.item) return change
    const { item, ...rest } = change
    this.#items.delete(change.id)
    this.#items.set(change.id, item)
    const [oldest] = this.#items.keys()
    if (this.#items.size > this.#limits.keptItems && oldest !== undefined) this.#items.delete(oldest)
    return rest
  }

  #forgetOld(): void {
    const { keptMs, keptChanges } = this.#limits
    const now = this.#clock.now()
    for (const [id, number] of this.#written) {
      if (number < (this.#answers[0]?.number ?? 0)) this.#written.delete(id)
    }
    let kept = this.#answers.reduce((sum, answer) => sum + answer.count, 0)
    while (this.#answers.length > 1) {
      const [oldest] = this.#answers
      if (!oldest || (now - oldest.at <= keptMs && kept <= keptChanges)) return
      kept -= oldest.count
      this.#answers.shift()
    }
  }
}
