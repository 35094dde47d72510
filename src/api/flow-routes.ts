import { z } from 'zod'
import { duration } from '../kernel/schema.ts'
import { MINUTE } from '../kernel/time.ts'
import { apiErrors } from './api-errors.ts'
import { reloadFlows } from './flow-reload.ts'
import { type ApiParts, type App, auditChange, type CatalogEntry, whoOf } from './parts.ts'
import {
  countsView,
  errorView,
  type FlowView,
  flowView,
  problemView,
  reloadView,
  viewCounts,
  viewRunning,
} from './views.ts'

const probeWithinMs = MINUTE
const named = z.strictObject({ name: z.string() })
const tags = ['flows']

export const checkView = z.object({
  ok: z.boolean(),
  links: z.array(
    z.object({
      link: z.string(),
      ok: z.boolean(),
      detail: z.string(),
      error: errorView.optional(),
      tookMs: z.number(),
    }),
  ),
})

export const probeView = z.object({
  ok: z.boolean(),
  state: z.string().meta({ description: 'How the probe ended; `under-way` when it did not within the time.' }),
  id: z.string().optional(),
  summary: z.string(),
  error: errorView.optional(),
})

export const documentView = z.object({
  file: z.string(),
  text: z.string().meta({ description: 'The document as it stands on disk, comments included.' }),
  params: z
    .record(z.string(), z.unknown())
    .optional()
    .meta({ description: 'Its parameters of this stage; left out where the document does not lint.' }),
})

/** Flows: list, show, start, stop, check, lint, probe. */
export function flowRoutes(app: App, parts: ApiParts): void {
  const { engine, catalog } = parts

  async function viewFlow(name: string, entry: CatalogEntry | undefined): Promise<FlowView> {
    const status = engine.flows().find(({ flow }) => flow.name === name)
    return {
      name,
      state: entry ? 'stopped' : 'gone',
      links: [],
      running: 0,
      ...(status && viewRunning(status)),
      shouldRun: entry?.shouldRun ?? status !== undefined,
      file: entry?.file ?? status?.flow.file ?? '',
      problems: [...(entry?.problems ?? [])],
      counts: viewCounts(await parts.store.counts(name)),
    }
  }

  async function findFlow(name: string): Promise<FlowView> {
    const entry = (await catalog.list()).find(each => each.name === name)
    const isRunning = engine.flows().some(({ flow }) => flow.name === name)
    const isKept = entry || isRunning || (await parts.store.counts(name)).accepted > 0
    if (!isKept) throw apiErrors.FLOW_UNKNOWN({ flow: name })
    return viewFlow(name, entry)
  }

  app.get(
    '/api/flows',
    {
      schema: {
        tags,
        summary: 'All flows, also those of which only messages are left',
        response: { 200: z.object({ flows: z.array(flowView) }) },
      },
    },
    async () => {
      const entries = await catalog.list()
      const names = new Set([...entries.map(({ name }) => name), ...engine.flows().map(({ flow }) => flow.name)])
      const kept = (await parts.store.flowNames()).filter(name => !names.has(name))
      const views = [...names, ...kept].toSorted().map(name =>
        viewFlow(
          name,
          entries.find(entry => entry.name === name),
        ),
      )
      const flows = await Promise.all(views)
      return { flows: flows.filter(({ state, counts }) => state !== 'gone' || counts.accepted > 0) }
    },
  )

  app.get(
    '/api/flows/:name',
    { schema: { tags, summary: 'One flow with its links and counts', params: named, response: { 200: flowView } } },
    request => findFlow(request.params.name),
  )

  app.post(
    '/api/flows/reload',
    {
      schema: {
        tags,
        summary:
          'Reads all documents anew: starts new flows, restarts changed ones, stops those whose document is gone',
        body: z
          .strictObject({
            dryRun: z.boolean().optional().meta({ description: 'Only says what it would do.' }),
            allowEmpty: z
              .boolean()
              .optional()
              .meta({ description: 'Stops the flows of a folder that has no document left; refused otherwise.' }),
          })
          .nullish(),
        response: { 200: reloadView },
      },
    },
    async request => {
      if (!parts.isReady()) throw apiErrors.NOT_READY()
      const isDryRun = request.body?.dryRun ?? false
      const flows = [...(await reloadFlows(parts, { isDryRun, allowsEmpty: request.body?.allowEmpty ?? false }))]
      if (!isDryRun) {
        const changed = flows.filter(({ outcome }) => outcome !== 'unchanged' && outcome !== 'left-stopped')
        const detail = Object.fromEntries(changed.map(({ name, outcome }) => [name, outcome]))
        await auditChange(parts, request, 'flow.reload', detail)
      }
      return { flows }
    },
  )

  app.post(
    '/api/flows/:name/start',
    { schema: { tags, summary: 'Reads the document and starts the flow', params: named, response: { 200: flowView } } },
    async request => {
      const { name } = request.params
      const flow = await catalog.load(name)
      await engine.start(flow)
      await catalog.remember(name, true)
      await auditChange(parts, request, 'flow.start', { flow: name, revision: flow.revision })
      return findFlow(name)
    },
  )

  app.post(
    '/api/flows/:name/stop',
    { schema: { tags, summary: 'Stops the flow; deliveries stay queued', params: named, response: { 200: flowView } } },
    async request => {
      const { name } = request.params
      // Also for a flow that does not run now: it shall not run after the next start of the hub either.
      await findFlow(name)
      await catalog.remember(name, false)
      if (engine.flows().some(({ flow }) => flow.name === name)) await engine.stop(name)
      await auditChange(parts, request, 'flow.stop', { flow: name })
      return findFlow(name)
    },
  )

  app.post(
    '/api/flows/:name/check',
    { schema: { tags, summary: 'Proves every link now', params: named, response: { 200: checkView } } },
    async request => {
      const checks = await engine.check(request.params.name)
      const links = checks.map(({ link, result, tookMs }) => {
        if (result.ok) return { link, ok: true, detail: result.detail, tookMs }
        const { code, side, message, next } = result.error
        return { link, ok: false, detail: message, error: { code, side, message, next }, tookMs }
      })
      return { ok: links.every(link => link.ok), links }
    },
  )

  app.post(
    '/api/flows/:name/probe',
    {
      schema: {
        tags,
        summary: 'Sends a message of the hub through the whole way and waits for its end',
        params: named,
        body: z.strictObject({ within: duration.optional() }).nullish(),
        response: { 200: probeView },
      },
    },
    async request => {
      const { name } = request.params
      const end = await engine.probe(name, request.body?.within ?? probeWithinMs)
      parts.logBook.log.info('flow.probed', { flow: name, who: whoOf(request), state: end?.state ?? 'under-way' })
      if (!end) return { ok: false, state: 'under-way', summary: 'The probe has not arrived within the time.' }
      const { id, state, summary, error } = end
      return { ok: state === 'delivered', state, id, summary, error }
    },
  )

  app.get(
    '/api/flows/:name/document',
    {
      schema: {
        tags,
        summary: 'The document of a flow and its parameters of this stage',
        params: named,
        response: { 200: documentView },
      },
    },
    async request => {
      const { name } = request.params
      const { mask } = parts.logBook
      const { file, text } = await catalog.document(name)
      // One that does not lint is shown all the more: its mistakes are told with the flow.
      const loaded = await catalog.load(name).catch(() => undefined)
      const params = loaded && (mask.value(loaded.params) as Record<string, unknown>)
      return { file, text: mask.text(text), ...(params && { params }) }
    },
  )

  app.get(
    '/api/flows/:name/counts',
    { schema: { tags, summary: 'Counts of deliveries', params: named, response: { 200: countsView } } },
    async request => (await findFlow(request.params.name)).counts,
  )

  app.post(
    '/api/lint',
    {
      schema: {
        tags,
        summary: 'Says what is wrong with a flow document',
        body: z.strictObject({ document: z.string().meta({ description: 'The document as YAML.' }) }),
        response: { 200: z.object({ ok: z.boolean(), problems: z.array(problemView) }) },
      },
    },
    async request => {
      const problems = [...(await catalog.lint(request.body.document))]
      return { ok: !problems.some(problem => problem.severity !== 'warning'), problems }
    },
  )
}
