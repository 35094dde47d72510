import {
  type EntityKind,
  edmNames,
  entityKinds,
  kindNamed,
  namespaces,
  operationKinds,
  type Property,
  typeName,
  type Version,
} from './schema.ts'

/** The $metadata document of a version. */
export function edmxOf(version: Version): string {
  return version === 'v2' ? edmxV2() : edmxV4()
}

function propertyTag(property: Property, version: Version, tag: string, isKey: boolean): string {
  const { name, kind, length, scale, label } = property
  const facets = [
    ...(isKey ? ['Nullable="false"'] : []),
    ...(kind === 'text' && length !== undefined ? [`MaxLength="${length}"`] : []),
    ...(kind === 'decimal' ? [`Precision="${length}" Scale="${scale}"`] : []),
    ...(kind === 'date' && version === 'v2' ? ['Precision="0" sap:display-format="Date"'] : []),
    ...(version === 'v2' && tag === 'Property' ? [`sap:label="${label}"`] : []),
  ]
  return `<${tag} Name="${name}" Type="${edmNames[kind][version]}"${facets.map(facet => ` ${facet}`).join('')}/>`
}

function keyTags(kind: EntityKind): string {
  return `<Key>${kind.key.map(name => `<PropertyRef Name="${name}"/>`).join('')}</Key>`
}

function edmxV2(): string {
  const namespace = namespaces.v2
  const associations = entityKinds.flatMap(kind =>
    kind.navigation.map(navigation => ({
      name: `${kind.v2}_${navigation.v2}`,
      kind,
      navigation,
      to: kindNamed(navigation.to),
    })),
  )
  const types = entityKinds.map(kind => {
    const properties = kind.properties.map(each => propertyTag(each, 'v2', 'Property', kind.key.includes(each.name)))
    const navigation = kind.navigation.map(each => {
      const association = `${kind.v2}_${each.v2}`
      return `<NavigationProperty Name="${each.v2}" Relationship="${namespace}.${association}" FromRole="From_${association}" ToRole="To_${association}"/>`
    })
    return `<EntityType Name="${typeName(kind, 'v2')}" sap:content-version="1">${keyTags(kind)}${properties.join('')}${navigation.join('')}</EntityType>`
  })
  const ends = associations.map(
    ({ name, kind, navigation, to }) =>
      `<Association Name="${name}" sap:content-version="1"><End Type="${namespace}.${typeName(kind, 'v2')}" Multiplicity="1" Role="From_${name}"/>` +
      `<End Type="${namespace}.${typeName(to, 'v2')}" Multiplicity="${navigation.isMany ? '*' : '1'}" Role="To_${name}"/></Association>`,
  )
  const sets = entityKinds.map(
    kind => `<EntitySet Name="${kind.v2}" EntityType="${namespace}.${typeName(kind, 'v2')}" sap:content-version="1"/>`,
  )
  const links = associations.map(
    ({ name, kind, to }) =>
      `<AssociationSet Name="${name}" Association="${namespace}.${name}"><End EntitySet="${kind.v2}" Role="From_${name}"/><End EntitySet="${to.v2}" Role="To_${name}"/></AssociationSet>`,
  )
  const functions = operationKinds.map(operation => {
    const returns =
      operation.returns === 'long'
        ? 'ReturnType="Edm.Int64"'
        : `ReturnType="${namespace}.A_CostCenterType" EntitySet="A_CostCenter"`
    const parameters = operation.parameters.map(each => propertyTag(each, 'v2', 'Parameter', false))
    return `<FunctionImport Name="${operation.v2}" ${returns} m:HttpMethod="${operation.changes ? 'POST' : 'GET'}">${parameters.join('')}</FunctionImport>`
  })
  return `<?xml version="1.0" encoding="utf-8"?>
<edmx:Edmx Version="1.0" xmlns:edmx="http://schemas.microsoft.com/ado/2007/06/edmx" xmlns:m="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata" xmlns:sap="http://www.sap.com/Protocols/SAPData"><edmx:DataServices m:DataServiceVersion="2.0"><Schema Namespace="${namespace}" xml:lang="en" sap:schema-version="1" xmlns="http://schemas.microsoft.com/ado/2008/09/edm">
${types.join('\n')}
${ends.join('\n')}
<EntityContainer Name="${namespace}_Entities" m:IsDefaultEntityContainer="true" sap:supported-formats="json">
${[...sets, ...links, ...functions].join('\n')}
</EntityContainer>
</Schema></edmx:DataServices></edmx:Edmx>`
}

function edmxV4(): string {
  const namespace = namespaces.v4
  const types = entityKinds.map(kind => {
    const properties = kind.properties.map(each => propertyTag(each, 'v4', 'Property', kind.key.includes(each.name)))
    const navigation = kind.navigation.map(each => {
      const target = `${namespace}.${typeName(kindNamed(each.to), 'v4')}`
      return `<NavigationProperty Name="${each.v4}" Type="${each.isMany ? `Collection(${target})` : target}"/>`
    })
    return `<EntityType Name="${typeName(kind, 'v4')}">${keyTags(kind)}${properties.join('')}${navigation.join('')}</EntityType>`
  })
  const operations = operationKinds.map(operation => {
    const tag = operation.changes ? 'Action' : 'Function'
    const binding = operation.isBound
      ? `<Parameter Name="_it" Type="${namespace}.CostCenterType" Nullable="false"/>`
      : ''
    const own = operation.isBound ? [] : operation.parameters.map(each => propertyTag(each, 'v4', 'Parameter', true))
    const type = operation.returns === 'long' ? 'Edm.Int64' : `${namespace}.CostCenterType`
    const bound = operation.isBound ? ' IsBound="true"' : ''
    return `<${tag} Name="${operation.v4}"${bound}>${binding}${own.join('')}<ReturnType Type="${type}" Nullable="false"/></${tag}>`
  })
  const sets = entityKinds.map(kind => {
    const links = kind.navigation.map(
      each => `<NavigationPropertyBinding Path="${each.v4}" Target="${kindNamed(each.to).v4}"/>`,
    )
    return `<EntitySet Name="${kind.v4}" EntityType="${namespace}.${typeName(kind, 'v4')}">${links.join('')}</EntitySet>`
  })
  const imports = operationKinds
    .filter(operation => !operation.isBound)
    .map(operation => `<FunctionImport Name="${operation.v4}" Function="${namespace}.${operation.v4}"/>`)
  return `<?xml version="1.0" encoding="utf-8"?>
<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices><Schema Namespace="${namespace}" Alias="SAP__self" xmlns="http://docs.oasis-open.org/odata/ns/edm">
${[...types, ...operations].join('\n')}
<EntityContainer Name="Container">
${[...sets, ...imports].join('\n')}
</EntityContainer>
</Schema></edmx:DataServices></edmx:Edmx>`
}
