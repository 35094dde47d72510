import { asHubError } from '../../kernel/error.ts'
import type { JsonObject } from '../../kernel/json.ts'
import type { Log } from '../../kernel/log.ts'
import type { Clock } from '../../kernel/time.ts'
import type { Audit } from './enrolment.ts'
import { hubLimits } from './limits.ts'

/** Refusals of different kinds that are remembered. */
const kindsMax = 10_000

/** Writes refusals to the audit log: the first of a kind at once, what repeats it as a count once a minute. */
export class RefusalAudit {
  readonly #clock: Pick<Clock, 'now'>
  readonly #audit: Audit
  readonly #log: Log
  readonly #seen = new Map<string, { at: number; repeated: number }>()
  readonly #writing = new Set<Promise<void>>()

  constructor(clock: Pick<Clock, 'now'>, audit: Audit, log: Log) {
    this.#clock = clock
    this.#audit = audit
    this.#log = log
  }

  note(kind: string, who: string, action: string, detail: JsonObject): void {
    const now = this.#clock.now()
    const before = this.#seen.get(kind)
    if (before && now - before.at < hubLimits.sameRefusalMs) {
      before.repeated++
      return
    }
    this.#seen.delete(kind)
    this.#seen.set(kind, { at: now, repeated: 0 })
    const [oldest] = this.#seen.keys()
    if (this.#seen.size > kindsMax && oldest !== undefined) this.#seen.delete(oldest)
    const repeated = before && before.repeated > 0 ? { repeatedBefore: before.repeated } : {}
    const writing: Promise<void> = this.#audit(who, action, { ...detail, ...repeated })
      .catch((thrown: unknown) => this.#log.error('connector.not-audited', { error: asHubError(thrown) }))
      .finally(() => this.#writing.delete(writing))
    this.#writing.add(writing)
  }

  async close(): Promise<void> {
    await Promise.all(this.#writing)
  }
}
