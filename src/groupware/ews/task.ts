import type { FieldChange } from '../../protocols/ews/fields.ts'
import { readRecurrence, writeRecurrence } from '../../protocols/ews/recurrence.ts'
import { childOf, textOf, type XmlElement } from '../../protocols/xml/xml-element.ts'
import type { Day, Task } from '../plan/items.ts'
import {
  bodyField,
  capital,
  categoriesField,
  cleanCategories,
  field,
  readBody,
  readCategories,
  readImportance,
  readInstant,
  readLine,
  readSensitivity,
  subjectLettersMax,
  textField,
  valueField,
} from './parts.ts'
import { fromEws, normaliseRecurrence, toEws } from './recurrence.ts'
import { lineOf, plainBody } from './text.ts'

export const taskFields =
  'ParentFolderId Subject Sensitivity Body Categories Importance ReminderDueBy ReminderIsSet LastModifiedTime CompleteDate DueDate PercentComplete Recurrence StartDate Status'.split(
    ' ',
  )

const statuses = {
  open: 'NotStarted',
  'in-progress': 'InProgress',
  waiting: 'WaitingOnOthers',
  deferred: 'Deferred',
  completed: 'Completed',
} as const
const statusNames = Object.keys(statuses) as (keyof typeof statuses)[]

export function readTask(item: XmlElement): Task {
  const recurrence = readRecurrence(childOf(item, 'Recurrence'))
  const status = statusNames.find(name => statuses[name] === textOf(item, 'Status')) ?? 'open'
  return {
    kind: 'task',
    subject: readLine(item, 'Subject'),
    body: plainBody(readBody(item)),
    startDay: dayOf(item, 'StartDate'),
    dueDay: dayOf(item, 'DueDate'),
    completedDay: dayOf(item, 'CompleteDate'),
    percentComplete: Math.round(Number(textOf(item, 'PercentComplete') ?? 0)),
    status,
    importance: readImportance(item),
    sensitivity: readSensitivity(item),
    categories: readCategories(item),
    reminderAt: textOf(item, 'ReminderIsSet') === 'true' ? readInstant(item, 'ReminderDueBy') : null,
    recurrence: recurrence ? fromEws(recurrence) : null,
  }
}

/** Days of tasks are stored as midnight of UTC, whatever the zone of whoever wrote them. */
function dayOf(item: XmlElement, name: string): Day | null {
  return textOf(item, name)?.slice(0, 10) ?? null
}

export function writeTask(item: Task, fields: ReadonlySet<string> | 'all'): readonly FieldChange[] {
  const has = (...names: readonly string[]) => fields === 'all' || names.some(name => fields.has(name))
  const day = (value: Day | null) => (value === null ? '' : `${value}T00:00:00Z`)
  const parts: FieldChange[] = []
  if (has('subject')) parts.push(valueField('Subject', item.subject))
  if (has('sensitivity')) parts.push(valueField('Sensitivity', capital(item.sensitivity)))
  if (has('body')) parts.push(bodyField(item.body))
  if (has('categories')) parts.push(categoriesField(item.categories))
  if (has('importance')) parts.push(valueField('Importance', capital(item.importance)))
  if (has('reminderAt')) {
    if (item.reminderAt !== null) parts.push(valueField('ReminderDueBy', item.reminderAt))
    parts.push(valueField('ReminderIsSet', item.reminderAt !== null))
  }
  if (has('startDay', 'dueDay', 'recurrence')) {
    parts.push(textField('StartDate', day(item.startDay)), textField('DueDate', day(item.dueDay)))
    const series = item.recurrence ? writeRecurrence(toEws(item.recurrence)) : undefined
    if (series !== undefined || fields !== 'all') parts.push(field('Recurrence', series))
  }
  if (has('status', 'percentComplete', 'completedDay')) {
    // Exchange keeps the three together by itself: the status first, then what it does not say.
    parts.push(valueField('Status', statuses[item.status]))
    if (item.status !== 'completed') parts.push(valueField('PercentComplete', item.percentComplete))
    else if (item.completedDay !== null) parts.push(valueField('CompleteDate', day(item.completedDay)))
  }
  return parts.filter(part => fields !== 'all' || part.xml !== undefined)
}

export function normaliseTask(item: Task): Task {
  const percent = Math.min(100, Math.max(0, Math.round(item.percentComplete)))
  const isDone = item.status === 'completed' || percent === 100
  return {
    ...item,
    subject: lineOf(item.subject, subjectLettersMax),
    body: plainBody(item.body),
    status: isDone ? 'completed' : item.status === 'open' && percent > 0 ? 'in-progress' : item.status,
    percentComplete: isDone ? 100 : percent,
    completedDay: isDone ? item.completedDay : null,
    categories: cleanCategories(item.categories),
    recurrence: item.recurrence ? normaliseRecurrence(item.recurrence) : null,
  }
}
