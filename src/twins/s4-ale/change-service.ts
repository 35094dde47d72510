import { z } from 'zod'
import { aleTwinErrors } from './errors.ts'
import type { MasterData } from './master-data.ts'
import { type TableName, tables } from './tables.ts'

const table = z.enum(Object.keys(tables) as [TableName, ...TableName[]])
const row = z.record(z.string(), z.string())

/** What people do in the transactions of S/4HANA, as one JSON document. */
const change = z.union([
  z.strictObject({ create: table, row }),
  z.strictObject({ change: table, key: row, row }),
  z.strictObject({ remove: table, key: row }),
])

/** Carries out a change that somebody asked the twin for over HTTP. Throws the errors of area TWINALE. */
export function changeMasterData(data: MasterData, text: string): void {
  let document: unknown
  try {
    document = JSON.parse(text)
  } catch (cause) {
    throw aleTwinErrors.NO_CHANGE({ text: cause instanceof Error ? cause.message : String(cause) }, { cause })
  }
  const parsed = change.safeParse(document)
  if (!parsed.success) throw aleTwinErrors.NO_CHANGE({ text: z.prettifyError(parsed.error) })
  const wanted = parsed.data
  if ('create' in wanted) data.create(wanted.create, wanted.row)
  else if ('change' in wanted) data.change(wanted.change, wanted.key, wanted.row)
  else data.remove(wanted.remove, wanted.key)
}
