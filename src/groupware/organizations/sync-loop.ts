import { isDeepStrictEqual } from 'node:util'
import { asHubError } from '../../kernel/error.ts'
import { type Clock, SECOND, steadyClock } from '../../kernel/time.ts'
import type { WatchedScope, WatchRequest } from '../drivers.ts'
import type { ItemKind } from '../plan/items.ts'
import type { SyncRules } from '../plan/rules.ts'
import { scheduleLimits } from '../schedule/limits.ts'
import { type Ending, Schedule, type Turn } from '../schedule/schedule.ts'
import { Turns } from '../schedule/turns.ts'
import type { OpenWork } from '../sync/sync-store.ts'
import type { Drivers } from './access-test.ts'
import { FeedWatch } from './feed-watch.ts'
import type { Cause, Mailbox, Organization } from './model.ts'
import type { GroupwareParts } from './parts.ts'
import { itemKinds } from './rules-input.ts'
import { foldersOf } from './scopes.ts'
import type { Worker } from './worker.ts'

const loopLimits = {
  /** Mailboxes come and go in crowds; notifications are asked for anew so long after the last change. */
  watchDelayMs: 3_000,
  /** Notifications that ended are asked for again after this. */
  watchAgainMs: 60_000,
  /** So many times as many mailboxes may be watched as are active, before those that are not are left out. */
  watchedSpare: 2,
  /** After the feed of a CRM may be asked anew. */
  feedSpareMs: SECOND,
} as const

export interface AccountTrouble extends Cause {
  readonly since: number
}

export interface AccountStatus {
  /** The server asked for patience until then. */
  readonly pausedUntil: number | undefined
  /** The server does not take the account: only a person can mend that. */
  readonly isRefused: boolean
  readonly trouble: AccountTrouble | undefined
}

/** A change in the CRM that concerns a mailbox. */
interface Push {
  readonly name: string
  readonly address: string
  readonly kind: ItemKind
  readonly restMs: number
}

/** What of each mailbox is to be heard of, by its address. */
type WatchedScopes = ReadonlyMap<string, readonly WatchedScope[]>

/** Lets each mailbox have its turn, as the schedule says; notifications bring one forward. */
export class SyncLoop {
  readonly #parts: GroupwareParts
  readonly #worker: Worker
  readonly #schedule: Schedule
  /** The time of the schedule: nothing that is due waits longer because the machine sets its clock back. */
  readonly #clock: Clock
  readonly #turns: Turns
  readonly #stop = new AbortController()
  readonly #watching = new Set<Promise<void>>()
  readonly #watches = new Map<string, AbortController>()
  readonly #watchTimers = new Map<string, () => void>()
  readonly #watched = new Set<string>()
  readonly #pushTimers = new Map<string, () => void>()
  /** Whom the notifications of an organization that run now are for, and under which settings they were asked for. */
  readonly #watchedFor = new Map<string, { readonly revision: number; readonly scopes: WatchedScopes }>()
  /** What the account of an organization ran into, since it last did its work. */
  readonly #troubles = new Map<string, AccountTrouble>()
  #isStarted = false
  /** True when those of an earlier start are in the schedule; who comes later was brought by a person. */
  #isOpen = false

  constructor(parts: GroupwareParts, worker: Worker, random: () => number) {
    this.#parts = parts
    this.#worker = worker
    this.#schedule = new Schedule(scheduleLimits, random)
    this.#clock = steadyClock(parts.clock)
    this.#turns = new Turns(this.#schedule, this.#clock, (turn, signal) => this.#work(turn, signal))
  }

  /** `open`: what was left to be done when the hub ended. */
  start(open: readonly OpenWork[]): void {
    this.#isStarted = true
    for (const mailbox of this.#parts.directory.mailboxes()) this.follow(mailbox)
    for (const { organization, mailbox, dueAt } of open) {
      const waitMs = Math.max(0, dueAt - this.#parts.clock.now())
      this.#schedule.goOn({ organization, mailbox }, this.#clock.now() + waitMs)
    }
    this.#isOpen = true
    this.#turns.wake()
  }

  /** A mailbox is (or is no longer) one to be synced. One that is already there has its turn now. */
  follow(mailbox: Mailbox): void {
    if (!this.#isStarted) return
    const { directory, progress } = this.#parts
    const { organization, address } = mailbox
    const now = directory.findMailbox(address)
    const name = { organization, mailbox: address }
    if (now && this.#worker.isSynced(now)) {
      const isFirst = progress.of(address).firstRoundAt === undefined
      this.#schedule.add(name, this.#clock.now(), isFirst, directory.organization(organization).everyMs)
      if (this.#watched.has(address)) this.#schedule.setWatched(name, true, this.#clock.now())
      // Whoever activates, resumes or resyncs wants to see what comes of it; a first sync does not go before the others.
      if (this.#isOpen) this.#schedule.request(name, isFirst ? 'initial' : 'user', this.#clock.now())
    } else this.#schedule.remove(name)
    this.#watchLater(organization)
    this.#turns.wake()
  }

  /** A person waits for it. */
  request({ organization, address }: Mailbox): void {
    this.#schedule.request({ organization, mailbox: address }, 'user', this.#clock.now())
    // Its rules may be others now.
    this.#watchLater(organization)
    this.#turns.wake()
  }

  /** The way in was changed: what waited for that goes on. */
  resume(organization: string): void {
    const { directory } = this.#parts
    this.#schedule.resume(organization)
    for (const mailbox of directory.mailboxes(organization)) {
      const name = { organization, mailbox: mailbox.address }
      if (!this.#worker.isSynced(mailbox)) continue
      this.#schedule.add(name, this.#clock.now(), false, directory.organization(organization).everyMs)
      if (mailbox.state === 'error') this.#schedule.request(name, 'user', this.#clock.now())
    }
    this.#watchLater(organization)
    this.#turns.wake()
  }

  /** The rules of an organization are others: its mailboxes have their turns as soon as the account allows it. */
  refresh(organization: string): void {
    const { directory } = this.#parts
    for (const { address: mailbox } of directory.mailboxes(organization)) {
      this.#schedule.request({ organization, mailbox }, 'delta', this.#clock.now())
    }
    this.#watchLater(organization)
    this.#turns.wake()
  }

  /** Mailboxes that have their turn now. */
  get runningCount(): number {
    return this.#schedule.runningCount
  }

  /** How the account behind the mailboxes of an organization is. */
  accountOf(organization: string): AccountStatus {
    const state = this.#schedule.accountState(organization)
    const restMs = (state?.pausedUntil ?? 0) - this.#clock.now()
    return {
      pausedUntil: restMs > 0 ? this.#parts.clock.now() + restMs : undefined,
      isRefused: state?.isRefused ?? false,
      trouble: this.#troubles.get(organization),
    }
  }

  async close(): Promise<void> {
    this.#stop.abort()
    for (const cancel of this.#watchTimers.values()) cancel()
    for (const cancel of this.#pushTimers.values()) cancel()
    for (const watch of this.#watches.values()) watch.abort()
    await this.#turns.stop()
    await Promise.all(this.#watching)
  }

  /** One turn of a mailbox, in the words of the schedule. */
  async #work({ organization, mailbox, kinds }: Turn, signal: AbortSignal): Promise<Ending> {
    const end = await this.#worker.work(mailbox, kinds, signal)
    if (end.state === 'left') return { state: 'left' }
    if (end.state === 'done') {
      this.#troubles.delete(organization)
      for (const other of end.concerned) {
        this.#schedule.request({ organization, mailbox: other }, 'push', this.#clock.now(), 'appointment')
      }
      return { state: 'done', again: end.isUnfinished, laterMs: end.dueAt - this.#parts.clock.now() }
    }
    const { code, side, message, next, retry, retryAfterMs } = end.error
    const { verdict } = end
    const isAccount = verdict === 'account' || verdict === 'perhaps-account'
    if (isAccount) {
      const since = this.#troubles.get(organization)?.since ?? this.#parts.clock.now()
      this.#troubles.set(organization, { code, side, message, next, since })
    }
    const state = isAccount ? ('account-failed' as const) : ('mailbox-failed' as const)
    const isInDoubt = verdict === 'perhaps-account' || verdict === 'perhaps-mailbox'
    return { state, needsChange: retry !== 'soon', isInDoubt, ...(retryAfterMs !== undefined && { retryAfterMs }) }
  }

  // ---- notifications ----

  #watchLater(organization: string, waitMs: number = loopLimits.watchDelayMs): void {
    if (this.#stop.signal.aborted) return
    this.#watchTimers.get(organization)?.()
    const cancel = this.#parts.clock.after(waitMs, () => {
      this.#watchTimers.delete(organization)
      const watching = this.#watch(organization)
        .catch((thrown: unknown) => {
          this.#parts.log.warn('groupware.not-watched', { organization, text: asHubError(thrown).message })
        })
        .finally(() => this.#watching.delete(watching))
      this.#watching.add(watching)
    })
    this.#watchTimers.set(organization, cancel)
  }

  /** Asks for notifications of all mailboxes of an organization that are synced now. */
  async #watch(name: string): Promise<void> {
    const { directory, drivers, log } = this.#parts
    if (this.#stop.signal.aborted || this.#isWatchedAsWanted(name)) return
    this.#endWatch(name)
    if (!directory.hasOrganization(name)) return
    const organization = directory.organization(name)
    // Where each mailbox has its own way in, each would need its own stream: they are polled.
    if (organization.access === 'ews-direct') return
    const mailboxes = directory.mailboxes(name).filter(mailbox => mailbox.state === 'active')
    const [first] = mailboxes
    if (!first || organization.isPaused) return
    const stop = new AbortController()
    this.#watches.set(name, stop)
    const scopes = this.#scopesOf(mailboxes)
    const wanted = { revision: organization.revision, scopes }
    this.#watchedFor.set(name, wanted)
    const signal = AbortSignal.any([stop.signal, this.#stop.signal])
    await drivers
      .use(organization, first, async drivers => {
        const { exchange } = drivers
        if (!exchange.watch) return stop.abort()
        const request = this.#requestOf(organization, scopes, drivers, signal)
        // The one is worth nothing without the other: both are asked for again when the mailboxes are not told of any more.
        const ended = new AbortController()
        const both = AbortSignal.any([signal, ended.signal])
        const watching = exchange.watch(request).finally(() => ended.abort())
        await Promise.all([watching, this.#followCrm(organization, mailboxes, drivers, both)])
      })
      .catch((thrown: unknown) => {
        if (!signal.aborted) log.warn('groupware.watch-ended', { organization: name, text: asHubError(thrown).message })
      })
    const isOver = signal.aborted
    // Others may have been asked for meanwhile, while these took their time to end.
    if (this.#watchedFor.get(name) === wanted) this.#endWatch(name)
    if (!isOver) this.#watchLater(name, loopLimits.watchAgainMs)
  }

  /** What the notifications of now were for is polled from now on, until others come. */
  #endWatch(name: string): void {
    this.#watches.get(name)?.abort()
    this.#watches.delete(name)
    for (const address of this.#watchedFor.get(name)?.scopes.keys() ?? []) this.#lose(name, address)
    this.#watchedFor.delete(name)
  }

  /** One mailbox that pauses, or is read anew, is no reason to ask for the notifications of ten thousand others again. */
  #isWatchedAsWanted(name: string): boolean {
    const { directory } = this.#parts
    const running = this.#watchedFor.get(name)
    if (!running || !directory.hasOrganization(name)) return false
    const organization = directory.organization(name)
    if (organization.isPaused || organization.revision !== running.revision) return false
    const active = directory.mailboxes(name).filter(({ state }) => state === 'active')
    const isEnough = active.length * loopLimits.watchedSpare >= running.scopes.size
    if (active.length === 0 || !isEnough) return false
    for (const [address, scopes] of this.#scopesOf(active)) {
      if (!isDeepStrictEqual(running.scopes.get(address), scopes)) return false
    }
    return true
  }

  /** What of mailboxes is synced. The application may have no right to the rest, and nobody wants to hear of it. */
  #scopesOf(mailboxes: readonly Mailbox[]): WatchedScopes {
    const { directory } = this.#parts
    let usual: readonly WatchedScope[] | undefined
    return new Map(
      mailboxes.map(mailbox => {
        // Most of ten thousand have no rules of their own.
        const isUsual = Object.keys(mailbox.rules).length === 0
        const scopes = (isUsual ? usual : undefined) ?? watchedScopes(directory.rulesOf(mailbox))
        if (isUsual) usual = scopes
        return [mailbox.address, scopes]
      }),
    )
  }

  /** What a mailbox's own notifications do not tell: whom the changes in the CRM concern has a turn. */
  async #followCrm(
    { name, everyMs }: Organization,
    mailboxes: readonly Mailbox[],
    { crm }: Drivers,
    signal: AbortSignal,
  ): Promise<void> {
    const { clock, log } = this.#parts
    if (!crm.feed) return
    const byOwner = Map.groupBy(mailboxes, ({ crmAddress }) => crmAddress)
    const watch = new FeedWatch(crm, name, clock, (owner, kind) => {
      const restMs = crm.feedRestMs?.(name, kind) ?? 0
      for (const { address } of byOwner.get(owner) ?? []) this.#push({ name, address, kind, restMs }, signal)
    })
    while (!signal.aborted) {
      await clock.sleep(everyMs, signal)
      for (const kind of itemKinds) {
        if (signal.aborted || !crm.abilities(kind).holds) continue
        await watch.ask(kind, signal).catch((thrown: unknown) => {
          const { code, message: text } = asHubError(thrown)
          if (!signal.aborted) log.debug('groupware.feed-failed', { organization: name, code, text })
        })
      }
    }
  }

  /** `restMs`: so long the mailbox may be told what the feed said before the change came. */
  #push({ name: organization, address: mailbox, kind, restMs }: Push, signal: AbortSignal): void {
    const request = () => {
      if (signal.aborted) return
      this.#schedule.request({ organization, mailbox }, 'push', this.#clock.now(), kind)
      this.#turns.wake()
    }
    request()
    if (restMs === 0) return
    // One later turn serves all changes until then; a watch may last for months.
    const name = `${organization} ${mailbox} ${kind}`
    this.#pushTimers.get(name)?.()
    const cancel = this.#clock.after(restMs + loopLimits.feedSpareMs, () => {
      this.#pushTimers.delete(name)
      request()
    })
    this.#pushTimers.set(name, cancel)
  }

  #requestOf({ name }: Organization, scopes: WatchedScopes, { crm }: Drivers, signal: AbortSignal): WatchRequest {
    const { log } = this.#parts
    return {
      mailboxes: [...scopes.keys()],
      scopesOf: mailbox => scopes.get(mailbox) ?? [],
      signal,
      onChange: (mailbox, kind) => {
        this.#schedule.request({ organization: name, mailbox }, 'push', this.#clock.now(), kind)
        this.#turns.wake()
      },
      onConnected: mailbox => {
        // Without a feed nobody tells what the CRM changes: such a mailbox is asked as often as before.
        if (!crm.feed || signal.aborted) return
        this.#watched.add(mailbox)
        this.#schedule.setWatched({ organization: name, mailbox }, true, this.#clock.now())
        this.#turns.wake()
      },
      onLost: (mailbox, error) => {
        log.debug('groupware.watch-lost', { mailbox, code: error.code, text: error.message })
        this.#lose(name, mailbox)
      },
    }
  }

  #lose(organization: string, mailbox: string): void {
    if (!this.#watched.delete(mailbox)) return
    this.#schedule.setWatched({ organization, mailbox }, false, this.#clock.now())
    this.#turns.wake()
  }
}

function watchedScopes(rules: SyncRules): readonly WatchedScope[] {
  return itemKinds
    .filter(kind => rules.kinds[kind].direction !== 'off')
    .map(kind => ({ kind, folders: foldersOf(kind, rules) }))
}
