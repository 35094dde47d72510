import type { Segment } from '../../protocols/idoc/idoc.ts'
import { type ChangePointer, wantsWhole } from './change-pointers.ts'
import { type IdocLayout, leaving, type ReducedType, type SegmentLayout } from './idoc-layout.ts'
import type { MasterData, Row } from './master-data.ts'
import { type Table, type TableName, tables } from './tables.ts'

/** What a segment says about its row (field MSGFN). */
const msgfn = { deleted: '003', changed: '004', original: '009', again: '018' } as const
const noData = '/'

/**
 * The segments of an object out of its change pointers, as MASTERIDOC_CREATE_SMD_* makes them: the first segment always
 * and whole, those below only where a row changed; a new object, or one asked for, with all it has. Undefined when there
 * is nothing left to tell.
 */
export function buildSegments(
  data: MasterData,
  { root }: IdocLayout,
  objectId: string,
  pointers: readonly ChangePointer[],
  reduced?: ReducedType,
): Segment | undefined {
  const rootTable: Table = tables[root.table]
  const keyField = rootTable.key[0] ?? ''
  const [row] = data.find(root.table, { [keyField]: objectId })
  const isWhole = wantsWhole(pointers, root.table)
  const own = pointers.filter(({ table }) => table === root.table)
  if (!row) {
    const isGone = own.some(({ kind }) => kind === 'D')
    return isGone ? makeSegment(root, { [keyField]: objectId }, msgfn.deleted, reduced, []) : undefined
  }
  const children = root.children.flatMap(child => {
    if (reduced && !reduced.fields[child.segment]) return []
    if (isWhole)
      return data.find(child.table, { [keyField]: objectId }).map(each => makeSegment(child, each, msgfn.original))
    const changed = pointers.filter(({ table }) => table === child.table)
    return rowsBehind(child.table, changed).flatMap(({ key, kind }) => {
      const [now] = data.find(child.table, key)
      if (!now) return [makeSegment(child, key, msgfn.deleted, reduced)]
      return [makeSegment(child, now, kind === 'I' ? msgfn.original : msgfn.changed, reduced)]
    })
  })
  const rootMsgfn = isWhole ? msgfn.original : own.length > 0 ? msgfn.changed : msgfn.again
  return makeSegment(root, row, rootMsgfn, reduced, children)
}

/** Rows that the pointers speak of, once each; the last word counts. */
function rowsBehind(table: TableName, pointers: readonly ChangePointer[]) {
  const byKey = new Map<string, { readonly key: Row; readonly kind: ChangePointer['kind'] }>()
  for (const { tableKey, kind } of pointers) {
    const isNew = kind === 'U' && byKey.get(tableKey)?.kind === 'I'
    byKey.set(tableKey, { key: splitKey(table, tableKey), kind: isNew ? 'I' : kind })
  }
  return [...byKey.values()]
}

function splitKey(name: TableName, text: string): Row {
  const { key, fields }: Table = tables[name]
  const row: Record<string, string> = {}
  let at = 0
  for (const field of key) {
    const length = fields[field] ?? 0
    row[field] = text.slice(at, at + length).trimEnd()
    at += length
  }
  return row
}

function makeSegment(
  { segment, table, fields: layout }: SegmentLayout,
  row: Row,
  function_: string,
  reduced?: ReducedType,
  children: readonly Segment[] = [],
): Segment {
  const fields = new Map([['MSGFN', function_]])
  const { key }: Table = tables[table]
  const kept = reduced?.fields[segment] ?? []
  for (const each of layout) {
    const [name, source, as] = typeof each === 'string' ? ([each, each, undefined] as const) : each
    const value = row[source]
    const isKey = key.includes(source)
    // A deleted row has its key and nothing else to tell.
    if (value === undefined) continue
    const told = name === 'MATNR' ? oldMaterialNumber(value) : leaving(value, as)
    if (reduced && !isKey && !kept.includes(name)) fields.set(name, noData)
    // Fields with their initial value are left out of IDocs in XML.
    else if (told !== '') fields.set(name, told)
  }
  return { name: segment, fields, children }
}

/** MATNR of the IDoc has 18 places; a longer number stands in MATNR_LONG only. */
function oldMaterialNumber(value: string): string {
  return value.length > 18 ? '' : value
}
