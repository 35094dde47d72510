/** What a property holds, apart from how a version of OData writes it. */
export type Kind = 'text' | 'date' | 'moment' | 'time' | 'decimal' | 'long' | 'short' | 'flag' | 'guid'

export interface Property {
  readonly name: string
  readonly kind: Kind
  readonly label: string
  /** Letters of a text, digits of a decimal number. */
  readonly length?: number
  readonly scale?: number
}

export interface Navigation {
  /** Name in V2 and in V4. */
  readonly v2: string
  readonly v4: string
  readonly to: string
  readonly isMany: boolean
  /** Properties that both sides share. */
  readonly by: readonly string[]
}

export interface EntityKind {
  /** Names of the set and of the type in V2 and in V4. */
  readonly v2: string
  readonly v4: string
  readonly key: readonly string[]
  readonly properties: readonly Property[]
  readonly navigation: readonly Navigation[]
  /** True where a change must name the state it means (If-Match). */
  readonly hasEtag: boolean
}

export type Version = 'v2' | 'v4'

function text(name: string, length: number, label: string): Property {
  return { name, kind: 'text', length, label }
}
const controllingArea = text('ControllingArea', 4, 'Controlling Area')
const costCenter = text('CostCenter', 10, 'Cost Center')
const validTo: Property = { name: 'ValidityEndDate', kind: 'date', label: 'Valid To' }
const validFrom: Property = { name: 'ValidityStartDate', kind: 'date', label: 'Valid From' }

/** Cost centres, names as in the released API; it reads only, the twin also takes changes so that they can be tried. */
const costCenters: EntityKind = {
  v2: 'A_CostCenter',
  v4: 'CostCenter',
  key: ['ControllingArea', 'CostCenter', 'ValidityEndDate'],
  hasEtag: true,
  properties: [
    controllingArea,
    costCenter,
    validTo,
    validFrom,
    text('CompanyCode', 4, 'Company Code'),
    text('BusinessArea', 4, 'Business Area'),
    text('CostCtrResponsiblePersonName', 20, 'Person Responsible'),
    text('CostCenterCurrency', 5, 'Currency'),
    text('ProfitCenter', 10, 'Profit Center'),
    text('Department', 12, 'Department'),
    text('Country', 3, 'Country Key'),
    text('CityName', 35, 'City'),
    text('CostCenterCategory', 1, 'Cost Center Category'),
    text('IsBlkdForPrimaryCostsPosting', 1, 'Actual primary costs'),
    text('Language', 2, 'Language Key'),
    { name: 'CostCenterCreationDate', kind: 'date', label: 'Entered On' },
  ],
  navigation: [
    {
      v2: 'to_Text',
      v4: '_Text',
      to: 'A_CostCenterText',
      isMany: true,
      by: ['ControllingArea', 'CostCenter', 'ValidityEndDate'],
    },
  ],
}

const texts: EntityKind = {
  v2: 'A_CostCenterText',
  v4: 'CostCenterText',
  key: ['CostCenter', 'ControllingArea', 'Language', 'ValidityEndDate'],
  hasEtag: false,
  properties: [
    costCenter,
    controllingArea,
    text('Language', 2, 'Language Key'),
    validTo,
    validFrom,
    text('CostCenterName', 20, 'Cost Center Name'),
    text('CostCenterDescription', 40, 'Description'),
  ],
  navigation: [
    {
      v2: 'to_CostCenter',
      v4: '_CostCenter',
      to: 'A_CostCenter',
      isMany: false,
      by: ['ControllingArea', 'CostCenter', 'ValidityEndDate'],
    },
  ],
}

/** Planned amounts: numbers, a GUID as key, and moments, which the released API has elsewhere. */
const budgets: EntityKind = {
  v2: 'A_CostCenterBudget',
  v4: 'CostCenterBudget',
  key: ['BudgetUUID'],
  hasEtag: false,
  properties: [
    { name: 'BudgetUUID', kind: 'guid', label: 'Budget' },
    controllingArea,
    costCenter,
    { name: 'FiscalYear', kind: 'short', label: 'Fiscal Year' },
    { name: 'PlannedAmount', kind: 'decimal', length: 23, scale: 3, label: 'Planned Amount' },
    { name: 'DocumentCount', kind: 'long', label: 'Documents' },
    { name: 'IsReleased', kind: 'flag', label: 'Released' },
    { name: 'LastChangeDateTime', kind: 'moment', label: 'Changed At' },
    { name: 'ClosingTime', kind: 'time', label: 'Closing Time' },
  ],
  navigation: [],
}

export const entityKinds: readonly EntityKind[] = [costCenters, texts, budgets]

/** Types of the two versions for a kind. */
export const edmNames: Readonly<Record<Kind, { readonly v2: string; readonly v4: string }>> = {
  text: { v2: 'Edm.String', v4: 'Edm.String' },
  date: { v2: 'Edm.DateTime', v4: 'Edm.Date' },
  moment: { v2: 'Edm.DateTimeOffset', v4: 'Edm.DateTimeOffset' },
  time: { v2: 'Edm.Time', v4: 'Edm.TimeOfDay' },
  decimal: { v2: 'Edm.Decimal', v4: 'Edm.Decimal' },
  long: { v2: 'Edm.Int64', v4: 'Edm.Int64' },
  short: { v2: 'Edm.Int16', v4: 'Edm.Int16' },
  flag: { v2: 'Edm.Boolean', v4: 'Edm.Boolean' },
  guid: { v2: 'Edm.Guid', v4: 'Edm.Guid' },
}

export interface OperationKind {
  readonly v2: string
  readonly v4: string
  readonly changes: boolean
  /** Bound to a cost centre in V4; the key is its parameters in V2. */
  readonly isBound: boolean
  readonly parameters: readonly Property[]
  readonly returns: 'A_CostCenter' | 'long'
}

export const operationKinds: readonly OperationKind[] = [
  {
    v2: 'CountCostCenters',
    v4: 'CountCostCenters',
    changes: false,
    isBound: false,
    parameters: [text('CompanyCode', 4, 'Company Code')],
    returns: 'long',
  },
  {
    v2: 'BlockCostCenter',
    v4: 'Block',
    changes: true,
    isBound: true,
    parameters: [controllingArea, costCenter, validTo],
    returns: 'A_CostCenter',
  },
]

export const namespaces: Readonly<Record<Version, string>> = {
  v2: 'API_COSTCENTER_SRV',
  v4: 'com.sap.gateway.srvd_a2x.api_costcenter.v0001',
}

export const roots: Readonly<Record<Version, string>> = {
  v2: '/sap/opu/odata/sap/API_COSTCENTER_SRV/',
  v4: '/sap/opu/odata4/sap/api_costcenter/srvd_a2x/sap/costcenter/0001/',
}

export function typeName(kind: EntityKind, version: Version): string {
  return `${kind[version]}Type`
}

export function navigationOf(kind: EntityKind, version: Version, name: string): Navigation | undefined {
  return kind.navigation.find(navigation => navigation[version] === name)
}

export function kindNamed(v2Name: string): EntityKind {
  return entityKinds.find(kind => kind.v2 === v2Name) ?? costCenters
}
