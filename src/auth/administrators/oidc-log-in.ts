import { hash, randomBytes } from 'node:crypto'
import {
  type AuthorizationServer,
  allowInsecureRequests,
  authorizationCodeGrantRequest,
  type Client,
  ClientSecretBasic,
  calculatePKCECodeChallenge,
  discoveryRequest,
  generateRandomCodeVerifier,
  getValidatedIdTokenClaims,
  None,
  processAuthorizationCodeResponse,
  processDiscoveryResponse,
  validateApplicationLevelSignature,
  validateAuthResponse,
} from 'oauth4webapi'
import type { CredentialLookup } from '../../kernel/credential.ts'
import { type Clock, MINUTE, SECOND } from '../../kernel/time.ts'
import { adminErrors } from './admin-errors.ts'

/** How administrators log in at an identity provider (OpenID Connect Core 1.0, authorization code with PKCE). */
export interface OidcSettings {
  readonly issuer: string
  readonly clientId: string
  /** Name of a credential of the kind secret; undefined: a public client. */
  readonly credential?: string | undefined
  /** Asked for beside openid and profile. */
  readonly scopes: readonly string[]
  /** Claim of the ID token that says who it is. */
  readonly nameClaim: string
  /** Claim of the ID token that holds the groups. */
  readonly groupsClaim: string
  /** What comes with each group. */
  readonly roles: Readonly<Record<string, readonly string[]>>
}

/** Somebody whom the identity provider vouches for. */
export interface ExternalAdministrator {
  /** `oidc:` and the name; no administrator of the hub itself can be called so. */
  readonly name: string
  readonly subject: string
  readonly groups: readonly string[]
}

export interface OidcLogIn {
  /** Where to send the browser; `browser` is a secret that only it has. Throws ADMIN_SIGN_IN_UNREACHABLE. */
  begin(browser: string): Promise<string>
  /** Uses a redirect up. Throws ADMIN_SIGN_IN_… errors. */
  finish(query: URLSearchParams, browser: string): Promise<ExternalAdministrator>
}

export const oidcLimits = {
  /** How long a person may take. */
  openForMs: 10 * MINUTE,
  openMax: 200,
  /** For each request to the identity provider. */
  requestMs: 10 * SECOND,
  nameLetters: 128,
  groups: 500,
}

interface Open {
  readonly nonce: string
  readonly verifier: string
  readonly browser: string
  readonly until: number
}

interface OidcParts {
  readonly settings: OidcSettings
  readonly credential: CredentialLookup
  readonly clock: Clock
  /** Registered at the provider letter for letter. */
  readonly redirectUri: () => string
}

export function createOidcLogIn({ settings, credential, clock, redirectUri }: OidcParts): OidcLogIn {
  const issuer = new URL(settings.issuer)
  const client: Client = { client_id: settings.clientId }
  const open = new Map<string, Open>()
  let known: Promise<AuthorizationServer> | undefined
  // Plain HTTP is for a provider on this very machine.
  const options = () => ({
    [allowInsecureRequests]: ['localhost', '127.0.0.1', '[::1]'].includes(issuer.hostname),
    signal: AbortSignal.timeout(oidcLimits.requestMs),
  })

  function discover(): Promise<AuthorizationServer> {
    known ??= discoveryRequest(issuer, { ...options(), algorithm: 'oidc' })
      .then(answer => processDiscoveryResponse(issuer, answer))
      .catch((cause: unknown) => {
        // The next one tries again.
        known = undefined
        throw adminErrors.SIGN_IN_UNREACHABLE({ issuer: settings.issuer, text: textOf(cause) }, { cause })
      })
    return known
  }

  /** What belongs to a redirect; it is gone then. In another browser it stays open for the right one. */
  function take(query: URLSearchParams, browser: string): { readonly state: string; readonly begun: Open } {
    const state = query.get('state') ?? ''
    const begun = open.get(state)
    if (!begun || begun.until <= clock.now() || begun.browser !== digestOf(browser)) throw adminErrors.SIGN_IN_UNKNOWN()
    open.delete(state)
    return { state, begun }
  }

  async function exchange(query: URLSearchParams, state: string, { nonce, verifier }: Open) {
    const server = await discover()
    const secret = settings.credential === undefined ? undefined : await credential(settings.credential)
    if (secret && secret.kind !== 'secret') {
      throw adminErrors.SIGN_IN_REFUSED({ text: `The credential ${settings.credential} is no secret.` })
    }
    const authentication = secret ? ClientSecretBasic(secret.secret) : None()
    const parameters = validateAuthResponse(server, client, query, state)
    const answer = await authorizationCodeGrantRequest(
      server,
      client,
      authentication,
      parameters,
      redirectUri(),
      verifier,
      options(),
    )
    const tokens = await processAuthorizationCodeResponse(server, client, answer, {
      expectedNonce: nonce,
      requireIdToken: true,
    })
    await validateApplicationLevelSignature(server, answer, options())
    return getValidatedIdTokenClaims(tokens)
  }

  return {
    async begin(browser) {
      const server = await discover()
      if (server.authorization_endpoint === undefined) {
        throw adminErrors.SIGN_IN_UNREACHABLE({ issuer: settings.issuer, text: 'it names no authorization endpoint' })
      }
      const now = clock.now()
      for (const [state, { until }] of open) if (until <= now || open.size >= oidcLimits.openMax) open.delete(state)
      const state = randomBytes(32).toString('base64url')
      const nonce = randomBytes(32).toString('base64url')
      const verifier = generateRandomCodeVerifier()
      open.set(state, { nonce, verifier, browser: digestOf(browser), until: now + oidcLimits.openForMs })
      const url = new URL(server.authorization_endpoint)
      const parameters = {
        response_type: 'code',
        client_id: settings.clientId,
        redirect_uri: redirectUri(),
        scope: [...new Set(['openid', 'profile', ...settings.scopes])].join(' '),
        state,
        nonce,
        code_challenge: await calculatePKCECodeChallenge(verifier),
        code_challenge_method: 'S256',
      }
      for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value)
      return url.href
    },
    async finish(query, browser) {
      const { state, begun } = take(query, browser)
      const claims = await exchange(query, state, begun).catch((cause: unknown) => {
        throw adminErrors.SIGN_IN_REFUSED({ text: textOf(cause) }, { cause })
      })
      const subject = claims?.sub ?? ''
      const name = claims?.[settings.nameClaim] ?? subject
      if (typeof name !== 'string' || !isPrintable(name)) {
        throw adminErrors.SIGN_IN_REFUSED({ text: `The claim ${settings.nameClaim} is no name.` })
      }
      const groups = readGroups(claims?.[settings.groupsClaim])
      if (rolesOfGroups(settings, groups).length === 0) throw adminErrors.SIGN_IN_WITHOUT_ROLE({ name })
      return { name: `oidc:${name}`, subject, groups }
    },
  }
}

/** The roles that come with groups now. */
export function rolesOfGroups({ roles }: Pick<OidcSettings, 'roles'>, groups: readonly string[]): readonly string[] {
  // A group may be called like something that every object has.
  return [...new Set(groups.flatMap(group => (Object.hasOwn(roles, group) ? (roles[group] ?? []) : [])))]
}

function readGroups(claim: unknown): readonly string[] {
  const values: readonly unknown[] = Array.isArray(claim) ? claim : [claim]
  return values.filter(value => typeof value === 'string').slice(0, oidcLimits.groups)
}

/** It stands in the audit log. */
function isPrintable(name: string): boolean {
  return name.length <= oidcLimits.nameLetters && /^[\p{L}\p{N}._@+-][\p{L}\p{N}._@+ -]*$/u.test(name)
}

function digestOf(secret: string): string {
  return hash('sha256', secret, 'base64url')
}

function textOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}
