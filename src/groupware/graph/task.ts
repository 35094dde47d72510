import type { JsonObject } from '../../kernel/json.ts'
import { DAY } from '../../kernel/time.ts'
import { asText, plainLines } from '../body-text.ts'
import { crmApplication } from '../crm-mark.ts'
import type { Day, Task } from '../plan/items.ts'
import { readRecurrence, writeRecurrence } from './recurrence.ts'
import { choiceAt, instantAt, listAt, objectAt, textAt, textsAt } from './row.ts'

const statuses = {
  notStarted: 'open',
  inProgress: 'in-progress',
  completed: 'completed',
  waitingOnOthers: 'waiting',
  deferred: 'deferred',
} as const satisfies Readonly<Record<string, Task['status']>>

/** A task of To Do that was asked for with its linked resources. */
export function readTask(row: JsonObject): Task {
  const status =
    statuses[
      choiceAt(row, 'status', ['notStarted', 'inProgress', 'completed', 'waitingOnOthers', 'deferred'], 'notStarted')
    ]
  const body = objectAt(row, 'body')
  const pattern = objectAt(row, 'recurrence')
  return {
    kind: 'task',
    subject: textAt(row, 'title'),
    body: asText({ type: textAt(body, 'contentType') === 'html' ? 'html' : 'text', content: textAt(body, 'content') }),
    startDay: dayAt(row, 'startDateTime'),
    dueDay: dayAt(row, 'dueDateTime'),
    completedDay: status === 'completed' ? dayAt(row, 'completedDateTime') : null,
    percentComplete: percentOf(status),
    status,
    importance: choiceAt(row, 'importance', ['low', 'normal', 'high'], 'normal'),
    sensitivity: 'normal',
    categories: textsAt(row, 'categories'),
    reminderAt: row['isReminderOn'] === true ? instantAt(objectAt(row, 'reminderDateTime'), 'dateTime') : null,
    recurrence: Object.keys(pattern).length > 0 ? readRecurrence(pattern) : null,
  }
}

/** The CRM's id out of the linked resource that names it, with the id of that resource. */
export function taskLink(row: JsonObject): { readonly mark: string; readonly id: string } | undefined {
  const link = listAt(row, 'linkedResources').find(each => textAt(each, 'applicationName') === crmApplication)
  const mark = link ? textAt(link, 'externalId') : ''
  return link && mark !== '' ? { mark, id: textAt(link, 'id') } : undefined
}

export function taskLinkBody(mark: string, subject: string): JsonObject {
  return { applicationName: crmApplication, displayName: subject.slice(0, 255) || crmApplication, externalId: mark }
}

export function writeTask(item: Task, fields: ReadonlySet<string>): JsonObject {
  const status = Object.entries(statuses).find(([, ours]) => ours === item.status)?.[0] ?? 'notStarted'
  const isDays = fields.has('startDay') || fields.has('dueDay') || fields.has('recurrence')
  // A day on which a task can repeat: without one To Do refuses the recurrence.
  const firstDay = item.dueDay ?? item.startDay
  const recurrence = item.recurrence && firstDay !== null ? writeRecurrence(item.recurrence, firstDay, undefined) : null
  return {
    ...(fields.has('subject') && { title: item.subject }),
    ...(fields.has('body') && { body: { contentType: item.body.type, content: item.body.content } }),
    ...(fields.has('importance') && { importance: item.importance }),
    ...(isDays && { startDateTime: midnight(item.startDay), dueDateTime: midnight(item.dueDay), recurrence }),
    ...((fields.has('status') || fields.has('percentComplete') || fields.has('completedDay')) && {
      status,
      completedDateTime: item.status === 'completed' ? midnight(item.completedDay) : null,
    }),
    ...(fields.has('reminderAt') && {
      isReminderOn: item.reminderAt !== null,
      reminderDateTime: item.reminderAt === null ? null : { dateTime: item.reminderAt.slice(0, 19), timeZone: 'UTC' },
    }),
  }
}

function midnight(day: Day | null): JsonObject | null {
  return day === null ? null : { dateTime: `${day}T00:00:00`, timeZone: 'UTC' }
}

/**
 * To Do keeps a day as midnight of the zone in which it was set and shows it in UTC: the day is that of the nearest
 * midnight, whichever zone that was.
 */
function dayAt(row: JsonObject, name: string): Day | null {
  const instant = instantAt(objectAt(row, name), 'dateTime')
  return instant === null ? null : new Date(Date.parse(instant) + DAY / 2 - 1).toISOString().slice(0, 10)
}

function percentOf(status: Task['status']): number {
  return status === 'completed' ? 100 : status === 'in-progress' ? 50 : 0
}

/** To Do knows no shares of work, no sensitivity, and a day of completion only of what is complete. */
export function normaliseTask(item: Task): Task {
  const firstDay = item.dueDay ?? item.startDay
  return {
    ...item,
    subject: plainLines(item.subject).slice(0, 255),
    body: asText(item.body),
    percentComplete: percentOf(item.status),
    completedDay: item.status === 'completed' ? item.completedDay : null,
    sensitivity: 'normal',
    recurrence: firstDay === null ? null : item.recurrence && { ...item.recurrence, firstDay },
  }
}
