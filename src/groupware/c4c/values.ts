import type { JsonObject } from '../../kernel/json.ts'
import type { C4CRow } from '../../protocols/c4c/client.ts'
import { cutText } from '../body-text.ts'
import type { Body, Day, Instant } from '../plan/items.ts'

export function textAt(values: JsonObject, name: string): string {
  const value = values[name]
  return typeof value === 'string' ? value : ''
}

/** A part below a header that was asked for with it. */
export function partAt(values: JsonObject, name: string): readonly C4CRow[] {
  const list = values[name]
  if (!Array.isArray(list)) return []
  return list.flatMap((each: JsonObject) => {
    const { ObjectID: id, '@odata.etag': etag, ...rest } = each
    return typeof id === 'string' ? [{ id, etag: typeof etag === 'string' ? etag : '', values: rest }] : []
  })
}

/** Text of a kind among the texts of a header, with the id of its part. */
export function noteAt(
  values: JsonObject,
  part: string,
  typeCode: string,
): { readonly id: string; readonly text: string } | undefined {
  const found = partAt(values, part).find(each => textAt(each.values, 'TypeCode') === typeCode)
  return found && { id: found.id, text: textAt(found.values, 'Text') }
}

/** Exchange names people whom it cannot find any more by a path (`/o=…`): nothing that the CRM could write to. */
export function isMailAddress(address: string): boolean {
  return address.includes('@')
}

export function instantAt(values: JsonObject, name: string): Instant | null {
  const at = msAt(values, name)
  return at === null ? null : `${new Date(at).toISOString().slice(0, 19)}Z`
}

export function dayAt(values: JsonObject, name: string): Day | null {
  return instantAt(values, name)?.slice(0, 10) ?? null
}

export function midnightOf(day: Day | null): string | null {
  return day === null ? null : `${day}T00:00:00Z`
}

/** A moment without a zone (Edm.DateTime) is UTC; Date.parse would take the zone of this machine. */
export function msAt(values: JsonObject, name: string): number | null {
  const text = textAt(values, name)
  const at = Date.parse(/T[\d:.]+$/.test(text) ? `${text}Z` : text)
  return Number.isNaN(at) ? null : at
}

/** Texts hold both; what begins like a page is one. */
export function bodyOf(text: string): Body {
  return {
    type: /^\s*<(!doctype|html|head|body|div|p|table|span)\b/i.test(text) ? 'html' : 'text',
    content: text.replace(/\r\n?/g, '\n'),
  }
}

/** One line of at most so many letters, as a field of the service holds it. */
export function lineOf(text: string, lettersMax: number): string {
  return cutText(text.replace(/\s+/g, ' ').trim(), lettersMax).trim()
}
