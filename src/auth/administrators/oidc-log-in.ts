import { createHmac, randomBytes } from 'node:crypto'
import {
  type AuthorizationServer,
  allowInsecureRequests,
  authorizationCodeGrantRequest,
  type Client,
  ClientSecretBasic,
  calculatePKCECodeChallenge,
  customFetch,
  discoveryRequest,
  getValidatedIdTokenClaims,
  None,
  processAuthorizationCodeResponse,
  processDiscoveryResponse,
  validateApplicationLevelSignature,
  validateAuthResponse,
} from 'oauth4webapi'
import type { CredentialLookup } from '../../kernel/credential.ts'
import { MiB } from '../../kernel/size.ts'
import type { Connect } from '../../kernel/socket.ts'
import { type Clock, MINUTE, SECOND } from '../../kernel/time.ts'
import { makeFetch, makeHttpAgent, type SmallFetch } from '../../protocols/net/http-client.ts'
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

/** Before the names of those whom the identity provider vouches for; no administrator of the hub itself can be called so. */
export const externalPrefix = 'oidc:'

/** Somebody whom the identity provider vouches for. */
export interface ExternalAdministrator {
  /** With `externalPrefix`. */
  readonly name: string
  readonly subject: string
  readonly groups: readonly string[]
}

export interface OidcLogIn {
  /** Where to send the browser, and a secret that it alone brings back. Throws ADMIN_SIGN_IN_UNREACHABLE. */
  begin(): Promise<{ readonly url: string; readonly browser: string }>
  /** Uses a redirect up. Throws ADMIN_SIGN_IN_… errors. */
  finish(query: URLSearchParams, browser: string): Promise<ExternalAdministrator>
}

export const oidcLimits = {
  /** How long a person may take. */
  openForMs: 10 * MINUTE,
  usedMax: 10_000,
  /** For each request to the identity provider. */
  requestMs: 10 * SECOND,
  answerBytes: 4 * MiB,
  nameLetters: 128,
  groups: 500,
}

interface Begun {
  readonly state: string
  readonly nonce: string
  readonly verifier: string
}

interface OidcParts {
  readonly settings: OidcSettings
  readonly connect: Connect
  readonly credential: CredentialLookup
  readonly clock: Clock
  /** Registered at the provider letter for letter. */
  readonly redirectUri: () => string
}

export function createOidcLogIn({ settings, connect, credential, clock, redirectUri }: OidcParts): OidcLogIn {
  const issuer = new URL(settings.issuer)
  const client: Client = { client_id: settings.clientId }
  // Of what is begun nothing is kept, so that nobody pushes out what others began: all of it follows from the browser's
  // secret and this key, which nobody else has.
  const key = randomBytes(32)
  /** Until when a way back that was used would count. */
  const used = new Map<string, number>()
  let known: Promise<AuthorizationServer> | undefined
  let fetch: SmallFetch | undefined
  const fetchOnce = () => {
    fetch ??= fetchOver(connect)
    return fetch
  }
  // Plain HTTP is for a provider on this very machine.
  const options = () => ({
    [customFetch]: fetchOnce(),
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

  function begunBy(browser: string): Begun {
    const secretFor = (purpose: string) => createHmac('sha256', key).update(`${purpose} ${browser}`).digest('base64url')
    return { state: secretFor('state'), nonce: secretFor('nonce'), verifier: secretFor('verifier') }
  }

  /** What belongs to a redirect; it is used up then. In another browser it stays open for the right one. */
  function take(query: URLSearchParams, browser: string): Begun {
    const begun = begunBy(browser)
    const until = Number(browser.split('.')[0]) + oidcLimits.openForMs
    const now = clock.now()
    for (const [state, end] of used) if (end <= now || used.size >= oidcLimits.usedMax) used.delete(state)
    const isOpen = now < until && query.get('state') === begun.state && !used.has(begun.state)
    if (!isOpen) throw adminErrors.SIGN_IN_UNKNOWN()
    used.set(begun.state, until)
    return begun
  }

  async function exchange(query: URLSearchParams, { state, nonce, verifier }: Begun) {
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
    async begin() {
      const server = await discover()
      if (server.authorization_endpoint === undefined) {
        throw adminErrors.SIGN_IN_UNREACHABLE({ issuer: settings.issuer, text: 'it names no authorization endpoint' })
      }
      const browser = `${clock.now()}.${randomBytes(32).toString('base64url')}`
      const { state, nonce, verifier } = begunBy(browser)
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
      return { url: url.href, browser }
    },
    async finish(query, browser) {
      const claims = await exchange(query, take(query, browser)).catch((cause: unknown) => {
        throw adminErrors.SIGN_IN_REFUSED({ text: textOf(cause) }, { cause })
      })
      const subject = claims?.sub ?? ''
      const name = claims?.[settings.nameClaim] ?? subject
      if (typeof name !== 'string' || !isPrintable(name)) {
        throw adminErrors.SIGN_IN_REFUSED({ text: `The claim ${settings.nameClaim} is no name.` })
      }
      const groups = readGroups(claims?.[settings.groupsClaim])
      if (rolesOfGroups(settings, groups).length === 0) throw adminErrors.SIGN_IN_WITHOUT_ROLE({ name })
      return { name: `${externalPrefix}${name}`, subject, groups }
    },
  }
}

function fetchOver(connect: Connect): SmallFetch {
  const { requestMs, answerBytes } = oidcLimits
  const agent = makeHttpAgent({ connect: () => connect, connectTimeoutMs: requestMs, answerBytesMax: answerBytes })
  return makeFetch(agent, answerBytes)
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

function textOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}
