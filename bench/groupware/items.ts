import type { Side } from '../../src/groupware/drivers.ts'
import type { Appointment, Contact, Item, ItemKind, Mail, Task } from '../../src/groupware/plan/items.ts'
import { defaultRules } from '../../src/groupware/plan/rules.ts'
import { DAY, HOUR } from '../../src/kernel/time.ts'

/** When the simulated time of the bench begins: a Monday morning. */
export const startAt = Date.UTC(2026, 10, 23, 8)

/** Shares of the kinds, as mailboxes of sales people have them. */
const shares: Readonly<Record<ItemKind, number>> = { appointment: 0.4, contact: 0.24, task: 0.16, mail: 0.2 }

/** Items of one mailbox by kind and side: half from each side, mail from the mailbox alone (it goes only to the CRM). */
export function countsOf(items: number): Readonly<Record<ItemKind, Readonly<Record<Side, number>>>> {
  const half = (kind: ItemKind) => {
    const count = items === 0 ? 0 : Math.max(1, Math.round(items * shares[kind]))
    return { exchange: Math.ceil(count / 2), crm: Math.floor(count / 2) }
  }
  const mail =
    items - ['appointment', 'contact', 'task'].reduce((sum, kind) => sum + totalOf(half(kind as ItemKind)), 0)
  return {
    appointment: half('appointment'),
    contact: half('contact'),
    task: half('task'),
    mail: { exchange: mail, crm: 0 },
  }
}

function totalOf({ exchange, crm }: Readonly<Record<Side, number>>): number {
  return exchange + crm
}

export function mailboxName(number: number): string {
  return `m${number}@contoso.example`
}

/** The items that a side of a mailbox begins with; the same each time. */
export function itemsOf(mailbox: number, side: Side, items: number): readonly Item[] {
  const counts = countsOf(items)
  const of = <I extends Item>(kind: ItemKind, make: (number: number) => I) =>
    Array.from({ length: counts[kind][side] }, (_, index) => make(side === 'exchange' ? index : 1000 + index))
  return [
    ...of('appointment', number => appointment(mailbox, number)),
    ...of('contact', number => contact(mailbox, number)),
    ...of('task', number => task(mailbox, number)),
    ...of('mail', number => mail(mailbox, number)),
  ]
}

const text = (content: string) => ({ type: 'text' as const, content })
const agenda = 'Agenda\n1. What was said last time\n2. Offer and delivery\n3. Next steps'

/** Every second one is a meeting with two people of a customer. */
function appointment(mailbox: number, number: number): Appointment {
  const start = startAt + ((number % 40) - 10) * DAY + (number % 8) * HOUR
  const instant = (ms: number) => new Date(ms).toISOString().replace('.000Z', 'Z')
  const owner = mailboxName(mailbox)
  const isMeeting = number % 2 === 0
  const attendee = (which: number) => ({
    address: `buyer${which}@customer${(mailbox + number) % 500}.example`,
    name: `Buyer ${which}`,
    role: 'required' as const,
    response: 'none' as const,
  })
  return {
    kind: 'appointment',
    activity: 'appointment',
    subject: `Meeting ${number} of ${mailbox}`,
    start: instant(start),
    end: instant(start + HOUR),
    isAllDay: false,
    zone: 'Europe/Berlin',
    location: 'Walldorf',
    body: text(agenda),
    showAs: 'busy',
    importance: 'normal',
    sensitivity: 'normal',
    categories: [],
    reminderMinutes: 15,
    isCancelled: false,
    organizer: isMeeting ? { address: owner, name: owner } : null,
    attendees: isMeeting ? [attendee(1), attendee(2)] : [],
    attachments: [],
    recurrence: null,
    exceptions: {},
  }
}

const noAddress = { street: '', postalCode: '', city: '', region: '', country: '' }

function contact(mailbox: number, number: number): Contact {
  return {
    kind: 'contact',
    party: 'contact',
    givenName: 'Zoe',
    middleName: '',
    surname: `Buyer ${number} of ${mailbox}`,
    company: '',
    department: 'Purchasing',
    jobTitle: 'Buyer',
    emails: [`zoe${number}.${mailbox}@customer.example`],
    phones: { business: '+49 6227 1', mobile: '+49 170 1', home: '', fax: '' },
    businessAddress: noAddress,
    homeAddress: noAddress,
    website: '',
    birthday: null,
    body: text('Met at the fair.'),
    sensitivity: 'normal',
    categories: [],
  }
}

function task(mailbox: number, number: number): Task {
  return {
    kind: 'task',
    subject: `Call back ${number} of ${mailbox}`,
    body: text('before noon'),
    startDay: '2026-11-23',
    dueDay: '2026-11-25',
    completedDay: null,
    percentComplete: 0,
    status: 'open',
    importance: 'normal',
    sensitivity: 'normal',
    categories: [],
    reminderAt: null,
    recurrence: null,
  }
}

/** Marked by its owner, so that it comes to the CRM. */
function mail(mailbox: number, number: number): Mail {
  const customer = `buyer1@customer${(mailbox + number) % 500}.example`
  return {
    kind: 'mail',
    subject: `Offer ${number} of ${mailbox}`,
    from: { address: customer, name: 'Buyer 1' },
    to: [{ address: mailboxName(mailbox), name: '' }],
    cc: [],
    sentAt: '2026-11-20T10:00:00Z',
    direction: 'in',
    messageId: `<${number}.${mailbox}@customer.example>`,
    body: { type: 'html', content: `<p>Dear colleague,</p><p>${agenda.replaceAll('\n', '<br>')}</p>` },
    importance: 'normal',
    sensitivity: 'normal',
    categories: [defaultRules.markCategory],
    attachments: [],
    nature: 'letter',
  }
}
