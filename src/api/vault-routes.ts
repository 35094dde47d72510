import { z } from 'zod'
import { type ApiParts, type App, auditChange } from './parts.ts'

/** The master key under which all secrets of the hub lie. */
export function vaultRoutes(app: App, parts: Pick<ApiParts, 'credentials' | 'store' | 'clock' | 'logBook'>): void {
  app.post(
    '/api/vault/rotate',
    {
      schema: {
        tags: ['vault'],
        summary: 'Seals every secret anew with the first master key; the others are needed no more',
        response: {
          200: z.object({ records: z.number().meta({ description: 'How many records were sealed anew.' }) }),
        },
      },
    },
    async request => {
      const records = await parts.credentials.rotateMasterKey()
      await auditChange(parts, request, 'vault.rotate', { records })
      return { records }
    },
  )
}
