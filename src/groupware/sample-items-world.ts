import fc from 'fast-check'
import type { Appointment, Contact, Item, ItemKind, Mail, Recurrence, Task } from './plan/items.ts'

// Items for tests of drivers: one of each kind with something in every field, and any number of random ones.

export const sampleAppointment: Appointment = {
  kind: 'appointment',
  activity: 'appointment',
  subject: 'Jour fixe <Söhne & Co>',
  start: '2026-11-23T08:00:00Z',
  end: '2026-11-23T09:30:00Z',
  isAllDay: false,
  zone: 'Europe/Berlin',
  location: 'Walldorf',
  body: { type: 'text', content: 'Agenda\n1. Umlauts: äöü\n2. <tags> & "quotes"' },
  showAs: 'busy',
  importance: 'high',
  sensitivity: 'normal',
  categories: ['Green'],
  reminderMinutes: 15,
  isCancelled: false,
  organizer: { address: 'ada@contoso.com', name: 'ada@contoso.com' },
  attendees: [
    { address: 'b@x.example', name: 'Ben', role: 'required', response: 'none' },
    { address: 'c@x.example', name: '', role: 'optional', response: 'none' },
  ],
  attachments: [],
  recurrence: null,
  exceptions: {},
}

export const weekly: Recurrence = {
  unit: 'week',
  interval: 1,
  days: ['monday'],
  which: null,
  dayOfMonth: null,
  month: null,
  firstDay: '2026-10-19',
  lastDay: null,
  count: 4,
}

/** Mondays at 9 in Berlin, over the end of summer time; one moved, one cancelled. */
export const sampleSeries: Appointment = {
  ...sampleAppointment,
  start: '2026-10-19T07:00:00Z',
  end: '2026-10-19T08:00:00Z',
  recurrence: weekly,
  exceptions: {
    '2026-10-26T08:00:00Z': { start: '2026-10-27T10:00:00Z', end: '2026-10-27T11:00:00Z', subject: 'on Tuesday' },
    '2026-11-02T08:00:00Z': { isDeleted: true },
  },
}

export const sampleMail: Mail = {
  kind: 'mail',
  subject: 'Offer 4711',
  from: { address: 'b@x.example', name: 'Ben' },
  to: [{ address: 'ada@contoso.com', name: 'Ada' }],
  cc: [{ address: 'c@x.example', name: 'Cem' }],
  sentAt: '2026-11-20T10:00:00Z',
  direction: 'in',
  messageId: '<m1@x.example>',
  body: { type: 'html', content: '<p>Dear Ada,</p>' },
  importance: 'normal',
  sensitivity: 'normal',
  categories: [],
  attachments: [],
  nature: 'letter',
}

const noAddress = { street: '', postalCode: '', city: '', region: '', country: '' }

export const sampleContact: Contact = {
  kind: 'contact',
  party: 'contact',
  givenName: 'Zoë',
  middleName: 'M.',
  surname: 'Müller',
  company: 'Contoso AG',
  department: 'Sales',
  jobTitle: 'Buyer',
  emails: ['zoe@x.example'],
  phones: { business: '+49 6227 1', mobile: '+49 170 1', home: '', fax: '+49 6227 2' },
  businessAddress: {
    street: 'Hauptstraße 7a',
    postalCode: '69190',
    city: 'Walldorf',
    region: 'BW',
    country: 'Germany',
  },
  homeAddress: noAddress,
  website: '',
  birthday: '1980-02-29',
  body: { type: 'text', content: 'Met at the fair.' },
  sensitivity: 'normal',
  categories: ['Key account'],
}

export const sampleTask: Task = {
  kind: 'task',
  subject: 'Call back',
  body: { type: 'text', content: 'before noon' },
  startDay: '2026-11-23',
  dueDay: '2026-11-25',
  completedDay: null,
  percentComplete: 0,
  status: 'open',
  importance: 'normal',
  sensitivity: 'normal',
  categories: [],
  reminderAt: '2026-11-24T08:00:00Z',
  recurrence: null,
}

export const samples: Readonly<Record<ItemKind, Item>> = {
  appointment: sampleAppointment,
  mail: sampleMail,
  contact: sampleContact,
  task: sampleTask,
}

const line = fc
  .string({ unit: 'grapheme', maxLength: 30 })
  .map(text => text.replace(/[\u0000-\u001f\u007f-\u00a0\u2028\u2029*]/g, ' ').trim())
const word = fc.stringMatching(/^[A-Za-zäöüß' -]{0,20}$/).map(text => text.trim())
const text = fc
  .array(line, { maxLength: 4 })
  .map(lines => ({ type: 'text' as const, content: lines.join('\n').trim() }))
const email = fc.stringMatching(/^[a-z]{1,8}$/).map(name => `${name}@x.example`)
const day = fc.integer({ min: 20_000, max: 22_000 }).map(at => new Date(at * 86_400_000).toISOString().slice(0, 10))
const zone = fc.constantFrom(
  'Europe/Berlin',
  'UTC',
  'America/New_York',
  'Asia/Tokyo',
  'Europe/Vienna',
  'Australia/Sydney',
)
const level = fc.constantFrom('low' as const, 'normal' as const, 'high' as const)
const secrecy = fc.constantFrom('normal' as const, 'personal' as const, 'private' as const, 'confidential' as const)

const times = fc
  .tuple(day, fc.integer({ min: 0, max: 1439 }), fc.integer({ min: 1, max: 600 }), fc.boolean())
  .map(([on, from, minutes, isAllDay]) => {
    const start = Date.parse(`${on}T00:00:00Z`) + from * 60_000
    const iso = (ms: number) => new Date(ms).toISOString().replace('.000Z', 'Z')
    return isAllDay
      ? {
          isAllDay,
          start: on,
          end: new Date(Date.parse(on) + 86_400_000 * ((minutes % 3) + 1)).toISOString().slice(0, 10),
        }
      : { isAllDay, start: iso(start), end: iso(start + minutes * 60_000) }
  })

/** Any item of a kind that a mailbox could hold. */
export const anyItem: Readonly<Record<ItemKind, fc.Arbitrary<Item>>> = {
  appointment: fc
    .record({
      times,
      zone,
      subject: line,
      location: line,
      body: text,
      showAs: fc.constantFrom('free' as const, 'tentative' as const, 'busy' as const, 'away' as const),
      importance: level,
      sensitivity: secrecy,
      reminderMinutes: fc.option(fc.integer({ min: 0, max: 10_000 }), { nil: null }),
      addresses: fc.uniqueArray(email, { maxLength: 4 }),
    })
    .map(({ times: when, addresses, ...rest }) => ({
      ...sampleAppointment,
      ...rest,
      ...when,
      organizer: addresses.length > 0 ? sampleAppointment.organizer : null,
      attendees: addresses.map((address, index) => ({
        address,
        name: '',
        role: index % 2 === 0 ? ('required' as const) : ('optional' as const),
        response: 'none' as const,
      })),
    })),
  mail: fc
    .record({ subject: line, body: text, importance: level, to: fc.uniqueArray(email, { minLength: 1, maxLength: 3 }) })
    .map(({ to, ...rest }) => ({ ...sampleMail, ...rest, to: to.map(address => ({ address, name: '' })) })),
  contact: fc
    .record({
      givenName: word,
      surname: word.map(name => name || 'Müller'),
      jobTitle: word,
      emails: fc.uniqueArray(email, { maxLength: 3 }),
      body: text,
      birthday: fc.option(day, { nil: null }),
    })
    .map(rest => ({ ...sampleContact, ...rest })),
  task: fc
    .record({
      subject: line.map(subject => subject || 'Task'),
      body: text,
      importance: level,
      status: fc.constantFrom('open' as const, 'in-progress' as const, 'waiting' as const, 'deferred' as const),
      startDay: fc.option(day, { nil: null }),
      dueDay: fc.option(day, { nil: null }),
    })
    .map(rest => ({ ...sampleTask, ...rest })),
}
