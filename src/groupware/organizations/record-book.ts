import type { z } from 'zod'
import { HubError } from '../../kernel/error.ts'
import type { Json } from '../../kernel/json.ts'
import type { Records } from '../../store/port.ts'
import { organizationErrors } from './errors.ts'

export type BookRecords = Pick<Records, 'list' | 'write' | 'remove'>

/** All records of one area in memory, with the store behind them: what is told as written is durable. */
export class RecordBook<T extends { readonly revision: number }> {
  readonly #records: BookRecords
  readonly #area: string
  readonly #entries = new Map<string, T>()

  private constructor(records: BookRecords, area: string) {
    this.#records = records
    this.#area = area
  }

  /** Reads all records of the area. Throws ORGANIZATION_STORE_UNREADABLE. */
  static async open<T extends { readonly revision: number }>(
    records: BookRecords,
    area: string,
    schema: z.ZodType<Omit<T, 'revision'>>,
  ): Promise<RecordBook<T>> {
    const book = new RecordBook<T>(records, area)
    for (const { id, value, revision } of await records.list(area)) {
      const parsed = schema.safeParse(value)
      if (!parsed.success) {
        const reason = parsed.error.issues[0]?.message ?? ''
        throw organizationErrors.STORE_UNREADABLE({ what: area, name: id, reason }, { cause: parsed.error })
      }
      book.#entries.set(id, { ...parsed.data, revision } as T)
    }
    return book
  }

  get(id: string): T | undefined {
    return this.#entries.get(id)
  }

  list(): readonly T[] {
    return [...this.#entries.values()]
  }

  get size(): number {
    return this.#entries.size
  }

  /** `revision` 0 is a new one. Throws ORGANIZATION_CHANGED_MEANWHILE when it is another one by now. */
  async write(id: string, value: T): Promise<T> {
    const { revision, ...content } = value
    try {
      const written = await this.#records.write(this.#area, id, content as unknown as Json, revision)
      const entry = { ...value, revision: written }
      this.#entries.set(id, entry)
      return entry
    } catch (thrown) {
      const isOlder = thrown instanceof HubError && thrown.code === 'STORE_CHANGED_MEANWHILE'
      if (isOlder) throw organizationErrors.CHANGED_MEANWHILE({ name: id }, { cause: thrown })
      throw thrown
    }
  }

  async remove(id: string): Promise<void> {
    await this.#records.remove(this.#area, id)
    this.#entries.delete(id)
  }
}
