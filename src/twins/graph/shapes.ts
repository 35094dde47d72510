import { z } from 'zod'
import { ianaOfZone } from '../../protocols/time-zone/windows-zones.ts'

/** What may be written to each kind of item: names and types as Graph has them, anything else is refused. */
export type ItemType = 'event' | 'message' | 'contact' | 'todoTask'

const recipient = z.strictObject({
  emailAddress: z.strictObject({ address: z.string().max(1000), name: z.string().nullish() }),
})
const zoned = z.strictObject({
  dateTime: z.string().regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,7})?)?Z?$/),
  timeZone: z.string().refine(name => ianaOfZone(name) !== undefined, 'The time zone is not supported.'),
})
const body = z.strictObject({ contentType: z.enum(['text', 'html', 'Text', 'HTML']), content: z.string() })
const extended = z.array(
  z.strictObject({
    id: z
      .string()
      .regex(/^(String|Integer|SystemTime|Boolean) (\{[0-9a-f-]{36}\} (Name \S+|Id 0x[0-9a-f]+)|0x[0-9a-f]{1,4})$/i),
    value: z.string().nullable(),
  }),
)
const day = z.string().regex(/^\d{4}-\d\d-\d\d$/)
const weekday = z.enum(['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'])
const recurrence = z
  .strictObject({
    pattern: z.strictObject({
      type: z.enum(['daily', 'weekly', 'absoluteMonthly', 'relativeMonthly', 'absoluteYearly', 'relativeYearly']),
      interval: z.int().min(1).max(999),
      daysOfWeek: z.array(weekday).optional(),
      firstDayOfWeek: weekday.optional(),
      dayOfMonth: z.int().min(0).max(31).optional(),
      month: z.int().min(0).max(12).optional(),
      index: z.enum(['first', 'second', 'third', 'fourth', 'last']).optional(),
    }),
    range: z.strictObject({
      type: z.enum(['noEnd', 'endDate', 'numbered']),
      startDate: day,
      endDate: day.optional(),
      numberOfOccurrences: z.int().min(0).max(999).optional(),
      recurrenceTimeZone: z.string().optional(),
    }),
  })
  .refine(
    ({ pattern }) => !/weekly|relative/i.test(pattern.type) || (pattern.daysOfWeek ?? []).length > 0,
    'DaysOfWeek is missing.',
  )
  .refine(({ pattern }) => !/absolute/.test(pattern.type) || (pattern.dayOfMonth ?? 0) > 0, 'DayOfMonth is missing.')
  .refine(({ pattern }) => !/Yearly/.test(pattern.type) || (pattern.month ?? 0) > 0, 'Month is missing.')
  .refine(
    ({ range }) => range.type !== 'numbered' || (range.numberOfOccurrences ?? 0) > 0,
    'NumberOfOccurrences is missing.',
  )
  .refine(
    ({ range }) => range.type !== 'endDate' || (range.endDate ?? '') >= range.startDate,
    'EndDate is before StartDate.',
  )
const importance = z.enum(['low', 'normal', 'high'])
const categories = z.array(z.string().max(255)).max(100)
const instant = z.string().regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,7})?Z$/)
const text = (letters: number) => z.string().max(letters)
const address = z.strictObject({
  street: z.string().optional(),
  city: z.string().optional(),
  state: z.string().optional(),
  countryOrRegion: z.string().optional(),
  postalCode: z.string().optional(),
})

export const eventShape = z.strictObject({
  subject: text(255).nullable().optional(),
  body: body.optional(),
  start: zoned.optional(),
  end: zoned.optional(),
  isAllDay: z.boolean().optional(),
  location: z.strictObject({ displayName: z.string().nullable() }).optional(),
  attendees: z
    .array(
      recipient.extend({
        type: z.enum(['required', 'optional', 'resource']).optional(),
        status: z.looseObject({}).optional(),
      }),
    )
    .max(500)
    .optional(),
  recurrence: recurrence.nullable().optional(),
  sensitivity: z.enum(['normal', 'personal', 'private', 'confidential']).optional(),
  showAs: z.enum(['free', 'tentative', 'busy', 'oof', 'workingElsewhere']).optional(),
  importance: importance.optional(),
  categories: categories.optional(),
  isReminderOn: z.boolean().optional(),
  reminderMinutesBeforeStart: z.int().min(0).optional(),
  transactionId: z.string().max(255).optional(),
  singleValueExtendedProperties: extended.optional(),
})

export const fileShape = z.strictObject({
  '@odata.type': z.literal('#microsoft.graph.fileAttachment'),
  name: z.string().min(1),
  contentType: z.string().optional(),
  contentBytes: z.base64(),
  isInline: z.boolean().optional(),
})

const messageShape = z.strictObject({
  attachments: z.array(fileShape).optional(),
  subject: text(255).nullable().optional(),
  body: body.optional(),
  from: recipient.optional(),
  sender: recipient.optional(),
  toRecipients: z.array(recipient).max(500).optional(),
  ccRecipients: z.array(recipient).max(500).optional(),
  bccRecipients: z.array(recipient).max(500).optional(),
  replyTo: z.array(recipient).optional(),
  categories: categories.optional(),
  importance: importance.optional(),
  isRead: z.boolean().optional(),
  internetMessageId: z.string().optional(),
  singleValueExtendedProperties: extended.optional(),
})

const contactShape = z.strictObject({
  givenName: text(255).nullable().optional(),
  middleName: text(255).nullable().optional(),
  surname: text(255).nullable().optional(),
  displayName: text(255).nullable().optional(),
  fileAs: text(255).nullable().optional(),
  companyName: text(255).nullable().optional(),
  department: text(255).nullable().optional(),
  jobTitle: text(255).nullable().optional(),
  emailAddresses: z
    .array(z.strictObject({ address: z.string(), name: z.string().nullish() }))
    .max(3)
    .optional(),
  businessPhones: z.array(z.string()).max(2).optional(),
  homePhones: z.array(z.string()).max(2).optional(),
  mobilePhone: z.string().nullable().optional(),
  businessAddress: address.optional(),
  homeAddress: address.optional(),
  otherAddress: address.optional(),
  businessHomePage: z.string().nullable().optional(),
  birthday: instant.nullable().optional(),
  personalNotes: z.string().nullable().optional(),
  categories: categories.optional(),
  singleValueExtendedProperties: extended.optional(),
})

export const linkedResourceShape = z.strictObject({
  webUrl: z.string().optional(),
  applicationName: z.string().max(255),
  displayName: z.string().max(255),
  externalId: z.string().max(255).optional(),
})

const taskShape = z.strictObject({
  title: text(255).optional(),
  body: body.optional(),
  importance: importance.optional(),
  status: z.enum(['notStarted', 'inProgress', 'completed', 'waitingOnOthers', 'deferred']).optional(),
  startDateTime: zoned.nullable().optional(),
  dueDateTime: zoned.nullable().optional(),
  completedDateTime: zoned.nullable().optional(),
  isReminderOn: z.boolean().optional(),
  reminderDateTime: zoned.nullable().optional(),
  recurrence: recurrence.nullable().optional(),
  categories: categories.optional(),
  linkedResources: z.array(linkedResourceShape).optional(),
})

export const shapes = { event: eventShape, message: messageShape, contact: contactShape, todoTask: taskShape } as const

/** What an item shows that nobody wrote. */
export const blank: Readonly<Record<ItemType, Readonly<Record<string, unknown>>>> = {
  event: {
    subject: '',
    body: { contentType: 'html', content: '' },
    isAllDay: false,
    location: { displayName: '' },
    attendees: [],
    recurrence: null,
    sensitivity: 'normal',
    showAs: 'busy',
    importance: 'normal',
    categories: [],
    isReminderOn: true,
    reminderMinutesBeforeStart: 15,
    transactionId: null,
  },
  message: {
    subject: '',
    body: { contentType: 'text', content: '' },
    toRecipients: [],
    ccRecipients: [],
    bccRecipients: [],
    replyTo: [],
    categories: [],
    importance: 'normal',
    isRead: true,
    isDraft: true,
    hasAttachments: false,
  },
  contact: {
    givenName: null,
    middleName: null,
    surname: null,
    displayName: '',
    fileAs: '',
    companyName: null,
    department: null,
    jobTitle: null,
    emailAddresses: [],
    businessPhones: [],
    homePhones: [],
    mobilePhone: null,
    businessAddress: {},
    homeAddress: {},
    otherAddress: {},
    businessHomePage: null,
    birthday: null,
    personalNotes: '',
    categories: [],
  },
  todoTask: {
    title: '',
    body: { contentType: 'text', content: '' },
    importance: 'normal',
    status: 'notStarted',
    isReminderOn: false,
    categories: [],
    hasAttachments: false,
  },
}
