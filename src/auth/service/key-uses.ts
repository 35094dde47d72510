import { asHubError } from '../../kernel/error.ts'
import type { Log } from '../../kernel/log.ts'
import type { Clock } from '../../kernel/time.ts'
import type { Records } from '../../store/port.ts'
import type { KeyUse } from './model.ts'
import { useFlushMs } from './service-limits.ts'

const area = 'service-key-use'

export interface KeyUsesOptions {
  readonly records: Pick<Records, 'list' | 'write' | 'remove'>
  readonly clock: Clock
  readonly log: Log
}

/** When each key was used the last time. A use costs no write; what is new is written every `useFlushMs`. */
export class KeyUses {
  readonly #options: KeyUsesOptions
  readonly #uses = new Map<string, KeyUse>()
  readonly #unwritten = new Set<string>()
  #cancel: (() => void) | undefined
  #writing: Promise<void> = Promise.resolve()

  private constructor(options: KeyUsesOptions) {
    this.#options = options
  }

  static async open(options: KeyUsesOptions): Promise<KeyUses> {
    const uses = new KeyUses(options)
    for (const { id, value } of await options.records.list(area)) {
      const { at, address } = value as Partial<Record<keyof KeyUse, unknown>>
      if (typeof at === 'number' && typeof address === 'string') uses.#uses.set(id, { at, address })
    }
    return uses
  }

  of(keyId: string): KeyUse | undefined {
    return this.#uses.get(keyId)
  }

  note(keyId: string, address: string): void {
    this.#uses.set(keyId, { at: this.#options.clock.now(), address })
    this.#unwritten.add(keyId)
    this.#cancel ??= this.#options.clock.after(useFlushMs, () => {
      this.#cancel = undefined
      this.#writing = this.#flush()
    })
  }

  /** Of keys that are gone. */
  async forget(keyIds: readonly string[]): Promise<void> {
    for (const keyId of keyIds) {
      this.#unwritten.delete(keyId)
      if (this.#uses.delete(keyId)) await this.#options.records.remove(area, keyId)
    }
  }

  async close(): Promise<void> {
    this.#cancel?.()
    await this.#writing
    await this.#flush()
  }

  async #flush(): Promise<void> {
    const { records, log } = this.#options
    const keyIds = [...this.#unwritten]
    this.#unwritten.clear()
    const written = await Promise.allSettled(
      keyIds.map(async keyId => {
        const use = this.#uses.get(keyId)
        if (use) await records.write(area, keyId, { at: use.at, address: use.address })
      }),
    )
    const failed = written.find(each => each.status === 'rejected')
    // Only a convenience is lost: the next use of the key writes it again.
    if (failed) log.warn('service-key.use-not-written', { error: asHubError(failed.reason).message })
  }
}
