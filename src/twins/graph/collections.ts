import { randomUUID } from 'node:crypto'
import type { Json, JsonObject } from '../../kernel/json.ts'
import { DAY } from '../../kernel/time.ts'
import { answerAttachments } from './attachments.ts'
import { type EventView, eventOf, occurrenceId, refuseOddEvent, valuesOf, viewsIn } from './events.ts'
import { refusals } from './graph-error.ts'
import { answerDelta, linkWith, listItems } from './lists.ts'
import type { StoredItem } from './mailbox.ts'
import { readQuery } from './query.ts'
import type { GraphReply, Visit } from './service.ts'
import { linkedResourceShape } from './shapes.ts'
import { showEvent, showItem } from './show.ts'
import { changeItem, readBody, writeExtended } from './write-item.ts'

const itemOptions = ['$select', '$expand']
const windowMsMax = 1825 * DAY

/** calendarView and events of the usual calendar. */
export function answerEvents(visit: Visit): GraphReply {
  const { mailbox, fields, rest, request } = visit
  const [area, id, below] = rest
  const calendar = mailbox.folder('calendar', 'event').id
  if (area === 'calendarView') {
    if (id === 'delta') {
      const hasToken = fields.has('$skiptoken') || fields.has('$deltatoken')
      return answerDelta(visit, 'event', calendar, { allowed: [], ...(!hasToken && { window: windowOf(fields) }) })
    }
    return listViews(
      visit,
      [...mailbox.items.values()].filter(each => each.type === 'event'),
    )
  }
  if (id === undefined)
    return request.method === 'POST' ? createEvent(visit, calendar) : listItems(visit, 'event', undefined)
  const view = eventOf(mailbox, id)
  if (below === 'instances') return listViews(visit, [view.item])
  if (below === 'attachments') return answerAttachments(visit, view.item, rest.slice(3), 'events')
  if (below !== undefined) throw refusals.noResource(below)
  switch (request.method) {
    case 'GET':
      return { status: 200, body: showEvent(mailbox, view, readQuery(fields, itemOptions), visit.manner) }
    case 'PATCH':
      return changeEvent(visit, view)
    case 'DELETE':
      return removeEvent(visit, view)
    default:
      throw refusals.notAllowed(request.method)
  }
}

function windowOf(fields: URLSearchParams): { from: number; to: number } {
  const [from, to] = ['startDateTime', 'endDateTime'].map(name => {
    const key = [...fields.keys()].find(each => each.toLowerCase() === name.toLowerCase()) ?? ''
    const text = fields.get(key)
    if (text === null)
      throw refusals.malformed(
        `This request requires a time window specified by the query string parameters StartDateTime and EndDateTime.`,
      )
    const at = Date.parse(/Z$|[+-]\d\d:\d\d$/.test(text) ? text : `${text}Z`)
    if (Number.isNaN(at)) throw refusals.wrongValue(`The value '${text}' of parameter '${name}' is invalid.`)
    return at
  })
  if (from !== undefined && to !== undefined && to - from > windowMsMax) {
    throw refusals.wrongValue('ErrorCalendarViewRangeTooBig: The range must be less than or equal to 1825 days.')
  }
  if (from === undefined || to === undefined || to < from)
    throw refusals.wrongValue('ErrorCalendarEndDateIsEarlierThanStartDate')
  return { from, to }
}

/** Single events and occurrences in a window. */
function listViews(visit: Visit, items: readonly StoredItem[]): GraphReply {
  const { mailbox, fields, manner, pageSize } = visit
  const { from, to } = windowOf(fields)
  const query = readQuery(fields, ['$select', '$expand', '$top', '$skip', '$orderby'])
  const views = items.flatMap(item => viewsIn(item, from, to))
  const page = views.slice(query.skip, query.skip + pageSize)
  const hasMore = query.skip + pageSize < views.length
  return {
    status: 200,
    body: {
      value: page.map((view): Json => showEvent(mailbox, view, query, manner)),
      ...(hasMore && { '@odata.nextLink': linkWith(visit, '$skip', String(query.skip + pageSize)) }),
    },
  }
}

function createEvent(visit: Visit, calendar: string): GraphReply {
  const { mailbox, request, world, manner } = visit
  const { values, extended } = readBody('event', request.body)
  const { transactionId } = values
  const twice =
    typeof transactionId === 'string' &&
    [...mailbox.items.values()].find(each => each.values['transactionId'] === transactionId)
  // The same transaction once more is the same event, not another one.
  if (twice)
    return { status: 201, body: showEvent(mailbox, { item: twice }, readQuery(new URLSearchParams(), []), manner) }
  refuseOddEvent(values)
  const item = mailbox.add('event', calendar, {
    ...values,
    iCalUId: `040000008200E00074C5B7101A82E008${randomUUID().replaceAll('-', '').toUpperCase()}`,
  })
  writeExtended(item, extended)
  world.subscriptions.notify(mailbox.address, 'events', 'created', item.id)
  world.created()
  return { status: 201, body: showEvent(mailbox, { item }, readQuery(new URLSearchParams(), []), manner) }
}

function changeEvent(visit: Visit, view: EventView): GraphReply {
  const { mailbox, request, world, manner } = visit
  const { item, day } = view
  mailbox.refuseStale(item, request.headers['if-match'])
  const { values, extended } = readBody('event', request.body)
  if ('transactionId' in values) throw refusals.wrongValue('TransactionId cannot be changed.')
  if (day === undefined) {
    refuseOddEvent({ ...item.values, ...values })
    // Another pattern is another series: what differed in the old one is gone.
    if ('recurrence' in values && JSON.stringify(values['recurrence']) !== JSON.stringify(item.values['recurrence']))
      item.overrides.clear()
    changeItem(mailbox, item, values, extended)
  } else {
    if ('recurrence' in values || extended.length > 0)
      throw refusals.wrongValue('ErrorOccurrence: An occurrence has no recurrence.')
    refuseOddEvent({ ...valuesOf(view), ...values })
    const before = item.overrides.get(day)?.values ?? {}
    item.overrides.set(day, { isCancelled: false, values: { ...before, ...values } })
    mailbox.touch(item)
  }
  world.subscriptions.notify(mailbox.address, 'events', 'updated', item.id)
  return { status: 200, body: showEvent(mailbox, view, readQuery(new URLSearchParams(), []), manner) }
}

function removeEvent(visit: Visit, { item, day }: EventView): GraphReply {
  const { mailbox, request, world } = visit
  mailbox.refuseStale(item, request.headers['if-match'])
  if (day === undefined) mailbox.remove(item)
  else {
    item.overrides.set(day, { isCancelled: true, values: {} })
    mailbox.removeOccurrence(item, occurrenceId(item, day))
  }
  world.subscriptions.notify(mailbox.address, 'events', day === undefined ? 'deleted' : 'updated', item.id)
  return { status: 204 }
}

export function answerContacts(visit: Visit): GraphReply {
  const { mailbox, rest } = visit
  if (rest[0] === 'contacts')
    return answerPlain(visit, 'contact', mailbox.folder('contacts', 'contact').id, rest.slice(1))
  const [, folderName, inner, ...below] = rest
  if (folderName === undefined) {
    const value = [...mailbox.folders.values()].filter(each => each.holds === 'contact' && each.wellKnown === undefined)
    return { status: 200, body: { value: value.map(({ id, displayName }) => ({ id, displayName })) } }
  }
  const folder = mailbox.folder(folderName, 'contact')
  if (inner === undefined) return { status: 200, body: { id: folder.id, displayName: folder.displayName } }
  if (inner !== 'contacts') throw refusals.noResource(inner)
  return answerPlain(visit, 'contact', folder.id, below)
}

export function answerTasks(visit: Visit): GraphReply {
  const { mailbox, rest } = visit
  const [, lists, listName, tasks, ...below] = rest
  if (lists !== 'lists') throw refusals.noResource(lists ?? 'todo')
  const all = [...mailbox.folders.values()].filter(each => each.holds === 'todoTask')
  const show = ({ id, displayName, wellKnown }: (typeof all)[number]) => ({
    id,
    displayName,
    isOwner: true,
    wellknownListName: wellKnown === 'tasks' ? 'defaultList' : 'none',
  })
  if (listName === undefined) return { status: 200, body: { value: all.map(show) } }
  const list = all.find(each => each.id === listName)
  if (!list) throw refusals.noItem()
  if (tasks === undefined) return { status: 200, body: show(list) }
  if (tasks !== 'tasks') throw refusals.noResource(tasks)
  return answerPlain(visit, 'todoTask', list.id, below)
}

/** Contacts and tasks: what has neither occurrences nor MIME. */
function answerPlain(visit: Visit, type: 'contact' | 'todoTask', folder: string, rest: readonly string[]): GraphReply {
  const { mailbox, request, fields, world, manner } = visit
  const area = type === 'contact' ? 'contacts' : 'todo'
  const [id, below, linkId] = rest
  if (id === 'delta') return answerDelta(visit, type, folder, { allowed: ['$select', '$expand'] })
  if (id === undefined) {
    if (request.method === 'GET') return listItems(visit, type, folder)
    if (request.method !== 'POST') throw refusals.notAllowed(request.method)
    const { values, extended } = readBody(type, request.body)
    if (type === 'todoTask' && !values['title']) throw refusals.wrongValue('Title is missing.')
    const { linkedResources, ...own } = values
    const links = Array.isArray(linkedResources) ? { linkedResources: linkedResources.map(each => withId(each)) } : {}
    const item = mailbox.add(type, folder, { ...own, ...links })
    writeExtended(item, extended)
    world.subscriptions.notify(mailbox.address, area, 'created', item.id)
    return { status: 201, body: showItem(mailbox, item, readQuery(new URLSearchParams(), []), manner) }
  }
  const item = mailbox.get(id, type)
  if (below === 'linkedResources' && type === 'todoTask') return answerLinks(visit, item, linkId)
  if (below !== undefined) throw refusals.noResource(below)
  if (request.method === 'GET')
    return { status: 200, body: showItem(mailbox, item, readQuery(fields, itemOptions), manner) }
  mailbox.refuseStale(item, request.headers['if-match'])
  if (request.method === 'DELETE') {
    mailbox.remove(item)
    world.subscriptions.notify(mailbox.address, area, 'deleted', item.id)
    return { status: 204 }
  }
  if (request.method !== 'PATCH') throw refusals.notAllowed(request.method)
  const { values, extended } = readBody(type, request.body)
  if ('linkedResources' in values) throw refusals.wrongValue('LinkedResources are changed by themselves.')
  changeItem(mailbox, item, values, extended)
  world.subscriptions.notify(mailbox.address, area, 'updated', item.id)
  return { status: 200, body: showItem(mailbox, item, readQuery(new URLSearchParams(), []), manner) }
}

function answerLinks({ mailbox, request }: Visit, item: StoredItem, id: string | undefined): GraphReply {
  const links = (item.values['linkedResources'] ?? []) as readonly JsonObject[]
  if (request.method === 'GET' && id === undefined) return { status: 200, body: { value: links } }
  if (request.method === 'POST' && id === undefined) {
    const parsed = linkedResourceShape.safeParse(request.body)
    if (!parsed.success) throw refusals.wrongValue(parsed.error.issues[0]?.message ?? '')
    const link = withId(parsed.data as JsonObject)
    changeItem(mailbox, item, { linkedResources: [...links, link] }, [])
    return { status: 201, body: link }
  }
  const found = links.find(each => each['id'] === id)
  if (!found) throw refusals.noItem()
  if (request.method !== 'DELETE') throw refusals.notAllowed(request.method)
  changeItem(mailbox, item, { linkedResources: links.filter(each => each !== found) }, [])
  return { status: 204 }
}

function withId(link: Json): JsonObject {
  return { id: randomUUID(), ...(link as JsonObject) }
}
