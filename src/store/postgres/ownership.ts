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
    const [row] = await connection.query(take, lock)
    if (String(row?.['is_ours']) === 'true') return
    const [other] = await connection.query(owner, lock)
    const name = optionalTextOf(other?.['owner']) ?? 'unknown'
    if (!standby) throw storeErrors.OWNED({ database, schema, owner: name })
    if (!isWaiting) standby.onWaiting(name)
    isWaiting = true
    await clock.sleep(standby.everyMs, standby.signal)
    standby.signal.throwIfAborted()
  }
}
