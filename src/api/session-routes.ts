import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { administratorRole, permissionsOf } from '../auth/administrators/admin-roles.ts'
import type { Administrator, LogIn } from '../auth/administrators/administrators.ts'
import { callerAddress } from '../kernel/caller-address.ts'
import { csrfTokenOf } from './admin-caller.ts'
import { newPassword, recoveryCodes, totpCode, totpView } from './administrator-routes.ts'
import { apiErrors } from './api-errors.ts'
import { type ApiParts, type App, auditChange } from './parts.ts'
import {
  clearSessionCookie,
  findCrossSite,
  findReadable,
  readCookie,
  sessionCookie,
  setSessionCookie,
} from './session-cookie.ts'

const tags = ['sessions']
const isPublic = { isPublic: true }

const name = z.string().max(200)
/** Whatever was typed: the limits of new passwords are no business of somebody who guesses. */
const password = z.string().max(1000)

export const sessionView = z
  .object({
    administrator: z.object({
      name: z.string(),
      roles: z.array(z.string()),
      hasTotp: z.boolean(),
      recoveryCodesLeft: z.int(),
    }),
    permissions: z.array(z.string()),
    csrfToken: z.string().meta({ description: 'For the header x-csrf-token of every change.' }),
  })
  .meta({ title: 'session' })

export const waysView = z.object({
  setup: z.boolean().meta({ description: 'There is no administrator yet: the setup token makes the first.' }),
  provider: z.boolean().meta({ description: 'An identity provider can be asked, at /api/session/sign-in.' }),
  hasCookie: z.boolean().meta({ description: 'The browser sent the cookie of a session, which may be over.' }),
})

type Viewed = Pick<Administrator, 'name' | 'roles' | 'hasTotp' | 'recoveryCodesLeft'>

/** Administrators in their browsers: the first one, log-in, log-out, their own password and authenticator. */
export function sessionRoutes(app: App, parts: ApiParts): void {
  const { administrators, sessions, setup, publicUrl } = parts

  function refuseOutsiders(request: FastifyRequest): void {
    const { headers, ip } = request
    const refused = findReadable(headers, ip, publicUrl) ?? findCrossSite(headers, publicUrl)
    if (refused) throw refused
  }

  /** Ends the session that the browser had: whoever planted it gains nothing by the log-in. */
  async function begin(request: FastifyRequest, reply: FastifyReply, administrator: Administrator) {
    const before = readCookie(request.headers.cookie, sessionCookie)
    if (before !== undefined) await sessions.end(before)
    const id = await sessions.begin(administrator.name, callerAddress(request.raw))
    reply.header('set-cookie', setSessionCookie(id))
    return view(administrator, id)
  }

  function view(viewed: Viewed, id: string): z.output<typeof sessionView> {
    const { name, roles, hasTotp, recoveryCodesLeft } = viewed
    return {
      administrator: { name, roles: [...roles], hasTotp, recoveryCodesLeft },
      permissions: [...permissionsOf(roles)],
      csrfToken: csrfTokenOf(id),
    }
  }

  app.post(
    '/api/setup',
    {
      config: isPublic,
      schema: {
        tags,
        summary: 'Makes the first administrator, with the setup token; there is nothing here once there is one',
        security: [],
        body: z.strictObject({
          token: z.string().max(200).meta({ description: 'From setup.token in the data folder of the hub.' }),
          name,
          displayName: z.string().max(200).optional(),
          password: newPassword,
        }),
        response: { 201: sessionView },
      },
    },
    async (request, reply) => {
      const { token, ...person } = request.body
      refuseOutsiders(request)
      if (setup.token === undefined) throw apiErrors.SETUP_OVER()
      const made = await setup.use(token, () => administrators.create({ ...person, roles: [administratorRole] }))
      if (!made) throw apiErrors.SETUP_REFUSED()
      request.admin = { who: made.name, permissions: new Set() }
      await auditChange(parts, request, 'administrator.create', {
        administrator: made.name,
        roles: [...made.roles],
        by: 'setup token',
      })
      return reply.status(201).send(await begin(request, reply, made))
    },
  )

  app.get(
    '/api/session/ways',
    {
      config: isPublic,
      schema: {
        tags,
        summary: 'How administrators get in',
        description: 'It says no more than the routes themselves do to whoever tries them.',
        security: [],
        response: { 200: waysView },
      },
    },
    request => ({
      setup: setup.token !== undefined,
      provider: parts.signIn !== undefined,
      hasCookie: readCookie(request.headers.cookie, sessionCookie) !== undefined,
    }),
  )

  app.post(
    '/api/session',
    {
      config: isPublic,
      schema: {
        tags,
        summary: 'Logs an administrator in; the session is a cookie',
        security: [],
        body: z.strictObject({ name, password, code: totpCode.optional() }),
        response: { 201: sessionView },
      },
    },
    async (request, reply) => {
      refuseOutsiders(request)
      const attempt: LogIn = { ...request.body, address: callerAddress(request.raw) }
      const administrator = await administrators.logIn(attempt)
      request.admin = { who: administrator.name, permissions: new Set() }
      await auditChange(parts, request, 'session.begin', { administrator: administrator.name })
      return reply.status(201).send(await begin(request, reply, administrator))
    },
  )

  app.get(
    '/api/session',
    { schema: { tags, summary: 'Who is logged in, and what they may', response: { 200: sessionView } } },
    async request => {
      const { administrator: name, id, roles } = sessionOf(request)
      const { hasTotp = false, recoveryCodesLeft = 0 } = administrators.find(name) ?? {}
      return view({ name, roles, hasTotp, recoveryCodesLeft }, id)
    },
  )

  app.delete(
    '/api/session',
    { schema: { tags, summary: 'Logs out', response: { 204: z.null() } } },
    async (request, reply) => {
      const { administrator, id } = sessionOf(request)
      await sessions.end(id)
      await auditChange(parts, request, 'session.end', { administrator })
      return reply.status(204).header('set-cookie', clearSessionCookie()).send(null)
    },
  )

  app.put(
    '/api/session/password',
    {
      schema: {
        tags,
        summary: 'A new password of your own; your other sessions end',
        body: z.strictObject({ current: password, code: totpCode.optional(), password: newPassword }),
        response: { 200: sessionView },
      },
    },
    async (request, reply) => {
      const { administrator, id } = sessionOf(request)
      const { current, code, password: wanted } = request.body
      await administrators.logIn({ name: administrator, password: current, code, address: callerAddress(request.raw) })
      const changed = await administrators.update(administrator, { password: wanted })
      await sessions.endAllOf(administrator, id)
      await auditChange(parts, request, 'administrator.update', { administrator, changed: ['password'] })
      return begin(request, reply, changed)
    },
  )

  app.post(
    '/api/session/totp',
    { schema: { tags, summary: 'A secret for an authenticator of your own', response: { 201: totpView } } },
    async (request, reply) => {
      const { administrator } = sessionOf(request)
      const begun = await administrators.beginTotp(administrator)
      await auditChange(parts, request, 'administrator.totp-begin', { administrator })
      return reply.status(201).send(begun)
    },
  )

  app.put(
    '/api/session/totp',
    {
      schema: {
        tags,
        summary: 'Shows the first code of your authenticator; from now on a log-in asks for one',
        body: z.strictObject({ code: totpCode }),
        response: { 200: sessionView.extend({ recoveryCodes }) },
      },
    },
    async (request, reply) => {
      const { administrator, id } = sessionOf(request)
      const codes = await administrators.confirmTotp(administrator, request.body.code)
      await sessions.endAllOf(administrator, id)
      await auditChange(parts, request, 'administrator.totp-confirm', { administrator })
      return { ...(await begin(request, reply, administrators.get(administrator))), recoveryCodes: [...codes] }
    },
  )

  app.post(
    '/api/session/recovery-codes',
    {
      schema: {
        tags,
        summary: 'New recovery codes of your own; the old ones end',
        body: z.strictObject({ code: totpCode }),
        response: { 201: z.object({ recoveryCodes }) },
      },
    },
    async (request, reply) => {
      const { administrator } = sessionOf(request)
      const codes = await administrators.renewRecoveryCodes(administrator, request.body.code)
      await auditChange(parts, request, 'administrator.recovery-codes', { administrator })
      return reply.status(201).send({ recoveryCodes: [...codes] })
    },
  )
}

/** These routes are for callers in a session (`signed-in`). */
function sessionOf({ admin }: FastifyRequest) {
  if (!admin?.session) throw apiErrors.SESSION_OVER()
  return admin.session
}
