import { z } from 'zod'
import { jobActions, mailboxStates } from '../groupware/organizations/model.ts'
import { mailboxInput } from '../groupware/organizations/organization-input.ts'
import {
  explanationView,
  jobView,
  listOutcomeView,
  logLineView,
  mailboxDetailView,
  mailboxView,
  previewView,
  rulesBody,
  viewJob,
  viewLine,
  viewMailbox,
  viewMailboxDetail,
} from './groupware-views.ts'
import { heldRoutes } from './held-routes.ts'
import { type ApiParts, type App, auditChange } from './parts.ts'
import { iso } from './views.ts'

const tags = ['groupware']
const address = z.string().max(254)
const addressed = z.strictObject({ address })
const named = z.strictObject({ name: z.string().max(64) })
const listPageMax = 1_000

/** Mailboxes of the groupware sync: who is synced, how it goes, and what is done to many at once. */
export function mailboxRoutes(app: App, parts: ApiParts): void {
  const load = () => parts.groupware.load()

  app.get(
    '/api/mailboxes',
    {
      schema: {
        tags,
        summary: 'Mailboxes by address, with their states',
        querystring: z.strictObject({
          organization: z.string().max(64).optional(),
          state: z.enum(mailboxStates).optional(),
          contains: z.string().max(254).optional(),
          held: z.stringbool().optional().meta({ description: 'Only those with deletions that wait for a person.' }),
          after: address.optional().meta({ description: 'The last address of the page before.' }),
          limit: z.coerce.number().int().min(1).max(listPageMax).default(200),
        }),
        response: { 200: z.object({ mailboxes: z.array(mailboxView), next: z.string().optional() }) },
      },
    },
    async request => {
      const groupware = await load()
      const { organization, state, contains, held, after, limit } = request.query
      const found = groupware
        .mailboxes(organization)
        .filter(mailbox => state === undefined || mailbox.state === state)
        .filter(mailbox => contains === undefined || mailbox.address.includes(contains.toLowerCase()))
        .filter(({ address: each }) => !held || Object.keys(groupware.progressOf(each).held).length > 0)
        .filter(mailbox => after === undefined || mailbox.address > after)
      const page = found.slice(0, limit)
      const next = found.length > limit ? page.at(-1)?.address : undefined
      const mailboxes = page.map(mailbox => viewMailbox(groupware, mailbox))
      return { mailboxes, ...(next !== undefined && { next }) }
    },
  )

  app.get(
    '/api/mailboxes/:address',
    { schema: { tags, summary: 'One mailbox', params: addressed, response: { 200: mailboxDetailView } } },
    async request => viewMailboxDetail(await load(), (await load()).mailbox(request.params.address)),
  )

  app.put(
    '/api/organizations/:name/mailboxes',
    {
      schema: {
        tags,
        summary: 'Adds a mailbox to an organization, or changes what is said of it',
        params: named,
        body: mailboxInput.extend({ rules: rulesBody.optional() }),
        response: { 200: mailboxDetailView },
      },
    },
    async request => {
      const groupware = await load()
      const { name } = request.params
      const { rules, ...input } = request.body
      const mailbox = await groupware.putMailbox(name, input, rules)
      await auditChange(parts, request, 'mailbox.put', { organization: name, mailbox: mailbox.address })
      return viewMailboxDetail(groupware, mailbox)
    },
  )

  app.post(
    '/api/organizations/:name/mailboxes/list',
    {
      schema: {
        tags,
        summary: 'Adds a pasted list or a CSV of mailboxes, all of it or none; a dry run only looks',
        params: named,
        body: z.strictObject({ text: z.string().max(5_000_000), dryRun: z.boolean().default(false) }),
        response: { 200: listOutcomeView },
      },
      bodyLimit: 6_000_000,
    },
    async request => {
      const groupware = await load()
      const { name } = request.params
      const { text, dryRun } = request.body
      const { rows, added, changed, mistakes } = await groupware.addList(name, text, dryRun)
      if (!dryRun) {
        const counts = { added: added.length, changed: changed.length }
        await auditChange(parts, request, 'mailbox.list', { organization: name, ...counts })
      }
      return { rows: rows.length, added: [...added], changed: [...changed], mistakes: [...mistakes] }
    },
  )

  app.delete(
    '/api/mailboxes/:address',
    {
      schema: {
        tags,
        summary: 'Forgets a mailbox with its links; nothing is changed on either side',
        params: addressed,
        response: { 204: z.null() },
      },
    },
    async (request, reply) => {
      const groupware = await load()
      const { address: mailbox } = request.params
      await groupware.removeMailbox(mailbox)
      await auditChange(parts, request, 'mailbox.delete', { mailbox })
      return reply.status(204).send(null)
    },
  )

  app.post(
    '/api/mailboxes/:address/sync',
    { schema: { tags, summary: 'Syncs a mailbox now', params: addressed, response: { 202: mailboxView } } },
    async (request, reply) => {
      const groupware = await load()
      groupware.syncNow(request.params.address)
      return reply.status(202).send(viewMailbox(groupware, groupware.mailbox(request.params.address)))
    },
  )

  app.post(
    '/api/mailboxes/:address/preview',
    {
      schema: {
        tags,
        summary: 'What the first sync of a mailbox would do; nothing is written',
        params: addressed,
        response: { 200: previewView },
      },
    },
    async request => {
      const groupware = await load()
      const { mailbox, counts, items, hasMore } = await groupware.preview(request.params.address)
      return {
        mailbox,
        counts,
        items: items.map(({ at, fields, ...item }) => ({
          ...item,
          at: iso(at),
          ...(fields && { fields: [...fields] }),
        })),
        hasMore,
      }
    },
  )

  app.post(
    '/api/mailboxes/:address/explain',
    {
      schema: {
        tags,
        summary: 'Why an item did or did not come over: what stands now, and what was done before',
        params: addressed,
        body: z.strictObject({
          item: z.string().min(1).max(1_000).meta({ description: 'Id on either side, or a part of the title.' }),
        }),
        response: { 200: explanationView },
      },
    },
    async request => {
      const groupware = await load()
      const { findings, history } = await groupware.explain(request.params.address, request.body.item)
      return { findings: findings.map(finding => ({ ...finding })), history: history.map(viewLine) }
    },
  )

  app.get(
    '/api/mailboxes/:address/log',
    {
      schema: {
        tags,
        summary: 'The log of a mailbox, newest first',
        params: addressed,
        querystring: z.strictObject({
          item: z.string().max(1_000).optional(),
          before: z.coerce.number().int().optional(),
          limit: z.coerce.number().int().min(1).max(listPageMax).default(100),
        }),
        response: { 200: z.object({ lines: z.array(logLineView), next: z.number().optional() }) },
      },
    },
    async request => {
      const groupware = await load()
      const { limit } = request.query
      const lines = groupware.logOf({ mailbox: request.params.address, ...request.query })
      const next = lines.length === limit ? lines.at(-1)?.number : undefined
      return { lines: lines.map(viewLine), ...(next !== undefined && { next }) }
    },
  )

  heldRoutes(app, parts)
  jobRoutes(app, parts)
}

export const targetsView = z.object({ mailboxes: z.array(z.string()) })

/** What is done to many mailboxes at once. */
function jobRoutes(app: App, parts: ApiParts): void {
  const load = () => parts.groupware.load()
  const identified = z.strictObject({ id: z.string().max(64) })

  app.post(
    '/api/organizations/:name/jobs',
    {
      schema: {
        tags,
        summary:
          'Activates, deactivates, pauses, resumes, resyncs or deletes many mailboxes, or decides about their held deletions; it goes on after a restart',
        params: named,
        body: z.strictObject({
          action: z.enum(jobActions),
          mailboxes: z.union([z.literal('all'), z.array(address).min(1).max(20_000)]),
          dryRun: z.boolean().default(false).meta({ description: 'Only says which mailboxes it would be done to.' }),
        }),
        response: { 200: targetsView, 202: jobView },
      },
      bodyLimit: 6_000_000,
    },
    async (request, reply) => {
      const groupware = await load()
      const { name } = request.params
      const { action, mailboxes, dryRun } = request.body
      if (dryRun) return { mailboxes: [...(await groupware.jobTargets(name, action, mailboxes))] }
      const job = await groupware.startJob(name, action, mailboxes)
      await auditChange(parts, request, `mailbox.${action}`, { organization: name, job: job.id, mailboxes: job.total })
      return reply.status(202).send(viewJob(job))
    },
  )

  app.get(
    '/api/groupware-jobs',
    {
      schema: {
        tags,
        summary: 'Jobs of the last 30 days, newest first',
        response: { 200: z.object({ jobs: z.array(jobView) }) },
      },
    },
    async () => ({ jobs: (await load()).jobs().map(viewJob) }),
  )

  app.get(
    '/api/groupware-jobs/:id',
    { schema: { tags, summary: 'One job and its failures', params: identified, response: { 200: jobView } } },
    async request => viewJob((await load()).job(request.params.id)),
  )

  app.post(
    '/api/groupware-jobs/:id/cancel',
    {
      schema: { tags, summary: 'Ends a job; what it did stays', params: identified, response: { 200: jobView } },
    },
    async request => {
      const groupware = await load()
      const job = await groupware.cancelJob(request.params.id)
      await auditChange(parts, request, 'groupware-job.cancel', { job: job.id })
      return viewJob(job)
    },
  )
}
