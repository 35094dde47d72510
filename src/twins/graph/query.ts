import { refusals } from './graph-error.ts'
import type { StoredItem } from './mailbox.ts'

/** The query options of a request, understood. */
export interface Query {
  readonly select: readonly string[] | undefined
  readonly expand: readonly string[]
  /** Ids of extended properties that are to be shown. */
  readonly extended: readonly string[]
  readonly filter: ((item: StoredItem) => boolean) | undefined
  readonly top: number | undefined
  readonly skip: number
}

/** Reads the options; those that are not in `allowed` are refused, since the real service refuses or ignores them. */
export function readQuery(fields: URLSearchParams, allowed: readonly string[]): Query {
  for (const name of fields.keys()) {
    if (name.startsWith('$') && !allowed.includes(name)) throw refusals.badQuery(name)
  }
  const expands = splitOutside(fields.get('$expand') ?? '')
  const extended = expands
    .filter(each => each.startsWith('singleValueExtendedProperties('))
    .flatMap(each => [...each.matchAll(/id eq '([^']+)'/g)].map(([, id = '']) => id))
  const filter = fields.get('$filter')
  return {
    select: fields
      .get('$select')
      ?.split(',')
      .map(name => name.trim()),
    expand: expands
      .filter(each => !each.startsWith('singleValueExtendedProperties'))
      .map(each => each.replace(/\(.*\)$/s, '')),
    extended,
    filter: filter === null ? undefined : readFilter(filter),
    top: whole(fields, '$top', 1000),
    skip: whole(fields, '$skip', 1_000_000) ?? 0,
  }
}

const anyExtended =
  /^singleValueExtendedProperties\/any\((\w+):\s*\1\/id eq '([^']+)' and \1\/value eq '((?:[^']|'')*)'\)$/i
const equals = /^(iCalUId|internetMessageId|conversationId|subject|displayName|wellknownListName) eq '((?:[^']|'')*)'$/
const isSince = /^(receivedDateTime|lastModifiedDateTime|createdDateTime) (ge|gt|le|lt) (\d{4}-\d\d-\d\dT[\d:.]+Z)$/

/** Comparisons joined by `and`, of the few kinds that the twin knows. */
function readFilter(text: string): (item: StoredItem) => boolean {
  const parts = text.split(/ and (?![^(]*\))/).map(part => {
    const [, , id, marked] = anyExtended.exec(part) ?? []
    if (id !== undefined && marked !== undefined) {
      const wanted = marked.replaceAll("''", "'")
      return (item: StoredItem) => item.extended.get(extendedKey(id)) === wanted
    }
    const [, name = '', value] = equals.exec(part) ?? []
    if (value !== undefined) return (item: StoredItem) => item.values[name] === value.replaceAll("''", "'")
    const [, field = '', operator = '', since] = isSince.exec(part) ?? []
    if (since === undefined) throw refusals.badFilter(part)
    const limit = Date.parse(since)
    return (item: StoredItem) => {
      const at = momentOf(item, field)
      if (operator === 'ge') return at >= limit
      if (operator === 'gt') return at > limit
      return operator === 'le' ? at <= limit : at < limit
    }
  })
  return item => parts.every(part => part(item))
}

function momentOf(item: StoredItem, field: string): number {
  if (field === 'lastModifiedDateTime') return item.modifiedAt
  if (field === 'createdDateTime') return item.createdAt
  const received = item.values['receivedDateTime']
  return typeof received === 'string' ? Date.parse(received) : item.createdAt
}

/** Splits at commas that stand in no brackets. */
function splitOutside(text: string): readonly string[] {
  return text === '' ? [] : text.split(/,(?![^(]*\))/).map(part => part.trim())
}

function whole(fields: URLSearchParams, name: string, max: number): number | undefined {
  const text = fields.get(name)
  if (text === null) return undefined
  if (!/^\d{1,7}$/.test(text) || Number(text) > max) throw refusals.badQuery(`${name}=${text}`)
  return Number(text)
}

/** One name for an extended property, however its letters and the zeros of its number are written. */
export function extendedKey(id: string): string {
  return id.toLowerCase().replace(/0x0+(?=[0-9a-f])/, '0x')
}
