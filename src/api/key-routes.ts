import { z } from 'zod'
import { keyParameters } from '../auth/service/key-input.ts'
import { duration } from '../kernel/schema.ts'
import { refuseGivingMore } from './admin-caller.ts'
import { type ApiParts, type App, auditChange } from './parts.ts'
import { createdKeyView, keyView, viewCreatedKey, viewKey } from './service-views.ts'

const identified = z.strictObject({ id: z.string() })
const tags = ['service keys']

/** Service keys. A secret or a private key is in the answer that made it, and never again. */
export function keyRoutes(app: App, parts: ApiParts): void {
  const { serviceUsers: users } = parts

  app.get(
    '/api/service-instances/:id/keys',
    {
      schema: {
        tags,
        summary: 'The keys of a service instance, oldest first, ended and revoked ones too',
        params: identified,
        response: { 200: z.object({ keys: z.array(keyView) }) },
      },
    },
    async request => ({ keys: users.listKeys(request.params.id).map(key => viewKey(key, users)) }),
  )

  app.get(
    '/api/service-keys',
    {
      schema: {
        tags,
        summary: 'Keys of all instances that end within a time, the first to end first',
        querystring: z.strictObject({
          expiringWithin: duration.prefault('30d').meta({ description: 'For example 30d.' }),
        }),
        response: { 200: z.object({ keys: z.array(keyView) }) },
      },
    },
    async request => ({
      keys: users.keysExpiringWithin(request.query.expiringWithin).map(key => viewKey(key, users)),
    }),
  )

  app.get(
    '/api/service-keys/:id',
    { schema: { tags, summary: 'One service key', params: identified, response: { 200: keyView } } },
    async request => viewKey(users.getKey(request.params.id), users),
  )

  app.post(
    '/api/service-instances/:id/keys',
    {
      schema: {
        tags,
        summary: 'Creates a key; the credential document in the answer is shown this once',
        params: identified,
        body: z.strictObject({
          name: z.string().meta({ examples: ['postman'] }),
          parameters: keyParameters.optional(),
        }),
        response: { 201: createdKeyView },
      },
    },
    async (request, reply) => {
      const { name, parameters } = request.body
      refuseGivingMore(request, users.getInstance(request.params.id).roles)
      const created = await users.createKey(request.params.id, { name, ...(parameters && { parameters }) })
      await audit(request, 'key.create', created.key.id)
      return reply.status(201).send(viewCreatedKey(created, users))
    },
  )

  app.post(
    '/api/service-keys/:id/rotate',
    {
      schema: {
        tags,
        summary: 'A new key now; the old one ends when the overlap is over',
        params: identified,
        body: z.strictObject({
          overlap: duration.prefault('7d').meta({ description: 'How long both work; 0s ends the old one at once.' }),
          parameters: keyParameters.optional().meta({ description: 'Left out: a key like the old one.' }),
        }),
        response: { 201: createdKeyView },
      },
    },
    async (request, reply) => {
      const { overlap: overlapMs, parameters } = request.body
      refuseGivingMore(request, users.getInstance(users.getKey(request.params.id).instanceId).roles)
      const created = await users.rotateKey(request.params.id, { overlapMs, ...(parameters && { parameters }) })
      await audit(request, 'key.rotate', request.params.id, { successor: created.key.id, overlapMs })
      return reply.status(201).send(viewCreatedKey(created, users))
    },
  )

  app.delete(
    '/api/service-keys/:id',
    {
      schema: {
        tags,
        summary: 'Revokes a key: its secret, its certificate and its tokens count no more from the next call on',
        params: identified,
        response: { 200: keyView },
      },
    },
    async request => {
      const revoked = await users.revokeKey(request.params.id)
      await audit(request, 'key.revoke', revoked.id)
      return viewKey(revoked, users)
    },
  )

  async function audit(
    request: Parameters<typeof auditChange>[1],
    action: string,
    keyId: string,
    more: { readonly successor?: string; readonly overlapMs?: number } = {},
  ): Promise<void> {
    const { name, kind, instanceId, expiresAt } = users.getKey(keyId)
    const { name: instance, space } = users.getInstance(instanceId)
    const ends = expiresAt === undefined ? {} : { expiresAt: new Date(expiresAt).toISOString() }
    await auditChange(parts, request, action, { instance, space, key: keyId, name, kind, ...ends, ...more })
  }
}
