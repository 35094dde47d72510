import { createHash } from 'node:crypto'
import type { Clock } from '../../kernel/time.ts'
import type { Records } from '../../store/port.ts'

const area = 'token-denied'

/** `jti`: one access token. `family`: all that came from one log-in or exchange (`familyOf` its grant). */
export type DeniedKind = 'jti' | 'family'

/**
 * What is refused although its signature is good and its time has not come. Kept in memory, so that asking costs
 * nothing, and in the store, so that a restart forgets nothing.
 */
export class DeniedTokens {
  readonly #until: Map<string, number>
  readonly #records: Pick<Records, 'write' | 'remove'>
  readonly #clock: Clock

  private constructor(until: Map<string, number>, records: Pick<Records, 'write' | 'remove'>, clock: Clock) {
    this.#until = until
    this.#records = records
    this.#clock = clock
  }

  static async open(records: Pick<Records, 'list' | 'write' | 'remove'>, clock: Clock): Promise<DeniedTokens> {
    const known = (await records.list(area)).map(({ id, value }) => [id, Number(value)] as const)
    return new DeniedTokens(new Map(known), records, clock)
  }

  isDenied(kind: DeniedKind, value: string): boolean {
    return this.#until.has(`${kind}.${value}`)
  }

  /** Refuses from now on, in memory at once and for good when the promise resolves. */
  async deny(kind: DeniedKind, value: string, until: number): Promise<void> {
    const id = `${kind}.${value}`
    this.#until.set(id, until)
    await this.#records.write(area, id, until)
  }

  /** Forgets what has expired by itself. Returns how many. */
  async purge(): Promise<number> {
    const over = [...this.#until].filter(([, until]) => until <= this.#clock.now())
    for (const [id] of over) {
      await this.#records.remove(area, id)
      this.#until.delete(id)
    }
    return over.length
  }
}

/** Names the family of a grant in a token without telling the grant's id, which opens its record. */
export function familyOf(grantId: string): string {
  return createHash('sha256').update(`isthmus/token-family/v1\0${grantId}`).digest('base64url').slice(0, 22)
}
