import type { ItemKind } from '../plan/items.ts'
import { Account } from './account.ts'
import { DueHeap } from './due-heap.ts'
import { type ScheduleLimits, wishedWaitMs } from './limits.ts'

/** Why a mailbox is due, the more urgent the earlier. */
export type Lane = 'user' | 'push' | 'delta' | 'initial'
const lanes: readonly Lane[] = ['user', 'push', 'delta', 'initial']

export interface MailboxName {
  readonly organization: string
  readonly mailbox: string
}

/** A mailbox to be synced now. */
export interface Turn extends MailboxName {
  readonly lane: Lane
  /** Only these kinds (notifications named them); undefined: all. */
  readonly kinds: readonly ItemKind[] | undefined
  readonly startedAt: number
}

/** How a turn ended. */
export type Ending =
  /**
   * `again`: something is left that can be done at once. `laterMs`: look again after that time, a minute at least, at the
   * latest.
   */
  | { readonly state: 'done'; readonly again: boolean; readonly laterMs?: number }
  /** The mailbox failed. */
  | ({ readonly state: 'mailbox-failed' } & Failure)
  /** The account behind all mailboxes of the organization failed: it is busy or refused. */
  | ({ readonly state: 'account-failed' } & Failure)
  /** It was not synced (any more), or the hub stops. */
  | { readonly state: 'left' }

interface Failure {
  readonly retryAfterMs?: number
  /** Until somebody changes something. */
  readonly needsChange: boolean
  /** Whether it is the mailbox or the account is not known for sure: both are tried sooner again. */
  readonly isInDoubt?: boolean
}

interface Mailbox extends MailboxName {
  /** How often it is asked without notifications. */
  pollMs: number
  lane: Lane
  /** When all kinds are due. */
  fullAt: number
  /** Kinds that notifications named since the last turn; they are due earlier. */
  readonly named: Set<ItemKind>
  isReady: boolean
  isRunning: boolean
  /** Became due while it ran. */
  wanted: { readonly lane: Lane; readonly kind: ItemKind | undefined }[]
  failureCount: number
  /** Turns in a row that left something over. */
  againCount: number
  pausedUntil: number
  isWatched: boolean
}

interface Organization {
  readonly name: string
  readonly account: Account
  readonly mailboxes: Map<string, Mailbox>
  readonly ready: Record<Lane, Set<Mailbox>>
  /** Work it has had, in milliseconds; the one that has had least is next. */
  charged: number
  startCount: number
}

/**
 * Decides which mailbox has its turn: a plain value with time handed in, so that a simulated day of 10,000 mailboxes
 * takes seconds. Organizations get equal shares of the work, however many mailboxes they have; within one, what a person
 * asked for goes before notifications, those before polls, those before first syncs.
 */
export class Schedule {
  readonly #limits: ScheduleLimits
  readonly #random: () => number
  readonly #organizations = new Map<string, Organization>()
  readonly #due = new DueHeap<Mailbox>()
  #runningCount = 0

  constructor(limits: ScheduleLimits, random: () => number) {
    this.#limits = limits
    this.#random = random
  }

  get runningCount(): number {
    return this.#runningCount
  }

  /**
   * Takes a mailbox in: due now for its first sync, else somewhere in the next poll interval. One that is there already
   * is asked every `pollMs` from its next turn on.
   */
  add(name: MailboxName, now: number, isFirst: boolean, pollMs: number = this.#limits.pollMs): void {
    const organization = this.#organizationOf(name.organization)
    const known = organization.mailboxes.get(name.mailbox)
    if (known) {
      known.pollMs = pollMs
      return
    }
    const mailbox: Mailbox = {
      organization: name.organization,
      mailbox: name.mailbox,
      pollMs,
      lane: isFirst ? 'initial' : 'delta',
      fullAt: isFirst ? now : now + this.#random() * pollMs,
      named: new Set(),
      isReady: false,
      isRunning: false,
      wanted: [],
      failureCount: 0,
      againCount: 0,
      pausedUntil: Number.NEGATIVE_INFINITY,
      isWatched: false,
    }
    organization.mailboxes.set(name.mailbox, mailbox)
    this.#due.set(mailbox, mailbox.fullAt)
  }

  /** Takes a mailbox out; a turn that runs ends by itself. */
  remove(name: MailboxName): void {
    const organization = this.#organizations.get(name.organization)
    const mailbox = organization?.mailboxes.get(name.mailbox)
    if (!organization || !mailbox) return
    this.#due.delete(mailbox)
    for (const lane of lanes) organization.ready[lane].delete(mailbox)
    organization.mailboxes.delete(name.mailbox)
    this.#forgetEmpty(organization)
  }

  /** Something happened in a mailbox, or a person wants it synced now, or at all (which ends its back-off). */
  request(name: MailboxName, lane: Lane, now: number, kind?: ItemKind): void {
    const mailbox = this.#find(name)
    if (!mailbox) return
    if (lane === 'user' || lane === 'initial') {
      mailbox.pausedUntil = Number.NEGATIVE_INFINITY
      mailbox.failureCount = 0
    }
    if (mailbox.isRunning) mailbox.wanted.push({ lane, kind })
    else this.#bringForward(mailbox, lane, kind, now)
  }

  /** An earlier life of the hub has left something over in it, which can be done from then on. */
  goOn(name: MailboxName, at: number): void {
    this.request(name, 'delta', at + this.#random() * this.#limits.goOnMs)
  }

  /** Notifications of a mailbox come from now on, or no longer. */
  setWatched(name: MailboxName, isWatched: boolean, now: number): void {
    const mailbox = this.#find(name)
    if (!mailbox || mailbox.isWatched === isWatched) return
    mailbox.isWatched = isWatched
    // What happened before notifications came, or since they stopped, nobody told.
    this.request(name, 'push', now)
  }

  /** The account was changed: it is tried again at once. */
  resume(organization: string): void {
    this.#organizations.get(organization)?.account.resume()
  }

  /** How much of an organization's account may be used, for people who wonder. */
  accountState(name: string): AccountState | undefined {
    const account = this.#organizations.get(name)?.account
    return account && { pausedUntil: account.pausedUntil, isRefused: account.isRefused, window: account.window }
  }

  /** The next turn to start, or undefined when none may start now. */
  next(now: number): Turn | undefined {
    this.#moveDue(now)
    if (this.#runningCount >= this.#limits.running) return undefined
    let chosen: Organization | undefined
    for (const organization of this.#organizations.values()) {
      if (!organization.account.canStart(now) || !hasReady(organization)) continue
      if (!chosen || organization.charged < chosen.charged) chosen = organization
    }
    return chosen && this.#start(chosen, now)
  }

  /** When `next` may have another answer without a turn having ended. */
  nextAt(now: number): number | undefined {
    let earliest = this.#due.nextAt() ?? Number.POSITIVE_INFINITY
    for (const organization of this.#organizations.values()) {
      const { pausedUntil } = organization.account
      if (pausedUntil > now && hasReady(organization)) earliest = Math.min(earliest, pausedUntil)
    }
    return Number.isFinite(earliest) ? earliest : undefined
  }

  /** A turn ended: what it cost is charged, and the mailbox's next one is planned. */
  end(turn: Turn, ending: Ending, now: number): void {
    this.#runningCount -= 1
    const organization = this.#organizations.get(turn.organization)
    if (!organization) return
    organization.account.runningCount -= 1
    organization.charged += now - turn.startedAt - this.#limits.turnMsAssumed
    const mailbox = organization.mailboxes.get(turn.mailbox)
    if (mailbox) {
      mailbox.isRunning = false
      this.#planNext(organization, mailbox, turn, ending, now)
      for (const { lane, kind } of mailbox.wanted.splice(0)) this.#bringForward(mailbox, lane, kind, now)
    }
    this.#forgetEmpty(organization)
  }

  #planNext(organization: Organization, mailbox: Mailbox, turn: Turn, ending: Ending, now: number): void {
    const { account } = organization
    const { accountFirstMs } = this.#limits
    switch (ending.state) {
      case 'done':
        account.succeed()
        this.#planAfterDone(mailbox, turn, ending, now)
        break
      case 'mailbox-failed':
        this.#planAfterFailure(mailbox, ending, now)
        break
      case 'account-failed':
        if (ending.needsChange) account.refuse(now, turn.startedAt, ending.isInDoubt)
        else account.backOff(now, turn.startedAt, ending.retryAfterMs)
        // It was not this mailbox's fault. They all come back together, so they are spread a little.
        this.#planFull(mailbox, account.pausedUntil + this.#random() * accountFirstMs)
        break
      case 'left':
        // Whoever left it aside says when it is wanted again.
        this.#planFull(mailbox, now + this.#spread(mailbox.pollMs))
    }
  }

  #planAfterDone(
    mailbox: Mailbox,
    turn: Turn,
    { again, laterMs = Number.POSITIVE_INFINITY }: Extract<Ending, { state: 'done' }>,
    now: number,
  ): void {
    mailbox.failureCount = 0
    mailbox.pausedUntil = Number.NEGATIVE_INFINITY
    // What a first sync left over goes on behind the others.
    if (!again) mailbox.lane = 'delta'
    // Notifications of one kind must not put off the others, of which perhaps none arrives.
    if (turn.kinds === undefined) {
      mailbox.fullAt = again
        ? now
        : now + this.#spread(mailbox.isWatched ? Math.max(this.#limits.watchedPollMs, mailbox.pollMs) : mailbox.pollMs)
    }
    // What nobody will tell of waits neither for a poll, which may be far, nor for other notifications.
    mailbox.fullAt = Math.min(mailbox.fullAt, now + Math.max(laterMs, this.#limits.mailboxFirstMs))
    if (again) for (const kind of turn.kinds ?? []) mailbox.named.add(kind)
    mailbox.againCount = again ? mailbox.againCount + 1 : 0
    // What is left over for the tenth time (an item that another program changes all the time) must not keep us busy.
    const { againAtOnce, againFirstMs } = this.#limits
    const pauseMs = mailbox.againCount <= againAtOnce ? 0 : againFirstMs * 2 ** (mailbox.againCount - againAtOnce - 1)
    this.#due.set(mailbox, again ? now + Math.min(pauseMs, mailbox.pollMs) : mailbox.fullAt)
  }

  #planAfterFailure(mailbox: Mailbox, { retryAfterMs, needsChange, isInDoubt = false }: Failure, now: number): void {
    const { mailboxFirstMs, mailboxUpToMs } = this.#limits
    mailbox.failureCount += 1
    const doubledMs = Math.min(mailboxFirstMs * 2 ** (mailbox.failureCount - 1), mailboxUpToMs)
    const waitMs =
      retryAfterMs === undefined
        ? this.#spread(needsChange && !isInDoubt ? mailboxUpToMs : doubledMs)
        : wishedWaitMs(this.#limits, retryAfterMs, mailbox.failureCount, mailboxFirstMs)
    mailbox.pausedUntil = now + waitMs
    this.#planFull(mailbox, mailbox.pausedUntil)
  }

  #planFull(mailbox: Mailbox, at: number): void {
    mailbox.fullAt = at
    this.#due.set(mailbox, at)
  }

  #moveDue(now: number): void {
    for (let mailbox = this.#due.takeDue(now); mailbox; mailbox = this.#due.takeDue(now)) {
      const organization = this.#organizationOf(mailbox.organization)
      // One that had nothing to do does not come back with a claim to everything that it did not use.
      if (!isActive(organization)) organization.charged = Math.max(organization.charged, this.#leastCharged())
      mailbox.isReady = true
      organization.ready[mailbox.lane].add(mailbox)
    }
  }

  /** The least that an organization with work has had. */
  #leastCharged(): number {
    let least = Number.POSITIVE_INFINITY
    for (const organization of this.#organizations.values()) {
      if (isActive(organization)) least = Math.min(least, organization.charged)
    }
    return Number.isFinite(least) ? least : 0
  }

  #start(organization: Organization, now: number): Turn | undefined {
    // First syncs come last, but not never.
    const { initialEvery, turnMsAssumed } = this.#limits
    const isTurnOfInitials = organization.startCount % initialEvery === initialEvery - 1
    const order: readonly Lane[] = isTurnOfInitials ? ['user', 'initial', 'push', 'delta'] : lanes
    const lane = order.find(one => organization.ready[one].size > 0)
    const [mailbox] = lane ? organization.ready[lane] : []
    if (!lane || !mailbox) return undefined
    organization.ready[lane].delete(mailbox)
    organization.account.runningCount += 1
    organization.startCount += 1
    organization.charged += turnMsAssumed
    this.#runningCount += 1
    mailbox.isReady = false
    mailbox.isRunning = true
    const isFull = now >= mailbox.fullAt || mailbox.named.size === 0
    const kinds = isFull ? undefined : [...mailbox.named]
    mailbox.named.clear()
    return { organization: organization.name, mailbox: mailbox.mailbox, lane, kinds, startedAt: now }
  }

  /** Makes a mailbox due earlier or more urgent, never later, and never before its back-off is over. */
  #bringForward(mailbox: Mailbox, lane: Lane, kind: ItemKind | undefined, now: number): void {
    const isFirst = mailbox.lane === 'initial'
    const better = isFirst && lane !== 'user' ? 'initial' : moreUrgent(mailbox.lane, lane)
    const dueAt = this.#due.dueAt(mailbox) ?? Number.POSITIVE_INFINITY
    const at = Math.max(now + (lane === 'push' ? this.#limits.pushDelayMs : 0), mailbox.pausedUntil)
    if (kind === undefined) mailbox.fullAt = Math.min(mailbox.fullAt, at)
    else mailbox.named.add(kind)
    if (mailbox.isReady) {
      const { ready } = this.#organizationOf(mailbox.organization)
      ready[mailbox.lane].delete(mailbox)
      ready[better].add(mailbox)
    } else if (at < dueAt) this.#due.set(mailbox, at)
    mailbox.lane = better
  }

  #find({ organization, mailbox }: MailboxName): Mailbox | undefined {
    return this.#organizations.get(organization)?.mailboxes.get(mailbox)
  }

  #organizationOf(name: string): Organization {
    const known = this.#organizations.get(name)
    if (known) return known
    const made: Organization = {
      name,
      account: new Account(this.#limits),
      mailboxes: new Map(),
      ready: { user: new Set(), push: new Set(), delta: new Set(), initial: new Set() },
      charged: this.#leastCharged(),
      startCount: 0,
    }
    this.#organizations.set(name, made)
    return made
  }

  #forgetEmpty({ name, mailboxes, account }: Organization): void {
    if (mailboxes.size === 0 && account.runningCount === 0) this.#organizations.delete(name)
  }

  #spread(ms: number): number {
    return ms * (1 + this.#limits.jitter * (2 * this.#random() - 1))
  }
}

export interface AccountState {
  readonly pausedUntil: number
  readonly isRefused: boolean
  /** Turns that may run at the same time. */
  readonly window: number
}

function hasReady({ ready }: Organization): boolean {
  return lanes.some(lane => ready[lane].size > 0)
}

function isActive(organization: Organization): boolean {
  return organization.account.runningCount > 0 || hasReady(organization)
}

function moreUrgent(one: Lane, other: Lane): Lane {
  return lanes.indexOf(one) <= lanes.indexOf(other) ? one : other
}
