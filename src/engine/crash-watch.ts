import { asHubError } from '../kernel/error.ts'
import type { Json } from '../kernel/json.ts'
import type { Log } from '../kernel/log.ts'
import { type Clock, MINUTE, SECOND, steadyClock } from '../kernel/time.ts'
import { lifeRecord } from '../store/life-record.ts'
import type { Store } from '../store/port.ts'

export const crashLimits = {
  /** A delivery that was under way at so many deaths of the hub in a row is not begun again. */
  deaths: 6,
  /** When the hub has lived for so long, what is under way is no longer noted. */
  calmMs: 10 * MINUTE,
  /** Those that were under way when the hub died are begun one by one, and nothing else, for so long at most. */
  aloneMs: 2 * MINUTE,
  /** One that runs for longer has others beside it: what ends a hub by its memory does so sooner. */
  besideMs: 5 * SECOND,
  /** What a death counts for one that ran for so long beside one that was begun after it. */
  longerCounts: 0.5,
} as const

const { area, id: recordId } = lifeRecord

interface CrashWatchOptions {
  readonly store: Pick<Store, 'read' | 'write' | 'remove' | 'get'>
  readonly clock: Clock
  readonly log: Log
  /** More may begin now than before. */
  onRoom(): void
}

/**
 * Finds the delivery that ends the hub: by its memory, or in a step that never returns and has it killed. A hub that was
 * not stopped leaves its record behind. From then on what is begun is noted before it begins (an ordinary life is spared
 * that write), and after the next death those that were under way run one by one, so that one of them stands out.
 */
export class CrashWatch {
  readonly #options: CrashWatchOptions
  /** At how many deaths in a row deliveries were under way that have not come to an end since. */
  readonly #deaths = new Map<string, number>()
  /** When what runs now was begun, by its id. */
  readonly #running = new Map<string, number>()
  /** The last one that was begun when all others had run for long. */
  #newest: string | undefined
  #opening: Promise<void> | undefined
  #isNoting = false
  #aloneUntil = 0
  #writes: Promise<unknown> = Promise.resolve()
  #cancelCalm = () => {}
  #cancelRoom = () => {}

  constructor(options: CrashWatchOptions) {
    this.#options = { ...options, clock: steadyClock(options.clock) }
  }

  /** Reads what the life before has left. Throws what the store throws; nothing may begin before it has resolved. */
  open(): Promise<void> {
    this.#opening ??= this.#open().catch((thrown: unknown) => {
      this.#opening = undefined
      throw thrown
    })
    return this.#opening
  }

  /** How many of so many may begin now. */
  room(max: number): number {
    const now = this.#options.clock.now()
    if (!this.#isOneByOne()) return max
    const isAnyNew = [...this.#running.values()].some(at => now - at < crashLimits.besideMs)
    return isAnyNew ? 0 : Math.min(1, max)
  }

  /** They begin when this has resolved. */
  async begin(ids: readonly string[]): Promise<void> {
    if (!this.#isNoting || ids.length === 0) return
    const { clock, onRoom } = this.#options
    for (const id of ids) this.#running.set(id, clock.now())
    this.#newest = this.#isOneByOne() ? ids.at(-1) : undefined
    this.#cancelRoom()
    if (this.#deaths.size > 0) this.#cancelRoom = clock.after(crashLimits.besideMs, onRoom)
    await this.#note()
  }

  deathsOf(id: string): number {
    return Math.floor(this.#deaths.get(id) ?? 0)
  }

  ended(id: string): void {
    this.#deaths.delete(id)
    if (this.#running.delete(id) && this.#running.size === 0) void this.#note()
  }

  /** The hub is stopped: its next start has nothing to look for. */
  async close(): Promise<void> {
    this.#cancelCalm()
    this.#cancelRoom()
    this.#isNoting = false
    if (!this.#opening) return
    await this.#opening.then(() => this.#inTurn(() => this.#options.store.remove(area, recordId))).catch(() => {})
  }

  async #open(): Promise<void> {
    const { store, clock, log } = this.#options
    const left = await store.read(area, recordId)
    if (left) {
      const underWay = await this.#stillOpen(left.value)
      const newest = underWay.find(([id]) => id === Object(left.value).newest)
      for (const each of underWay) {
        const [id, deaths] = each
        this.#deaths.set(id, deaths + (newest && each !== newest ? crashLimits.longerCounts : 1))
      }
      this.#isNoting = true
      this.#aloneUntil = clock.now() + crashLimits.aloneMs
      this.#cancelCalm = clock.after(crashLimits.calmMs, () => this.#calm())
      log.warn('engine.not-stopped', {
        text: 'The hub ended without being stopped.',
        ...(underWay.length > 0 && { underWay: underWay.map(([id]) => id) }),
        next: 'Look in the log of the system for what ended it (memory, kill, power). What was under way goes on now.',
      })
    }
    await this.#inTurn(() => store.write(area, recordId, this.#record()))
  }

  /** One that has ended meanwhile, waits for its next try, or was being handed over, did not end the hub. */
  async #stillOpen(left: Json): Promise<readonly (readonly [string, number])[]> {
    const { store, clock } = this.#options
    const found: (readonly [string, number])[] = []
    for (const [id, deaths] of Object.entries(Object(Object(left).underWay))) {
      const delivery = await store.get(id)
      if (delivery?.state !== 'queued' || delivery.at > clock.now()) continue
      if (delivery.receipts.some(({ state }) => state === 'intended')) continue
      found.push([id, Number(deaths)])
    }
    return found
  }

  #isOneByOne(): boolean {
    return this.#deaths.size > 0 && this.#options.clock.now() < this.#aloneUntil
  }

  #calm(): void {
    this.#isNoting = false
    this.#running.clear()
    void this.#note()
  }

  #record(): Json {
    const underWay = Object.fromEntries([...this.#running.keys()].map(id => [id, this.#deaths.get(id) ?? 0]))
    return { v: 1, underWay, ...(this.#newest !== undefined && { newest: this.#newest }) }
  }

  /** A disk that takes nothing now must not keep deliveries from beginning. */
  async #note(): Promise<void> {
    const { store, log } = this.#options
    await this.#inTurn(() => store.write(area, recordId, this.#record())).catch((thrown: unknown) => {
      log.debug('engine.not-noted', { text: asHubError(thrown).message })
    })
  }

  #inTurn(write: () => Promise<unknown>): Promise<unknown> {
    this.#writes = this.#writes.then(write, write)
    return this.#writes
  }
}
