/** Kinds of columns, with the lengths, ranges and digits that Dataverse enforces. */
export type ColumnKind =
  | { readonly kind: 'text' | 'memo'; readonly lengthMax: number }
  | { readonly kind: 'integer'; readonly min: number; readonly max: number }
  | {
      readonly kind: 'decimal' | 'money' | 'double'
      readonly scale: number
      readonly min: number
      readonly max: number
    }
  | { readonly kind: 'boolean' | 'date' | 'date-time' | 'guid' }
  | { readonly kind: 'choice'; readonly options: readonly number[] }
  /** Navigation properties that set it, and the table each of them leads to. */
  | { readonly kind: 'lookup'; readonly navigation: Readonly<Record<string, string>> }

export type Column = ColumnKind & {
  /** `insert`: only a new record takes it; `never`: Dataverse fills it itself. */
  readonly writable?: 'insert' | 'never'
  /** A new record must have it. */
  readonly isRequired?: boolean
}

export interface Table {
  readonly logicalName: string
  /** Name of the entity set. */
  readonly set: string
  /** Name of the column with the id. */
  readonly id: string
  readonly columns: Readonly<Record<string, Column>>
  /** Alternate keys; `Pending` ones cannot be used yet. */
  readonly keys: readonly { readonly columns: readonly string[]; readonly state?: 'Active' | 'Pending' | 'Failed' }[]
  /** States in which a record takes nothing but another state. */
  readonly readOnlyStates?: readonly number[]
  /** Lookup to the record that this one is a line of: while that is read-only, nothing of it is made, changed or deleted. */
  readonly lineOf?: string
  /** Status reasons by state; the first is the one that a state alone stands for. */
  readonly statuses?: Readonly<Record<number, readonly number[]>>
}

export const text = (lengthMax: number) => ({ kind: 'text', lengthMax }) as const
export const memo = (lengthMax: number) => ({ kind: 'memo', lengthMax }) as const
export const integer = (min = -2_147_483_648, max = 2_147_483_647) => ({ kind: 'integer', min, max }) as const
export const decimal = (scale: number, min = -1e11, max = 1e11) => ({ kind: 'decimal', scale, min, max }) as const
export const money = (scale: number, min = -922_337_203_685_477, max = 922_337_203_685_477) =>
  ({ kind: 'money', scale, min, max }) as const
export const boolean = { kind: 'boolean' } as const
export const date = { kind: 'date' } as const
export const dateTime = { kind: 'date-time' } as const
export const guid = { kind: 'guid' } as const
export const choice = (...options: readonly number[]) => ({ kind: 'choice', options }) as const
/** A lookup; `navigation` by name, where it is not the column's own name for one table. */
export const lookup = (navigation: Readonly<Record<string, string>>) => ({ kind: 'lookup', navigation }) as const

/** Names of the columns that JSON shows: a lookup stands as `_name_value`. */
export function shownName(name: string, column: Column): string {
  return column.kind === 'lookup' ? `_${name}_value` : name
}

/** The column behind a name in a query: `_new_product_value` is the lookup new_product. */
export function columnNamed(
  table: Table,
  name: string,
): { readonly name: string; readonly column: Column } | undefined {
  if (name === table.id) return { name, column: guid }
  const bare = /^_(\w+)_value$/.exec(name)?.[1]
  const column = table.columns[bare ?? name]
  if (!column || (bare === undefined) === (column.kind === 'lookup')) return undefined
  return { name: bare ?? name, column }
}
