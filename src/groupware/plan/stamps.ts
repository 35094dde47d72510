import { hash } from 'node:crypto'
import type { Json } from '../../kernel/json.ts'
import type { Attendee, Exception, Item } from './items.ts'

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

/**
 * An item as parts that are merged each for itself: its fields; of an appointment each attendee, their responses, and each
 * field of each exception. `kind` is no part.
 */
export function partsOf(item: Item): ReadonlyMap<string, Json> {
  const parts = new Map<string, Json>()
  for (const [field, value] of Object.entries(item) as [string, Json][]) {
    if (field === 'attendees') addAttendees(parts, value as never)
    else if (field === 'exceptions') addExceptions(parts, value as never)
    else if (field === 'attachments') parts.set(field, (value as readonly Json[]).map(withoutId))
    else if (field !== 'kind') parts.set(field, value)
  }
  return parts
}

/** The field of the item that a part belongs to. */
export function fieldOfPart(path: string): string {
  const slash = path.indexOf('/')
  return slash < 0 ? path : path.slice(0, slash)
}

export function stampsOf(parts: ReadonlyMap<string, Json>): Stamps {
  const stamps: Record<string, string> = {}
  for (const [path, value] of parts) stamps[path] = stampOf(value)
  return stamps
}

function addAttendees(parts: Map<string, Json>, attendees: readonly Attendee[]): void {
  for (const { address, name, role, response } of attendees) {
    parts.set(`attendees/${address}`, { name, role })
    // Without an answer the part is not there, so that an attendee who is taken away leaves nothing behind.
    if (response !== 'none') parts.set(`attendees/${address}/response`, response)
  }
}

function addExceptions(parts: Map<string, Json>, exceptions: Readonly<Record<string, Exception>>): void {
  for (const [original, exception] of Object.entries(exceptions)) {
    for (const [field, value] of Object.entries(exception) as [string, Json][]) {
      if (value !== undefined && value !== false) parts.set(`exceptions/${original}/${field}`, value)
    }
  }
}

function withoutId(attachment: Json): Json {
  const { name, type, bytes } = attachment as { name: string; type: string; bytes: number }
  return { name, type, bytes }
}

/** JSON with sorted names, so that equal values have equal texts. */
function canonical(value: Json): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  const entries = Object.entries(value as Record<string, Json>).filter(([, member]) => member !== undefined)
  const members = entries.sort(([left], [right]) => (left < right ? -1 : 1))
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonical(member)}`).join(',')}}`
}
