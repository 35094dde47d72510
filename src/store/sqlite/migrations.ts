import type { DatabaseSync } from 'node:sqlite'
import { storeErrors } from '../errors.ts'
import { schemaV1 } from './schema-v1.ts'
import { schemaV2 } from './schema-v2.ts'
import { schemaV4 } from './schema-v4.ts'

/**
 * Version 3 has the tables of version 2. Intents of queued deliveries may lie in `delivery.receipts`; a program that does not
 * look there would send such a message as if it had never been tried.
 */
const schemaV3 = ''

/** What brings a database from version n to n + 1, in order; the first makes an empty one version 1. */
const migrations: readonly string[] = [schemaV1, schemaV2, schemaV3, schemaV4]

export const schemaVersion = migrations.length

/** Brings the database to the version of this program, each step in a transaction. Throws STORE_NEWER. */
export function migrate(database: DatabaseSync): void {
  const found = readVersion(database)
  if (found > schemaVersion) throw storeErrors.NEWER({ found, known: schemaVersion })
  for (const [index, sql] of migrations.entries()) {
    if (index < found) continue
    try {
      database.exec(`begin immediate; ${sql}; pragma user_version = ${index + 1}; commit`)
    } catch (thrown) {
      if (database.isTransaction) database.exec('rollback')
      throw thrown
    }
  }
}

function readVersion(database: DatabaseSync): number {
  return Number(database.prepare('pragma user_version').get()?.['user_version'])
}
