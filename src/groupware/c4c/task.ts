import type { JsonObject } from '../../kernel/json.ts'
import type { C4CRow, C4CWrite } from '../../protocols/c4c/client.ts'
import { localTimeAt } from '../../protocols/time-zone/local-time.ts'
import { asText } from '../body-text.ts'
import type { Day, Task } from '../plan/items.ts'
import {
  type C4CCodes,
  heldStatus,
  ianaOfSapZone,
  importanceOf,
  priorityCode,
  sapZoneOf,
  statusCode,
  statusOf,
} from './codes.ts'
import { dayAt, lineOf, midnightOf, msAt, noteAt, textAt } from './values.ts'

const texts = 'TasksTextCollection'
export const taskParts = [texts] as const

export function readTask({ values }: C4CRow, codes: C4CCodes): Task {
  const status = statusOf(textAt(values, 'Status'))
  return {
    kind: 'task',
    subject: textAt(values, 'Subject'),
    body: asText({ type: 'text', content: noteAt(values, texts, codes.bodyText)?.text ?? '' }),
    startDay: dayIn(values, 'StartDateTime', 'StartDatetimeZoneCode'),
    dueDay: dayIn(values, 'DueDateTime', 'DueDatetimeZoneCode'),
    completedDay: status === 'completed' ? dayAt(values, 'CompletionDateTime') : null,
    percentComplete: Math.round(Number(textAt(values, 'CompletionPercent') || '0')),
    status,
    importance: importanceOf(textAt(values, 'PriorityCode')),
    sensitivity: 'normal',
    categories: [],
    reminderAt: null,
    recurrence: null,
  }
}

/** Values of the header for these fields; `before` is what stands there, undefined for a new task. */
export function taskValues(item: Task, fields: ReadonlySet<string>, before?: Task): JsonObject {
  // A cancelled task reads as one that is completed: who changes something else of it leaves it cancelled.
  const isStatus = before === undefined || before.status !== heldStatus(item.status)
  const isProgress = ['status', 'percentComplete', 'completedDay'].some(field => fields.has(field))
  return {
    ...(fields.has('subject') && { Subject: lineOf(item.subject, 255) }),
    // A day that nobody changed keeps its hour.
    ...((fields.has('startDay') || fields.has('dueDay')) && {
      ...(item.startDay !== before?.startDay && dayValues('StartDateTime', 'StartDatetimeZoneCode', item.startDay)),
      ...(item.dueDay !== before?.dueDay && dayValues('DueDateTime', 'DueDatetimeZoneCode', item.dueDay)),
    }),
    ...(isProgress && {
      ...(isStatus && { Status: statusCode(item.status) }),
      CompletionPercent: `${Math.min(100, Math.max(0, Math.round(item.percentComplete)))}`,
      CompletionDateTime: item.status === 'completed' ? midnightOf(item.completedDay) : null,
    }),
    ...(fields.has('importance') && { PriorityCode: priorityCode(item.importance) }),
  }
}

/** The day by the clocks of the zone that stands beside it: five o'clock in Los Angeles is the next day in UTC. */
function dayIn(values: JsonObject, name: string, zoneName: string): Day | null {
  const ms = msAt(values, name)
  return ms === null ? null : localTimeAt(ms, ianaOfSapZone(textAt(values, zoneName))).slice(0, 10)
}

function dayValues(name: string, zoneName: string, day: Day | null): JsonObject {
  return { [name]: midnightOf(day), [zoneName]: sapZoneOf('UTC') }
}

export function taskBelow(item: Task, codes: C4CCodes): JsonObject {
  const { content } = asText(item.body)
  return content === ''
    ? {}
    : { [texts]: [{ TypeCode: codes.bodyText, LanguageCode: codes.textLanguage, Text: content }] }
}

export function taskChanges(
  row: C4CRow,
  item: Task,
  fields: ReadonlySet<string>,
  codes: C4CCodes,
): readonly C4CWrite[] {
  if (!fields.has('body')) return []
  const { content } = asText(item.body)
  const known = noteAt(row.values, texts, codes.bodyText)
  if (known?.text === content || (!known && content === '')) return []
  if (known && content === '') return [{ kind: 'remove-below', part: texts, id: known.id }]
  if (known) return [{ kind: 'update-below', entity: 'Tasks', part: texts, id: known.id, body: { Text: content } }]
  const body = { TypeCode: codes.bodyText, LanguageCode: codes.textLanguage, Text: content }
  return [{ kind: 'create-below', entity: 'Tasks', id: row.id, part: texts, body }]
}

export function normaliseTask(item: Task): Task {
  const status = heldStatus(item.status)
  return {
    ...item,
    subject: lineOf(item.subject, 255),
    body: asText(item.body),
    completedDay: status === 'completed' ? item.completedDay : null,
    percentComplete: Math.min(100, Math.max(0, Math.round(item.percentComplete))),
    status,
    sensitivity: 'normal',
    categories: [],
    reminderAt: null,
    recurrence: null,
  }
}
