import { z } from 'zod'
import type { SigningKeyView } from '../auth/token-server/token-server.ts'
import { type ApiParts, type App, auditChange } from './parts.ts'
import { iso } from './views.ts'

const tags = ['tokens']

const keyView = z
  .object({
    kid: z.string(),
    algorithm: z.enum(['ES256', 'RS256', 'EdDSA']),
    state: z
      .enum(['announced', 'active', 'retired'])
      .meta({ description: 'announced: published, signs later. retired: only checks what it signed.' }),
    createdAt: z.string(),
    activeFrom: z.string(),
  })
  .meta({ title: 'signing key' })

/** Keys that sign tokens, and tokens that count no more. */
export function tokenRoutes(app: App, parts: Pick<ApiParts, 'tokens' | 'store' | 'clock' | 'logBook'>): void {
  app.get(
    '/api/token-keys',
    { schema: { tags, summary: 'Keys that sign tokens', response: { 200: z.object({ keys: z.array(keyView) }) } } },
    async () => ({ keys: (await parts.tokens.load()).listKeys().map(view) }),
  )

  app.post(
    '/api/token-keys/rotate',
    {
      schema: {
        tags,
        summary: 'A new signing key: published now, used an hour later or at once',
        body: z.strictObject({
          now: z
            .boolean()
            .default(false)
            .meta({ description: 'Use it at once, for a key that may be known to others.' }),
        }),
        response: { 201: keyView },
      },
    },
    async (request, reply) => {
      const { now } = request.body
      const key = await (await parts.tokens.load()).rotateKeys({ now })
      await auditChange(parts, request, 'token-key.rotate', { key: key.kid, algorithm: key.algorithm, now })
      return reply.status(201).send(view(key))
    },
  )

  app.post(
    '/api/tokens/revoke',
    {
      schema: {
        tags,
        summary: 'Ends an access token; revoking its key ends all tokens of that key',
        body: z.strictObject({
          jti: z.string().min(1).max(128).meta({ description: 'Claim jti of the token, as the log shows it.' }),
        }),
        response: { 204: z.null() },
      },
    },
    async (request, reply) => {
      await (await parts.tokens.load()).revokeToken(request.body.jti)
      await auditChange(parts, request, 'token.revoke', { token: request.body.jti })
      return reply.status(204).send(null)
    },
  )
}

function view({ kid, algorithm, state, createdAt, activeFrom }: SigningKeyView): z.output<typeof keyView> {
  return { kid, algorithm, state, createdAt: iso(createdAt), activeFrom: iso(activeFrom) }
}
