import type { Appointment, Contact, Mail, Task } from '../plan/items.ts'

/** One item of each kind with all that is hard about it. For tests. */
export const owner = 'anna@contoso.example'

export const appointment: Appointment = {
  kind: 'appointment',
  activity: 'appointment',
  subject: 'Jour fixe',
  start: '2026-03-02T08:00:00Z',
  end: '2026-03-02T09:00:00Z',
  isAllDay: false,
  zone: 'Europe/Berlin',
  location: 'Walldorf',
  body: { type: 'text', content: 'Zeile 1\nZeile <2> & "3"' },
  showAs: 'busy',
  importance: 'normal',
  sensitivity: 'normal',
  categories: ['Kunde'],
  reminderMinutes: 15,
  isCancelled: false,
  organizer: { address: owner, name: 'Anna Schmidt' },
  attendees: [
    { address: 'ben@contoso.example', name: 'Ben Ruiz', role: 'required', response: 'none' },
    { address: 'raum@contoso.example', name: '', role: 'resource', response: 'none' },
  ],
  attachments: [],
  recurrence: null,
  exceptions: {},
}

export const series: Appointment = {
  ...appointment,
  subject: 'Serie',
  recurrence: {
    unit: 'week',
    interval: 1,
    days: ['monday'],
    which: null,
    dayOfMonth: null,
    month: null,
    firstDay: '2026-03-02',
    lastDay: null,
    count: 8,
  },
  exceptions: {
    '2026-03-09T08:00:00Z': { isDeleted: true },
    '2026-03-16T08:00:00Z': { start: '2026-03-16T10:00:00Z', end: '2026-03-16T11:30:00Z', subject: 'Verschoben' },
    // The clocks have changed by then: nine in Berlin is seven in UTC.
    '2026-04-06T07:00:00Z': { location: 'Paris' },
  },
}

export const wholeDays: Appointment = {
  ...appointment,
  subject: 'Messe',
  start: '2026-03-28',
  end: '2026-03-30',
  isAllDay: true,
  organizer: null,
  attendees: [],
}

export const contact: Contact = {
  kind: 'contact',
  party: 'account',
  givenName: 'Zoë',
  middleName: '',
  surname: 'Müller',
  company: 'ACME',
  department: 'Einkauf',
  jobTitle: 'Leiterin',
  emails: ['zoe@acme.example', 'info@acme.example'],
  phones: { business: '+49 1', mobile: '', home: '', fax: '+49 2' },
  businessAddress: { street: 'Weg 1', postalCode: '69190', city: 'Walldorf', region: '', country: 'Deutschland' },
  homeAddress: { street: '', postalCode: '', city: '', region: '', country: '' },
  website: 'https://acme.example',
  birthday: '1980-02-29',
  body: { type: 'text', content: 'Notiz' },
  sensitivity: 'normal',
  categories: [],
}

export const task: Task = {
  kind: 'task',
  subject: 'Angebot',
  body: { type: 'text', content: '' },
  startDay: '2026-03-02',
  dueDay: '2026-03-06',
  completedDay: null,
  percentComplete: 40,
  status: 'in-progress',
  importance: 'high',
  sensitivity: 'normal',
  categories: [],
  reminderAt: '2026-03-05T08:00:00Z',
  recurrence: null,
}

export const mail: Mail = {
  kind: 'mail',
  subject: 'Anfrage',
  from: { address: 'kunde@acme.example', name: 'Kunde' },
  to: [{ address: owner, name: 'Anna Schmidt' }],
  cc: [],
  sentAt: '2026-03-01T10:00:00Z',
  direction: 'in',
  messageId: '<1@acme.example>',
  body: { type: 'html', content: '<p>Hallo</p>' },
  importance: 'normal',
  sensitivity: 'normal',
  categories: [],
  attachments: [],
  nature: 'letter',
}
