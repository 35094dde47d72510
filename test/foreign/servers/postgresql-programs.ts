import { existsSync, readdirSync } from 'node:fs'

const versions = '/usr/lib/postgresql'

/** Where Debian has the programs of the newest PostgreSQL that is installed; a folder that is not there without one. */
export const postgresqlPrograms = `${versions}/${newest() ?? 'none'}/bin`

function newest(): string | undefined {
  if (!existsSync(versions)) return undefined
  return readdirSync(versions).toSorted((one, other) => Number(other) - Number(one))[0]
}
