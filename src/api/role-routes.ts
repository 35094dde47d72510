import { z } from 'zod'
import { type ApiParts, type App, auditChange } from './parts.ts'

const named = z.strictObject({ name: z.string() })
const tags = ['roles']
const about = z.string().max(500).default('').meta({ description: 'What whoever has it may do.' })

export const roleView = z
  .object({
    name: z.string(),
    about: z.string(),
    plan: z.enum(['integration-flow', 'api']),
    isPredefined: z.boolean(),
    instances: z.array(z.string()).meta({ description: 'Names of the service instances that have it.' }),
    users: z.array(z.string()).meta({ description: 'Names of the users that have it.' }),
  })
  .meta({ title: 'role' })

/** User roles: what flows ask their callers for. */
export function roleRoutes(app: App, parts: ApiParts): void {
  const { serviceUsers: users, people } = parts

  function view(name: string): z.output<typeof roleView> | undefined {
    const role = users.listRoles().find(each => each.name === name)
    const holders = users.listInstances().filter(instance => instance.roles.includes(name))
    return role && { ...role, instances: holders.map(instance => instance.name), users: [...people.withRole(name)] }
  }

  app.get(
    '/api/roles',
    { schema: { tags, summary: 'All roles', response: { 200: z.object({ roles: z.array(roleView) }) } } },
    async () => ({ roles: users.listRoles().flatMap(({ name }) => view(name) ?? []) }),
  )

  app.post(
    '/api/roles',
    {
      schema: {
        tags,
        summary: 'Creates a role',
        body: z.strictObject({
          name: z.string().meta({ description: 'Letters, digits, _ and .', examples: ['ESBMessaging_DE'] }),
          about,
        }),
        response: { 201: roleView },
      },
    },
    async (request, reply) => {
      const role = await users.createRole(request.body.name, request.body.about)
      await auditChange(parts, request, 'role.create', { role: role.name, about: role.about })
      return reply.status(201).send({ ...role, instances: [], users: [] })
    },
  )

  app.put(
    '/api/roles/:name',
    {
      schema: {
        tags,
        summary: 'Changes the description of a role',
        params: named,
        body: z.strictObject({ about }),
        response: { 200: roleView },
      },
    },
    async request => {
      const role = await users.updateRole(request.params.name, request.body.about)
      await auditChange(parts, request, 'role.update', { role: role.name, about: role.about })
      return view(role.name) ?? { ...role, instances: [], users: [] }
    },
  )

  app.delete(
    '/api/roles/:name',
    {
      schema: {
        tags,
        summary: 'Deletes a role; with force also one in use, and whoever has it loses it at once',
        params: named,
        querystring: z.strictObject({ force: z.enum(['true', 'false']).default('false') }),
        response: { 204: z.null() },
      },
    },
    async (request, reply) => {
      const { name } = request.params
      const { instances = [], users: holders = [] } = view(name) ?? {}
      const force = request.query.force === 'true'
      await users.deleteRole(name, force)
      await auditChange(parts, request, 'role.delete', { role: name, force, instances, users: holders })
      return reply.status(204).send(null)
    },
  )
}
