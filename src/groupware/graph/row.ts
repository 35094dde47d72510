import type { Json, JsonObject } from '../../kernel/json.ts'
import type { Person } from '../plan/items.ts'

// Answers of Graph have been parsed, not checked: what is not of its type counts as not there.

export function textAt(row: JsonObject, name: string): string {
  const value = row[name]
  return typeof value === 'string' ? value : ''
}

export function objectAt(row: JsonObject, name: string): JsonObject {
  return asObject(row[name]) ?? {}
}

export function listAt(row: JsonObject, name: string): readonly JsonObject[] {
  const value = row[name]
  return Array.isArray(value) ? value.map(asObject).filter(each => each !== undefined) : []
}

export function textsAt(row: JsonObject, name: string): readonly string[] {
  const value = row[name]
  return Array.isArray(value) ? value.filter(each => typeof each === 'string') : []
}

export function choiceAt<const T extends string>(row: JsonObject, name: string, choices: readonly T[], other: T): T {
  const value = row[name]
  return choices.find(choice => choice === value) ?? other
}

/** `{ emailAddress: { address, name } }` as a person; undefined without an address. */
export function personOf(row: JsonObject | undefined): Person | undefined {
  const email = row ? objectAt(row, 'emailAddress') : {}
  const address = textAt(email, 'address').toLowerCase()
  return address === '' ? undefined : { address, name: textAt(email, 'name') }
}

export function recipientOf({ address, name }: Person): JsonObject {
  return { emailAddress: { address, ...(name !== '' && { name }) } }
}

/** `2026-11-23T08:00:00.0000000` in UTC as an instant, or null. */
export function instantAt(row: JsonObject, name: string): string | null {
  const text = textAt(row, name)
  return /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/.test(text) ? `${text.slice(0, 19)}Z` : null
}

export function msAt(row: JsonObject, name: string): number | null {
  const at = Date.parse(textAt(row, name))
  return Number.isNaN(at) ? null : at
}

function asObject(value: Json | undefined): JsonObject | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : undefined
}
