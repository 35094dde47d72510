import type { ItemKind } from '../plan/items.ts'
import { Account } from './account.ts'
import { DueHeap } from './due-heap.ts'
import type { ScheduleLimits } from './limits.ts'

/** Why a round is due, the more urgent the earlier. */
export type Lane = 'user' | 'push' | 'delta' | 'initial'
const lanes: readonly Lane[] = ['user', 'push', 'delta', 'initial']

export interface ScopeName {
  readonly organization: string
  readonly mailbox: string
  readonly kind: ItemKind
}

/** A round to be run now. */
export interface Turn extends ScopeName {
  readonly lane: Lane
  readonly startedAt: number
}

/** How a round ended. */
export type Ending =
  /** `again`: something is left that can be done at once. `laterMs`: look again after that time. */
  | { readonly state: 'done'; readonly again: boolean; readonly laterMs?: number }
  /** The mailbox failed; its other kinds wait with it. */
  | { readonly state: 'mailbox-failed'; readonly retryAfterMs?: number; readonly needsChange: boolean }
  /** The account behind all mailboxes of the organization: busy, or refused until somebody changes something. */
  | { readonly state: 'account-failed'; readonly retryAfterMs?: number; readonly needsChange: boolean }
  /** The hub stops. */
  | { readonly state: 'stopped' }

interface Entry extends ScopeName {
  readonly owner: Mailbox
  lane: Lane
  isReady: boolean
  isRunning: boolean
  /** Became due while it ran. */
  wanted: Lane | undefined
}

interface Mailbox {
  readonly name: string
  readonly entries: Map<ItemKind, Entry>
  runningCount: number
  failureCount: number
  pausedUntil: number
  isWatched: boolean
  isPaused: boolean
}

interface Organization {
  readonly name: string
  readonly account: Account
  readonly mailboxes: Map<string, Mailbox>
  readonly ready: Record<Lane, Set<Entry>>
  /** Work it has had, in milliseconds; the one that has had least is next. */
  charged: number
  startCount: number
}

/**
 * Decides which mailbox has its turn: a plain value with time handed in, so that a simulated day of 10,000 mailboxes
 * takes a second. Organizations get equal shares of the work, however many mailboxes they have; within one, what a
 * person asked for goes before notifications, those before polls, those before first syncs.
 */
export class Schedule {
  readonly #limits: ScheduleLimits
  readonly #random: () => number
  readonly #organizations = new Map<string, Organization>()
  readonly #due = new DueHeap<Entry>()
  #runningCount = 0

  constructor(limits: ScheduleLimits, random: () => number) {
    this.#limits = limits
    this.#random = random
  }

  get runningCount(): number {
    return this.#runningCount
  }

  /** Takes a scope in; its first round is due now, or somewhere in the next poll interval when it has been synced before. */
  add(scope: ScopeName, now: number, isFirst: boolean): void {
    const organization = this.#organizationOf(scope.organization)
    const mailbox = organization.mailboxes.get(scope.mailbox) ?? newMailbox(scope.mailbox)
    organization.mailboxes.set(scope.mailbox, mailbox)
    if (mailbox.entries.has(scope.kind)) return
    const state = { lane: isFirst ? 'initial' : 'delta', isReady: false, isRunning: false, wanted: undefined } as const
    const entry: Entry = { ...scope, owner: mailbox, ...state }
    mailbox.entries.set(scope.kind, entry)
    this.#due.set(entry, isFirst ? now : now + this.#random() * this.#limits.pollMs)
  }

  /** Takes a scope out; a round that runs ends by itself. */
  remove({ organization, mailbox, kind }: ScopeName): void {
    const found = this.#organizations.get(organization)
    const owner = found?.mailboxes.get(mailbox)
    const entry = owner?.entries.get(kind)
    if (!found || !owner || !entry) return
    this.#due.delete(entry)
    for (const lane of lanes) found.ready[lane].delete(entry)
    owner.entries.delete(kind)
    if (owner.entries.size === 0) found.mailboxes.delete(mailbox)
    if (found.mailboxes.size === 0 && found.account.runningCount === 0) this.#organizations.delete(organization)
  }

  /** Something happened in a mailbox, or a person wants it synced now (which ends its back-off). */
  request(
    name: { readonly organization: string; readonly mailbox: string },
    lane: Lane,
    now: number,
    kind?: ItemKind,
  ): void {
    const mailbox = this.#organizations.get(name.organization)?.mailboxes.get(name.mailbox)
    if (!mailbox || mailbox.isPaused) return
    if (lane === 'user') {
      mailbox.pausedUntil = Number.NEGATIVE_INFINITY
      mailbox.failureCount = 0
    }
    for (const entry of mailbox.entries.values()) {
      if (kind !== undefined && entry.kind !== kind) continue
      if (entry.isRunning) entry.wanted = moreUrgent(entry.wanted ?? lane, lane)
      else this.#bringForward(entry, lane, now + (lane === 'push' ? this.#limits.pushDelayMs : 0))
    }
  }

  /** Notifications of a mailbox come from now on, or no longer. */
  setWatched(name: { readonly organization: string; readonly mailbox: string }, isWatched: boolean, now: number): void {
    const mailbox = this.#organizations.get(name.organization)?.mailboxes.get(name.mailbox)
    if (!mailbox || mailbox.isWatched === isWatched) return
    mailbox.isWatched = isWatched
    // What happened before notifications came, or since they stopped, nobody told.
    this.request(name, 'push', now)
  }

  pause(name: { readonly organization: string; readonly mailbox: string }, isPaused: boolean, now: number): void {
    const mailbox = this.#organizations.get(name.organization)?.mailboxes.get(name.mailbox)
    if (!mailbox || mailbox.isPaused === isPaused) return
    mailbox.isPaused = isPaused
    if (!isPaused) this.request(name, 'user', now)
  }

  /** The account was changed: it is tried again at once. */
  resume(organization: string): void {
    this.#organizations.get(organization)?.account.resume()
  }

  /** Since when and until when an organization's account rests, for people who wonder. */
  accountState(
    organization: string,
  ): { readonly pausedUntil: number; readonly isRefused: boolean; readonly window: number } | undefined {
    const account = this.#organizations.get(organization)?.account
    return account && { pausedUntil: account.pausedUntil, isRefused: account.isRefused, window: account.window }
  }

  /** The next round to start, or undefined when none may; ask until then. */
  next(now: number): Turn | undefined {
    this.#moveDue(now)
    if (this.#runningCount >= this.#limits.running) return undefined
    let chosen: { readonly organization: Organization; readonly entry: Entry; readonly lane: Lane } | undefined
    for (const organization of this.#organizations.values()) {
      if (!organization.account.canStart(now)) continue
      if (chosen && organization.charged >= chosen.organization.charged) continue
      const pick = this.#pick(organization, now)
      if (pick) chosen = { organization, ...pick }
    }
    return chosen && this.#start(chosen.organization, chosen.entry, chosen.lane, now)
  }

  /** When asking `next` may have another answer without anything having ended. */
  nextAt(now: number): number | undefined {
    const times = [this.#due.nextAt()]
    for (const { account, ready } of this.#organizations.values()) {
      const hasReady = lanes.some(lane => ready[lane].size > 0)
      if (hasReady && account.pausedUntil > now) times.push(account.pausedUntil)
    }
    const known = times.filter(time => time !== undefined)
    return known.length === 0 ? undefined : Math.min(...known)
  }

  /** A round ended: what it cost is charged, and its next one is planned. */
  end(turn: Turn, ending: Ending, now: number): void {
    const organization = this.#organizations.get(turn.organization)
    if (!organization) return
    this.#runningCount -= 1
    organization.account.runningCount -= 1
    organization.charged += now - turn.startedAt - this.#limits.roundMsAssumed
    const mailbox = organization.mailboxes.get(turn.mailbox)
    const entry = mailbox?.entries.get(turn.kind)
    if (mailbox) mailbox.runningCount -= 1
    if (entry) entry.isRunning = false
    if (ending.state === 'stopped' || !mailbox || !entry) return
    if (ending.state === 'done') this.#planAfterDone(organization, mailbox, entry, ending, now)
    if (ending.state === 'mailbox-failed') this.#planAfterFailure(mailbox, entry, ending, now)
    if (ending.state === 'account-failed') {
      if (ending.needsChange) organization.account.refuse(now)
      else organization.account.backOff(now, turn.startedAt, ending.retryAfterMs)
      // It was not this mailbox's fault: it keeps its place, spread a little, since all of them come back at once.
      this.#due.set(entry, organization.account.pausedUntil + this.#random() * this.#limits.accountFirstMs)
    }
  }

  #planAfterDone(
    organization: Organization,
    mailbox: Mailbox,
    entry: Entry,
    { again, laterMs }: Extract<Ending, { state: 'done' }>,
    now: number,
  ): void {
    organization.account.succeed()
    mailbox.failureCount = 0
    mailbox.pausedUntil = Number.NEGATIVE_INFINITY
    const { wanted } = entry
    entry.wanted = undefined
    // What a first sync left over goes on behind the others; a delta keeps its lane.
    entry.lane = again ? entry.lane : 'delta'
    const pollMs = mailbox.isWatched ? this.#limits.watchedPollMs : this.#limits.pollMs
    if (wanted) this.#bringForward(entry, wanted, now + (wanted === 'push' ? this.#limits.pushDelayMs : 0))
    else if (again) this.#due.set(entry, now)
    else this.#due.set(entry, now + Math.min(this.#spread(pollMs), laterMs ?? Number.POSITIVE_INFINITY))
  }

  #planAfterFailure(
    mailbox: Mailbox,
    entry: Entry,
    { retryAfterMs, needsChange }: Extract<Ending, { state: 'mailbox-failed' }>,
    now: number,
  ): void {
    const { mailboxFirstMs, mailboxUpToMs } = this.#limits
    mailbox.failureCount += 1
    const waitMs = needsChange
      ? mailboxUpToMs
      : Math.min(mailboxFirstMs * 2 ** (mailbox.failureCount - 1), mailboxUpToMs)
    mailbox.pausedUntil = Math.max(mailbox.pausedUntil, now + (retryAfterMs ?? this.#spread(waitMs)))
    entry.wanted = undefined
    this.#due.set(entry, mailbox.pausedUntil)
  }

  #moveDue(now: number): void {
    for (let entry = this.#due.takeDue(now); entry; entry = this.#due.takeDue(now)) {
      const { owner } = entry
      if (owner.isPaused) continue
      if (owner.pausedUntil > now) {
        this.#due.set(entry, owner.pausedUntil)
        continue
      }
      const organization = this.#organizationOf(entry.organization)
      // An organization that had nothing to do does not come back with a claim to everything it did not use.
      if (lanes.every(lane => organization.ready[lane].size === 0) && organization.account.runningCount === 0) {
        organization.charged = Math.max(organization.charged, this.#leastCharged())
      }
      entry.isReady = true
      organization.ready[entry.lane].add(entry)
    }
  }

  /** The least that an organization with work has had. */
  #leastCharged(): number {
    let least = Number.POSITIVE_INFINITY
    for (const { charged, account, ready } of this.#organizations.values()) {
      const isActive = account.runningCount > 0 || lanes.some(lane => ready[lane].size > 0)
      if (isActive) least = Math.min(least, charged)
    }
    return Number.isFinite(least) ? least : 0
  }

  #pick(organization: Organization, now: number): { readonly entry: Entry; readonly lane: Lane } | undefined {
    // First syncs come last, but not never.
    const isInitialsTurn = organization.startCount % this.#limits.initialEvery === this.#limits.initialEvery - 1
    const order: readonly Lane[] = isInitialsTurn ? ['user', 'initial', 'push', 'delta'] : lanes
    for (const lane of order) {
      for (const entry of organization.ready[lane]) {
        if (entry.owner.isPaused || entry.owner.pausedUntil > now) {
          organization.ready[lane].delete(entry)
          entry.isReady = false
          if (!entry.owner.isPaused) this.#due.set(entry, entry.owner.pausedUntil)
        } else if (entry.owner.runningCount < this.#limits.runningPerMailbox) return { entry, lane }
      }
    }
    return undefined
  }

  #start(organization: Organization, entry: Entry, lane: Lane, now: number): Turn {
    organization.ready[lane].delete(entry)
    entry.isReady = false
    entry.isRunning = true
    entry.owner.runningCount += 1
    organization.account.runningCount += 1
    organization.startCount += 1
    organization.charged += this.#limits.roundMsAssumed
    this.#runningCount += 1
    const { organization: name, mailbox, kind } = entry
    return { organization: name, mailbox, kind, lane, startedAt: now }
  }

  /** Makes an entry due earlier or more urgent, never later. */
  #bringForward(entry: Entry, lane: Lane, at: number): void {
    const better = moreUrgent(entry.lane === 'initial' ? lane : entry.lane, lane)
    if (entry.isReady) {
      const organization = this.#organizationOf(entry.organization)
      organization.ready[entry.lane].delete(entry)
      organization.ready[better].add(entry)
      entry.lane = better
      return
    }
    entry.lane = better
    const dueAt = this.#due.dueAt(entry)
    const earliest = Math.max(at, entry.owner.pausedUntil)
    if (dueAt === undefined || dueAt > earliest) this.#due.set(entry, earliest)
  }

  #organizationOf(name: string): Organization {
    const known = this.#organizations.get(name)
    if (known) return known
    const ready = { user: new Set<Entry>(), push: new Set<Entry>(), delta: new Set<Entry>(), initial: new Set<Entry>() }
    const account = new Account(this.#limits)
    const charged = this.#leastCharged()
    const made = { name, account, mailboxes: new Map<string, Mailbox>(), ready, charged, startCount: 0 }
    this.#organizations.set(name, made)
    return made
  }

  #spread(ms: number): number {
    return ms * (1 + this.#limits.jitter * (2 * this.#random() - 1))
  }
}

function newMailbox(name: string): Mailbox {
  const state = { runningCount: 0, failureCount: 0, pausedUntil: Number.NEGATIVE_INFINITY }
  return { name, entries: new Map(), ...state, isWatched: false, isPaused: false }
}

function moreUrgent(one: Lane, other: Lane): Lane {
  return lanes.indexOf(one) <= lanes.indexOf(other) ? one : other
}
