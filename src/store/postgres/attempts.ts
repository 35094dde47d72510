import { errorOf, numberOf } from '../columns.ts'
import type { DeliveryDetail, StoredError } from '../port.ts'
import type { Sql } from './connection.ts'

const insert = { name: 'attempt-write', text: 'insert into attempt (seq, attempt, at, error) values ($1, $2, $3, $4)' }
const prune = {
  name: 'attempt-prune',
  text: `
    delete from attempt where seq = $1 and number <=
      (select number from attempt where seq = $1 order by number desc limit 1 offset $2)`,
}
const select = { name: 'attempts', text: 'select attempt, at, error from attempt where seq = $1 order by number' }

export function addAttempt(
  sql: Sql,
  seq: number,
  { attempt, at, error }: { readonly attempt: number; readonly at: number; readonly error: StoredError },
  keptMax: number,
): readonly Promise<unknown>[] {
  const written = sql.query(insert, [seq, attempt, Math.round(at), JSON.stringify(error)])
  return attempt <= keptMax ? [written] : [written, sql.query(prune, [seq, keptMax])]
}

export async function readAttempts(sql: Sql, seq: number): Promise<DeliveryDetail['attempts']> {
  const rows = await sql.query(select, [seq])
  return rows.flatMap(row => {
    const error = errorOf(row['error'])
    return error ? [{ attempt: numberOf(row['attempt']), at: numberOf(row['at']), error }] : []
  })
}
