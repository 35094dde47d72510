import { createHash } from 'node:crypto'
import { HubError } from '../../kernel/error.ts'
import type { Clock } from '../../kernel/time.ts'
import type { Records } from '../../store/port.ts'

const area = 'token-replay'

/** Remembers what may be used once only (ids of assertions), as long as it could be used again. */
export class ReplayStore {
  readonly #records: Pick<Records, 'list' | 'write' | 'remove'>
  readonly #clock: Clock

  constructor(records: Pick<Records, 'list' | 'write' | 'remove'>, clock: Clock) {
    this.#records = records
    this.#clock = clock
  }

  /** True the first time; false for one that was used before, also by another request at the same moment. */
  async useOnce(issuer: string, id: string, until: number): Promise<boolean> {
    const key = createHash('sha256').update(`${issuer}\0${id}`).digest('base64url')
    try {
      await this.#records.write(area, key, until, 0)
      return true
    } catch (thrown) {
      if (thrown instanceof HubError && thrown.code === 'STORE_CHANGED_MEANWHILE') return false
      throw thrown
    }
  }

  async purge(): Promise<number> {
    const over = (await this.#records.list(area)).filter(({ value }) => Number(value) <= this.#clock.now())
    for (const { id } of over) await this.#records.remove(area, id)
    return over.length
  }
}
