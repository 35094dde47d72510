import { asHubError, type HubError } from '../../kernel/error.ts'
import { storeErrors } from '../errors.ts'

// Primary result codes of SQLite (https://www.sqlite.org/rescode.html); the extended ones carry them in the low byte.
const sqliteBusy = 5
const sqliteReadOnly = 8
const sqliteIoError = 10
const sqliteCorrupt = 11
const sqliteFull = 13
const sqliteCannotOpen = 14
const sqliteNotADatabase = 26

const fullSystemCodes: readonly string[] = ['ENOSPC', 'EDQUOT', 'EIO', 'EROFS', 'EMFILE', 'ENFILE', 'EFBIG']

/** Whatever the disk or SQLite threw, as the error that says whose turn it is. */
export function asStoreError(thrown: unknown): HubError {
  const code = sqliteCode(thrown)
  const text = thrown instanceof Error ? thrown.message : String(thrown)
  if (isDamagedDatabase(thrown)) return storeErrors.DAMAGED({ text }, { cause: thrown })
  const isDisk = [sqliteFull, sqliteIoError, sqliteReadOnly, sqliteCannotOpen, sqliteBusy].some(known => known === code)
  return isDisk || isFullDisk(thrown) ? storeErrors.FULL({ text }, { cause: thrown }) : asHubError(thrown)
}

/** What lies in the file is no database, or not a whole one. */
export function isDamagedDatabase(thrown: unknown): boolean {
  const code = sqliteCode(thrown)
  return code === sqliteCorrupt || code === sqliteNotADatabase
}

export function isBusy(thrown: unknown): boolean {
  return sqliteCode(thrown) === sqliteBusy
}

export function isMissingFile(thrown: unknown): boolean {
  return systemCode(thrown) === 'ENOENT'
}

/** The bytes are gone for good: no such file, or a sector that cannot be read. */
export function isLostFile(thrown: unknown): boolean {
  return isMissingFile(thrown) || systemCode(thrown) === 'EIO'
}

function isFullDisk(thrown: unknown): boolean {
  return fullSystemCodes.includes(systemCode(thrown) ?? '')
}

function sqliteCode(thrown: unknown): number | undefined {
  if (!(thrown instanceof Error) || !('errcode' in thrown) || typeof thrown.errcode !== 'number') return undefined
  return thrown.errcode & 0xff
}

function systemCode(thrown: unknown): string | undefined {
  return thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : undefined
}
