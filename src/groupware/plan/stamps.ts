import { hash } from 'node:crypto'
import type { Json } from '../../kernel/json.ts'
import type { Parts } from './parts.ts'

/**
 * The state of an item as short marks, one per part that is merged by itself: two states are compared, and the common one
 * is remembered, without keeping what stands in it. A path that is not there is a part that is not there.
 */
export type Stamps = Readonly<Record<string, string>>

/** Stamp of a state that nobody knows: differs from every stamp that `stampOf` makes. */
export const unknownStamp = '?'
/** Stamp of a part that is not there. */
export const absentStamp = '-'

/** 72 bits: two different texts of one field have the same stamp once in 10^21 comparisons. */
const stampLetters = 12

export function stampOf(value: Json): string {
  return hash('sha256', canonical(value), 'base64url').slice(0, stampLetters)
}

export function stampsOf(parts: Parts): Stamps {
  const stamps: Record<string, string> = {}
  for (const [path, value] of parts) stamps[path] = stampOf(value)
  return stamps
}

/** The stamps that two states share; what differs counts as unknown, so that nobody's value is taken for the older one. */
export function sharedStamps(left: Stamps, right: Stamps): Stamps {
  const stamps: Record<string, string> = {}
  for (const path of new Set([...Object.keys(left), ...Object.keys(right)])) {
    const stamp = left[path]
    stamps[path] = stamp !== undefined && stamp === right[path] ? stamp : unknownStamp
  }
  return stamps
}

/**
 * What mailboxes that led an item of the CRM have written there, as far as nobody in the CRM has changed it since: for who
 * leads it now these are no edits of the CRM's.
 */
export function writtenBefore(formers: readonly Former[], paths: Iterable<string>): Readonly<Record<string, string[]>> {
  const written: Record<string, string[]> = {}
  for (const { base, pending, saidInCrm = [] } of formers) {
    for (const path of new Set([...paths, ...Object.keys(base)])) {
      const own = saidInCrm.includes(path) ? [] : [base[path] ?? absentStamp]
      written[path] = [...(written[path] ?? []), ...own, ...(pending.crm[path] ?? [])]
    }
  }
  return written
}

/** A link of a mailbox that led an item of the CRM. */
interface Former {
  readonly base: Stamps
  readonly pending: { readonly crm: Readonly<Record<string, readonly string[]>> }
  readonly saidInCrm?: readonly string[]
}

export function areEqualStamps(left: Stamps, right: Stamps): boolean {
  const paths = Object.keys(left)
  return paths.length === Object.keys(right).length && paths.every(path => left[path] === right[path])
}

/** JSON with sorted names, so that equal values have equal texts. */
function canonical(value: Json): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  const members = Object.entries(value as Record<string, Json>).filter(([, member]) => member !== undefined)
  members.sort(([left], [right]) => (left < right ? -1 : 1))
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonical(member)}`).join(',')}}`
}
