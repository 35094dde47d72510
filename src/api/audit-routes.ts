import { z } from 'zod'
import type { ApiParts, App } from './parts.ts'
import { iso } from './views.ts'

const tags = ['audit']
export const auditEntryView = z.object({
  number: z.number(),
  at: z.string(),
  who: z.string(),
  action: z.string(),
  detail: z.unknown(),
  hash: z.string(),
})

/** The audit log: read it, and prove that nobody changed it. */
export function auditRoutes(app: App, { store }: ApiParts): void {
  app.get(
    '/api/audit',
    {
      schema: {
        tags,
        summary: 'Who changed what, newest first',
        querystring: z.strictObject({
          before: z.coerce.number().int().optional(),
          limit: z.coerce.number().int().min(1).max(1000).default(100),
        }),
        response: { 200: z.object({ entries: z.array(auditEntryView) }) },
      },
    },
    async ({ query: { before, limit } }) => {
      const entries = await store.auditLog({ limit, ...(before !== undefined && { before }) })
      return { entries: entries.map(entry => ({ ...entry, at: iso(entry.at) })) }
    },
  )

  app.post(
    '/api/audit/verify',
    {
      schema: {
        tags,
        summary: 'Walks the chain of hashes',
        response: { 200: z.object({ ok: z.boolean(), firstBroken: z.number().optional() }) },
      },
    },
    async () => {
      const firstBroken = await store.auditBreak()
      return { ok: firstBroken === undefined, firstBroken }
    },
  )
}
