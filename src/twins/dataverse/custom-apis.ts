import type { Json, JsonObject } from '../../kernel/json.ts'
import { DataverseError, refusals } from './dataverse-error.ts'
import type { Table } from './model.ts'
import type { Row } from './rows.ts'
import { isGroup, patchRecord, type WriteWorld } from './write.ts'

/** A custom API as an organization registers it: a function asks, an action does. */
export interface CustomApi {
  readonly name: string
  readonly kind: 'function' | 'action'
  /** Parameters by name; all of them must be given. */
  readonly parameters: Readonly<Record<string, 'string' | 'entity'>>
  run(world: WriteWorld, parameters: JsonObject): JsonObject
}

/**
 * The interfaces between SAP and Dynamics 365 as custom APIs with the prefix new_: Check finds a record by its SAP key, Set
 * makes or changes it, Get…Status says how it stands.
 */
export const customApis: readonly CustomApi[] = [
  check('new_CheckInventory', 'new_inventory', 'new_sapkey'),
  set('new_SetInventory', 'new_inventory', 'new_sapkey'),
  status('new_GetInvoiceStatus', 'invoice', 'new_sapkey'),
  lineStatus('new_GetInvoiceLineStatus'),
  check('new_CheckInvoice', 'invoice', 'new_sapkey'),
  check('new_CheckInvoiceLine', 'invoicedetail', 'new_sapkey'),
  set('new_SetInvoice', 'invoice', 'new_sapkey'),
  set('new_SetInvoiceLine', 'invoicedetail', 'new_sapkey'),
  status('new_GetProductStatus', 'product', 'productnumber'),
  check('new_CheckProduct', 'product', 'productnumber'),
  set('new_SetProduct', 'product', 'productnumber'),
  {
    name: 'new_CheckCreditLimit',
    kind: 'function',
    parameters: { Key: 'string' },
    run(world, { Key }) {
      const row = find(world, 'account', 'accountnumber', Key)
      const { creditlimit = null, creditonhold = null } = row?.values ?? {}
      return { Found: row !== undefined, Id: row?.id ?? null, CreditLimit: creditlimit, CreditOnHold: creditonhold }
    },
  },
  {
    name: 'new_SetCreditLimit',
    kind: 'action',
    parameters: { Key: 'string', Target: 'entity' },
    run(world, { Key, Target }) {
      const row = find(world, 'account', 'accountnumber', Key)
      if (!row) throw refusals.noKey('account')
      return write(world, 'account', row, 'accountnumber', Key, Target)
    },
  },
  {
    name: 'new_CheckUser',
    kind: 'function',
    parameters: { Key: 'string' },
    run(world, { Key }) {
      const row = find(world, 'systemuser', 'domainname', Key)
      return { Found: row !== undefined, Id: row?.id ?? null, IsDisabled: row?.values['isdisabled'] ?? null }
    },
  },
]

/** Calls a custom API; the answer of an action or function is an entity of a type of its own. */
export function callCustomApi(api: CustomApi, world: WriteWorld, parameters: JsonObject, context: string): JsonObject {
  for (const name of Object.keys(parameters)) {
    if (!(name in api.parameters))
      throw refusals.payload(
        `The parameter '${name}' in the request payload is not a valid parameter for the operation '${api.name}'.`,
      )
  }
  for (const [name, type] of Object.entries(api.parameters)) {
    const value = parameters[name]
    if (value === undefined || value === null) {
      throw new DataverseError(400, '0x80048d19', `Required parameter '${name}' was not provided for ${api.name}.`)
    }
    const isRight = type === 'string' ? typeof value === 'string' : isGroup(value)
    if (!isRight) throw refusals.payload(`Cannot convert the value of '${name}' to ${type}.`)
  }
  const answer = api.run(world, parameters)
  return { '@odata.context': `${context}$metadata#Microsoft.Dynamics.CRM.${api.name}Response`, ...answer }
}

function check(name: string, table: string, column: string): CustomApi {
  return {
    name,
    kind: 'function',
    parameters: { Key: 'string' },
    run(world, { Key }) {
      const row = find(world, table, column, Key)
      return { Found: row !== undefined, Id: row?.id ?? null }
    },
  }
}

function status(name: string, table: string, column: string): CustomApi {
  return {
    name,
    kind: 'function',
    parameters: { Key: 'string' },
    run(world, { Key }) {
      const row = find(world, table, column, Key)
      const { statecode = null, statuscode = null } = row?.values ?? {}
      return { Found: row !== undefined, Id: row?.id ?? null, StateCode: statecode, StatusCode: statuscode }
    },
  }
}

/** A line has no state of its own: it stands as its invoice does. */
function lineStatus(name: string): CustomApi {
  return {
    name,
    kind: 'function',
    parameters: { Key: 'string' },
    run(world, { Key }) {
      const row = find(world, 'invoicedetail', 'new_sapkey', Key)
      const invoice = row && world.store.get(world.store.table('invoice'), String(row.values['invoiceid']))
      const { statecode = null, statuscode = null } = invoice?.values ?? {}
      return { Found: row !== undefined, Id: row?.id ?? null, StateCode: statecode, StatusCode: statuscode }
    },
  }
}

function set(name: string, table: string, column: string): CustomApi {
  return {
    name,
    kind: 'action',
    parameters: { Key: 'string', Target: 'entity' },
    run: (world, { Key, Target }) => write(world, table, find(world, table, column, Key), column, Key, Target),
  }
}

function write(
  world: WriteWorld,
  logicalName: string,
  before: Row | undefined,
  column: string,
  key: Json | undefined,
  target: Json | undefined,
): JsonObject {
  const table = world.store.table(logicalName)
  const fields = isGroup(target) ? target : {}
  const type = fields['@odata.type']
  if (type !== undefined && type !== `Microsoft.Dynamics.CRM.${logicalName}`) {
    throw refusals.payload(`The parameter Target is of type ${String(type)}.`)
  }
  const address = { table, id: before?.id, key: before ? {} : { [column]: key ?? null } }
  const { row, isNew } = world.store.together(() =>
    patchRecord(world, address, fields, { ifMatch: undefined, ifNoneMatch: undefined }),
  )
  return { Id: row.id, Operation: isNew ? 'created' : 'updated' }
}

function find({ store }: WriteWorld, logicalName: string, column: string, key: Json | undefined): Row | undefined {
  const table: Table = store.table(logicalName)
  const isKey = table.keys.some(({ columns }) => columns.length === 1 && columns[0] === column)
  if (isKey) return store.byKey(table, { [column]: key ?? null })
  const wanted = String(key).toLowerCase()
  return store.all(table).find(row => String(row.values[column] ?? '').toLowerCase() === wanted)
}
