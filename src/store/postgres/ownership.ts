import { crc32 } from 'node:zlib'
import type { Clock } from '../../kernel/time.ts'
import { optionalTextOf } from '../columns.ts'
import { storeErrors } from '../errors.ts'
import type { OwnerConnection } from './connection.ts'

// The two numbers of an advisory lock: ours, and that of the schema. Locks belong to one database.
const lockClass = 0x49_53_54
const signedMax = 0x7f_ff_ff_ff

const take = { name: 'take-store', text: 'select pg_try_advisory_lock($1::integer, $2::integer) as is_ours' }
const owner = {
  name: 'store-owner',
  text: `
    select application_name || coalesce(' at ' || host(client_addr), '') as owner
    from pg_locks join pg_stat_activity using (pid)
    where locktype = 'advisory' and granted and classid = $1::oid and objid = $2::oid
      and pg_locks.database = (select oid from pg_database where datname = current_database())`,
}

export interface OwnershipOptions {
  readonly clock: Clock
  readonly schema: string
  readonly database: string
  /** How long the server may take to answer. */
  readonly answerMs: number
  /** Stand by until the store is free; otherwise STORE_OWNED at once. */
  readonly standby:
    | { readonly everyMs: number; readonly signal: AbortSignal; readonly onWaiting: (owner: string) => void }
    | undefined
}

/**
 * Makes this connection the owner of the store, for as long as it lives: all writes go through it, so a hub that has lost
 * the store cannot write any more. The server gives the store free when the connection ends, however it ends.
 */
export async function takeOwnership(connection: OwnerConnection, options: OwnershipOptions): Promise<void> {
  const { clock, schema, database, standby } = options
  const lock = [lockClass, crc32(schema) & signedMax]
  let isWaiting = false
  for (;;) {
    const name = await ownerUnlessOurs(connection, lock, options.answerMs)
    if (name === undefined) return
    if (!standby) throw storeErrors.OWNED({ database, schema, owner: name })
    if (!isWaiting) standby.onWaiting(name)
    isWaiting = true
    await clock.sleep(standby.everyMs, standby.signal)
    standby.signal.throwIfAborted()
  }
}

/** Takes the lock; who has it, when it is another. */
async function ownerUnlessOurs(
  connection: OwnerConnection,
  lock: readonly number[],
  answerMs: number,
): Promise<string | undefined> {
  // A server whose machine is gone says nothing for a quarter of an hour, and another may have its name by then.
  const late = setTimeout(() => connection.cut(), answerMs)
  try {
    const [row] = await connection.query(take, lock)
    if (String(row?.['is_ours']) === 'true') return undefined
    const [other] = await connection.query(owner, lock)
    return optionalTextOf(other?.['owner']) ?? 'unknown'
  } finally {
    clearTimeout(late)
  }
}
