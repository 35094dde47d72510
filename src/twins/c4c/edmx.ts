import { allKinds, checks, type EntityKind, edmNames, type Property, setOf } from './schema.ts'

const namespace = 'c4codata'

/** The $metadata of the sets that the twin has. */
export function edmxOf(): string {
  const pairs = allKinds.flatMap(parent =>
    parent.children.map(child => ({ parent, child, name: `${parent.name}_${child.name}` })),
  )
  const types = allKinds.map(kind => {
    const navigation = kind.children.map(
      child =>
        `<NavigationProperty Name="${child.name}" Relationship="${namespace}.${kind.name}_${child.name}" FromRole="${kind.name}" ToRole="${child.name}"/>`,
    )
    return `<EntityType Name="${kind.name}"><Key><PropertyRef Name="ObjectID"/></Key>${kind.properties.map(propertyTag).join('')}${navigation.join('')}</EntityType>`
  })
  const associations = pairs.map(
    ({ parent, child, name }) =>
      `<Association Name="${name}"><End Type="${namespace}.${parent.name}" Multiplicity="1" Role="${parent.name}"/><End Type="${namespace}.${child.name}" Multiplicity="*" Role="${child.name}"/></Association>`,
  )
  const sets = allKinds.map(
    (kind: EntityKind) => `<EntitySet Name="${setOf(kind)}" EntityType="${namespace}.${kind.name}"/>`,
  )
  const links = pairs.map(
    ({ parent, child, name }) =>
      `<AssociationSet Name="${name}" Association="${namespace}.${name}"><End EntitySet="${setOf(parent)}" Role="${parent.name}"/><End EntitySet="${setOf(child)}" Role="${child.name}"/></AssociationSet>`,
  )
  const functions = Object.keys(checks).map(
    name =>
      `<FunctionImport Name="${name}" ReturnType="Edm.Boolean" m:HttpMethod="POST"><Parameter Name="GroupwareItemID" Type="Edm.String" Mode="In"/></FunctionImport>`,
  )
  return `<?xml version="1.0" encoding="utf-8"?>
<edmx:Edmx Version="1.0" xmlns:edmx="http://schemas.microsoft.com/ado/2007/06/edmx"><edmx:DataServices m:DataServiceVersion="1.0" xmlns:m="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata"><Schema Namespace="${namespace}" xmlns="http://schemas.microsoft.com/ado/2008/09/edm" xmlns:sap="http://www.sap.com/Protocols/SAPData">
${[...types, ...associations].join('\n')}
<EntityContainer Name="${namespace}" m:IsDefaultEntityContainer="true">
${[...sets, ...links, ...functions].join('\n')}
</EntityContainer></Schema></edmx:DataServices></edmx:Edmx>`
}

function propertyTag({ name, kind, length, isCreatable, isUpdatable, isFilterable, isMandatory }: Property): string {
  const limit = kind === 'text' && length < 1_000_000 ? ` MaxLength="${length}"` : ''
  const isNullable = name !== 'ObjectID' && !isMandatory
  return `<Property Name="${name}" Type="${edmNames[kind]}" Nullable="${isNullable}"${limit} sap:creatable="${isCreatable}" sap:updatable="${isUpdatable}" sap:filterable="${isFilterable}"/>`
}
