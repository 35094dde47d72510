import { randomBytes } from 'node:crypto'
import { MINUTE } from '../../kernel/time.ts'
import type { App, Tenant } from './directory.ts'
import { EntraError, refuse } from './entra-error.ts'
import { accountPage, consentPage, type Page, problemPage } from './page.ts'
import { permissions, readScope, type ScopeRequest } from './scope.ts'
import type { World } from './world.ts'

/** What the browser gets: a page, or a redirect back to the app. */
export type Visit = Page | { readonly location: string }

/** The pages of signing in: authorize, account, consent, and the administrator's consent. */
export interface Authorization {
  authorize(tenantName: string, query: URLSearchParams): Visit
  adminConsent(tenantName: string, query: URLSearchParams): Visit
  chooseAccount(form: URLSearchParams): Visit
  answerConsent(form: URLSearchParams): Visit
}

/** A visit between two pages. Only its ticket is in the form, so nobody can change what was asked for. */
interface Pending {
  readonly kind: 'sign-in' | 'admin-consent'
  readonly tenantName: string
  readonly app: App
  readonly redirectUri: string
  readonly state: string | undefined
  readonly scope: ScopeRequest
  readonly challenge: string | undefined
  readonly nonce: string | undefined
  readonly mustAsk: boolean
  readonly expiresAt: number
  account: string | undefined
}

const pendingMax = 1000
const pendingMs = 10 * MINUTE

export function makeAuthorization(world: World): Authorization {
  const visits = new Map<string, Pending>()

  return {
    authorize: (tenantName, query) => guard(() => authorize(tenantName, query)),
    adminConsent: (tenantName, query) => guard(() => adminConsent(tenantName, query)),
    chooseAccount: form => guard(() => chooseAccount(...take(form), form.get('account')?.trim() ?? '')),
    answerConsent: form => guard(() => answerConsent(take(form)[1], form)),
  }

  function authorize(tenantName: string, query: URLSearchParams): Visit {
    const hint = query.get('login_hint') ?? ''
    const { tenant, app, redirectUri } = identify(world, tenantName, query, hint)
    const state = query.get('state') ?? undefined
    return redirectErrors(redirectUri, state, () => {
      const pending = readAuthorizeRequest(world, tenant, app, query, { tenantName, redirectUri, state })
      const isKnown = hint !== '' && world.directory.user(tenant, hint) !== undefined
      if (query.get('prompt') === 'none') {
        if (!isKnown) throw refuse('LOGIN_REQUIRED')
        if (!isConsented(tenant, pending, hint)) {
          throw refuse('CONSENT_MISSING', { app: app.clientId, name: app.name })
        }
        return finish(tenant, pending, hint)
      }
      if (world.isAutomatic && isKnown) {
        world.directory.grant(tenant, app, hint, wishedNames(pending))
        return finish(tenant, pending, hint)
      }
      return accountPage(`/${tenantName}/login`, keep(pending), hint)
    })
  }

  function adminConsent(tenantName: string, query: URLSearchParams): Visit {
    const hint = query.get('login_hint') ?? ''
    const { tenant, app, redirectUri } = identify(world, tenantName, query, hint)
    const state = query.get('state') ?? undefined
    return redirectErrors(redirectUri, state, () => {
      const scope = readScope(query.get('scope') ?? 'https://outlook.office365.com/.default', tenant.domain)
      const pending: Pending = {
        kind: 'admin-consent',
        tenantName,
        app,
        redirectUri,
        state,
        scope,
        challenge: undefined,
        nonce: undefined,
        mustAsk: true,
        expiresAt: world.clock.now() + pendingMs,
        account: undefined,
      }
      if (world.isAutomatic) {
        world.directory.grantForAll(tenant, app, pending.scope.names)
        return finishAdminConsent(tenant, pending)
      }
      return accountPage(`/${tenantName}/login`, keep(pending), hint)
    })
  }

  function chooseAccount(ticket: string, pending: Pending, account: string): Visit {
    const tenant = world.directory.tenant(pending.tenantName, account)
    const user = world.directory.user(tenant, account)
    if (!user) {
      const problem = refuse('USER_UNKNOWN', { user: account, tenant: tenant.domain }).message
      return accountPage(`/${pending.tenantName}/login`, ticket, account, problem)
    }
    pending.account = user.name
    if (pending.kind === 'sign-in' && !pending.mustAsk && isConsented(tenant, pending, user.name)) {
      visits.delete(ticket)
      return finish(tenant, pending, user.name)
    }
    const isAdmin = user.isAdmin ?? false
    if (!isAdmin && (pending.kind === 'admin-consent' || !tenant.usersMayConsent)) {
      visits.delete(ticket)
      return redirectError(pending, refuse('ADMIN_NEEDED', { tenant: tenant.domain, name: pending.app.name }))
    }
    return consentPage({
      action: `/${pending.tenantName}/consent`,
      ticket,
      account: user.name,
      appName: pending.app.name,
      permissions: pageLines(pending),
      isAdmin: isAdmin && pending.kind === 'sign-in',
    })
  }

  function answerConsent(pending: Pending, form: URLSearchParams): Visit {
    visits.delete(form.get('ticket') ?? '')
    const { account } = pending
    if (account === undefined) throw refuse('REQUEST_MALFORMED')
    if (form.get('answer') !== 'accept') return redirectError(pending, refuse('CONSENT_DECLINED'))
    const tenant = world.directory.tenant(pending.tenantName, account)
    const isAdmin = world.directory.user(tenant, account)?.isAdmin ?? false
    if (pending.kind === 'admin-consent') {
      world.directory.grantForAll(tenant, pending.app, pending.scope.names)
      return finishAdminConsent(tenant, pending)
    }
    if (isAdmin && form.get('for_all') === 'yes') {
      world.directory.grantForAll(tenant, pending.app, wishedNames(pending))
    }
    world.directory.grant(tenant, pending.app, account, wishedNames(pending))
    return finish(tenant, pending, account)
  }

  function finish(tenant: Tenant, pending: Pending, account: string): Visit {
    const { app, scope, redirectUri, challenge, nonce, state } = pending
    const user = world.directory.user(tenant, account)?.name ?? account
    const code = world.grants.issueCode({ tenant, app, user, scope }, { redirectUri, challenge, nonce })
    return redirect(redirectUri, { code, state, session_state: randomBytes(16).toString('hex') })
  }

  function isConsented(tenant: Tenant, pending: Pending, account: string): boolean {
    return world.directory.hasConsent(tenant, pending.app, account, wishedNames(pending))
  }

  function keep(pending: Pending): string {
    const ticket = randomBytes(24).toString('base64url')
    visits.set(ticket, pending)
    const oldest = visits.size > pendingMax ? visits.keys().next().value : undefined
    if (oldest !== undefined) visits.delete(oldest)
    return ticket
  }

  function take(form: URLSearchParams): [string, Pending] {
    const ticket = form.get('ticket') ?? ''
    const pending = visits.get(ticket)
    if (!pending || pending.expiresAt <= world.clock.now()) throw refuse('REQUEST_MALFORMED')
    return [ticket, pending]
  }
}

/** Tenant, app and redirect URI; what is wrong here is shown on a page and never sent to the redirect URI. */
function identify(world: World, tenantName: string, query: URLSearchParams, hint: string) {
  const tenant = world.directory.tenant(tenantName, hint)
  const clientId = query.get('client_id')
  if (clientId === null) throw refuse('PARAMETER_MISSING', { name: 'client_id' })
  const app = world.directory.app(tenant, clientId)
  const redirectUri = query.get('redirect_uri')
  if (redirectUri === null) throw refuse('PARAMETER_MISSING', { name: 'redirect_uri' })
  if (!app.redirectUris.has(redirectUri)) {
    throw refuse('REDIRECT_MISMATCH', { redirect: redirectUri, app: app.clientId })
  }
  return { tenant, app, redirectUri }
}

function readAuthorizeRequest(
  world: World,
  tenant: Tenant,
  app: App,
  query: URLSearchParams,
  place: Pick<Pending, 'tenantName' | 'redirectUri' | 'state'>,
): Pending {
  const responseType = query.get('response_type') ?? ''
  if (responseType !== 'code') throw refuse('RESPONSE_TYPE', { name: responseType })
  const responseMode = query.get('response_mode') ?? 'query'
  if (responseMode !== 'query') throw refuse('RESPONSE_MODE', { name: responseMode })
  const scope = query.get('scope')
  if (scope === null) throw refuse('PARAMETER_MISSING', { name: 'scope' })
  const challenge = query.get('code_challenge') ?? undefined
  const isS256 = query.get('code_challenge_method') === 'S256'
  // Method plain protects nothing, so the twin holds clients to S256 (RFC 9700 section 2.1.1); Entra is more lenient.
  if (challenge === undefined ? app.isPkceRequired : !isS256) throw refuse('PKCE_REQUIRED')
  return {
    ...place,
    kind: 'sign-in',
    app,
    scope: readScope(scope, tenant.domain),
    challenge,
    nonce: query.get('nonce') ?? undefined,
    mustAsk: query.get('prompt') === 'consent',
    expiresAt: world.clock.now() + pendingMs,
    account: undefined,
  }
}

function wishedNames(pending: Pending): readonly string[] {
  const { scope, app } = pending
  return scope.isDefault ? [...new Set([...app.delegated, ...scope.names])] : scope.names
}

function pageLines(pending: Pending): readonly string[] {
  const roles = pending.kind === 'admin-consent' ? pending.app.roles : []
  const names = pending.kind === 'admin-consent' ? pending.app.delegated : wishedNames(pending)
  return [...names.map(name => permissions[name] ?? name), ...roles.map(role => `${role} as the application itself.`)]
}

function finishAdminConsent(tenant: Tenant, pending: Pending): Visit {
  return redirect(pending.redirectUri, { admin_consent: 'True', tenant: tenant.id, state: pending.state })
}

function guard(visit: () => Visit): Visit {
  try {
    return visit()
  } catch (error) {
    if (error instanceof EntraError) return problemPage(error.status, error.message)
    throw error
  }
}

function redirectErrors(redirectUri: string, state: string | undefined, visit: () => Visit): Visit {
  try {
    return visit()
  } catch (error) {
    if (error instanceof EntraError) return redirectError({ redirectUri, state }, error)
    throw error
  }
}

function redirectError(place: { redirectUri: string; state: string | undefined }, error: EntraError): Visit {
  // Without a person Entra says what kind of interaction would help.
  const name = error.spec.suberror ?? error.spec.error
  return redirect(place.redirectUri, { error: name, error_description: error.message, state: place.state })
}

function redirect(target: string, parameters: Readonly<Record<string, string | undefined>>): Visit {
  const location = new URL(target)
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined) location.searchParams.set(name, value)
  }
  return { location: location.href }
}
