import { z } from 'zod'
import { type ApiParts, type App, auditChange, whoOf } from './parts.ts'
import { alertView, viewAlert } from './views.ts'

const tags = ['alerts']

/** Alerts: list, acknowledge. */
export function alertRoutes(app: App, parts: ApiParts): void {
  const { alerts } = parts.monitor

  app.get(
    '/api/alerts',
    {
      schema: {
        tags,
        summary: 'Alerts, open ones first',
        querystring: z.strictObject({ state: z.enum(['open', 'resolved']).optional() }),
        response: { 200: z.object({ alerts: z.array(alertView) }) },
      },
    },
    ({ query: { state } }) => ({
      alerts: alerts
        .list()
        .filter(alert => state === undefined || alert.state === state)
        .map(viewAlert),
    }),
  )

  app.post(
    '/api/alerts/acknowledge',
    {
      schema: {
        tags,
        summary: 'Says that somebody looks after an alert',
        body: z.strictObject({ id: z.string().max(1000) }),
        response: { 200: alertView },
      },
    },
    async request => {
      const { id } = request.body
      const alert = await alerts.acknowledge(id, whoOf(request))
      await auditChange(parts, request, 'alert.acknowledge', { alert: id })
      return viewAlert(alert)
    },
  )
}
