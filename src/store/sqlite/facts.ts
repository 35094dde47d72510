import type { DatabaseSync } from 'node:sqlite'
import { optionalTextOf } from '../columns.ts'

/** Single numbers and texts that the store remembers about itself. */
export class Facts {
  readonly #select
  readonly #upsert

  constructor(database: DatabaseSync) {
    this.#select = database.prepare('select value from fact where name = ?')
    this.#upsert = database.prepare('insert into fact values (?, ?) on conflict do update set value = excluded.value')
  }

  /** A number; 0 when it was never written. */
  read(name: string): number {
    return Number(this.readText(name) ?? 0)
  }

  readText(name: string): string | undefined {
    return optionalTextOf(this.#select.get(name)?.['value'])
  }

  write(name: string, value: number | string): void {
    this.#upsert.run(name, String(value))
  }
}
