import type { Json, JsonObject } from '../../kernel/json.ts'
import type { Appointment, Attendee, Item } from './items.ts'
import { stampOf } from './stamps.ts'

/**
 * An item as parts, each of which is merged for itself. What makes sense only together is one part: `when` (start, end,
 * whole day, zone and recurrence: the start of one side with the end of the other could end before it begins), `progress`
 * and `days` of a task. Lists without order are a part per member: `attendees/<address>`, `attendees/<address>/response`,
 * `categories/<name>`, `phones/<which>`, `exceptions/<original start>/<what>`. Every other field is one part.
 */
export type Parts = ReadonlyMap<string, Json>
/** What becomes of parts: a value, or undefined where the part goes. */
export type PartChanges = ReadonlyMap<string, Json | undefined>

/** Fields that are one part together. */
const groups: Partial<Record<Item['kind'], Readonly<Record<string, readonly string[]>>>> = {
  appointment: { when: ['start', 'end', 'isAllDay', 'zone', 'recurrence'] },
  task: { progress: ['status', 'percentComplete', 'completedDay'], days: ['startDay', 'dueDay', 'recurrence'] },
}
const exceptionGroup = ['start', 'end'] as const
const addressFields = ['businessAddress', 'homeAddress'] as const

type Fields = Record<string, Json>

export function partsOf(item: Item): Parts {
  const fields: Readonly<Fields> = Object.fromEntries(Object.entries(item))
  const parts = new Map<string, Json>()
  const grouped = new Set(['kind'])
  for (const [part, members] of Object.entries(groups[item.kind] ?? {})) {
    parts.set(part, pick(fields, members))
    for (const member of members) grouped.add(member)
  }
  for (const [field, value] of Object.entries(fields)) {
    if (grouped.has(field)) continue
    if (field === 'categories') for (const name of value as readonly string[]) parts.set(`categories/${name}`, true)
    else if (field === 'phones') addMembers(parts, field, value as JsonObject)
    else if (field === 'attachments') parts.set(field, (value as readonly JsonObject[]).map(withoutId))
    else if (item.kind === 'appointment' && field === 'attendees') addAttendees(parts, item.attendees)
    else if (item.kind === 'appointment' && field === 'exceptions') addExceptions(parts, item.exceptions)
    else parts.set(field, value)
  }
  return parts
}

/** The item with other values for some parts. */
export function withParts<I extends Item>(item: I, changes: PartChanges): I {
  if (changes.size === 0) return item
  const fields: Record<string, unknown> = {}
  const phones: Record<string, unknown> = {}
  let { categories } = item
  for (const [path, value] of changes) {
    const [field = '', ...rest] = path.split('/')
    const members = groups[item.kind]?.[field]
    if (members) Object.assign(fields, value)
    else if (field === 'categories') categories = withMember(categories, rest.join('/'), value !== undefined)
    else if (field === 'phones') phones[rest.join('/')] = value ?? ''
    else if (field !== 'attendees' && field !== 'exceptions' && value !== undefined) fields[field] = value
  }
  fields['categories'] = categories
  if (item.kind === 'contact') fields['phones'] = { ...item.phones, ...phones }
  if (item.kind === 'appointment') {
    fields['attendees'] = attendeesWith(item.attendees, changes)
    fields['exceptions'] = exceptionsWith(item.exceptions, changes)
  }
  return Object.assign({ ...item }, fields)
}

/**
 * Changes that were reckoned from what both sides can hold (`common`), with what of the item only its own side holds: who
 * changes the due day over there has not taken away that the task repeats, nor the second mail address.
 */
export function withOwnValues(item: Item, common: Item, changes: PartChanges): PartChanges {
  const [own, held] = [partsOf(item), partsOf(common)]
  const composed = new Set([...Object.keys(groups[item.kind] ?? {}), ...addressFields])
  const wholeOf = (path: string, value: Json): Json => {
    const [mine, before] = [own.get(path), held.get(path)]
    if (path === 'emails') return withOthers(mine as readonly string[], before as readonly string[], value as string[])
    return composed.has(path) ? withMembers(mine as JsonObject, before as JsonObject, value as JsonObject) : value
  }
  return new Map([...changes].map(([path, value]) => [path, value === undefined ? value : wholeOf(path, value)]))
}

/** Members that nobody has changed stay as this side has them. */
function withMembers(own: JsonObject, held: JsonObject, changed: JsonObject): JsonObject {
  const members = Object.entries(changed).map(([name, member]) => {
    const before = held[name]
    const isAsBefore = before !== undefined && stampOf(before) === stampOf(member)
    return [name, isAsBefore ? (own[name] ?? null) : member] as const
  })
  return Object.fromEntries(members)
}

/** Behind what both sides hold what this one alone does. */
function withOthers(own: readonly string[], held: readonly string[], changed: readonly string[]): readonly string[] {
  return [...changed, ...own.filter(one => !held.includes(one) && !changed.includes(one))]
}

/** What turns the parts of one state into those of another. */
export function changesBetween(before: Parts, after: Parts, isEqual: (path: string) => boolean): PartChanges {
  const changes = new Map<string, Json | undefined>()
  for (const [path, value] of after) if (!before.has(path) || !isEqual(path)) changes.set(path, value)
  for (const path of before.keys()) if (!after.has(path)) changes.set(path, undefined)
  return changes
}

/** Names of the item's fields that these parts belong to. */
export function fieldsOf(kind: Item['kind'], paths: Iterable<string>): readonly string[] {
  const fields = new Set<string>()
  for (const path of paths) {
    const part = path.split('/', 1)[0] ?? path
    for (const field of groups[kind]?.[part] ?? [part]) fields.add(field)
  }
  return [...fields].toSorted()
}

function addMembers(parts: Map<string, Json>, field: string, value: JsonObject): void {
  for (const [member, content] of Object.entries(value)) parts.set(`${field}/${member}`, content)
}

function addAttendees(parts: Map<string, Json>, attendees: readonly Attendee[]): void {
  for (const { address, name, role, response } of attendees) {
    parts.set(`attendees/${address}`, { name, role })
    // Without an answer the part is not there, so that an attendee who is taken away leaves nothing behind.
    if (response !== 'none') parts.set(`attendees/${address}/response`, response)
  }
}

function addExceptions(parts: Map<string, Json>, exceptions: Appointment['exceptions']): void {
  for (const [original, exception] of Object.entries(exceptions)) {
    const path = `exceptions/${original}`
    if (exception.isDeleted) {
      parts.set(`${path}/isDeleted`, true)
      continue
    }
    const when = pick(exception as Fields, exceptionGroup)
    if (Object.keys(when).length > 0) parts.set(`${path}/when`, when)
    for (const [field, value] of Object.entries(exception) as [string, Json][]) {
      const isOther = field !== 'isDeleted' && field !== 'start' && field !== 'end'
      if (isOther && value !== undefined) parts.set(`${path}/${field}`, value)
    }
  }
}

function attendeesWith(attendees: readonly Attendee[], changes: PartChanges): readonly Attendee[] {
  const byAddress = new Map(attendees.map(attendee => [attendee.address, attendee]))
  // People before their answers, since an answer needs its attendee.
  for (const [path, value] of changes) {
    const { address, isAnswer } = attendeeOf(path)
    if (address === undefined || isAnswer) continue
    const { response = 'none' } = byAddress.get(address) ?? {}
    if (value === undefined) byAddress.delete(address)
    else byAddress.set(address, { ...(value as { name: string; role: Attendee['role'] }), address, response })
  }
  for (const [path, value] of changes) {
    const { address, isAnswer } = attendeeOf(path)
    const attendee = address === undefined || !isAnswer ? undefined : byAddress.get(address)
    if (attendee) byAddress.set(attendee.address, { ...attendee, response: (value ?? 'none') as Attendee['response'] })
  }
  return [...byAddress.values()]
}

/** The attendee that a part is about. A mail address may have a slash in it, but ends with its domain. */
function attendeeOf(path: string): { readonly address: string | undefined; readonly isAnswer: boolean } {
  if (!path.startsWith('attendees/')) return { address: undefined, isAnswer: false }
  const isAnswer = path.endsWith('/response')
  return { address: path.slice('attendees/'.length, isAnswer ? -'/response'.length : undefined), isAnswer }
}

function exceptionsWith(exceptions: Appointment['exceptions'], changes: PartChanges): Appointment['exceptions'] {
  const byStart = new Map(Object.entries(exceptions).map(([start, exception]) => [start, { ...exception } as Fields]))
  for (const [path, value] of changes) {
    const [field, original = '', what = ''] = path.split('/')
    if (field !== 'exceptions') continue
    const exception = byStart.get(original) ?? {}
    if (what === 'when') {
      for (const member of exceptionGroup) delete exception[member]
      Object.assign(exception, value)
    } else if (value === undefined) delete exception[what]
    else exception[what] = value
    byStart.set(original, exception)
  }
  const left = [...byStart].filter(([, exception]) => Object.keys(exception).length > 0)
  return Object.fromEntries(left)
}

function withMember(list: readonly string[], member: string, isThere: boolean): readonly string[] {
  const others = list.filter(name => name !== member)
  return isThere ? [...others, member] : others
}

function pick(fields: Readonly<Fields>, names: readonly string[]): JsonObject {
  const entries = names.flatMap(name => (fields[name] === undefined ? [] : [[name, fields[name]] as const]))
  return Object.fromEntries(entries)
}

function withoutId({ name, type, bytes }: JsonObject): JsonObject {
  return { name: name ?? '', type: type ?? '', bytes: bytes ?? 0 }
}
