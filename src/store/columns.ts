import type { Json, JsonObject } from '../kernel/json.ts'
import type { DeliveryState, StoredAnswer, StoredError, StoredReceipt } from './port.ts'

// How values lie in columns. The numbers of states and flags are part of the schema: they never change.

/** A row as both databases hand it over. */
export type Row = Record<string, null | number | bigint | string | Uint8Array>
type Column = Row[string] | undefined

/** All from 2 on, so that a change of state keeps the width of the row (SQLite stores 0 and 1 without a byte). */
export const stateNumbers = { queued: 2, delivered: 3, dropped: 4, rejected: 5, 'set-aside': 6, skipped: 7 } as const

export const stateColumns: readonly (readonly [DeliveryState, string])[] = [
  ['queued', 'queued'],
  ['delivered', 'delivered'],
  ['dropped', 'dropped'],
  ['rejected', 'rejected'],
  ['set-aside', 'set_aside'],
  ['skipped', 'skipped'],
]

/** `requeued`, and all above it, count how often. */
export const flagNumbers = { holds: 1, probe: 2, awaitsChange: 4, requeued: 8 } as const

export function flagsOf(
  of: { readonly holds: boolean; readonly isProbe: boolean; readonly requeueCount?: number },
  awaitsChange: boolean,
): number {
  return (
    (of.holds ? flagNumbers.holds : 0) |
    (of.isProbe ? flagNumbers.probe : 0) |
    (awaitsChange ? flagNumbers.awaitsChange : 0) |
    ((of.requeueCount ?? 0) * flagNumbers.requeued)
  )
}

const stateNames = new Map<number, DeliveryState>(stateColumns.map(([state]) => [stateNumbers[state], state]))

export function stateOf(column: Column): DeliveryState {
  const state = stateNames.get(numberOf(column))
  if (!state) throw new TypeError(`state ${String(column)} is not one of this schema`)
  return state
}

export function numberOf(column: Column): number {
  if (typeof column !== 'number') throw new TypeError(`expected a number in the database, found ${typeof column}`)
  return column
}

export function optionalNumberOf(column: Column): number | undefined {
  return typeof column === 'number' ? column : undefined
}

export function textOf(column: Column): string {
  if (typeof column !== 'string') throw new TypeError(`expected text in the database, found ${typeof column}`)
  return column
}

export function optionalTextOf(column: Column): string | undefined {
  return typeof column === 'string' ? column : undefined
}

export function optionalBytesOf(column: Column): Uint8Array | undefined {
  return column instanceof Uint8Array ? column : undefined
}

export function jsonOf(column: Column): Json {
  return JSON.parse(textOf(column)) as Json
}

export function objectOf(column: Column): JsonObject {
  return jsonOf(column) as JsonObject
}

export function headersOf(column: Column): Readonly<Record<string, string>> {
  return jsonOf(column) as Readonly<Record<string, string>>
}

export function wordsOf(column: Column): readonly string[] {
  return typeof column === 'string' ? (JSON.parse(column) as readonly string[]) : []
}

export function errorOf(column: Column): StoredError | undefined {
  return typeof column === 'string' ? (JSON.parse(column) as StoredError) : undefined
}

/** Words as a column; an empty list is no value. */
export function wordsColumn(words: readonly string[]): string | null {
  return words.length === 0 ? null : JSON.stringify(words)
}

export function errorColumn(error: StoredError | undefined): string | null {
  return error === undefined ? null : JSON.stringify(error)
}

interface RowReceipt extends Omit<StoredReceipt, 'answer' | 'remember'> {
  /** Its body in base64. */
  readonly answer?: Omit<StoredAnswer, 'body'> & { readonly body: string }
}

/** Receipts that lie in the row of their delivery. */
export function rowReceiptsColumn(receipts: readonly StoredReceipt[]): string {
  const rows = receipts.map(({ effect, state, at, summary, fields, answer }): RowReceipt => {
    const row = { effect, state, at, summary, fields }
    if (!answer) return row
    const { headers, type, body } = answer
    return {
      ...row,
      answer: { headers, type, body: Buffer.from(body.buffer, body.byteOffset, body.length).toString('base64') },
    }
  })
  return JSON.stringify(rows)
}

export function rowReceiptsOf(column: Column): readonly StoredReceipt[] {
  if (typeof column !== 'string') return []
  const rows = JSON.parse(column) as readonly RowReceipt[]
  return rows.map(({ effect, state, at, summary, fields, answer }) => ({
    effect,
    state,
    at,
    summary,
    fields,
    answer: answer && { headers: answer.headers, type: answer.type, body: Buffer.from(answer.body, 'base64') },
  }))
}
