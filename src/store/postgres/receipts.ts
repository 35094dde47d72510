import { numberOf } from '../columns.ts'
import type { StoredReceipt } from '../port.ts'
import { receiptColumns, receiptOf } from '../receipt-row.ts'
import type { Sql } from './connection.ts'

const upsert = {
  name: 'receipt-write',
  text: `
    insert into receipt (seq, effect, state, at, summary, fields, answer_headers, answer_type, answer_body)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    on conflict (seq, effect) do update set state = excluded.state, at = excluded.at, summary = excluded.summary,
      fields = excluded.fields, answer_headers = excluded.answer_headers, answer_type = excluded.answer_type,
      answer_body = excluded.answer_body`,
}
// The number of the row says in which order they were written first. Added to 0, since by its index the server may walk
// through all that there are.
const select = { name: 'receipts', text: 'select * from receipt where seq = any ($1::bigint[]) order by number + 0' }
// One look at the index for each delivery, as in `purge`.
const deleteIntents = {
  name: 'receipt-forget',
  text: `
    delete from receipt where ctid = any (array(
      select intended.row from unnest($1::bigint[]) as again (seq) cross join lateral (
        select ctid as row from receipt where receipt.seq = again.seq and state = 'intended' offset 0) as intended))`,
}

export function putReceipt(sql: Sql, seq: number, receipt: StoredReceipt): Promise<unknown> {
  return sql.query(upsert, receiptColumns(seq, receipt))
}

/** Receipts of several deliveries, by the number of the delivery. */
export async function readReceipts(
  sql: Sql,
  seqs: readonly number[],
): Promise<ReadonlyMap<number, readonly StoredReceipt[]>> {
  const found = new Map<number, StoredReceipt[]>()
  if (seqs.length === 0) return found
  for (const row of await sql.query(select, [seqs])) {
    const seq = numberOf(row['seq'])
    const others = found.get(seq)
    if (others) others.push(receiptOf(row))
    else found.set(seq, [receiptOf(row)])
  }
  return found
}

export function forgetIntents(sql: Sql, seqs: readonly number[]): Promise<unknown> {
  return sql.query(deleteIntents, [seqs])
}
