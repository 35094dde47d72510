import type { Decimal } from './exact-decimal.ts'
import type { EachRecord } from './rule.ts'

/**
 * The fields of a target: what values they take. The compiler holds a rule against them (a name that the target does
 * not have, or a number where it wants a date, does not compile), and so does every message at run time.
 */
export type TargetField<T> =
  | { readonly kind: 'text'; readonly lengthMax: number; readonly value?: T }
  | {
      readonly kind: 'integer' | 'decimal'
      readonly min: number
      readonly max: number
      readonly scale: number
      readonly value?: T
    }
  | { readonly kind: 'boolean' | 'date' | 'time' | 'date-time'; readonly value?: T }
  | { readonly kind: 'choice'; readonly options: Readonly<Record<string, number>>; readonly value?: T }
  | { readonly kind: 'lookup'; readonly set: string; readonly key: string; readonly value?: T }
  | { readonly kind: 'list'; readonly of: TargetTable; readonly value?: T }

export type TargetTable = Readonly<Record<string, TargetField<unknown>>>

declare const dateBrand: unique symbol
declare const timeBrand: unique symbol
declare const dateTimeBrand: unique symbol
declare const keyBrand: unique symbol

/** `2026-11-21` */
export type DateText = string & { readonly [dateBrand]: true }
/** `14:36:21` */
export type TimeText = string & { readonly [timeBrand]: true }
/** `2026-11-21T14:36:21Z` */
export type DateTimeText = string & { readonly [dateTimeBrand]: true }
/** The key of a row in another table, which the target names by it. */
export type KeyText = string & { readonly [keyBrand]: true }

/** What a field takes. */
export type ValueOf<F> = F extends { readonly value?: infer T } ? Exclude<T, undefined> : never

export const text = (lengthMax: number): TargetField<string> => ({ kind: 'text', lengthMax })

export const integer = (
  range: { readonly min?: number; readonly max?: number } = {},
): TargetField<number | Decimal> => ({
  kind: 'integer',
  min: range.min ?? -2_147_483_648,
  max: range.max ?? 2_147_483_647,
  scale: 0,
})

/** `scale`: digits after the point that the target keeps. */
export const decimal = (range: {
  readonly scale: number
  readonly min?: number
  readonly max?: number
}): TargetField<number | Decimal> => ({
  kind: 'decimal',
  min: range.min ?? -1e11,
  max: range.max ?? 1e11,
  scale: range.scale,
})

export const boolean = (): TargetField<boolean> => ({ kind: 'boolean' })
export const date = (): TargetField<DateText> => ({ kind: 'date' })
export const time = (): TargetField<TimeText> => ({ kind: 'time' })
export const dateTime = (): TargetField<DateTimeText> => ({ kind: 'date-time' })

/** One of named numbers (a choice column, formerly option set). */
export const choice = <const O extends Readonly<Record<string, number>>>(options: O): TargetField<O[keyof O]> => ({
  kind: 'choice',
  options,
})

/** A row of another table, named by its alternate key; written as `name@odata.bind`. */
export const lookup = (set: string, key: string): TargetField<KeyText> => ({ kind: 'lookup', set, key })

/** Records below the record; a list stays a list, also with one element. */
export const list = <T extends TargetTable>(of: T): TargetField<readonly EachRecord<T>[]> => ({ kind: 'list', of })
