import { createHash } from 'node:crypto'
import { numberOf, objectOf, type Row, textOf } from './columns.ts'
import type { AuditEntry } from './port.ts'

interface Link {
  readonly number: number
  readonly hash: string
}

const noEntry: Link = { number: 0, hash: '' }

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

/** What is remembered of the last entry, so that one that is cut off shows, and of the last one that was purged. */
export function headOf(number: number, hash: string): string {
  return `${number} ${hash}`
}

/** What `headOf` remembered; nothing was purged yet. */
export function linkOf(remembered: string | undefined): Link {
  const [number, hash = ''] = remembered?.split(' ') ?? []
  return number === undefined ? noEntry : { number: Number(number), hash }
}

/** The last one of the oldest entries that lie before this moment; a younger one keeps those behind it. */
export function lastBefore(before: number, oldest: readonly Row[]): { readonly count: number; readonly last: Link } {
  const younger = oldest.findIndex(row => numberOf(row['at']) >= before)
  const count = younger < 0 ? oldest.length : younger
  const row = oldest[count - 1]
  return { count, last: row ? { number: numberOf(row['number']), hash: textOf(row['hash']) } : noEntry }
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
