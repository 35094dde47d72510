/**
 * What travels between a mailbox and the CRM, in words of neither: drivers read and write these. All of it is JSON.
 * Texts that are not there are '', lists that are empty [], everything else that is not there is null: a field is never
 * missing, so that "emptied" and "not known" cannot be taken for one another.
 */
export type Item = Mail | Appointment | Contact | Task
export type ItemKind = Item['kind']

export const itemKinds: readonly ItemKind[] = ['mail', 'appointment', 'contact', 'task']

/** An instant as `2026-11-23T08:00:00Z`: UTC, whole seconds. */
export type Instant = string
/** A day as `2026-11-23`. */
export type Day = string
/** An instant; a day where the appointment lasts whole days. */
export type Moment = string

export type Sensitivity = 'normal' | 'personal' | 'private' | 'confidential'
export type Importance = 'low' | 'normal' | 'high'

export interface Body {
  readonly type: 'text' | 'html'
  /** Lines end with \n. */
  readonly content: string
}

export interface Person {
  /** Mail address, in lower case. */
  readonly address: string
  readonly name: string
}

export interface Attachment {
  /** Name by which its side finds the bytes again (`SideDriver.openAttachment`); it is not compared. */
  readonly id: string
  readonly name: string
  readonly type: string
  readonly bytes: number
  readonly isInline: boolean
}

export interface Mail {
  readonly kind: 'mail'
  readonly subject: string
  readonly from: Person | null
  readonly to: readonly Person[]
  readonly cc: readonly Person[]
  readonly sentAt: Instant | null
  /** `in` came to the mailbox, `out` was sent from it. */
  readonly direction: 'in' | 'out'
  /** Message-ID with its angle brackets. */
  readonly messageId: string
  readonly body: Body
  readonly importance: Importance
  readonly sensitivity: Sensitivity
  readonly categories: readonly string[]
  readonly attachments: readonly Attachment[]
  /** `service` is what no person wrote: receipts, responses to meetings, bounces. */
  readonly nature: 'letter' | 'service'
}

export interface Appointment {
  readonly kind: 'appointment'
  /** What it is in the CRM: a visit is an appointment there with plans and results of its own. */
  readonly activity: 'appointment' | 'visit'
  readonly subject: string
  /** An instant; the first day when `isAllDay`. Of a series: its first occurrence. */
  readonly start: Moment
  /** An instant; the day after the last when `isAllDay`. */
  readonly end: Moment
  readonly isAllDay: boolean
  /** IANA name of the zone in which it was made; a series keeps its hour in this zone. */
  readonly zone: string
  readonly location: string
  readonly body: Body
  readonly showAs: 'free' | 'tentative' | 'busy' | 'away'
  readonly importance: Importance
  readonly sensitivity: Sensitivity
  readonly categories: readonly string[]
  readonly reminderMinutes: number | null
  readonly isCancelled: boolean
  /** Null for an appointment without attendees that only its owner has. */
  readonly organizer: Person | null
  readonly attendees: readonly Attendee[]
  readonly attachments: readonly Attachment[]
  readonly recurrence: Recurrence | null
  /** Occurrences that differ from the series, by the start they would have had (an instant; a day when `isAllDay`). */
  readonly exceptions: Readonly<Record<Moment, Exception>>
}

export interface Attendee extends Person {
  readonly role: 'required' | 'optional' | 'resource'
  readonly response: 'none' | 'accepted' | 'tentative' | 'declined'
}

export type DayName = 'monday' | 'tuesday' | 'wednesday' | 'thursday' | 'friday' | 'saturday' | 'sunday'

/** How a series repeats, in the words of Exchange: every `interval` units. */
export interface Recurrence {
  readonly unit: 'day' | 'week' | 'month' | 'year'
  readonly interval: number
  /** Weekly: on these days. Monthly and yearly with `which`: one of these days (all seven: any day). Else []. */
  readonly days: readonly DayName[]
  /** Day with which a week begins; only where it matters, and is not Monday (`weekStartOf`). */
  readonly weekStart?: DayName
  /** Monthly and yearly: the first, second … of `days`; null when `dayOfMonth` says it. */
  readonly which: 'first' | 'second' | 'third' | 'fourth' | 'last' | null
  /** 1 to 31; in a shorter month its last day. */
  readonly dayOfMonth: number | null
  /** Yearly: 1 to 12. */
  readonly month: number | null
  readonly firstDay: Day
  /** The last day on which an occurrence may begin; at most one of `lastDay` and `count` is there, none: no end. */
  readonly lastDay: Day | null
  readonly count: number | null
}

/** Where a week begins moves occurrences only of series that leave weeks out and have several days in one. */
export function weekStartOf(
  { unit, interval, days }: Pick<Recurrence, 'unit' | 'interval' | 'days'>,
  day: DayName,
): Pick<Recurrence, 'weekStart'> {
  return unit === 'week' && interval > 1 && days.length > 1 && day !== 'monday' ? { weekStart: day } : {}
}

/** What differs; a field that is not there is as in the series. */
export interface Exception {
  readonly isDeleted?: boolean
  readonly start?: Moment
  readonly end?: Moment
  readonly subject?: string
  readonly location?: string
  readonly body?: Body
}

export interface Address {
  /** Street and house number in one line. */
  readonly street: string
  readonly postalCode: string
  readonly city: string
  readonly region: string
  readonly country: string
}

export interface Contact {
  readonly kind: 'contact'
  /** What stands behind it in the CRM. */
  readonly party: 'contact' | 'account' | 'individual-customer'
  readonly givenName: string
  readonly middleName: string
  readonly surname: string
  readonly company: string
  readonly department: string
  readonly jobTitle: string
  /** Mail addresses in lower case, the first one first; Exchange holds three. */
  readonly emails: readonly string[]
  readonly phones: { readonly business: string; readonly mobile: string; readonly home: string; readonly fax: string }
  readonly businessAddress: Address
  readonly homeAddress: Address
  readonly website: string
  readonly birthday: Day | null
  readonly body: Body
  readonly sensitivity: Sensitivity
  readonly categories: readonly string[]
}

export interface Task {
  readonly kind: 'task'
  readonly subject: string
  readonly body: Body
  readonly startDay: Day | null
  readonly dueDay: Day | null
  readonly completedDay: Day | null
  readonly percentComplete: number
  readonly status: 'open' | 'in-progress' | 'waiting' | 'deferred' | 'completed'
  readonly importance: Importance
  readonly sensitivity: Sensitivity
  readonly categories: readonly string[]
  readonly reminderAt: Instant | null
  readonly recurrence: Recurrence | null
}

/** The day or the moment by which people know an item; a contact has none. */
export function dateOf(item: Item): Moment | null {
  if (item.kind === 'appointment') return item.start
  if (item.kind === 'mail') return item.sentAt
  return item.kind === 'task' ? (item.dueDay ?? item.startDay) : null
}
