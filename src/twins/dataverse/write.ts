import type { Json, JsonObject } from '../../kernel/json.ts'
import { findAddressed, type RecordAddress, readAddress, requireAddressed } from './address.ts'
import { checkLine, makeBaseUnit, requireEditable, requireOpenParent } from './business-rules.ts'
import { DataverseError, refusals } from './dataverse-error.ts'
import type { Column, Table } from './model.ts'
import type { Row, RowStore } from './rows.ts'
import { checkValue } from './values.ts'

export interface WriteWorld {
  readonly store: RowStore
  readonly now: () => number
  /** Records of requests before in the same changeset, by Content-ID (`$1`). */
  readonly references?: ReadonlyMap<string, RecordAddress>
}

export interface Conditions {
  readonly ifMatch: string | undefined
  readonly ifNoneMatch: string | undefined
}

/** POST on a set: a new record. */
export function createRecord(world: WriteWorld, table: Table, body: JsonObject): Row {
  const { [table.id]: id, ...rest } = body
  const given = id === undefined || id === null ? undefined : String(checkValue(table, table.id, { kind: 'guid' }, id))
  return insert(world, table, readFields(world, table, rest, 'insert'), given)
}

/**
 * PATCH of one record: changes it, or makes it. `If-Match: *` only changes, `If-None-Match: *` only makes, `If-Match` with
 * a version changes that state alone (Microsoft, "Perform conditional operations using the Web API").
 */
export function patchRecord(
  world: WriteWorld,
  address: RecordAddress,
  body: JsonObject,
  { ifMatch, ifNoneMatch }: Conditions,
): { readonly row: Row; readonly isNew: boolean } {
  const { store } = world
  const { table, id, key } = address
  const row = ifMatch === undefined ? findAddressed(store, address) : requireAddressed(store, address)
  if (row) {
    if (ifNoneMatch === '*') throw refusals.exists()
    if (ifMatch !== undefined && ifMatch !== '*' && ifMatch !== etagOf(row)) throw refusals.version()
    // Values of the key by which it was addressed are dropped on a change.
    const rest = Object.fromEntries(Object.entries(body).filter(([name]) => !(name in key) && name !== table.id))
    return { row: update(world, table, row, readFields(world, table, rest, 'update')), isNew: false }
  }
  const { [table.id]: _id, ...rest } = body
  // On a new record the body wins over the address, even where it says something else.
  return { row: insert(world, table, { ...key, ...readFields(world, table, rest, 'insert') }, id), isNew: true }
}

/** UpsertMultiple: all or none. The key stands in @odata.id; a new record must not have it in its body too. */
export function upsertMultiple(world: WriteWorld, table: Table, body: JsonObject): void {
  for (const target of targetsOf(table, body)) {
    const { '@odata.type': _type, '@odata.id': address, ...rest } = target
    if (typeof address !== 'string') {
      createRecord(world, table, rest)
      continue
    }
    const found = readAddress(world.store, address.replace(/^\//, ''))
    const isNew = findAddressed(world.store, found) === undefined
    const twice = Object.keys(found.key).filter(name => name in rest)
    if (isNew && twice.length > 0) {
      throw new DataverseError(
        400,
        '0x80040216',
        `An unexpected error occurred. The key attribute ${twice.join(', ')} is given twice.`,
      )
    }
    patchRecord(world, found, rest, { ifMatch: undefined, ifNoneMatch: undefined })
  }
}

export function createMultiple(world: WriteWorld, table: Table, body: JsonObject): readonly string[] {
  return targetsOf(table, body).map(({ '@odata.type': _type, ...rest }) => createRecord(world, table, rest).id)
}

export function etagOf({ version }: Row): string {
  return `W/"${version}"`
}

function targetsOf(table: Table, body: JsonObject): readonly JsonObject[] {
  const targets = body['Targets']
  if (!Array.isArray(targets)) throw refusals.payload('The parameter Targets is missing.')
  if (targets.length > 1000) throw refusals.value('0x80040203', 'Too many targets in one request.')
  return targets.map((target: Json) => {
    const type = isGroup(target) ? target['@odata.type'] : undefined
    if (!isGroup(target) || type !== `Microsoft.Dynamics.CRM.${table.logicalName}`) {
      throw refusals.payload(
        `The annotation @odata.type is missing or not Microsoft.Dynamics.CRM.${table.logicalName}.`,
      )
    }
    return target
  })
}

function insert(world: WriteWorld, table: Table, values: Readonly<Record<string, Json>>, id: string | undefined): Row {
  for (const [name, column] of Object.entries(table.columns)) {
    if (!column.isRequired || (values[name] ?? null) !== null) continue
    throw refusals.value('0x80040203', `Required field '${name}' is missing in entity '${table.logicalName}'.`)
  }
  const { store } = world
  checkLine(store, table, values)
  requireOpenParent(store, table, values)
  const at = stamp(world)
  const states = table.statuses ? { statecode: 0, statuscode: table.statuses[0]?.[0] ?? 1 } : {}
  const stamps = { createdon: at, modifiedon: at }
  const row = store.insert(table, { ...states, ...withStatus(table, values, {}), ...stamps }, id)
  makeBaseUnit(store, table, row, stamps)
  return row
}

function update(world: WriteWorld, table: Table, row: Row, values: Readonly<Record<string, Json>>): Row {
  const { store } = world
  requireEditable(table, row, values)
  requireOpenParent(store, table, row.values)
  requireOpenParent(store, table, values)
  const changed = { ...withStatus(table, values, row.values), modifiedon: stamp(world) }
  checkLine(store, table, { ...row.values, ...changed })
  return store.update(table, row, changed)
}

/** Deletes a record, unless the one that it is a line of is read-only. */
export function deleteRecord({ store }: Pick<WriteWorld, 'store'>, table: Table, row: Row): void {
  requireOpenParent(store, table, row.values)
  store.delete(table, row)
}

/** A state and its reason belong together; a state alone takes its first reason. */
function withStatus(
  table: Table,
  values: Readonly<Record<string, Json>>,
  before: Readonly<Record<string, Json>>,
): Readonly<Record<string, Json>> {
  const { statuses } = table
  if (!statuses || (values['statecode'] === undefined && values['statuscode'] === undefined)) return values
  const state = Number(values['statecode'] ?? before['statecode'] ?? 0)
  const status = values['statuscode'] ?? statuses[state]?.[0] ?? null
  if (!statuses[state]?.includes(Number(status))) {
    throw refusals.value(
      '0x80048408',
      `${String(status)} is not a valid status code for state code ${state} on ${table.logicalName}.`,
    )
  }
  return { ...values, statecode: state, statuscode: status }
}

function readFields(
  world: WriteWorld,
  table: Table,
  body: JsonObject,
  how: 'insert' | 'update',
): Readonly<Record<string, Json>> {
  const values: Record<string, Json> = {}
  for (const [name, value] of Object.entries(body)) {
    if (name.endsWith('@odata.bind')) {
      const navigation = name.slice(0, -'@odata.bind'.length)
      const [column, target] = lookupOf(table, navigation)
      requireWritable(table, column, how)
      values[column] = value === null ? null : boundId(world, target, navigation, value)
      continue
    }
    if (name.startsWith('@') || name.includes('@odata.')) continue
    const column = table.columns[name]
    if (!column) {
      const type = `Microsoft.Dynamics.CRM.${table.logicalName}`
      throw refusals.payload(
        `The property '${name}' does not exist on type '${type}'. Make sure to only use property names that are defined by the type.`,
      )
    }
    requireWritable(table, name, how)
    values[name] = checkValue(table, name, column, value)
  }
  return values
}

function lookupOf(table: Table, navigation: string): readonly [column: string, target: string] {
  for (const [name, column] of Object.entries(table.columns)) {
    const target = column.kind === 'lookup' ? column.navigation[navigation] : undefined
    if (target !== undefined) return [name, target]
  }
  throw refusals.payload(
    `An undeclared property '${navigation}' which only has property annotations in the payload but no property value was found in the payload.`,
  )
}

/** What only new records take, and what nobody writes: real environments drop some of these unseen, the twin says so. */
function requireWritable(table: Table, name: string, how: 'insert' | 'update'): void {
  const column: Column | undefined = table.columns[name]
  if (column?.writable === 'never' || (column?.writable === 'insert' && how === 'update')) {
    throw refusals.value('0x80040203', `The attribute '${name}' of '${table.logicalName}' cannot be changed.`)
  }
}

/** `/accounts(accountnumber='1001')`, `accounts(<guid>)`, a whole URL, or `$1` of the same changeset. */
function boundId({ store, references }: WriteWorld, target: string, navigation: string, value: Json): string {
  if (typeof value !== 'string') throw refusals.payload(`The value of '${navigation}@odata.bind' is no address.`)
  if (value.startsWith('$')) {
    const address = references?.get(value)
    if (!address) {
      throw new DataverseError(
        400,
        '0x80060888',
        `Content-ID Reference: '${value}' does not exist in the batch context.`,
      )
    }
    return requireAddressed(store, address).id
  }
  const path = value
    .replace(/^https?:\/\/[^/]+/, '')
    .replace(/^\/?api\/data\/v9\.\d\//, '')
    .replace(/^\//, '')
  const address = readAddress(store, decoded(path))
  if (address.table.logicalName !== target) {
    throw refusals.payload(`'${navigation}' leads to ${target}, and '${address.table.set}' is another table.`)
  }
  return requireAddressed(store, address).id
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    throw refusals.query('Bad Request - Error in query syntax.')
  }
}

function stamp({ now }: WriteWorld): string {
  return new Date(now()).toISOString().replace(/\.\d{3}Z$/, 'Z')
}

export function isGroup(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
