/** The two versions of OData that are spoken: V2 (2.0) and V4 (4.0 and 4.01). */
export type ODataVersion = 'v2' | 'v4'

/** Primitive types of both versions (V2: MS-ODATA 2.2.2; V4: OData CSDL 4.01 section 3.3). */
export const edmTypes = [
  'Edm.Binary',
  'Edm.Boolean',
  'Edm.Byte',
  'Edm.Date',
  'Edm.DateTime',
  'Edm.DateTimeOffset',
  'Edm.Decimal',
  'Edm.Double',
  'Edm.Duration',
  'Edm.Guid',
  'Edm.Int16',
  'Edm.Int32',
  'Edm.Int64',
  'Edm.SByte',
  'Edm.Single',
  'Edm.String',
  'Edm.Time',
  'Edm.TimeOfDay',
] as const

export type EdmType = (typeof edmTypes)[number]

export function isEdmType(name: string): name is EdmType {
  return (edmTypes as readonly string[]).includes(name)
}

/** Types that a version does not know. */
export function isTypeOf(version: ODataVersion, type: EdmType): boolean {
  return !(version === 'v2' ? onlyV4 : onlyV2).has(type)
}

const onlyV2: ReadonlySet<EdmType> = new Set(['Edm.DateTime', 'Edm.Time'])
const onlyV4: ReadonlySet<EdmType> = new Set(['Edm.Date', 'Edm.Duration', 'Edm.TimeOfDay'])

/** Whole numbers by type: the smallest and the largest. */
export const integerRanges: Readonly<Partial<Record<EdmType, readonly [bigint, bigint]>>> = {
  'Edm.Byte': [0n, 255n],
  'Edm.SByte': [-128n, 127n],
  'Edm.Int16': [-32_768n, 32_767n],
  'Edm.Int32': [-2_147_483_648n, 2_147_483_647n],
  'Edm.Int64': [-(2n ** 63n), 2n ** 63n - 1n],
}
