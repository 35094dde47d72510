import { element } from '../../protocols/ews/write-xml.ts'
import { childOf, type XmlElement } from '../../protocols/xml/xml-element.ts'
import { eachRow } from './item-operations.ts'
import { occurrencesOf, recurrenceOf, timeOf } from './series.ts'
import type { Session } from './session.ts'
import { extendedValue, readShape, showItem } from './show-item.ts'
import { EwsError, invalid, needed } from './soap.ts'
import type { TwinItem, TwinMailbox } from './world.ts'

/** Rows that one search shows at most (EWSFindCountLimit). */
const rowsMax = 1000

export function findItem(session: Session, request: XmlElement): string {
  const { mailbox } = session
  const shape = readShape(request)
  const restriction = childOf(request, 'Restriction')?.children[0]
  const calendarView = childOf(request, 'CalendarView')
  return eachRow('FindItem', session, needed(request, 'ParentFolderIds').children, ref => {
    const folder = session.folder(ref)
    const found = mailbox.itemsOf(folder.id).filter(item => !restriction || matches(mailbox, item, restriction))
    const all = calendarView
      ? inCalendarView(found, calendarView)
      : found.map(item => ({ item, instance: undefined as number | undefined }))
    const view = childOf(request, 'IndexedPageItemView')
    const offset = Number(view?.attributes.get('Offset') ?? 0)
    const asked = Number((view ?? calendarView)?.attributes.get('MaxEntriesReturned') ?? rowsMax)
    const page = all.slice(offset, offset + Math.min(asked, rowsMax))
    const isLast = offset + page.length >= all.length
    const items = page.map(({ item, instance }) => showItem(mailbox, item, { ...shape, withMime: false }, instance))
    return element(
      'm:RootFolder',
      {
        IndexedPagingOffset: view ? offset + page.length : undefined,
        TotalItemsInView: all.length,
        IncludesLastItemInRange: isLast,
      },
      element('t:Items', {}, ...items),
    )
  })
}

function inCalendarView(items: readonly TwinItem[], view: XmlElement) {
  const [from, to] = [
    Date.parse(view.attributes.get('StartDate') ?? ''),
    Date.parse(view.attributes.get('EndDate') ?? ''),
  ]
  if (Number.isNaN(from) || Number.isNaN(to)) throw invalid('CalendarView needs StartDate and EndDate.')
  const rows: { item: TwinItem; instance: number | undefined; start: number }[] = []
  for (const item of items) {
    if (recurrenceOf(item)) {
      for (const { instance, start, end } of occurrencesOf(item)) {
        if (start < to && end > from) rows.push({ item, instance, start })
      }
    } else {
      const [start, end] = [timeOf(item.fields.get('Start')), timeOf(item.fields.get('End'))]
      if (start < to && (end > from || start >= from)) rows.push({ item, instance: undefined, start })
    }
  }
  return rows.toSorted((one, other) => one.start - other.start)
}

/** A restriction on one item. Comparisons are those of text, or of time where both are times. */
export function matches(mailbox: TwinMailbox, item: TwinItem, test: XmlElement): boolean {
  const { name, children } = test
  const each = (child: XmlElement) => matches(mailbox, item, child)
  if (name === 'And') return children.every(each)
  if (name === 'Or') return children.some(each)
  if (name === 'Not') return !children.every(each)
  const [path, constant] = children
  if (!path) throw invalid(`The element '${name}' has incomplete content.`)
  const value = shownValue(mailbox, item, path)
  if (name === 'Exists') return value !== undefined
  const wanted = (constant?.name === 'Constant' ? constant : constant?.children[0])?.attributes.get('Value')
  if (wanted === undefined) throw new EwsError('ErrorUnsupportedQueryFilter', 'The twin compares with constants only.')
  if (value === undefined) return name === 'IsNotEqualTo'
  if (name === 'Contains') {
    const [text, part] = [value.toLowerCase(), wanted.toLowerCase()]
    const mode = test.attributes.get('ContainmentMode')
    return mode === 'FullString' ? text === part : mode === 'Prefixed' ? text.startsWith(part) : text.includes(part)
  }
  const order = compare(value, wanted)
  switch (name) {
    case 'IsEqualTo':
      return order === 0
    case 'IsNotEqualTo':
      return order !== 0
    case 'IsGreaterThan':
      return order > 0
    case 'IsGreaterThanOrEqualTo':
      return order >= 0
    case 'IsLessThan':
      return order < 0
    case 'IsLessThanOrEqualTo':
      return order <= 0
    default:
      throw invalid(`The restriction '${name}' is not known.`)
  }
}

function compare(value: string, wanted: string): number {
  const isTime = /^\d{4}-\d\d-\d\dT/
  if (isTime.test(value) && isTime.test(wanted)) return Date.parse(value) - Date.parse(wanted)
  return value === wanted ? 0 : value < wanted ? -1 : 1
}

function shownValue(mailbox: TwinMailbox, item: TwinItem, path: XmlElement): string | undefined {
  if (path.name === 'ExtendedFieldURI') return extendedValue(item, path)
  const name = (path.attributes.get('FieldURI') ?? '').replace(/^\w+:/, '')
  if (name === 'UID') {
    // Exchange cannot search for it either.
    throw new EwsError('ErrorUnsupportedPathForQuery', 'The property can not be used with this type of restriction.')
  }
  const part = item.fields.get(name)
  if (part) return part.children.length > 0 ? part.children.map(each => each.text).join(' ') : part.text
  const shown = showItem(mailbox, item, {
    isWhole: false,
    withMime: false,
    bodyType: 'Text',
    fields: new Set([name]),
    extended: [],
    illegalReferences: false,
  })
  return new RegExp(`<t:${name}>([^<]*)</t:${name}>`).exec(shown)?.[1]
}
