import { z } from 'zod'
import { isTimeZone } from '../../protocols/time-zone/local-time.ts'
import type { Appointment, Day, Moment } from '../plan/items.ts'

/** What Cloud for Customer has no fields for: how a series repeats, what differs in it, and in which zone it keeps its hour. */
export interface SeriesNote extends Pick<Appointment, 'zone' | 'recurrence' | 'exceptions'> {
  /** When the series began as this was written: where it begins elsewhere now, somebody has moved it. */
  readonly start?: Moment | undefined
  readonly made?: Made | undefined
}

/** Which occurrences of a series were made as appointments of their own, and what the series said then. */
export interface Made {
  /** Days of the first and the last of them, by the clock of the series. */
  readonly from: Day
  readonly to: Day
  readonly start: Moment
  readonly end: Moment
  /** Stamps of what each of them says that nobody has changed. */
  readonly subject: string
  readonly location: string
  readonly body: string
}

const head = 'Repeating appointment, kept by the groupware sync. Do not edit.'

/** The note as text; the first line is for people. */
export function writeSeriesNote({ zone, start, recurrence, exceptions, made }: SeriesNote): string {
  const facts = { zone, start, recurrence, exceptions: inOrder(exceptions), ...(made && { made }) }
  return `${head}\n${JSON.stringify(facts)}`
}

/** The same exceptions always have the same text. */
function inOrder(exceptions: Appointment['exceptions']): Appointment['exceptions'] {
  const sorted = Object.entries(exceptions).toSorted(([one], [other]) => (one < other ? -1 : 1))
  return Object.fromEntries(
    sorted.map(([original, { isDeleted, start, end, subject, location, body }]) => [
      original,
      {
        ...(isDeleted !== undefined && { isDeleted }),
        ...(start !== undefined && { start }),
        ...(end !== undefined && { end }),
        ...(subject !== undefined && { subject }),
        ...(location !== undefined && { location }),
        ...(body !== undefined && { body }),
      },
    ]),
  )
}

const dayName = z.enum(['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday'])
const day = z.string().regex(/^\d{4}-\d\d-\d\d$/)
/** A day, or an instant. */
const moment = z.string().regex(/^\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d{1,3})?Z)?$/)
const shape = z.object({
  zone: z.string().refine(isTimeZone),
  start: moment.optional(),
  recurrence: z.object({
    unit: z.enum(['day', 'week', 'month', 'year']),
    interval: z.int().min(1),
    days: z.array(dayName),
    weekStart: dayName.exactOptional(),
    which: z.enum(['first', 'second', 'third', 'fourth', 'last']).nullable(),
    dayOfMonth: z.int().nullable(),
    month: z.int().nullable(),
    firstDay: day,
    lastDay: day.nullable(),
    count: z.int().nullable(),
  }),
  made: z
    .object({
      from: day,
      to: day,
      start: moment,
      end: moment,
      subject: z.string(),
      location: z.string(),
      body: z.string(),
    })
    .optional(),
  exceptions: z.record(
    moment,
    z.object({
      isDeleted: z.boolean().exactOptional(),
      start: moment.exactOptional(),
      end: moment.exactOptional(),
      subject: z.string().exactOptional(),
      location: z.string().exactOptional(),
      body: z.object({ type: z.enum(['text', 'html']), content: z.string() }).exactOptional(),
    }),
  ),
})

/** The note of a text; undefined where somebody has made something else of it. */
export function readSeriesNote(text: string): SeriesNote | undefined {
  const json = text.slice(text.indexOf('\n') + 1)
  try {
    const parsed = shape.safeParse(JSON.parse(json))
    return parsed.success ? parsed.data : undefined
  } catch {
    // No JSON: it was edited by hand, or cut off.
    return undefined
  }
}
