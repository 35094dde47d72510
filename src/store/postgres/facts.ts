import { textOf } from '../columns.ts'
import type { GroupMember } from './committer.ts'
import type { Sql } from './connection.ts'

const selectAll = { name: 'facts', text: `select name, value from fact where value ~ '^[0-9]+$'` }
/** Name and value. */
export const writeFact = {
  name: 'fact-write',
  text: 'insert into fact values ($1, $2) on conflict (name) do update set value = excluded.value',
}

/** Single numbers that the store remembers about itself, at hand; written with the next commit. */
export class Facts implements GroupMember {
  readonly #values = new Map<string, number>()
  readonly #changed = new Set<string>()

  static async load(sql: Sql): Promise<Facts> {
    const facts = new Facts()
    for (const row of await sql.query(selectAll)) facts.#values.set(textOf(row['name']), Number(textOf(row['value'])))
    return facts
  }

  /** 0 when it was never written. */
  read(name: string): number {
    return this.#values.get(name) ?? 0
  }

  write(name: string, value: number): void {
    this.#values.set(name, value)
    this.#changed.add(name)
  }

  beforeCommit(sql: Sql): readonly Promise<unknown>[] {
    return [...this.#changed].map(name => sql.query(writeFact, [name, String(this.read(name))]))
  }

  afterCommit(): void {
    this.#changed.clear()
  }

  /** Each of them may be higher than it need be, so they go with the next commit. */
  afterRollback(): void {}
}
