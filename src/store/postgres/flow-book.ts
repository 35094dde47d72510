import { numberOf } from '../columns.ts'
import { type BookedFlow, FlowCounts } from '../flow-counts.ts'
import type { Committer, GroupMember } from './committer.ts'
import type { Sql } from './connection.ts'

const selectAll = { name: 'flows', text: 'select * from flow' }
const insert = { name: 'flow-insert', text: 'insert into flow (name) values ($1) returning number' }
const update = {
  name: 'flow-update',
  text: `
    update flow set queued = queued + $1, delivered = delivered + $2, dropped = dropped + $3, rejected = rejected + $4,
      set_aside = set_aside + $5, skipped = skipped + $6, last_accepted_at = coalesce($7, last_accepted_at)
    where number = $8`,
}

/** Table `flow`. */
export class FlowBook extends FlowCounts implements GroupMember {
  /** Names on their way into the table. */
  readonly #arriving = new Map<string, Promise<BookedFlow>>()

  static async load(sql: Sql): Promise<FlowBook> {
    const book = new FlowBook()
    for (const row of await sql.query(selectAll)) book.load(row)
    return book
  }

  /** The flow of a name that is not known yet, in the table when the promise resolves. */
  add(name: string, committer: Committer): Promise<BookedFlow> {
    const arriving =
      this.#arriving.get(name) ??
      committer
        .commit(sql => sql.query(insert, [name]), {
          committed: ([row]) => void this.book(numberOf(row?.['number']), name),
        })
        .then(() => this.known(name))
        .finally(() => this.#arriving.delete(name))
    this.#arriving.set(name, arriving)
    return arriving
  }

  /** A flow that has deliveries. */
  known(name: string): BookedFlow {
    const flow = this.find(name)
    if (!flow) throw new Error(`The store does not know flow ${name}.`)
    return flow
  }

  beforeCommit(sql: Sql): readonly Promise<unknown>[] {
    return this.changes().map(values => sql.query(update, values))
  }
}
