import { z } from 'zod'
import { accessTypes, allJobActions, type Mailbox, mailboxStates, type Organization, type Profile } from './model.ts'
import { itemKinds, rulesInput } from './rules-input.ts'

// How records are kept. Numbers are milliseconds.

const rules = z.custom<z.input<typeof rulesInput>>(value => rulesInput.safeParse(value).success, 'rules')
const text = z.string()
const maybe = text.optional()

export const keptOrganization: z.ZodType<Omit<Organization, 'revision'>> = z.object({
  name: text,
  about: text,
  access: z.enum(accessTypes),
  exchange: z.object({ url: maybe, auth: maybe, via: maybe, logIn: z.enum(['ntlm', 'basic']) }),
  crm: z.object({
    url: text,
    auth: text,
    via: maybe,
    visits: z.enum(['owner', 'organizer']).optional(),
    language: maybe,
    accountRole: maybe,
    customerRole: maybe,
    overlapMs: z.number().optional(),
  }),
  profile: text,
  everyMs: z.number(),
  testMailbox: maybe,
  isPaused: z.boolean(),
  changedAt: z.number(),
})

export const keptProfile: z.ZodType<Omit<Profile, 'revision'>> = z.object({
  name: text,
  about: text,
  rules,
  changedAt: z.number(),
})

const cause = z.object({ code: text, side: text, message: text, next: text })

export const keptMailbox: z.ZodType<Omit<Mailbox, 'revision'>> = z.object({
  address: text,
  organization: text,
  crmAddress: text,
  auth: maybe,
  rules,
  state: z.enum(mailboxStates),
  stateSince: z.number(),
  cause: cause.optional(),
})

const maybeNumber = z.number().optional()

export const keptProgress = z.object({
  lastRoundAt: maybeNumber,
  lastItemAt: maybeNumber,
  firstRoundAt: maybeNumber,
  itemsIn: z.number(),
  itemsOut: z.number(),
  conflicts: z.number(),
  refused: z.number(),
  held: z.partialRecord(z.enum(itemKinds), z.number()),
  failedRounds: z.number(),
})

export const keptJob = z.object({
  id: text,
  organization: text,
  action: z.enum(allJobActions),
  startedAt: z.number(),
  endedAt: maybeNumber,
  total: z.number(),
  done: z.number(),
  failedCount: z.number(),
  failures: z.array(z.object({ mailbox: text, cause })),
  isCancelled: z.boolean(),
})
