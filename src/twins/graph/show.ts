import type { Json, JsonObject } from '../../kernel/json.ts'
import { showAttachment } from './attachments.ts'
import { type EventView, occurrenceId, originalStart, shownTime, typeOf, valuesOf } from './events.ts'
import type { GraphMailbox, StoredItem, Values } from './mailbox.ts'
import { extendedKey, type Query } from './query.ts'

/** How the caller wants to see things. */
export interface Manner {
  readonly hasImmutableIds: boolean
  readonly timeZone: string
  readonly bodyType: 'text' | 'html'
}

export const everything: Query = {
  select: undefined,
  expand: [],
  extended: [],
  filter: undefined,
  top: undefined,
  skip: 0,
}

export function idOf(item: StoredItem, { hasImmutableIds }: Manner): string {
  return hasImmutableIds ? item.id : item.entryId
}

/** An item as JSON; only what `select` names, where it names something. */
export function showItem(mailbox: GraphMailbox, item: StoredItem, query: Query, manner: Manner): JsonObject {
  return item.type === 'event'
    ? showEvent(mailbox, { item }, query, manner)
    : selected(plain(mailbox, item, query, manner), query)
}

export function showEvent(mailbox: GraphMailbox, view: EventView, query: Query, manner: Manner): JsonObject {
  const { item, day } = view
  const values = valuesOf(view)
  const isAllDay = values['isAllDay'] === true
  const { organizer = { emailAddress: { address: mailbox.address, name: mailbox.address } } } = values
  const shown: Values = {
    ...common(mailbox, item, values, query, manner),
    id: day === undefined ? idOf(item, manner) : occurrenceId(item, day),
    start: shownTime(values['start'], isAllDay, manner.timeZone),
    end: shownTime(values['end'], isAllDay, manner.timeZone),
    type: typeOf(view),
    iCalUId: values['iCalUId'] ?? `040000008200E00074C5B7101A82E008${item.id.slice(6, 30)}`,
    // Another calendar may have sent an invitation with a zone of its own making.
    originalStartTimeZone: values['originalStartTimeZone'] ?? zoneOf(values['start']),
    originalEndTimeZone: zoneOf(values['end']),
    organizer,
    isOrganizer:
      (organizer as { emailAddress: { address: string } }).emailAddress.address.toLowerCase() === mailbox.address,
    isCancelled: values['isCancelled'] ?? false,
    seriesMasterId: day === undefined ? null : idOf(item, manner),
    attendees: (values['attendees'] as JsonObject[]).map(each => ({
      type: 'required',
      status: { response: 'none', time: '0001-01-01T00:00:00Z' },
      ...each,
    })),
  }
  if (day !== undefined) {
    shown['originalStart'] = new Date(originalStart(item, day)).toISOString().replace('.000Z', 'Z')
    shown['occurrenceId'] = `OID.${idOf(item, manner)}.${day}`
  }
  if (query.select?.includes('cancelledOccurrences')) {
    shown['cancelledOccurrences'] = [...item.overrides]
      .filter(([, each]) => each.isCancelled)
      .map(([original]) => `OID.${idOf(item, manner)}.${original}`)
  }
  if (query.expand.includes('exceptionOccurrences')) {
    shown['exceptionOccurrences'] = [...item.overrides]
      .filter(([, each]) => !each.isCancelled)
      .map(([original]) => showEvent(mailbox, { item, day: original }, everything, manner))
  }
  return selected(shown, query)
}

/** The row of an occurrence in a delta answer holds no more than this. */
export function showOccurrenceRow(view: EventView & { readonly day: string }, manner: Manner): JsonObject {
  const { start, end, isAllDay } = valuesOf(view)
  return {
    '@odata.type': '#microsoft.graph.event',
    id: occurrenceId(view.item, view.day),
    seriesMasterId: idOf(view.item, manner),
    type: typeOf(view),
    start: shownTime(start, isAllDay === true, manner.timeZone),
    end: shownTime(end, isAllDay === true, manner.timeZone),
  }
}

function plain(mailbox: GraphMailbox, item: StoredItem, query: Query, manner: Manner): JsonObject {
  const shown: Values = common(mailbox, item, item.values, query, manner)
  if (item.type === 'message') {
    const sent = item.values['sentDateTime'] ?? iso(item.createdAt)
    shown['parentFolderId'] = item.folder
    shown['sentDateTime'] = sent
    shown['receivedDateTime'] = item.values['receivedDateTime'] ?? sent
  }
  if (item.type === 'contact') shown['parentFolderId'] = item.folder
  if (item.type === 'todoTask' && !query.expand.includes('linkedResources')) delete shown['linkedResources']
  return shown
}

function common(mailbox: GraphMailbox, item: StoredItem, values: Values, query: Query, manner: Manner): Values {
  const shown: Values = {
    '@odata.etag': mailbox.etagOf(item),
    ...values,
    id: idOf(item, manner),
    createdDateTime: iso(item.createdAt),
    lastModifiedDateTime: iso(item.modifiedAt),
  }
  if (item.type !== 'todoTask') shown['changeKey'] = mailbox.changeKeyOf(item)
  if (item.attachments.size > 0) shown['hasAttachments'] = true
  if (query.expand.includes('attachments')) {
    shown['attachments'] = [...item.attachments.values()].map(each => showAttachment(each, false))
  }
  if (values['body']) shown['body'] = shownBody(values['body'] as unknown as Body, manner.bodyType)
  const extended = query.extended.filter(id => item.extended.has(extendedKey(id)))
  if (extended.length > 0) {
    shown['singleValueExtendedProperties'] = extended.map(id => ({
      id,
      value: item.extended.get(extendedKey(id)) ?? '',
    }))
  }
  return shown
}

interface Body {
  readonly contentType: string
  readonly content: string
}

/** Exchange turns one form into the other as the caller prefers; its lines end with CR LF. */
function shownBody({ contentType, content }: Body, wanted: Manner['bodyType']): JsonObject {
  const lines = content.replace(/\r?\n/g, '\r\n')
  if (contentType.toLowerCase() === wanted) return { contentType: wanted, content: lines }
  if (wanted === 'text') {
    const bare = lines.replace(/<br\s*\/?>/gi, '\r\n').replace(/<[^>]*>/g, '')
    return {
      contentType: 'text',
      content: bare.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&'),
    }
  }
  if (content === '') return { contentType: 'html', content: '' }
  const escaped = lines.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
  return {
    contentType: 'html',
    content: `<html><head></head><body>${escaped.replaceAll('\r\n', '<br>\r\n')}</body></html>`,
  }
}

function selected(shown: JsonObject, { select }: Query): JsonObject {
  if (!select) return shown
  const always = [
    '@odata.etag',
    'id',
    'singleValueExtendedProperties',
    'exceptionOccurrences',
    'linkedResources',
    'attachments',
  ]
  return Object.fromEntries(Object.entries(shown).filter(([name]) => select.includes(name) || always.includes(name)))
}

function zoneOf(value: Json | undefined): string {
  return String((value as JsonObject | undefined)?.['timeZone'] ?? 'UTC')
}

function iso(ms: number): string {
  return new Date(ms).toISOString().replace('.000Z', 'Z')
}
