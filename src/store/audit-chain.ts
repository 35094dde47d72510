import { createHash } from 'node:crypto'
import { numberOf, objectOf, type Row, textOf } from './columns.ts'
import type { AuditEntry } from './port.ts'

interface Link {
  readonly number: number
  readonly hash: string
}

export const noEntry: Link = { number: 0, hash: '' }

/** Follows the chain from `last` on; the number of the first entry that does not fit, else the last one. */
export function followChain(last: Link, rows: readonly Row[]): { readonly breakAt: number } | { readonly last: Link } {
  for (const row of rows) {
    const number = numberOf(row['number'])
    const hash = textOf(row['hash'])
    if (number !== last.number + 1) return { breakAt: last.number + 1 }
    if (hash !== hashOf(last.hash, row)) return { breakAt: number }
    last = { number, hash }
  }
  return { last }
}

/** What is remembered of the last entry, so that one that is cut off shows. */
export function headOf(number: number, hash: string): string {
  return `${number} ${hash}`
}

export function hashOf(previous: string, row: Row): string {
  const content = JSON.stringify([previous, row['number'], row['at'], row['who'], row['action'], row['detail']])
  return createHash('sha256').update(content).digest('hex')
}

export function entryOf(row: Row): AuditEntry {
  return {
    number: numberOf(row['number']),
    at: numberOf(row['at']),
    who: textOf(row['who']),
    action: textOf(row['action']),
    detail: objectOf(row['detail']),
    hash: textOf(row['hash']),
  }
}
