import type { JsonObject } from '../../kernel/json.ts'
import { refusals } from './dataverse-error.ts'
import { readFilter } from './filter.ts'
import { type ColumnKind, shownName, type Table } from './model.ts'
import type { QueryFields } from './query.ts'

const names = ['LogicalName', 'SchemaName', 'EntitySetName', 'PrimaryIdAttribute', 'LogicalCollectionName'] as const

/** EntityDefinitions: what tables say of themselves, with their alternate keys. */
export function showDefinitions(tables: readonly Table[], fields: QueryFields, context: string): JsonObject {
  const select = fields.get('$select')?.split(',') ?? names
  for (const name of select) requireName(name)
  const filter = fields.get('$filter')
  const matches = filter === undefined ? () => true : readFilter(filter, requireName)
  const value = tables
    .map(table => ({ table, facts: factsOf(table) }))
    .filter(({ facts }) => matches(name => facts[name] ?? null))
    .map(({ table, facts }) => ({
      ...Object.fromEntries(select.map(name => [name, facts[name] ?? null])),
      ...(fields.get('$expand')?.startsWith('Keys') && { Keys: table.keys.map(keyOf) }),
    }))
  return { '@odata.context': `${context}$metadata#EntityDefinitions`, value }
}

function requireName(name: string): void {
  if ((names as readonly string[]).includes(name)) return
  throw refusals.query(`Could not find a property named '${name}' on type 'Microsoft.Dynamics.CRM.EntityMetadata'.`)
}

function factsOf({ logicalName, set, id }: Table): Readonly<Record<string, string>> {
  return {
    LogicalName: logicalName,
    SchemaName: logicalName,
    EntitySetName: set,
    PrimaryIdAttribute: id,
    LogicalCollectionName: set,
  }
}

function keyOf({ columns, state = 'Active' }: Table['keys'][number]): JsonObject {
  return { SchemaName: `key_${columns.join('_')}`, KeyAttributes: columns, EntityKeyIndexStatus: state }
}

/** $metadata (CSDL 4.0) of the tables. */
export function showMetadata(tables: readonly Table[]): string {
  const types = tables.map(table => {
    const properties = Object.entries(table.columns).map(
      ([name, column]) => `<Property Name="${shownName(name, column)}" Type="${edmType(column)}"/>`,
    )
    const navigation = Object.values(table.columns).flatMap(column =>
      column.kind === 'lookup'
        ? Object.entries(column.navigation).map(
            ([name, target]) => `<NavigationProperty Name="${name}" Type="mscrm.${target}"/>`,
          )
        : [],
    )
    const key = `<Key><PropertyRef Name="${table.id}"/></Key><Property Name="${table.id}" Type="Edm.Guid" Nullable="false"/>`
    return `<EntityType Name="${table.logicalName}">${key}${properties.join('')}${navigation.join('')}</EntityType>`
  })
  const sets = tables.map(
    ({ set, logicalName }) => `<EntitySet Name="${set}" EntityType="Microsoft.Dynamics.CRM.${logicalName}"/>`,
  )
  return `<?xml version="1.0" encoding="utf-8"?><edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices><Schema Namespace="Microsoft.Dynamics.CRM" Alias="mscrm" xmlns="http://docs.oasis-open.org/odata/ns/edm">${types.join('')}<EntityContainer Name="System">${sets.join('')}</EntityContainer></Schema></edmx:DataServices></edmx:Edmx>`
}

function edmType({ kind }: ColumnKind): string {
  switch (kind) {
    case 'text':
    case 'memo':
      return 'Edm.String'
    case 'integer':
    case 'choice':
      return 'Edm.Int32'
    case 'decimal':
    case 'money':
      return 'Edm.Decimal'
    case 'double':
      return 'Edm.Double'
    case 'boolean':
      return 'Edm.Boolean'
    case 'date':
      return 'Edm.Date'
    case 'date-time':
      return 'Edm.DateTimeOffset'
    case 'guid':
    case 'lookup':
      return 'Edm.Guid'
  }
}
