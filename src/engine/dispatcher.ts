import { asHubError } from '../kernel/error.ts'
import { MINUTE, SECOND } from '../kernel/time.ts'
import { TransientMap } from '../kernel/transient-map.ts'
import type { Claimed } from '../store/port.ts'
import type { CrashWatch } from './crash-watch.ts'
import type { EngineParts } from './engine.ts'
import type { PlaceOffer } from './fair-places.ts'

const leaseMs = MINUTE
const claimFailedWaitMs = SECOND

export interface DispatcherOptions {
  readonly parts: EngineParts
  readonly crashWatch: CrashWatch
  /** Places that flows may take now; the next offer counts what the last one began. */
  offers(): Iterable<PlaceOffer>
  /** Runs one delivery to the end of its attempt; must not throw. */
  run(claimed: Claimed): Promise<void>
}

/**
 * Takes due deliveries from the store as places get free. One claim at a time; everything that happens meanwhile is
 * gathered into the next one, so that a thousand ends in one turn cost one claim.
 */
export class Dispatcher {
  readonly #options: DispatcherOptions
  readonly #running = new TransientMap<string, Claimed>()
  /** Claims that the last renewal no longer found: ended meanwhile, unless they still run at the next one. */
  #missed = new Set<Claimed>()
  /** Claims that were told of as lost. */
  readonly #told = new WeakSet<Claimed>()
  #isClaiming = false
  #isScheduled = false
  #isClosed = false
  /** Counts calls of `poke`, so that a claim knows whether something happened while it was under way. */
  #pokes = 0
  #cancelTimer = () => {}
  #cancelRenewal = () => {}
  #idleWaiters: (() => void)[] = []

  constructor(options: DispatcherOptions) {
    this.#options = options
    this.#renewLater()
  }

  get runningCount(): number {
    return this.#running.size
  }

  running(): Iterable<Claimed> {
    return this.#running.values()
  }

  /** There may be something to do. */
  poke(): void {
    this.#pokes++
    if (this.#isScheduled || this.#isClaiming || this.#isClosed) return
    this.#isScheduled = true
    setImmediate(() => {
      this.#isScheduled = false
      void this.#claim()
    })
  }

  /** Resolves when nothing runs and nothing can be claimed now. */
  idle(): Promise<void> {
    return new Promise(resolve => {
      this.#idleWaiters.push(resolve)
      this.poke()
    })
  }

  close(): void {
    this.#isClosed = true
    this.#cancelTimer()
    this.#cancelRenewal()
    this.#settleIdle()
  }

  async #claim(): Promise<void> {
    if (this.#isClosed) return
    const { crashWatch, offers, parts } = this.#options
    const { store, clock, owner } = parts
    this.#isClaiming = true
    const pokesBefore = this.#pokes
    try {
      let dueAt = Number.POSITIVE_INFINITY
      let hasLooked = false
      await crashWatch.open()
      for (const { max: free, places } of offers()) {
        const max = crashWatch.room(free)
        if (max <= 0 || places.size === 0) continue
        const { deliveries, nextDueAt } = await store.claim({ owner, max, now: clock.now(), leaseMs, places })
        await crashWatch.begin(deliveries.map(({ id }) => id))
        for (const claimed of deliveries) this.#start(claimed)
        dueAt = Math.min(dueAt, nextDueAt ?? dueAt)
        hasLooked = true
      }
      if (hasLooked) {
        this.#cancelTimer()
        if (Number.isFinite(dueAt)) {
          this.#cancelTimer = clock.after(Math.max(0, dueAt - clock.now()), () => this.poke())
        }
      }
    } catch (thrown) {
      const error = asHubError(thrown)
      parts.log.error('engine.claim-failed', { code: error.code, text: error.message, next: error.next })
      this.#cancelTimer()
      this.#cancelTimer = clock.after(claimFailedWaitMs, () => this.poke())
    } finally {
      this.#isClaiming = false
    }
    if (this.#pokes !== pokesBefore) this.poke()
    else if (this.#running.size === 0) this.#settleIdle()
  }

  #start(claimed: Claimed): void {
    this.#running.set(claimed.id, claimed)
    void this.#options.run(claimed).then(() => {
      this.#running.delete(claimed.id)
      this.#options.crashWatch.ended(claimed.id)
      this.poke()
    })
  }

  #settleIdle(): void {
    const waiters = this.#idleWaiters
    this.#idleWaiters = []
    for (const resolve of waiters) resolve()
  }

  /** A delivery whose end is just being written is no longer ours either; only one that goes on running is news. */
  #tellLost(lost: ReadonlySet<string>, claims: readonly Claimed[]): void {
    const missed = new Set<Claimed>()
    for (const claim of claims) {
      if (!lost.has(claim.id) || this.#running.get(claim.id) !== claim) continue
      missed.add(claim)
      if (!this.#missed.has(claim) || this.#told.has(claim)) continue
      this.#told.add(claim)
      this.#options.parts.log.warn('delivery.lost-claim', { flow: claim.flow, delivery: claim.id })
    }
    this.#missed = missed
  }

  #renewLater(): void {
    const { store, clock, log } = this.#options.parts
    this.#cancelRenewal = clock.after(leaseMs / 3, () => {
      const claims = [...this.#running.values()]
      store
        .renew(claims, leaseMs, clock.now())
        .then(lost => this.#tellLost(new Set(lost), claims))
        .catch((thrown: unknown) => log.error('engine.renew-failed', { text: asHubError(thrown).message }))
        .finally(() => {
          if (!this.#isClosed) this.#renewLater()
        })
    })
  }
}
