import type { DatabaseSync } from 'node:sqlite'
import { type Row, rowReceiptsColumn, rowReceiptsOf } from '../columns.ts'
import type { StoredReceipt } from '../port.ts'
import { receiptColumns, receiptOf } from '../receipt-row.ts'
import type { SqliteLimits } from './limits.ts'

type ReceiptLimits = Pick<SqliteLimits, 'rowReceipts' | 'rowAnswerBytes'>

/**
 * Receipts of deliveries. One that is written on the way has a row of its own; those of the end lie in the row of the
 * delivery where they are few and their answers small (one write less for each delivery). The end's ones are the newer.
 * An intent lies there, too, as long as it is the only receipt: mostly the end takes its place.
 */
export class Receipts {
  readonly #limits: ReceiptLimits
  readonly #select
  readonly #upsert
  readonly #delete
  readonly #deleteIntents
  readonly #selectInRow
  readonly #updateInRow

  constructor(database: DatabaseSync, limits: ReceiptLimits) {
    this.#limits = limits
    // The number of the row says in which order they were written first; there are seldom more than a few.
    this.#select = database.prepare('select * from receipt where seq = ? order by number')
    this.#upsert = database.prepare(`
      insert into receipt (seq, effect, state, at, summary, fields, answer_headers, answer_type, answer_body)
      values (?, ?, ?, ?, ?, ?, ?, ?, ?)
      on conflict (seq, effect) do update set state = excluded.state, at = excluded.at, summary = excluded.summary,
        fields = excluded.fields, answer_headers = excluded.answer_headers, answer_type = excluded.answer_type,
        answer_body = excluded.answer_body`)
    this.#delete = database.prepare('delete from receipt where seq = ?')
    this.#selectInRow = database.prepare('select receipts from delivery where seq = ?')
    this.#updateInRow = database.prepare('update delivery set receipts = ? where seq = ?')
    this.#deleteIntents = database.prepare(`delete from receipt where seq = ? and state = 'intended'`)
  }

  /** All receipts of a delivery; `column` is what lies in its row. */
  read(seq: number, column: Row[string] | undefined = this.#inRow(seq)): readonly StoredReceipt[] {
    const byEffect = new Map<string, StoredReceipt>()
    for (const row of this.#select.iterate(seq)) {
      const receipt = receiptOf(row)
      byEffect.set(receipt.effect, receipt)
    }
    for (const receipt of rowReceiptsOf(column ?? null)) byEffect.set(receipt.effect, receipt)
    return [...byEffect.values()]
  }

  put(seq: number, receipt: StoredReceipt): void {
    this.#upsert.run(...receiptColumns(seq, receipt))
  }

  /** Puts the only receipt of a delivery into its row. */
  putInRow(seq: number, receipt: StoredReceipt): void {
    this.#updateInRow.run(rowReceiptsColumn([receipt]), seq)
  }

  /** Gives what lies in the row rows of their own, because other receipts come or because the end does not replace it. */
  unfoldRow(seq: number): void {
    const column = this.#inRow(seq)
    if (typeof column !== 'string') return
    this.unfold(seq, column)
    this.#updateInRow.run(null, seq)
  }

  /** Puts the receipts of an end down; returns what belongs into the delivery's row. */
  putAtEnd(seq: number, receipts: readonly StoredReceipt[]): string | null {
    if (receipts.length === 0) return null
    const { rowReceipts, rowAnswerBytes } = this.#limits
    const isSmall =
      receipts.length <= rowReceipts && receipts.every(({ answer }) => (answer?.body.length ?? 0) <= rowAnswerBytes)
    if (isSmall) return rowReceiptsColumn(receipts)
    for (const receipt of receipts) this.put(seq, receipt)
    return null
  }

  /** Gives the receipts of the row rows of their own, because the delivery travels again. */
  unfold(seq: number, column: Row[string] | undefined): void {
    for (const receipt of rowReceiptsOf(column ?? null)) this.put(seq, receipt)
  }

  #inRow(seq: number): Row[string] | undefined {
    return this.#selectInRow.get(seq)?.['receipts']
  }

  forgetIntents(seq: number): void {
    this.#deleteIntents.run(seq)
  }

  purge(seq: number): void {
    this.#delete.run(seq)
  }
}
