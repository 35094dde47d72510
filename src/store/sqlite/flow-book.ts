import type { DatabaseSync } from 'node:sqlite'
import { type BookedFlow, FlowCounts } from '../flow-counts.ts'
import type { GroupMember } from './committer.ts'

/** Table `flow`. */
export class FlowBook extends FlowCounts implements GroupMember {
  readonly #insert
  readonly #update

  constructor(database: DatabaseSync) {
    super()
    this.#insert = database.prepare('insert into flow (name) values (?)')
    this.#update = database.prepare(`
      update flow set queued = queued + ?, delivered = delivered + ?, dropped = dropped + ?, rejected = rejected + ?,
        set_aside = set_aside + ?, skipped = skipped + ?, last_accepted_at = coalesce(?, last_accepted_at)
      where number = ?`)
    for (const row of database.prepare('select * from flow').iterate()) this.load(row)
  }

  /** The flow of a name; a new name is written at once, in a transaction of its own. */
  named(name: string): BookedFlow {
    return this.find(name) ?? this.book(Number(this.#insert.run(name).lastInsertRowid), name)
  }

  beforeCommit(): void {
    for (const values of this.changes()) this.#update.run(...values)
  }
}
