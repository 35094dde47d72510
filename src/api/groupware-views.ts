import { z } from 'zod'
import type { AccessTest } from '../groupware/organizations/access-test.ts'
import type { Groupware } from '../groupware/organizations/groupware.ts'
import type { HeldPage } from '../groupware/organizations/held-list.ts'
import type { Job } from '../groupware/organizations/jobs.ts'
import type { JournalLine } from '../groupware/organizations/journal.ts'
import {
  accessTypes,
  allJobActions,
  type Mailbox,
  mailboxStates,
  type Organization,
  type Profile,
} from '../groupware/organizations/model.ts'
import { describeRules, itemKinds, rulesInput } from '../groupware/organizations/rules-input.ts'
import { formatDuration } from '../kernel/time.ts'
import { errorView, iso, isoMaybe } from './views.ts'

// What callers see of the groupware sync. Times are ISO 8601 in UTC.

const time = z.string().meta({ format: 'date-time' })
const kind = z.enum(itemKinds)
const side = z.enum(['exchange', 'crm'])
const states = z.enum(mailboxStates)
// Rules go out as they came in, in words.
export const rulesView = z
  .record(z.string(), z.unknown())
  .meta({ description: 'Rules in words, as they were written.' })

export const organizationView = z.object({
  name: z.string(),
  about: z.string(),
  access: z.enum(accessTypes),
  exchange: z.object({
    url: z.string().optional(),
    auth: z.string().optional(),
    via: z.string().optional(),
    logIn: z.enum(['ntlm', 'basic']),
  }),
  crm: z.object({
    url: z.string(),
    auth: z.string(),
    via: z.string().optional(),
    visits: z.enum(['owner', 'organizer']).optional(),
    language: z.string().optional(),
    accountRole: z.string().optional(),
    customerRole: z.string().optional(),
    overlap: z.string().optional(),
  }),
  profile: z.string(),
  every: z.string(),
  testMailbox: z.string().optional(),
  isPaused: z.boolean(),
  changedAt: time,
  revision: z.number(),
  mailboxes: z.record(states, z.number()).meta({ description: 'How many mailboxes are in each state.' }),
  account: z
    .object({ pausedUntil: time.optional(), isRefused: z.boolean(), trouble: errorView.optional() })
    .meta({ description: 'Whether the account behind all mailboxes rests because the server asked for it.' }),
})

export const profileView = z.object({
  name: z.string(),
  about: z.string(),
  rules: rulesView,
  effective: rulesView.meta({ description: 'With what is usual where the profile says nothing.' }),
  changedAt: time.optional(),
  revision: z.number(),
})

export const mailboxView = z.object({
  address: z.string(),
  organization: z.string(),
  crmAddress: z.string(),
  auth: z.string().optional(),
  state: states,
  since: time,
  cause: errorView.optional(),
  lastRoundAt: time.optional(),
  lastItemAt: time.optional(),
  itemsIn: z.number().meta({ description: 'Items written to the CRM.' }),
  itemsOut: z.number().meta({ description: 'Items written to the mailbox.' }),
  conflicts: z.number(),
  refused: z.number(),
  held: z
    .record(z.string(), z.number())
    .meta({ description: 'Deletions that wait for the word of a person, by kind.' }),
  failedRounds: z.number(),
})

export const mailboxDetailView = mailboxView.extend({
  rules: rulesView.meta({ description: 'Settings of this user alone.' }),
  effective: rulesView.meta({ description: 'The rules that count.' }),
  revision: z.number(),
})

export const accessTestView = z.object({
  mailbox: z.string(),
  ok: z.boolean(),
  steps: z.array(z.object({ step: z.string(), ok: z.boolean(), detail: z.string(), cause: errorView.optional() })),
})

export const jobView = z.object({
  id: z.string(),
  organization: z.string(),
  action: z.enum(allJobActions),
  state: z.enum(['running', 'done', 'cancelled']),
  startedAt: time,
  endedAt: time.optional(),
  total: z.number(),
  done: z.number(),
  failed: z.number(),
  failures: z.array(z.object({ mailbox: z.string(), error: errorView })),
})

const decisionView = z.object({
  kind,
  at: time,
  what: z.string(),
  side,
  exchangeId: z.string().optional(),
  crmId: z.string().optional(),
  title: z.string(),
  reason: z.string().optional(),
  fields: z.array(z.string()).optional(),
  winner: side.optional(),
  error: z.object({ code: z.string(), message: z.string(), next: z.string() }).optional(),
})

export const logLineView = z.union([
  decisionView.extend({ about: z.literal('item'), number: z.number().optional() }),
  z.object({
    about: z.literal('mailbox'),
    number: z.number().optional(),
    at: time,
    what: z.string(),
    text: z.string(),
    code: z.string().optional(),
    next: z.string().optional(),
  }),
])

export const previewView = z.object({
  mailbox: z.string(),
  counts: z.record(z.string(), z.record(z.string(), z.number())),
  items: z.array(decisionView),
  hasMore: z.boolean(),
})

export const heldView = z.object({
  items: z.array(
    z.object({
      kind,
      deletedOn: side.meta({ description: 'Where it was deleted; the half on the other side is still there.' }),
      heldAt: time,
      title: z.string().meta({ description: 'Empty for a private item.' }),
      date: z.string().optional().meta({ description: 'Start of an appointment, day of a task, time of a mail.' }),
      modifiedAt: time.optional().meta({ description: 'When the half that is left was last changed.' }),
      isGone: z.boolean().meta({ description: 'The other half is gone by now, too.' }),
      exchangeId: z.string(),
      crmId: z.string(),
    }),
  ),
  counts: z.record(z.string(), z.number()).meta({ description: 'How many are held, by kind.' }),
  next: z.string().optional(),
})

export const heldDecidedView = mailboxView.extend({
  decided: z.number().meta({ description: 'How many deletions this was about.' }),
})

export const explanationView = z.object({
  findings: z.array(z.object({ kind, side, id: z.string(), title: z.string(), state: z.string(), text: z.string() })),
  history: z.array(logLineView),
})

export const listOutcomeView = z.object({
  rows: z.number(),
  added: z.array(z.string()),
  changed: z.array(z.string()),
  mistakes: z.array(z.object({ line: z.number(), message: z.string() })),
})

export function viewOrganization(groupware: Groupware, organization: Organization): z.output<typeof organizationView> {
  const { everyMs, changedAt, crm, ...rest } = organization
  const { overlapMs, ...ofCrm } = crm
  const { counts, account } = groupware.statusOf(organization.name)
  const pausedUntil = isoMaybe(account.pausedUntil)
  return {
    ...rest,
    crm: { ...ofCrm, ...(overlapMs !== undefined && { overlap: formatDuration(overlapMs) }) },
    every: formatDuration(everyMs),
    changedAt: iso(changedAt),
    mailboxes: counts,
    account: {
      isRefused: account.isRefused,
      trouble: account.trouble,
      ...(pausedUntil !== undefined && { pausedUntil }),
    },
  }
}

export function viewProfile({ name, about, rules, changedAt, revision }: Profile, effective: object) {
  return {
    name,
    about,
    rules: rules as Record<string, unknown>,
    effective: effective as Record<string, unknown>,
    ...(changedAt > 0 && { changedAt: iso(changedAt) }),
    revision,
  }
}

export function viewMailbox(groupware: Groupware, mailbox: Mailbox): z.output<typeof mailboxView> {
  const { address, organization, crmAddress, auth, state, stateSince, cause } = mailbox
  const progress = groupware.progressOf(address)
  const { itemsIn, itemsOut, conflicts, refused, held, failedRounds } = progress
  return {
    address,
    organization,
    crmAddress,
    auth,
    state,
    since: iso(stateSince),
    cause,
    lastRoundAt: isoMaybe(progress.lastRoundAt),
    lastItemAt: isoMaybe(progress.lastItemAt),
    itemsIn,
    itemsOut,
    conflicts,
    refused,
    held: { ...held },
    failedRounds,
  }
}

export function viewMailboxDetail(groupware: Groupware, mailbox: Mailbox): z.output<typeof mailboxDetailView> {
  return {
    ...viewMailbox(groupware, mailbox),
    rules: mailbox.rules,
    effective: describeRules(groupware.rulesOf(mailbox)),
    revision: mailbox.revision,
  }
}

export function viewTest({ mailbox, ok, steps }: AccessTest): z.output<typeof accessTestView> {
  return { mailbox, ok, steps: steps.map(step => ({ ...step })) }
}

export function viewJob(job: Job): z.output<typeof jobView> {
  const { id, organization, action, total, done, failedCount, failures, startedAt, endedAt, isCancelled } = job
  return {
    id,
    organization,
    action,
    state: endedAt === undefined ? 'running' : isCancelled ? 'cancelled' : 'done',
    startedAt: iso(startedAt),
    endedAt: isoMaybe(endedAt),
    total,
    done,
    failed: failedCount,
    failures: failures.map(({ mailbox, cause }) => ({ mailbox, error: cause })),
  }
}

export function viewLine(line: JournalLine & { readonly number?: number }): z.output<typeof logLineView> {
  if (line.about === 'mailbox') return { ...line, at: iso(line.at) }
  const { fields, ...rest } = line
  return { ...rest, at: iso(line.at), ...(fields && { fields: [...fields] }) }
}

export function viewHeld({ items, counts, next }: HeldPage): z.output<typeof heldView> {
  return {
    items: items.map(({ key: _, heldAt, modifiedAt, date, ...item }) => ({
      ...item,
      heldAt: iso(heldAt),
      ...(date !== null && { date }),
      ...(modifiedAt !== null && { modifiedAt: iso(modifiedAt) }),
    })),
    counts: { ...counts },
    ...(next !== undefined && { next }),
  }
}

/** Rules that callers send; kept as they are, in words. */
export const rulesBody = z.custom<z.input<typeof rulesInput>>(
  value => rulesInput.safeParse(value).success,
  'rules as docs/reference/groupware.md shows them',
)
