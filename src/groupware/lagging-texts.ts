import type { Appointment, Exception, Moment } from './plan/items.ts'

/** What an exception may say otherwise than its series, beside when it is. */
export const exceptionTexts = ['subject', 'location', 'body'] as const
export type ExceptionText = (typeof exceptionTexts)[number]

/**
 * Exchange keeps an occurrence that differs from its series in anything as an item with texts of its own, which stay as
 * they are when those of the series are written. Which of them still say what the series said before, by the moment at
 * which the occurrence would begin; `now` is the series as it is after that.
 */
export function laggingTexts(
  change: { readonly before: Appointment; readonly after: Appointment },
  now: Appointment,
): ReadonlyMap<Moment, ReadonlySet<ExceptionText>> {
  const { before, after } = change
  const lagging = new Map<Moment, ReadonlySet<ExceptionText>>()
  for (const [original, exception] of Object.entries(now.exceptions)) {
    const wanted: Exception = after.exceptions[original] ?? {}
    const names = exceptionTexts.filter(
      name => wanted[name] === undefined && textOf(exception[name]) === textOf(before[name]),
    )
    if (names.length > 0) lagging.set(original, new Set(names))
  }
  return lagging
}

/** Whether a change is one of texts that occurrences have, too. */
export function changesTexts({ fields, after }: { readonly fields: readonly string[]; readonly after: Appointment }) {
  return after.recurrence !== null && exceptionTexts.some(name => fields.includes(name))
}

function textOf(value: Appointment[ExceptionText] | undefined): string | undefined {
  return typeof value === 'object' ? value.content : value
}
