import { z } from 'zod'
import type { Appointment } from '../plan/items.ts'

/** What Cloud for Customer has no fields for: how a series repeats, what differs in it, and in which zone it keeps its hour. */
export type SeriesNote = Pick<Appointment, 'zone' | 'recurrence' | 'exceptions'>

const head = 'Repeating appointment, kept by the groupware sync. Do not edit.'

/** The note as text; the first line is for people. */
export function writeSeriesNote({ zone, recurrence, exceptions }: SeriesNote): string {
  return `${head}\n${JSON.stringify({ zone, recurrence, exceptions })}`
}

const dayName = z.enum(['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday'])
const shape = z.object({
  zone: z.string(),
  recurrence: z.object({
    unit: z.enum(['day', 'week', 'month', 'year']),
    interval: z.int().min(1),
    days: z.array(dayName),
    which: z.enum(['first', 'second', 'third', 'fourth', 'last']).nullable(),
    dayOfMonth: z.int().nullable(),
    month: z.int().nullable(),
    firstDay: z.string(),
    lastDay: z.string().nullable(),
    count: z.int().nullable(),
  }),
  exceptions: z.record(
    z.string(),
    z.object({
      isDeleted: z.boolean().exactOptional(),
      start: z.string().exactOptional(),
      end: z.string().exactOptional(),
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
