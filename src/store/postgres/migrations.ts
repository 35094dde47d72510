import { numberOf } from '../columns.ts'
import { storeErrors } from '../errors.ts'
import type { OwnerConnection } from './connection.ts'
import { schemaV1 } from './schema-v1.ts'

/** What brings a schema from version n to n + 1, in order; the first makes an empty one version 1. */
const migrations: readonly string[] = [schemaV1]

const tableThere = { name: 'versioned', text: `select to_regclass('schema_version')::text as found` }
const schemaThere = { name: 'schema', text: 'select to_regnamespace($1)::text as found' }
const selectVersion = { name: 'version', text: 'select version from schema_version' }

/** Brings the schema to the version of this program, each step in a transaction. Only the owner of the store may. Throws STORE_NEWER. */
export async function migrate(connection: OwnerConnection, schema: string): Promise<void> {
  // Who has made it for the hub may have kept the right to make others.
  const [there] = await connection.query(schemaThere, [schema])
  if (there?.['found'] === null) await connection.command(`create schema "${schema}"`)
  const found = await readVersion(connection)
  if (found > migrations.length) throw storeErrors.NEWER({ found, known: migrations.length })
  for (const [index, sql] of migrations.entries()) {
    if (index < found) continue
    const count = `delete from schema_version; insert into schema_version values (${index + 1})`
    // Several statements in one message are one transaction.
    await connection.command(`${sql}; ${count}`)
  }
}

async function readVersion(connection: OwnerConnection): Promise<number> {
  const [table] = await connection.query(tableThere)
  if (table?.['found'] === null) return 0
  const [row] = await connection.query(selectVersion)
  return numberOf(row?.['version'])
}
