import { errorOf, numberOf, type Row } from '../columns.ts'
import type { DeliveryDetail, StoredError } from '../port.ts'
import type { Sql } from './connection.ts'

const insert = { name: 'attempt-write', text: 'insert into attempt (seq, attempt, at, error) values ($1, $2, $3, $4)' }
const prune = {
  name: 'attempt-prune',
  text: `
    delete from attempt where seq = $1 and number <=
      (select number from attempt where seq = $1 order by number desc limit 1 offset $2)`,
}
// By the number of the row as with receipts.
const select = {
  name: 'attempts',
  text: 'select seq, attempt, at, error from attempt where seq = any ($1::bigint[]) order by number + 0',
}

export function addAttempt(
  sql: Sql,
  seq: number,
  { attempt, at, error }: { readonly attempt: number; readonly at: number; readonly error: StoredError },
  keptMax: number,
): readonly Promise<unknown>[] {
  const written = sql.query(insert, [seq, attempt, Math.round(at), JSON.stringify(error)])
  return attempt <= keptMax ? [written] : [written, sql.query(prune, [seq, keptMax])]
}

/** Failed attempts of several deliveries, by the number of the delivery. */
export async function readAttempts(
  sql: Sql,
  seqs: readonly number[],
): Promise<ReadonlyMap<number, DeliveryDetail['attempts']>> {
  const found = Map.groupBy(await sql.query(select, [seqs]), row => numberOf(row['seq']))
  return new Map([...found].map(([seq, rows]) => [seq, rows.flatMap(attemptOf)]))
}

function attemptOf(row: Row): DeliveryDetail['attempts'] {
  const error = errorOf(row['error'])
  return error ? [{ attempt: numberOf(row['attempt']), at: numberOf(row['at']), error }] : []
}
