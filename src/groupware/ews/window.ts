import type { Scope } from '../drivers.ts'
import type { Appointment, Item } from '../plan/items.ts'
import { momentMs } from './appointment.ts'

/** Whether an item lies in the window of a scope: a mail by when it was sent, an appointment by any part of it. */
export function isInWindow(item: Item, { from, to }: Pick<Scope, 'from' | 'to'>): boolean {
  const [least, most] = [
    from === null ? Number.NEGATIVE_INFINITY : Date.parse(from),
    to === null ? Number.POSITIVE_INFINITY : Date.parse(to),
  ]
  if (item.kind === 'mail') {
    const at = item.sentAt === null ? Number.NaN : Date.parse(item.sentAt)
    return Number.isNaN(at) || (at >= least && at <= most)
  }
  if (item.kind !== 'appointment') return true
  const start = momentMs(item.start, item)
  return start <= most && endOfAll(item) >= least
}

function endOfAll(item: Appointment): number {
  const { recurrence } = item
  const end = momentMs(item.end, item)
  if (!recurrence) return end
  // A series with a count is short of its last day by no rule that is worth its price here: it counts as without an end.
  if (recurrence.lastDay === null) return Number.POSITIVE_INFINITY
  return Math.max(end, Date.parse(`${recurrence.lastDay}T23:59:59Z`))
}
