import { z } from 'zod'
import { type Person, peopleLimits } from '../auth/people/people.ts'
import { peopleErrors } from '../auth/people/people-errors.ts'
import { refuseGivingMore } from './admin-caller.ts'
import { type ApiParts, type App, auditChange } from './parts.ts'
import { iso, isoMaybe } from './views.ts'

const named = z.strictObject({ name: z.string() })
const tags = ['users']

const password = z
  .string()
  .max(peopleLimits.passwordLettersMax)
  .meta({ description: `At least ${peopleLimits.passwordLettersMin} characters. It goes in and never comes out.` })
const displayName = z.string().max(200)
const email = z.email()
const roles = z
  .array(z.string())
  .max(peopleLimits.rolesPerPerson)
  .meta({ description: 'A client acts for a user with the roles that both have.' })

const userView = z
  .object({
    name: z.string(),
    displayName: z.string().optional(),
    email: z.string().optional(),
    roles: z.array(z.string()),
    createdAt: z.string(),
    changedAt: z.string(),
    disabledAt: z
      .string()
      .optional()
      .meta({ description: 'While it is set the user cannot sign in, and tokens for it do not count.' }),
  })
  .meta({ title: 'user' })

/** People who sign in at the token server. */
export function userRoutes(app: App, parts: ApiParts): void {
  const { people, serviceUsers } = parts

  function refuseUnknown(user: string, wanted: readonly string[]): void {
    const role = wanted.find(each => !serviceUsers.hasRole(each))
    if (role !== undefined) throw peopleErrors.ROLE_UNKNOWN({ user, role: role.slice(0, 100) })
  }

  app.get(
    '/api/users',
    { schema: { tags, summary: 'All users', response: { 200: z.object({ users: z.array(userView) }) } } },
    async () => ({ users: people.list().map(view) }),
  )

  app.get(
    '/api/users/:name',
    { schema: { tags, summary: 'One user', params: named, response: { 200: userView } } },
    async request => view(people.get(request.params.name)),
  )

  app.post(
    '/api/users',
    {
      schema: {
        tags,
        summary: 'Creates a user who can sign in at the token server',
        body: z.strictObject({
          name: z.string().meta({ examples: ['anna.berg'] }),
          displayName: displayName.optional(),
          email: email.optional(),
          roles: roles.default([]),
          password,
        }),
        response: { 201: userView },
      },
    },
    async (request, reply) => {
      refuseUnknown(request.body.name, request.body.roles)
      refuseGivingMore(request, request.body.roles)
      const person = await people.create(request.body)
      await auditChange(parts, request, 'user.create', { user: person.name, roles: [...person.roles] })
      return reply.status(201).send(view(person))
    },
  )

  app.put(
    '/api/users/:name',
    {
      schema: {
        tags,
        summary: 'Changes a user; what is left out stays',
        params: named,
        body: z.strictObject({
          displayName: displayName.optional(),
          email: email.optional(),
          roles: roles.optional(),
          disabled: z.boolean().optional(),
          password: password.optional(),
        }),
        response: { 200: userView },
      },
    },
    async request => {
      const { password: given, ...rest } = request.body
      const before = people.get(request.params.name)
      refuseUnknown(
        before.name,
        (rest.roles ?? []).filter(role => !before.roles.includes(role)),
      )
      // A new password is all that the user has.
      refuseGivingMore(request, [...before.roles, ...(rest.roles ?? [])])
      const person = await people.update(request.params.name, request.body)
      await auditChange(parts, request, 'user.update', {
        user: person.name,
        before: { roles: [...before.roles], disabled: before.disabledAt !== undefined },
        after: { roles: [...person.roles], disabled: person.disabledAt !== undefined },
        changed: [...Object.keys(rest), ...(given === undefined ? [] : ['password'])],
      })
      return view(person)
    },
  )

  app.delete(
    '/api/users/:name',
    { schema: { tags, summary: 'Deletes a user; its tokens end at once', params: named, response: { 204: z.null() } } },
    async (request, reply) => {
      const { name } = people.get(request.params.name)
      await people.delete(name)
      await auditChange(parts, request, 'user.delete', { user: name })
      return reply.status(204).send(null)
    },
  )
}

function view(person: Person): z.output<typeof userView> {
  const { createdAt, changedAt, disabledAt, roles: has, ...rest } = person
  return {
    ...rest,
    roles: [...has],
    createdAt: iso(createdAt),
    changedAt: iso(changedAt),
    disabledAt: isoMaybe(disabledAt),
  }
}
