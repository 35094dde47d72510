import { z } from 'zod'
import { credentialName, duration, location } from '../../kernel/schema.ts'
import { MINUTE } from '../../kernel/time.ts'
import { organizationLimits } from './limits.ts'
import { accessTypes } from './model.ts'
import { rulesInput } from './rules-input.ts'

export const groupwareName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'a name is up to 64 letters, digits, dots, underscores and hyphens')

/** A mail address as mailboxes have them; compared in lower case. */
export const mailAddress = z
  .string()
  .trim()
  .toLowerCase()
  .max(254)
  .regex(
    /^[^\s@"(),:;<>[\\\]]{1,64}@[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/,
    'a mail address',
  )

const webAddress = z
  .url({ protocol: /^https?$/ })
  .max(1000)
  .refine(text => {
    const { protocol, hostname, username, password } = new URL(text)
    const isLoopback = hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname)
    return username === '' && password === '' && (protocol === 'https:' || isLoopback)
  }, 'an https address without user and password (http only on this machine)')

const exchangeInput = z.strictObject({
  url: webAddress.optional().meta({
    description: 'EWS URL, or the root of Graph; left out: Autodiscover, or Microsoft’s own Graph.',
    examples: ['https://mail.contoso.com/EWS/Exchange.asmx'],
  }),
  auth: credentialName.optional(),
  via: location.optional(),
  logIn: z.enum(['ntlm', 'basic']).default('ntlm').meta({ description: 'How a user with password logs in at EWS.' }),
})

/** A role of business partners by its code. */
const role = z.string().regex(/^[A-Z0-9_]{1,10}$/, 'a code of up to 10 capital letters, digits and underscores')

const crmInput = z.strictObject({
  url: webAddress
    .transform(text => (text.endsWith('/') ? text : `${text}/`))
    .meta({ examples: ['https://my1.crm.ondemand.com/sap/c4c/odata/v1/c4codataapi/'] }),
  auth: credentialName,
  via: location.optional(),
  visits: z.enum(['owner', 'organizer']).optional().meta({
    description: 'Visits come into the calendar of their owner, or of their organizer; left out: they are not synced.',
  }),
  language: z
    .string()
    .regex(/^[A-Z]{2}$/, 'a language in two capital letters')
    .optional()
    .meta({ description: 'Language of the notes that the hub writes; EN when left out.', examples: ['DE'] }),
  accountRole: role.optional().meta({
    description: 'Role of the accounts that it creates; CRM000 (customer) when left out.',
    examples: ['BUP002'],
  }),
  customerRole: role.optional().meta({
    description: 'Role of the individual customers that it creates; CRM000 (customer) when left out.',
    examples: ['BUP002'],
  }),
  overlap: duration
    .refine(ms => ms >= organizationLimits.overlapMsMin && ms <= organizationLimits.overlapMsMax, 'between 1m and 1h')
    .optional()
    .meta({ description: 'How late a change may show in what the CRM tells of changes; 5m when left out.' }),
})

const every = duration.refine(
  ms => ms >= organizationLimits.everyMsMin && ms <= organizationLimits.everyMsMax,
  'between 10s and 24h',
)

const fields = {
  about: z.string().max(500).default(''),
  access: z.enum(accessTypes).meta({ description: 'How the hub comes into the mailboxes.' }),
  exchange: exchangeInput.prefault({}),
  crm: crmInput,
  profile: groupwareName.default('default'),
  every: every
    .default(5 * MINUTE)
    .meta({ description: 'How often a mailbox is looked at without a notification; 5m when left out.' }),
  testMailbox: mailAddress.optional(),
}

/** A new organization, or all settings of one that is there. */
export const organizationInput = z.strictObject(fields).superRefine(({ access, exchange }, check) => {
  if (access !== 'ews-direct' && exchange.auth === undefined) {
    check.addIssue({
      code: 'custom',
      path: ['exchange', 'auth'],
      message: 'name the credential of the service account',
    })
  }
  if (access === 'graph' && exchange.via !== undefined) {
    check.addIssue({ code: 'custom', path: ['exchange', 'via'], message: 'Graph is reached directly' })
  }
})

export const profileInput = z.strictObject({ about: z.string().max(500).default(''), rules: rulesInput.default({}) })

export const mailboxInput = z.strictObject({
  address: mailAddress,
  crmAddress: mailAddress.optional(),
  auth: credentialName.optional(),
  rules: rulesInput.optional(),
})

export type MailboxInput = z.output<typeof mailboxInput>
