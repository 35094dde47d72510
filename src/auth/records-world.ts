import type { Json } from '../kernel/json.ts'
import { storeErrors } from '../store/errors.ts'
import type { Records } from '../store/port.ts'

/** Records that live in memory, for tests of what is kept in records. */
export class MemoryRecords implements Pick<Records, 'read' | 'list' | 'write' | 'remove'> {
  /** When set, the next write fails with it, as a full disk does. */
  failNextWrite: Error | undefined
  readonly #records = new Map<string, { readonly text: string; readonly revision: number }>()

  async read(area: string, id: string) {
    const record = this.#records.get(`${area}/${id}`)
    return record && { value: parse(record.text), revision: record.revision }
  }

  async list(area: string) {
    const prefix = `${area}/`
    return [...this.#records]
      .filter(([key]) => key.startsWith(prefix))
      .map(([key, { text, revision }]) => ({ id: key.slice(prefix.length), value: parse(text), revision }))
  }

  async write(area: string, id: string, value: Json, expected?: number) {
    const failure = this.failNextWrite
    this.failNextWrite = undefined
    if (failure) throw failure
    const revision = this.#records.get(`${area}/${id}`)?.revision ?? 0
    if (expected !== undefined && expected !== revision) throw storeErrors.CHANGED_MEANWHILE({ area, id })
    this.#records.set(`${area}/${id}`, { text: JSON.stringify(value), revision: revision + 1 })
    return revision + 1
  }

  async remove(area: string, id: string) {
    return this.#records.delete(`${area}/${id}`)
  }

  /** Everything that lies in the store, as somebody with the database file would read it. */
  dump(): string {
    return JSON.stringify([...this.#records])
  }
}

function parse(text: string): Json {
  return JSON.parse(text) as Json
}
