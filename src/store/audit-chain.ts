import { createHash } from 'node:crypto'
import { numberOf, objectOf, type Row, textOf } from './columns.ts'
import type { AuditEntry } from './port.ts'

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
