import { z } from 'zod'
import { asHubError } from '../kernel/error.ts'
import type { ApiParts, App } from './parts.ts'
import { alertView, countsView, iso, linkView, viewAlert, viewCounts, viewLink } from './views.ts'

const tags = ['hub']
const isPublic = { isPublic: true }

const flowHealth = z.object({
  name: z.string(),
  state: z.string(),
  links: z.array(linkView),
  counts: countsView,
})
export const healthView = z.object({
  status: z.enum(['ok', 'degraded']),
  ready: z.boolean(),
  flows: z.array(flowHealth),
  alerts: z.array(alertView),
})

export const hubView = z.object({
  version: z.string(),
  stage: z.string(),
  node: z.string(),
  startedAt: z.string(),
  flows: z.number(),
})

/** Health, metrics and what hub this is. */
export function healthRoutes(app: App, parts: ApiParts): void {
  const { engine, store, monitor, catalog } = parts
  const startedAt = parts.clock.now()

  const lives = z.object({ status: z.literal('ok') })
  app.get(
    '/healthz',
    { config: isPublic, schema: { tags, summary: 'The process lives', security: [], response: { 200: lives } } },
    () => ({ status: 'ok' as const }),
  )

  const ready = z.object({ status: z.enum(['ready', 'not-ready']) })
  app.get(
    '/readyz',
    {
      config: isPublic,
      schema: { tags, summary: 'The hub takes work', security: [], response: { 200: ready, 503: ready } },
    },
    async (_request, reply) => {
      const isReady = parts.isReady() && (await storeAnswers())
      return reply.status(isReady ? 200 : 503).send({ status: isReady ? 'ready' : 'not-ready' })
    },
  )

  async function storeAnswers(): Promise<boolean> {
    try {
      await store.auditLog({ limit: 1 })
      return true
    } catch (thrown) {
      parts.logBook.log.error('hub.not-ready', { error: asHubError(thrown) })
      return false
    }
  }

  /** A flow that does not run: stopped, or gone (no document names it any more). */
  async function viewIdle(name: string, state: 'stopped' | 'gone') {
    return { name, state, links: [], counts: viewCounts(await store.counts(name)) }
  }

  app.get(
    '/api/health',
    { schema: { tags, summary: 'Every link of every flow, and what is wrong', response: { 200: healthView } } },
    async () => {
      const flows = await Promise.all(
        engine.flows().map(async ({ flow, state, links }) => ({
          name: flow.name,
          state,
          links: links.map(viewLink),
          counts: viewCounts(await store.counts(flow.name)),
        })),
      )
      const running = new Set(flows.map(({ name }) => name))
      const entries = await catalog.list()
      const missing = entries.filter(entry => entry.shouldRun && !running.has(entry.name))
      const shown = new Set([...running, ...missing.map(({ name }) => name)])
      const failed = await Promise.all(missing.map(({ name }) => viewIdle(name, 'stopped')))
      const others = (await store.flowNames()).filter(name => !shown.has(name))
      const idle = await Promise.all(
        others.map(name => viewIdle(name, entries.some(entry => entry.name === name) ? 'stopped' : 'gone')),
      )
      const waiting = idle.filter(({ counts }) => counts.queued + counts.setAside > 0)
      const alerts = monitor.alerts.list().filter(alert => alert.state === 'open')
      const areLinksUp = flows.every(({ links }) => links.every(link => link.state !== 'down'))
      const areAllKnown = waiting.every(({ state }) => state !== 'gone')
      const isOk = areLinksUp && areAllKnown && alerts.length === 0 && failed.length === 0
      return {
        status: isOk ? ('ok' as const) : ('degraded' as const),
        ready: parts.isReady(),
        flows: [...flows, ...failed, ...waiting],
        alerts: alerts.map(viewAlert),
      }
    },
  )

  const prometheus = { description: 'The metrics.', content: { 'text/plain': { schema: z.string() } } }
  app.get(
    '/metrics',
    { schema: { tags, summary: 'Metrics for Prometheus', response: { 200: prometheus } } },
    async (_request, reply) => reply.type(monitor.metrics.type).send(await monitor.metrics.text()),
  )

  app.get('/api/hub', { schema: { tags, summary: 'What hub this is', response: { 200: hubView } } }, () => ({
    version: parts.version,
    stage: parts.stage,
    node: process.version,
    startedAt: iso(startedAt),
    flows: engine.flows().length,
  }))
}
