import type { Limits } from '../kernel/limit.ts'
import type { Log } from '../kernel/log.ts'
import type { Clock } from '../kernel/time.ts'
import { storeErrors } from './errors.ts'
import type { Store } from './port.ts'
import type { PostgresAddress } from './postgres/connection.ts'
import { openSqliteStore } from './sqlite/open.ts'

/** A store on PostgreSQL instead of the one in the data folder. */
export interface StoreSettings {
  readonly address: PostgresAddress
  /** Waits while another hub works with the store; otherwise STORE_OWNED. */
  readonly standby: boolean
}

interface OpenStoreOptions {
  /** The data folder. */
  readonly folder: string
  /** How the hub calls itself to others that want the same store. */
  readonly owner: string
  /** Ends the wait of a hub that stands by. */
  readonly stop: AbortSignal | undefined
  readonly limits: Limits
  readonly clock: Clock
  readonly log: Log
}

/** Opens the store that a hub is set up with; the embedded one where it is set up with none. */
export async function openStore(
  settings: StoreSettings | undefined,
  { folder, owner, stop, limits, clock, log }: OpenStoreOptions,
): Promise<Store> {
  if (!settings) {
    const onLogDamaged = (pages: number) => {
      const { code, message: text, next } = storeErrors.LOG_DAMAGED({ folder, pages })
      log.error('store.log-damaged', { code, text, next })
    }
    return openSqliteStore({ folder, limits, clock, onLogDamaged })
  }
  // Loaded only where it is used: it brings a driver of its own.
  const { openPostgresStore } = await import('./postgres/open.ts')
  const { address } = settings
  const standby = {
    signal: stop ?? new AbortController().signal,
    onWaiting: (other: string) => log.info('hub.standing-by', { for: other, schema: address.schema }),
  }
  return openPostgresStore({ address, owner, limits, clock, standby: settings.standby ? standby : undefined })
}
