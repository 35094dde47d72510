import { asHubError, type HubError, hubErrors } from '../kernel/error.ts'
import { KiB } from '../kernel/size.ts'
import type { Connect, TlsWish } from '../kernel/socket.ts'
import { type Clock, SECOND } from '../kernel/time.ts'
import { makeFetch, makeHttpAgent } from '../protocols/net/http-client.ts'
import { boundTo } from '../protocols/oauth/bound-token.ts'
import type { ClientAuthentication } from '../protocols/oauth/client-authentication.ts'
import { signAssertion } from '../protocols/oauth/saml-assertion.ts'
import { type Grant, requestToken, type TokenAnswer } from '../protocols/oauth/token-request.ts'
import { certificateFacts } from './certificate-facts.ts'
import type { ApplicationSettings, Secrets } from './credential-input.ts'
import { bindingOf, type CredentialStore, type NewGrant, type StoredGrant } from './credential-store.ts'
import { credentialErrors } from './errors.ts'
import { askPatiently } from './patience.ts'
import { endpointsOf, scopesOf, tokenClientOf } from './provider.ts'
import type { SecretMask } from './secret-mask.ts'
import type { FetchedToken } from './token-cache.ts'

const requestTimeoutMs = 10 * SECOND
const answerBytesMax = 256 * KiB

export interface TokenSourceOptions {
  readonly name: string
  readonly settings: ApplicationSettings
  readonly secrets: Secrets
  readonly store: CredentialStore
  readonly clock: Clock
  readonly connect: Connect
  readonly mask: SecretMask
  /** Runs one after the other what concerns the same credential, so that a refresh token is never used twice at once. */
  readonly inTurn: <T>(work: () => Promise<T>) => Promise<T>
}

/** Where the tokens of one version of one credential come from. */
export interface TokenSource {
  fetchToken(): Promise<FetchedToken>
  /** Exchanges the code of a finished sign-in. */
  redeem(code: string, redirectUri: string, codeVerifier: string): Promise<TokenAnswer>
  close(): Promise<void>
}

export function makeTokenSource(options: TokenSourceOptions): TokenSource {
  const { name, settings, store, clock, mask } = options
  const client = tokenClientOf(name, settings, options.secrets)
  const scopes = scopesOf(settings)
  const binding = bindingOf(endpointsOf(settings).tokenUrl, settings.clientId)
  const agent = makeHttpAgent({
    connect: () => options.connect,
    via: settings.via,
    tls: tlsOf(settings, client.authentication),
    connectTimeoutMs: requestTimeoutMs,
    connections: 2,
    answerBytesMax,
  })
  const fetch = makeFetch(agent, answerBytesMax)
  const stop = new AbortController()
  const certificateEndsAt =
    client.authentication.method === 'tls' ? certificateFacts(client.authentication.certificate)?.endsAt : undefined
  // A new refresh token that the store would not take; the old one may be worth nothing any more.
  let unsaved: { readonly grant: NewGrant; readonly expected: number; readonly token: FetchedToken } | undefined

  async function ask(grant: Grant | (() => Grant)): Promise<TokenAnswer> {
    if (certificateEndsAt !== undefined && certificateEndsAt <= clock.now()) {
      const day = new Date(certificateEndsAt).toISOString().slice(0, 10)
      throw credentialErrors.CERTIFICATE_ENDED({ credential: name, day })
    }
    return askPatiently(clock, stop.signal, () => {
      // A socket waits in real time, also where the clock is simulated.
      stop.signal.throwIfAborted()
      const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(requestTimeoutMs)])
      return requestToken(client, typeof grant === 'function' ? grant() : grant, {
        fetch,
        now: () => clock.now(),
        signal,
      })
    })
  }

  /** The grant of a credential that nobody signs in for; an assertion is made anew for each try. */
  function grantOf(): Grant {
    if (settings.kind !== 'oauth2-saml-bearer') return { type: 'client_credentials', scopes }
    const { recipient = client.tokenUrl, lifeSeconds, ...wish } = settings.assertion
    const { certificate = '' } = settings
    const { privateKey = '' } = options.secrets
    const signed = { ...wish, recipient, lifeMs: lifeSeconds * SECOND, certificate, privateKey }
    return { type: 'saml2-bearer', assertion: signAssertion(signed, clock.now()), scopes }
  }

  async function refresh(isSecondTry = false): Promise<FetchedToken> {
    const held = await store.readGrant(name)
    if (!held || held.binding !== binding) throw credentialErrors.NOT_AUTHORISED({ credential: name })
    if (unsaved && unsaved.expected === held.revision) {
      await keep(unsaved.grant, unsaved.expected, unsaved.token)
      return unsaved.token
    }
    unsaved = undefined
    let answer: TokenAnswer
    try {
      const refreshToken = held.refreshToken()
      mask.rememberTokens(name, refreshToken)
      answer = await ask({ type: 'refresh_token', refreshToken, scopes })
    } catch (thrown) {
      const error = asHubError(thrown)
      if (!isRefusal(error)) throw error
      // Another hub on the same store may have been quicker: then its refresh token is the one that counts.
      const now = await store.readGrant(name)
      if (!isSecondTry && now && now.revision !== held.revision) return refresh(true)
      await noteRefusal(held, error)
      throw error
    }
    const token = fetchedFrom(answer, client.authentication)
    const grant: NewGrant = {
      binding,
      user: held.user ?? answer.user,
      authorisedAt: held.authorisedAt,
      refreshedAt: clock.now(),
      refusal: undefined,
      refreshToken: answer.refreshToken ?? held.refreshToken(),
    }
    mask.rememberTokens(name, grant.refreshToken, token.value)
    unsaved = { grant, expected: held.revision, token }
    await keep(grant, held.revision, token)
    unsaved = undefined
    return token
  }

  async function keep(grant: NewGrant, expected: number, token: FetchedToken): Promise<FetchedToken> {
    try {
      await store.writeGrant(name, grant, expected)
      return token
    } catch (thrown) {
      const reason = thrown instanceof Error ? thrown.message : String(thrown)
      throw credentialErrors.NOT_STORED({ credential: name, reason }, { cause: thrown })
    }
  }

  async function noteRefusal(held: StoredGrant, error: HubError): Promise<void> {
    const { code, side, message, next } = error
    try {
      const refusal = { code, side, message, next, at: clock.now() }
      await store.writeGrant(name, { ...held, refusal, refreshToken: held.refreshToken() }, held.revision)
    } catch {
      // The refusal is thrown to whoever asked in any case; only its trace in the status is missing.
    }
  }

  return {
    async fetchToken() {
      if (settings.kind === 'oauth2-authorization-code') return options.inTurn(() => refresh())
      const token = fetchedFrom(await ask(grantOf), client.authentication)
      mask.rememberTokens(name, token.value)
      return token
    },
    redeem: (code, redirectUri, codeVerifier) => ask({ type: 'authorization_code', code, redirectUri, codeVerifier }),
    async close() {
      stop.abort(hubErrors.STOPPING())
      await agent.destroy()
    },
  }
}

/** Whom the hub trusts as token server, and what it shows to it. */
function tlsOf({ ca }: ApplicationSettings, authentication: ClientAuthentication): TlsWish {
  const shown = authentication.method === 'tls' && { cert: authentication.certificate, key: authentication.privateKey }
  return { ...(ca !== undefined && { ca }), ...shown }
}

function fetchedFrom(
  { accessToken, sentAt, expiresInMs }: TokenAnswer,
  authentication: ClientAuthentication,
): FetchedToken {
  return { value: accessToken, boundTo: boundTo(accessToken, authentication), sentAt, expiresInMs }
}

/** True when only a person can make the sign-in hold again. */
function isRefusal(error: HubError): boolean {
  return error.retry === 'after-change' && error.code.startsWith('OAUTH_')
}
