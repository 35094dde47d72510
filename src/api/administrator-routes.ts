import { z } from 'zod'
import { adminRoles } from '../auth/administrators/admin-roles.ts'
import type { Administrator } from '../auth/administrators/administrators.ts'
import { externalPrefix } from '../auth/administrators/oidc-log-in.ts'
import type { Sessions } from '../auth/administrators/sessions.ts'
import { peopleLimits } from '../auth/people/people.ts'
import { type ApiParts, type App, auditChange } from './parts.ts'
import { iso, isoMaybe } from './views.ts'

const named = z.strictObject({ name: z.string() })
const tags = ['administrators']

export const newPassword = z
  .string()
  .max(peopleLimits.passwordLettersMax)
  .meta({ description: `At least ${peopleLimits.passwordLettersMin} characters. It goes in and never comes out.` })
const displayName = z.string().max(200)
const email = z.email()
const roles = z
  .array(z.string())
  .max(peopleLimits.rolesPerPerson)
  .meta({ description: `Any of ${[...adminRoles.keys()].join(', ')}.` })

const administratorView = z
  .object({
    name: z.string(),
    displayName: z.string().optional(),
    email: z.string().optional(),
    roles: z.array(z.string()),
    hasTotp: z.boolean().meta({ description: 'Logs in with a code of an authenticator beside the password.' }),
    createdAt: z.string(),
    changedAt: z.string(),
    disabledAt: z.string().optional(),
    sessions: z.array(z.object({ beganAt: z.string(), seenAt: z.string(), address: z.string() })),
  })
  .meta({ title: 'administrator' })

export const totpView = z.object({
  secret: z.string().meta({ description: 'For an authenticator, in base32; it is shown once.' }),
  uri: z.string().meta({ description: 'The same for a QR code.' }),
})
export const totpCode = z
  .string()
  .max(40)
  .meta({ description: 'What the authenticator shows, or a recovery code.', examples: ['492039'] })
export const recoveryCodes = z
  .array(z.string())
  .meta({ description: 'Each stands in for the authenticator once; they are shown this once.' })

/** Those who look after the hub. */
export function administratorRoutes(app: App, parts: ApiParts): void {
  const { administrators, sessions, setup } = parts
  const view = (administrator: Administrator) => viewAdministrator(administrator, sessions)

  app.get(
    '/api/administrators',
    {
      schema: {
        tags,
        summary: 'All administrators, and the roles there are',
        response: {
          200: z.object({
            administrators: z.array(administratorView),
            roles: z.array(z.object({ name: z.string(), about: z.string(), permissions: z.array(z.string()) })),
          }),
        },
      },
    },
    async () => ({
      administrators: administrators.list().map(view),
      roles: [...adminRoles].map(([name, { about, permissions }]) => ({ name, about, permissions: [...permissions] })),
    }),
  )

  app.get(
    '/api/administrators/:name',
    { schema: { tags, summary: 'One administrator', params: named, response: { 200: administratorView } } },
    async request => view(administrators.get(request.params.name)),
  )

  app.post(
    '/api/administrators',
    {
      schema: {
        tags,
        summary: 'Creates an administrator, who can log in at once',
        body: z.strictObject({
          name: z.string().meta({ examples: ['anna.berg'] }),
          displayName: displayName.optional(),
          email: email.optional(),
          roles,
          password: newPassword,
        }),
        response: { 201: administratorView },
      },
    },
    async (request, reply) => {
      const administrator = await administrators.create(request.body)
      await setup.end()
      await auditChange(parts, request, 'administrator.create', {
        administrator: administrator.name,
        roles: [...administrator.roles],
      })
      return reply.status(201).send(view(administrator))
    },
  )

  app.put(
    '/api/administrators/:name',
    {
      schema: {
        tags,
        summary: 'Changes an administrator; what is left out stays. A new password ends every session',
        params: named,
        body: z.strictObject({
          displayName: displayName.optional(),
          email: email.optional(),
          roles: roles.optional(),
          disabled: z.boolean().optional(),
          password: newPassword.optional(),
        }),
        response: { 200: administratorView },
      },
    },
    async request => {
      const { password, ...rest } = request.body
      const before = administrators.get(request.params.name)
      const after = await administrators.update(before.name, request.body)
      if (password !== undefined || after.disabledAt !== undefined) await sessions.endAllOf(after.name)
      await auditChange(parts, request, 'administrator.update', {
        administrator: after.name,
        before: { roles: [...before.roles], disabled: before.disabledAt !== undefined },
        after: { roles: [...after.roles], disabled: after.disabledAt !== undefined },
        changed: [...Object.keys(rest), ...(password === undefined ? [] : ['password'])],
      })
      return view(after)
    },
  )

  app.delete(
    '/api/administrators/:name',
    { schema: { tags, summary: 'Deletes an administrator', params: named, response: { 204: z.null() } } },
    async (request, reply) => {
      const { name } = administrators.get(request.params.name)
      await administrators.delete(name)
      await sessions.endAllOf(name)
      await auditChange(parts, request, 'administrator.delete', { administrator: name })
      return reply.status(204).send(null)
    },
  )

  app.delete(
    '/api/administrators/:name/sessions',
    {
      schema: {
        tags,
        summary: 'Logs an administrator out everywhere, also one of the identity provider (oidc:anna@contoso.com)',
        params: named,
        response: { 200: z.object({ ended: z.number() }) },
      },
    },
    async request => {
      const { name: given } = request.params
      // Of those whom the provider vouches for the hub keeps nothing but their sessions.
      const name = given.startsWith(externalPrefix) ? given : administrators.get(given).name
      const ended = await sessions.endAllOf(name)
      await auditChange(parts, request, 'administrator.log-out', { administrator: name, sessions: ended })
      return { ended }
    },
  )

  app.post(
    '/api/administrators/:name/totp',
    {
      schema: {
        tags,
        summary: 'A secret for an authenticator; it counts once a code of it was shown',
        params: named,
        response: { 201: totpView },
      },
    },
    async (request, reply) => {
      const { name } = administrators.get(request.params.name)
      const begun = await administrators.beginTotp(name)
      await auditChange(parts, request, 'administrator.totp-begin', { administrator: name })
      return reply.status(201).send(begun)
    },
  )

  app.put(
    '/api/administrators/:name/totp',
    {
      schema: {
        tags,
        summary: 'Shows the first code: from now on a log-in asks for one',
        params: named,
        body: z.strictObject({ code: totpCode }),
        response: { 200: administratorView.extend({ recoveryCodes }) },
      },
    },
    async request => {
      const { name } = administrators.get(request.params.name)
      const codes = await administrators.confirmTotp(name, request.body.code)
      await auditChange(parts, request, 'administrator.totp-confirm', { administrator: name })
      return { ...view(administrators.get(name)), recoveryCodes: [...codes] }
    },
  )

  app.delete(
    '/api/administrators/:name/totp',
    {
      schema: {
        tags,
        summary: 'Takes the authenticator away: a log-in asks for no code',
        params: named,
        response: { 204: z.null() },
      },
    },
    async (request, reply) => {
      const { name } = administrators.get(request.params.name)
      await administrators.removeTotp(name)
      await auditChange(parts, request, 'administrator.totp-remove', { administrator: name })
      return reply.status(204).send(null)
    },
  )
}

function viewAdministrator(
  administrator: Administrator,
  sessions: Pick<Sessions, 'listOf'>,
): z.output<typeof administratorView> {
  const { createdAt, changedAt, disabledAt, roles: has, ...rest } = administrator
  return {
    ...rest,
    roles: [...has],
    createdAt: iso(createdAt),
    changedAt: iso(changedAt),
    disabledAt: isoMaybe(disabledAt),
    sessions: sessions
      .listOf(administrator.name)
      .map(({ beganAt, seenAt, address }) => ({ beganAt: iso(beganAt), seenAt: iso(seenAt), address })),
  }
}
