import { z } from 'zod'
import { instanceParameters, plans } from '../auth/service/instance-input.ts'
import { defaultSpace } from '../auth/service/role-book.ts'
import { refuseGivingMore } from './admin-caller.ts'
import { type ApiParts, type App, auditChange } from './parts.ts'
import { instanceView, viewInstance } from './service-views.ts'

const identified = z.strictObject({ id: z.string() })
const tags = ['service instances']

const newInstance = z.strictObject({
  name: z.string().meta({ description: 'Up to 32 letters, digits, . _ -', examples: ['cpi-user-secret'] }),
  space: z.string().default(defaultSpace),
  plan: z.enum(plans).default('integration-flow'),
  parameters: instanceParameters.default({}),
})

const instanceChange = z.strictObject({
  name: z.string().optional(),
  parameters: instanceParameters.optional().meta({ description: 'What is left out stays as it is.' }),
  disabled: z.boolean().optional().meta({ description: 'Nobody gets in while it is true.' }),
  revision: z.number().int().optional().meta({ description: 'Refuse when it is another one by now.' }),
})

const spaceView = z.object({
  name: z.string(),
  about: z.string(),
  quotas: z.object({ 'integration-flow': z.number().optional(), api: z.number().optional() }),
  instances: z.number(),
})

/** Service instances and the spaces they are in. */
export function instanceRoutes(app: App, parts: ApiParts): void {
  const { serviceUsers: users } = parts

  app.get(
    '/api/service-instances',
    {
      schema: {
        tags,
        summary: 'All service instances',
        querystring: z.strictObject({ space: z.string().optional() }),
        response: { 200: z.object({ instances: z.array(instanceView) }) },
      },
    },
    async request => ({
      instances: users.listInstances(request.query.space).map(instance => viewInstance(instance, users)),
    }),
  )

  app.get(
    '/api/service-instances/:id',
    { schema: { tags, summary: 'One service instance', params: identified, response: { 200: instanceView } } },
    async request => viewInstance(users.getInstance(request.params.id), users),
  )

  app.post(
    '/api/service-instances',
    { schema: { tags, summary: 'Creates a service instance', body: newInstance, response: { 201: instanceView } } },
    async (request, reply) => {
      refuseGivingMore(request, request.body.parameters.roles ?? [])
      const instance = await users.createInstance(request.body)
      const { name, space, plan, clientId } = instance
      const view = viewInstance(instance, users)
      await auditChange(parts, request, 'instance.create', {
        instance: name,
        space,
        plan,
        client: clientId,
        after: view.parameters,
      })
      return reply.status(201).send(view)
    },
  )

  app.patch(
    '/api/service-instances/:id',
    {
      schema: {
        tags,
        summary: 'Changes a service instance; its callers are judged by it from their next call on',
        params: identified,
        body: instanceChange,
        response: { 200: instanceView },
      },
    },
    async request => {
      const before = viewInstance(users.getInstance(request.params.id), users)
      refuseGivingMore(request, [...(before.parameters.roles ?? []), ...(request.body.parameters?.roles ?? [])])
      const changed = await users.updateInstance(request.params.id, {
        ...(request.body.name !== undefined && { name: request.body.name }),
        ...(request.body.parameters !== undefined && { parameters: request.body.parameters }),
        ...(request.body.disabled !== undefined && { disabled: request.body.disabled }),
        ...(request.body.revision !== undefined && { revision: request.body.revision }),
      })
      const after = viewInstance(changed, users)
      await auditChange(parts, request, 'instance.update', {
        instance: before.name,
        space: before.space,
        before: { name: before.name, ...before.parameters, disabled: before.disabledAt !== undefined },
        after: { name: after.name, ...after.parameters, disabled: after.disabledAt !== undefined },
      })
      return after
    },
  )

  app.delete(
    '/api/service-instances/:id',
    {
      schema: {
        tags,
        summary: 'Deletes a service instance with all its keys',
        params: identified,
        response: { 204: z.null() },
      },
    },
    async (request, reply) => {
      const { id, name, space, clientId } = users.getInstance(request.params.id)
      const keys = users.listKeys(id).map(key => key.id)
      await users.deleteInstance(id)
      await auditChange(parts, request, 'instance.delete', { instance: name, space, client: clientId, keys })
      return reply.status(204).send(null)
    },
  )

  spaceRoutes(app, parts)
}

function spaceRoutes(app: App, parts: ApiParts): void {
  const { serviceUsers: users } = parts
  const named = z.strictObject({ name: z.string() })

  app.get(
    '/api/spaces',
    {
      schema: { tags, summary: 'Spaces and their quotas', response: { 200: z.object({ spaces: z.array(spaceView) }) } },
    },
    async () => ({
      spaces: users.listSpaces().map(space => ({ ...space, instances: users.listInstances(space.name).length })),
    }),
  )

  app.put(
    '/api/spaces/:name',
    {
      schema: {
        tags,
        summary: 'Creates a space, or changes its quotas',
        params: named,
        body: z.strictObject({
          about: z.string().max(500).default(''),
          quotas: z
            .strictObject({
              'integration-flow': z.number().int().min(0).optional(),
              api: z.number().int().min(0).optional(),
            })
            .default({})
            .meta({ description: 'How many instances of a plan it may hold; left out: as many as the hub allows.' }),
        }),
        response: { 200: spaceView },
      },
    },
    async request => {
      const { name } = request.params
      const { about, quotas } = request.body
      const wanted = {
        ...(quotas['integration-flow'] !== undefined && { 'integration-flow': quotas['integration-flow'] }),
        ...(quotas.api !== undefined && { api: quotas.api }),
      }
      const space = await users.writeSpace({ name, about, quotas: wanted })
      await auditChange(parts, request, 'space.write', { space: name, quotas: wanted })
      return { ...space, instances: users.listInstances(name).length }
    },
  )

  app.delete(
    '/api/spaces/:name',
    { schema: { tags, summary: 'Deletes an empty space', params: named, response: { 204: z.null() } } },
    async (request, reply) => {
      await users.deleteSpace(request.params.name)
      await auditChange(parts, request, 'space.delete', { space: request.params.name })
      return reply.status(204).send(null)
    },
  )
}
