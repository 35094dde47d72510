import type { Json } from '../../kernel/json.ts'
import { refusals } from './dataverse-error.ts'
import type { Table } from './model.ts'
import type { Row, RowStore } from './rows.ts'

type Values = Readonly<Record<string, Json>>

/** A line names a product of the catalogue with a unit of its unit group, or writes one in. */
export function checkLine(store: RowStore, table: Table, values: Values): void {
  if (table.logicalName !== 'invoicedetail') return
  if (values['isproductoverridden'] === true) {
    requireValue(values, 'productdescription')
    return
  }
  requireValue(values, 'productid')
  requireValue(values, 'uomid')
  const product = store.get(store.table('product'), String(values['productid']))
  const unit = store.get(store.table('uom'), String(values['uomid']))
  if (product?.values['defaultuomscheduleid'] === unit?.values['uomscheduleid']) return
  throw refusals.value('0x80043b1e', 'The unit is not in the unit group of the product.')
}

/** A new unit group comes with its base unit. */
export function makeBaseUnit(store: RowStore, table: Table, group: Row, stamps: Values): void {
  if (table.logicalName !== 'uomschedule') return
  const name = group.values['baseuomname'] ?? null
  const base = { name, quantity: 1, uomscheduleid: group.id, isschedulebaseuom: true }
  store.insert(store.table('uom'), { ...base, ...stamps })
}

/** Quotes, orders and invoices that are closed take nothing but another state. */
export function requireEditable(table: Table, row: Row, values: Values): void {
  const hasMore = Object.keys(values).some(name => name !== 'statecode' && name !== 'statuscode')
  if (isReadOnly(table, row) && hasMore) throw refusals.readOnly()
}

/** Nothing of a line is made, changed or deleted while the record that it belongs to is read-only. */
export function requireOpenParent(store: RowStore, table: Table, values: Values): void {
  const column = table.lineOf === undefined ? undefined : table.columns[table.lineOf]
  const id = values[table.lineOf ?? '']
  if (column?.kind !== 'lookup' || typeof id !== 'string') return
  const parents = store.table(Object.values(column.navigation)[0] ?? '')
  const parent = store.get(parents, id)
  if (parent && isReadOnly(parents, parent)) throw refusals.lineReadOnly()
}

function isReadOnly({ readOnlyStates = [] }: Table, { values }: Row): boolean {
  return readOnlyStates.includes(Number(values['statecode'] ?? 0))
}

function requireValue(values: Values, name: string): void {
  if ((values[name] ?? null) !== null) return
  throw refusals.value('0x80040203', `Required field '${name}' is missing in entity 'invoicedetail'.`)
}
