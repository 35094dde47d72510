import { hash, timingSafeEqual } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import { allPermissions, type Permission, permissionsOf } from '../auth/administrators/admin-roles.ts'
import type { Administrators } from '../auth/administrators/administrators.ts'
import { type OidcSettings, rolesOfGroups } from '../auth/administrators/oidc-log-in.ts'
import type { Session, Sessions } from '../auth/administrators/sessions.ts'
import type { AccessTokens, ServiceUsers } from '../auth/service/model.ts'
import { apiRoleNames } from '../auth/service/roles.ts'
import { callerAddress } from '../kernel/caller-address.ts'
import type { HubError } from '../kernel/error.ts'
import type { Clock } from '../kernel/time.ts'
import { createTokenCheck } from './admin-token.ts'
import { apiErrors } from './api-errors.ts'
import { findCrossSite, readCookie, sessionCookie } from './session-cookie.ts'

/** Who makes a call, and what they may. */
export interface AdminCaller {
  /** For the audit log: `admin` (the token of the machine), a name, or `client:` and a service instance. */
  readonly who: string
  readonly permissions: ReadonlySet<Permission>
  /** Of an administrator in a browser. */
  readonly session?: {
    readonly id: string
    readonly administrator: string
    readonly roles: readonly string[]
  }
}

export interface AdminCallerParts {
  readonly adminToken: string
  readonly administrators: Pick<Administrators, 'find'>
  readonly sessions: Pick<Sessions, 'use' | 'look'>
  readonly tokens: Pick<AccessTokens, 'verifyAccessToken' | 'isRevoked'>
  readonly serviceUsers: Pick<ServiceUsers, 'checkKey' | 'effectiveRoles' | 'noteUse'>
  readonly publicUrl: string | undefined
  readonly signIn?: { readonly settings: Pick<OidcSettings, 'roles'> } | undefined
  readonly clock: Clock
}

const safeMethods = ['GET', 'HEAD']

/** `call`: a call of its own. `look`: whether one that goes on for long would still be let in, which lets no session last. */
export type Way = 'call' | 'look'

/** Finds out who calls: by the token of the machine, a token of a service instance, or a session; or why nobody may. */
export function createCallerCheck(parts: AdminCallerParts) {
  const { administrators, sessions, tokens, serviceUsers: users, clock } = parts
  const checkToken = createTokenCheck(parts.adminToken, clock)
  const machine: AdminCaller = { who: 'admin', permissions: new Set(allPermissions) }

  async function byServiceToken(token: string, address: string): Promise<AdminCaller | undefined> {
    const claims = await tokens.verifyAccessToken(token)
    // A token that is bound to a certificate proves nothing here, where no certificate is shown.
    if (!claims || claims.thumbprint !== undefined) return undefined
    if (clock.now() >= claims.expiresAt || tokens.isRevoked(claims)) return undefined
    const check = users.checkKey(claims.clientId, claims.keyId)
    if (!check.ok || check.instance.plan !== 'api') return undefined
    const { instance, key } = check
    const has = users.effectiveRoles(instance).filter(role => claims.scope.includes(role))
    users.noteUse(key.id, address)
    const client = `client:${instance.space}/${instance.name}`
    const { subject, trustedIssuer: idp } = claims
    const user = idp === undefined ? subject : `${subject} of ${idp}`
    const who = user === instance.clientId ? client : `user:${user} by ${client}`
    return { who, permissions: new Set(apiRoleNames.filter(role => has.includes(role))) }
  }

  async function bySession(request: FastifyRequest, id: string, way: Way): Promise<AdminCaller | HubError> {
    const crossSite = findCrossSite(request.headers, parts.publicUrl)
    if (crossSite) return crossSite
    const session = way === 'look' ? sessions.look(id) : await sessions.use(id)
    const roles = session && rolesOf(session)
    if (!roles) return apiErrors.SESSION_OVER()
    if (!safeMethods.includes(request.method) && !isCsrfTokenOf(id, request.headers['x-csrf-token'])) {
      return apiErrors.CSRF_TOKEN_MISSING()
    }
    return {
      who: session.administrator,
      permissions: permissionsOf(roles),
      session: { id, administrator: session.administrator, roles },
    }
  }

  /** The roles of now, whatever they were at the log-in; undefined when it would not succeed any more. */
  function rolesOf({ administrator, groups }: Session): readonly string[] | undefined {
    if (groups) return parts.signIn && rolesOfGroups(parts.signIn.settings, groups)
    const person = administrators.find(administrator)
    return person?.disabledAt === undefined ? person?.roles : undefined
  }

  /** Who it is, or the error to answer with. */
  return async (request: FastifyRequest, way: Way = 'call'): Promise<AdminCaller | HubError> => {
    const { authorization, cookie } = request.headers
    const id = readCookie(cookie, sessionCookie)
    if (authorization === undefined && id !== undefined) return bySession(request, id, way)
    // Three parts without dots of their own: with dots a pattern would try every pair of them, for minutes.
    const token = /^Bearer +([^\s.]+\.[^\s.]+\.[^\s.]+)$/i.exec(authorization ?? '')?.[1]
    const client = token === undefined ? undefined : await byServiceToken(token, callerAddress(request.raw))
    return client ?? checkToken(authorization, callerAddress(request.raw)) ?? machine
  }
}

/** Throws API_FORBIDDEN unless the caller has every one of the roles that stand for a right at this API. */
export function refuseGivingMore(request: FastifyRequest, roles: readonly string[]): void {
  const may: ReadonlySet<string> = request.admin?.permissions ?? new Set()
  const missing = roles.find(role => (apiRoleNames as readonly string[]).includes(role) && !may.has(role))
  if (missing !== undefined) throw apiErrors.GIVES_MORE({ permission: missing })
}

/** What a page of the hub sends along with each change; a page of another site cannot read it. */
export function csrfTokenOf(sessionId: string): string {
  return hash('sha256', `csrf ${sessionId}`, 'base64url')
}

function isCsrfTokenOf(sessionId: string, sent: string | readonly string[] | undefined): boolean {
  const expected = Buffer.from(csrfTokenOf(sessionId))
  const given = Buffer.from(typeof sent === 'string' ? sent : '')
  return given.length === expected.length && timingSafeEqual(given, expected)
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Undefined on public routes only. */
    admin?: AdminCaller
  }
}
