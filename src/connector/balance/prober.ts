import type { Log } from '../../kernel/log.ts'
import type { Connect } from '../../kernel/socket.ts'
import type { Clock } from '../../kernel/time.ts'
import type { VirtualHost } from '../agent/connector-config.ts'
import type { Random } from './choose.ts'
import { balanceLimits } from './limits.ts'
import { probeTarget } from './probe.ts'
import type { Target } from './target.ts'

export interface ProberParts {
  readonly connect: Connect
  /** For spans: how long a target is left out must not follow a machine whose clock is set back. */
  readonly clock: Clock
  /** For dates that are shown. */
  readonly calendar: Pick<Clock, 'now'>
  readonly log: Log
  readonly random: Random
}

/** Looks at one target again and again, and writes into its book what it finds. */
export class Prober {
  readonly #parts: ProberParts
  readonly #target: Target
  /** As it is now: the file may have changed. */
  readonly #host: () => VirtualHost
  readonly #stop = new AbortController()
  #cancel = () => {}
  #running: Promise<void> = Promise.resolve()
  #isRunning = false

  constructor(parts: ProberParts, target: Target, host: () => VirtualHost) {
    this.#parts = parts
    this.#target = target
    this.#host = host
    this.#schedule(0)
  }

  /** Resolves when nothing of it is open any more. */
  async close(): Promise<void> {
    this.#stop.abort()
    this.#cancel()
    await this.#running
  }

  /** The times of the configuration changed. */
  reschedule(): void {
    if (!this.#isWanted) this.#target.forgetProbes()
    this.#cancel()
    // One that runs now is followed by the next one with the new times.
    if (!this.#isRunning) this.#schedule(this.#waitMs)
  }

  get #isWanted(): boolean {
    return this.#host().health.every > 0 && !this.#stop.signal.aborted
  }

  get #waitMs(): number {
    const jitter = 1 + balanceLimits.probeJitter * (2 * this.#parts.random() - 1)
    return this.#host().health.every * jitter
  }

  #schedule(waitMs: number): void {
    if (!this.#isWanted) return
    this.#cancel = this.#parts.clock.after(waitMs, () => {
      this.#isRunning = true
      this.#running = this.#probe().finally(() => {
        this.#isRunning = false
        this.#schedule(this.#waitMs)
      })
    })
  }

  async #probe(): Promise<void> {
    const { connect, clock, log } = this.#parts
    const host = this.#host()
    const { signal } = this.#stop
    const options = { connect, clock, signal, timeoutMs: host.health.timeout }
    const { isGood, text, openMs } = await probeTarget(host, this.#target.address, options)
    if (!this.#isWanted) return
    if (!this.#target.probed(isGood, text, openMs, clock.now())) return
    const fields = { virtualHost: host.address, target: this.#target.address, text }
    if (isGood) log.info('target.up', fields)
    else log.warn('target.down', fields)
  }
}
