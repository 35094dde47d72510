import { z } from 'zod'
import { engineErrors } from '../engine/errors.ts'
import { asHubError } from '../kernel/error.ts'
import { storeErrors } from '../store/errors.ts'
import type { SetAsideRow } from '../store/port.ts'
import { apiErrors } from './api-errors.ts'
import { lossOf } from './loss.ts'
import { type ApiParts, type App, auditChange, whoOf } from './parts.ts'
import { actOnSetAside, type KeptMessage, type SetAsidePass, type SetAsideQuery } from './set-aside.ts'
import { setAsideView } from './views.ts'

const tags = ['messages']
const named = z.strictObject({ name: z.string() })
const time = z.iso.datetime({ offset: true })

const wanted = {
  code: z
    .string()
    .optional()
    .meta({ description: 'Only those with this error.', examples: ['SMTP_REFUSED'] }),
  from: time.optional().meta({ description: 'Accepted at or after this time.' }),
  to: time.optional().meta({ description: 'Accepted before this time.' }),
  after: z.string().optional().meta({ description: '`next` of the call before.' }),
  dryRun: z.boolean().optional().meta({ description: 'Only counts what it would do.' }),
}

/** All set-aside messages of a flow at once: replay, skip. And what waits for its next try: now. */
export function setAsideRoutes(app: App, parts: ApiParts): void {
  const { engine, store } = parts

  app.post(
    '/api/flows/:name/set-aside/replay',
    {
      schema: {
        tags,
        summary: 'Lets set-aside messages of a flow travel again, the oldest first, 1,000 a call',
        description:
          'Whatever may have arrived already stays (in doubt: the connection broke before the answer, or the hub was restored from a backup), unless inDoubt is said.',
        params: named,
        body: z
          .strictObject({
            ...wanted,
            inDoubt: z.boolean().optional().meta({ description: 'Also what may arrive twice then.' }),
          })
          .nullish(),
        response: { 200: setAsideView },
      },
    },
    async request => {
      const { name: flow } = request.params
      const { inDoubt = false, dryRun = false } = request.body ?? {}
      if (!engine.flows().some(running => running.flow.name === flow)) throw engineErrors.FLOW_UNKNOWN({ flow })
      const pass = await actOnSetAside(store, queryOf(flow, request.body), async rows => {
        const kept = inDoubt ? [] : rows.filter(mayHaveArrived).map(({ id }) => ({ id, why: 'in-doubt' as const }))
        const ids = without(rows, kept)
        return { done: dryRun ? ids.length : await engine.replayAll(flow, ids, whoOf(request)), kept }
      })
      if (!dryRun) await auditChange(parts, request, 'flow.replay-set-aside', { flow, count: pass.done })
      return viewPass(pass)
    },
  )

  app.post(
    '/api/flows/:name/set-aside/skip',
    {
      schema: {
        tags,
        summary: 'Ends set-aside messages of a flow by hand, the oldest first, 1,000 a call',
        description: 'Those of which something is known to be lost then (see GET /api/messages/{id}/loss) stay.',
        params: named,
        body: z.strictObject({ ...wanted, reason: z.string().min(1).max(500) }),
        response: { 200: setAsideView },
      },
    },
    async request => {
      const { name: flow } = request.params
      const { reason, dryRun = false } = request.body
      // It need not run for this, but a slip in its name is none that has nothing set aside.
      if (!(await store.flowNames()).includes(flow)) throw apiErrors.FLOW_UNKNOWN({ flow })
      const pass = await actOnSetAside(store, queryOf(flow, request.body), async rows => {
        const kept = await lossyOf(parts, rows)
        const ids = without(rows, kept)
        return { done: dryRun ? ids.length : await engine.skipAll(ids, reason, whoOf(request)), kept }
      })
      if (!dryRun) await auditChange(parts, request, 'flow.skip-set-aside', { flow, count: pass.done, reason })
      return viewPass(pass)
    },
  )

  app.post(
    '/api/flows/:name/retry',
    {
      schema: {
        tags: ['flows'],
        summary: 'Tries now what waits for its next try, and links that are down',
        params: named,
        response: { 200: z.object({ due: z.number().meta({ description: 'Messages that are tried now.' }) }) },
      },
    },
    async request => {
      const { name: flow } = request.params
      if (!engine.flows().some(running => running.flow.name === flow)) throw engineErrors.FLOW_UNKNOWN({ flow })
      const due = await engine.wake(flow, true)
      await auditChange(parts, request, 'flow.retry', { flow, count: due })
      return { due }
    },
  )
}

function mayHaveArrived({ hasIntent, error }: SetAsideRow): boolean {
  return error?.code === storeErrors.RESTORED.code || hasIntent
}

/** Of which something is known to be lost, and those that cannot be read. */
async function lossyOf(parts: ApiParts, rows: readonly SetAsideRow[]): Promise<readonly KeptMessage[]> {
  const { store } = parts
  const details = new Map((await store.getAll(rows.map(({ id }) => id))).map(detail => [detail.id, detail]))
  const kept: KeptMessage[] = []
  // One after the other: a body may be large.
  for (const { id } of rows) {
    try {
      const detail = details.get(id) ?? (await store.get(id))
      if (detail && (await lossOf(parts, detail))) kept.push({ id, why: 'lossy' })
    } catch (thrown) {
      kept.push({ id, why: 'failed', error: asHubError(thrown) })
    }
  }
  return kept
}

function without(rows: readonly SetAsideRow[], kept: readonly KeptMessage[]): readonly string[] {
  const stay = new Set(kept.map(({ id }) => id))
  return rows.flatMap(({ id }) => (stay.has(id) ? [] : [id]))
}

type Wanted = { readonly [Key in 'code' | 'from' | 'to' | 'after']?: string | undefined }

function queryOf(flow: string, wanted: Wanted | null | undefined): SetAsideQuery {
  const { code, from, to, after } = wanted ?? {}
  return {
    flow,
    code,
    after: after?.toUpperCase(),
    acceptedFrom: from === undefined ? undefined : Date.parse(from),
    acceptedTo: to === undefined ? undefined : Date.parse(to) - 1,
  }
}

function viewPass({ examples, ...pass }: SetAsidePass): z.output<typeof setAsideView> {
  return {
    ...pass,
    examples: examples.map(({ error, ...each }) => {
      if (!error) return each
      const { code, side, message, next } = error
      return { ...each, error: { code, side, message, next } }
    }),
  }
}
