import type { HubError } from '../../kernel/error.ts'
import { type Clock, HOUR, MINUTE, SECOND, steadyClock } from '../../kernel/time.ts'
import { dataverseErrors } from './errors.ts'
import { type InRow, TurnRow } from './turn-row.ts'

/**
 * Service protection limits of Dataverse (Microsoft, "Service protection API limits"): per user and web server 6,000
 * requests and 20 minutes of execution in 5 minutes, and 52 requests at the same time.
 */
export const gateLimits = { concurrent: 52, requests: 6000, windowMs: 5 * MINUTE, pauseMs: HOUR } as const

/** What one user of a gate allows; undefined: what Dynamics 365 does. */
interface GateWish {
  /** Requests under way at the same time, at most. */
  readonly concurrent?: number | undefined
  /** Requests in any five minutes, at most. */
  readonly requests?: number | undefined
}

export interface GateOptions extends GateWish {
  readonly server: string
  readonly clock: Clock
}

/** A request that may go; whoever has it says how it ended, exactly once. */
export interface Turn {
  /** It was answered, well or not, without a word of slowing down. */
  end(): void
  /** It was turned away: fewer at a time from now on, and none before the wait is over. Returns the wait. */
  turnedAway(retryAfterMs: number | undefined): number
}

interface Waiter extends InRow {
  readonly go: (turn: Turn) => void
  readonly until: number
  readonly giveUp: (waitMs: number) => void
}

const startConcurrent = 10
/** What is waited where the other side names no time; it doubles while nothing gets through. */
const firstWaitMs = SECOND
const longestWaitMs = 5 * MINUTE
/** The same where it names a time that is over at once: Retry-After: 0, or a date of a clock that runs behind. */
const firstShortWaitMs = 1
const longestShortWaitMs = SECOND / 4
/** The window is counted in slices of this length. */
const sliceMs = SECOND

/**
 * All requests to one environment in the name of one application user go through one gate, whichever flow sends them.
 * It lets more through at a time while all goes well and half as many after a 429 (additive increase, multiplicative
 * decrease), waits as long as Retry-After says, since sending on makes that time longer, and keeps the budget of five
 * minutes of its own accord.
 */
export class Gate {
  readonly #options: GateOptions
  /** Nobody must wait for as long as the clock of the machine is set back. */
  readonly #clock: Clock
  #most = { concurrent: gateLimits.concurrent as number, requests: gateLimits.requests as number }
  readonly #waiting = new TurnRow<Waiter>()
  readonly #sent = new Map<number, number>()
  #sentCount = 0
  #limit = startConcurrent
  #running = 0
  #pausedUntil = 0
  /** Requests are counted as they go; those up to the last cut say nothing about the new pace. */
  #turnCount = 0
  #cutAfter = 0
  #waitMs = firstWaitMs
  #shortWaitMs = firstShortWaitMs
  #cancelTimer = () => {}

  constructor(options: GateOptions) {
    this.#options = options
    this.#clock = steadyClock(options.clock)
    this.allow([options])
    this.#limit = Math.min(startConcurrent, this.#most.concurrent)
  }

  /** Takes the lowest of these limits. */
  allow(wishes: readonly GateWish[]): void {
    const { concurrent, requests } = gateLimits
    this.#most = {
      concurrent: Math.min(...wishes.map(wish => wish.concurrent ?? concurrent)),
      requests: Math.min(...wishes.map(wish => wish.requests ?? requests)),
    }
    this.#limit = Math.min(this.#limit, this.#most.concurrent)
    this.#admit()
  }

  /** How many may be under way now. */
  get concurrent(): number {
    return Math.floor(this.#limit)
  }

  get running(): number {
    return this.#running
  }

  get waiting(): number {
    return this.#waiting.size
  }

  /** Why those wait who wait now, for people. */
  get reason(): string {
    const { server } = this.#options
    const now = this.#clock.now()
    const secondsTo = (at: number) => Math.ceil((at - now) / SECOND)
    if (this.#pausedUntil > now) {
      return `${server} turned requests away, and is asked again in ${secondsTo(this.#pausedUntil)} s`
    }
    const freeAt = this.#budgetFreeAt(now)
    if (freeAt > now) {
      return `${this.#most.requests} requests have gone within five minutes (requests-per-5m); the next goes in ${secondsTo(freeAt)} s`
    }
    return `${this.#running} requests are under way, as many as ${server} is asked at a time now`
  }

  /** Nothing that it knows counts any more: a new one would do the same. */
  get isAtRest(): boolean {
    const now = this.#clock.now()
    const readyAt = this.#readyAt(now)
    return readyAt <= now && this.#sentCount === 0 && this.#running === 0
  }

  /**
   * Waits for a turn: the flows take turns, and within one it is first come, first served. Throws DATAVERSE_THROTTLED when
   * it would not come before `until`, and DATAVERSE_INTERRUPTED when the signal aborts.
   */
  enter(flow: string, signal: AbortSignal, until: number): Promise<Turn> {
    const { server } = this.#options
    const patienceMs = Math.max(0, until - this.#options.clock.now())
    return new Promise((resolve, reject) => {
      let cancelTimer = () => {}
      const interrupted = () => {
        this.#waiting.delete(waiter)
        cancelTimer()
        reject(dataverseErrors.INTERRUPTED({ server }))
      }
      const settle = (act: () => void) => {
        cancelTimer()
        signal.removeEventListener('abort', interrupted)
        act()
      }
      const waiter: Waiter = {
        of: flow,
        until: this.#clock.now() + patienceMs,
        go: turn => settle(() => resolve(turn)),
        giveUp: waitMs => settle(() => reject(this.#notYet(waitMs))),
      }
      if (signal.aborted) return interrupted()
      signal.addEventListener('abort', interrupted, { once: true })
      this.#waiting.add(waiter)
      this.#admit()
      if (!this.#waiting.has(waiter)) return
      cancelTimer = this.#clock.after(patienceMs, () => {
        if (this.#waiting.delete(waiter)) waiter.giveUp(firstWaitMs)
      })
    })
  }

  /** Throws DATAVERSE_THROTTLED when nothing goes before `until`. */
  requireOpen(until: number): void {
    const now = this.#clock.now()
    const waitMs = this.#readyAt(now) - now
    if (waitMs > until - this.#options.clock.now()) throw this.#notYet(waitMs)
  }

  #readyAt(now: number): number {
    return Math.max(this.#pausedUntil, this.#budgetFreeAt(now))
  }

  #notYet(waitMs: number): HubError {
    const text = `no turn for this request within the next ${Math.ceil(waitMs / SECOND)} s`
    return dataverseErrors.THROTTLED(
      { server: this.#options.server, code: 'kept back here', text },
      { retryAfterMs: waitMs },
    )
  }

  #admit(): void {
    while (this.#waiting.size > 0) {
      const now = this.#clock.now()
      const readyAt = this.#readyAt(now)
      if (readyAt > now) {
        this.#giveUpBefore(readyAt, now)
        this.#lookAgainAt(readyAt, now)
        return
      }
      if (this.#running >= this.concurrent) return
      const waiter = this.#waiting.take()
      this.#running += 1
      this.#count(now)
      this.#turnCount += 1
      waiter?.go(this.#turn(this.#turnCount))
    }
  }

  #giveUpBefore(readyAt: number, now: number): void {
    for (const waiter of this.#waiting.all()) {
      if (waiter.until >= readyAt) continue
      this.#waiting.delete(waiter)
      waiter.giveUp(readyAt - now)
    }
  }

  #lookAgainAt(readyAt: number, now: number): void {
    this.#cancelTimer()
    if (this.#waiting.size > 0) this.#cancelTimer = this.#clock.after(readyAt - now, () => this.#admit())
  }

  #turn(number: number): Turn {
    let isOver = false
    const leave = (act: () => void) => {
      if (isOver) return
      isOver = true
      this.#running -= 1
      act()
      // The answer is handed on first; the next request follows in a turn of its own.
      queueMicrotask(() => this.#admit())
    }
    return {
      end: () => leave(() => this.#speedUp(number)),
      turnedAway: retryAfterMs => {
        const now = this.#clock.now()
        leave(() => this.#slowDown(number, now, retryAfterMs))
        return Math.max(0, this.#pausedUntil - now)
      },
    }
  }

  #speedUp(turn: number): void {
    if (turn <= this.#cutAfter) return
    this.#waitMs = firstWaitMs
    this.#shortWaitMs = firstShortWaitMs
    this.#limit = Math.min(this.#most.concurrent, this.#limit + 1 / this.#limit)
  }

  #slowDown(turn: number, now: number, retryAfterMs: number | undefined): void {
    if (turn > this.#cutAfter) {
      this.#limit = Math.max(1, this.#limit / 2)
      this.#cutAfter = this.#turnCount
      if (retryAfterMs === undefined) this.#waitMs = Math.min(this.#waitMs * 2, longestWaitMs)
      else if (retryAfterMs < firstWaitMs) this.#shortWaitMs = Math.min(this.#shortWaitMs * 2, longestShortWaitMs)
    }
    const namedMs =
      retryAfterMs !== undefined && retryAfterMs < firstWaitMs
        ? Math.max(retryAfterMs, this.#shortWaitMs)
        : retryAfterMs
    this.#pausedUntil = Math.max(this.#pausedUntil, now + (namedMs ?? this.#waitMs))
  }

  #count(now: number): void {
    const slice = Math.floor(now / sliceMs)
    this.#sent.set(slice, (this.#sent.get(slice) ?? 0) + 1)
    this.#sentCount += 1
  }

  /** When the next request would not be one too many in its window. */
  #budgetFreeAt(now: number): number {
    const first = Math.floor((now - gateLimits.windowMs) / sliceMs)
    for (const [slice, count] of this.#sent) {
      if (slice > first) break
      this.#sent.delete(slice)
      this.#sentCount -= count
    }
    if (this.#sentCount < this.#most.requests) return now
    const [oldest = first] = this.#sent.keys()
    return (oldest + 1) * sliceMs + gateLimits.windowMs
  }
}

/** The gate of an environment and a credential, and what each of its users allows. */
interface SharedGate {
  readonly gate: Gate
  readonly clock: Clock
  readonly wishes: Set<GateWish>
}

const gates = new Map<string, SharedGate>()

/**
 * The gate of an environment and a credential. Where users name different limits, the lowest counts: Dynamics 365 counts
 * all their requests together, also those before a flow was stopped and started again.
 */
export function shareGate(credential: string, options: GateOptions): { readonly gate: Gate; release(): void } {
  const { server, clock } = options
  for (const [other, { gate, wishes }] of gates) if (wishes.size === 0 && gate.isAtRest) gates.delete(other)
  const name = `${credential}\n${server}`
  const known = gates.get(name)
  // One that nobody uses any more may go by the clock of a hub that is gone.
  const isKnown = known !== undefined && (known.wishes.size > 0 || known.clock === clock)
  const shared = isKnown ? known : { gate: new Gate(options), clock, wishes: new Set<GateWish>() }
  gates.set(name, shared)
  const wish: GateWish = { concurrent: options.concurrent, requests: options.requests }
  shared.wishes.add(wish)
  shared.gate.allow([...shared.wishes])
  return {
    gate: shared.gate,
    release() {
      if (shared.wishes.delete(wish) && shared.wishes.size > 0) shared.gate.allow([...shared.wishes])
    },
  }
}
