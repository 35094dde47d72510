import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { calculatePKCECodeChallenge, generateRandomCodeVerifier } from 'oauth4webapi'
import type { Json } from '../kernel/json.ts'
import { type Clock, MINUTE } from '../kernel/time.ts'
import { explainRefusal } from '../protocols/oauth/refusal.ts'
import type { ApplicationSettings } from './credential-input.ts'
import type { CredentialRecords } from './credential-store.ts'
import { credentialErrors } from './errors.ts'
import { endpointsOf, scopesOf } from './provider.ts'
import type { Sealed, Vault } from './vault.ts'

export interface SignInRequest {
  /** Where the sign-in server sends the browser back to; registered there letter for letter. */
  readonly redirectUri: string
  /** A secret value that only this browser session has; the sign-in can be finished in no other. */
  readonly session: string
}

export interface FinishedSignIn {
  readonly credential: string
  readonly version: string
  readonly code: string
  readonly redirectUri: string
  readonly codeVerifier: string
}

/** How long a person may take. */
const openForMs = 10 * MINUTE
const openSignInsMax = 200
const area = 'credential-sign-in'

/** The part of authorization code (RFC 6749 section 4.1, PKCE RFC 7636) that goes through the browser. */
export class SignIns {
  readonly #records: CredentialRecords
  readonly #vault: Vault
  readonly #clock: Clock

  constructor(records: CredentialRecords, vault: Vault, clock: Clock) {
    this.#records = records
    this.#vault = vault
    this.#clock = clock
  }

  /** The URL to send the browser to. It can be used once, for ten minutes, by this session. */
  async begin(
    credential: string,
    version: string,
    settings: ApplicationSettings,
    request: SignInRequest,
  ): Promise<string> {
    if (settings.kind !== 'oauth2-authorization-code') {
      throw credentialErrors.NOT_BY_SIGN_IN({ credential, kind: settings.kind })
    }
    await this.#makeRoom()
    const state = randomBytes(32).toString('base64url')
    const codeVerifier = generateRandomCodeVerifier()
    const id = fingerprint(state)
    const value: OpenSignIn = {
      credential,
      version,
      redirectUri: request.redirectUri,
      session: fingerprint(request.session),
      until: this.#clock.now() + openForMs,
      verifier: this.#vault.seal(codeVerifier, placeOf(id)),
    }
    await this.#records.write(area, id, value as unknown as Json, 0)
    const url = new URL(endpointsOf(settings).authorizeUrl ?? '')
    const parameters = {
      ...settings.authorizeParameters,
      ...(settings.loginHint !== undefined && { login_hint: settings.loginHint }),
      response_type: 'code',
      client_id: settings.clientId,
      redirect_uri: request.redirectUri,
      scope: scopesOf(settings).join(' '),
      state,
      code_challenge: await calculatePKCECodeChallenge(codeVerifier),
      code_challenge_method: 'S256',
    }
    for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value)
    return url.href
  }

  /** Which credential a redirect belongs to; throws CREDENTIAL_SIGN_IN_UNKNOWN, CREDENTIAL_OTHER_BROWSER. */
  async credentialOf(query: URLSearchParams, session: string): Promise<string> {
    return (await this.#find(query, session)).open.credential
  }

  /** Uses a redirect up. Throws what the server refused, in words; the state is gone then as well. */
  async finish(query: URLSearchParams, session: string, settings: ApplicationSettings): Promise<FinishedSignIn> {
    const { id, open } = await this.#find(query, session)
    const { credential, version, redirectUri } = open
    const codeVerifier = this.#vault.open(open.verifier, placeOf(id))
    // Of two that come at the same time only one takes the record away.
    if (!(await this.#records.remove(area, id))) throw credentialErrors.SIGN_IN_UNKNOWN()
    const { issuer, adminConsentUrl } = endpointsOf(settings)
    const from = query.get('iss')
    if (issuer !== undefined && from !== null && from !== issuer) {
      throw credentialErrors.OTHER_ISSUER({ credential, issuer: from })
    }
    const error = query.get('error')
    if (error !== null) {
      const description = query.get('error_description') ?? undefined
      throw explainRefusal({ error, description }, { credential, adminConsentUrl })
    }
    const code = query.get('code')
    if (!code) throw credentialErrors.SIGN_IN_UNKNOWN()
    return { credential, version, code, redirectUri, codeVerifier }
  }

  async #find(query: URLSearchParams, session: string): Promise<{ id: string; open: OpenSignIn }> {
    const id = fingerprint(query.get('state') ?? '')
    const record = await this.#records.read(area, id)
    const open = record?.value as unknown as OpenSignIn | undefined
    if (!open || open.until < this.#clock.now()) throw credentialErrors.SIGN_IN_UNKNOWN()
    // Somebody else's browser must not use it up either, so it stays open for the right one.
    if (!timingSafeEqual(Buffer.from(open.session), Buffer.from(fingerprint(session)))) {
      throw credentialErrors.OTHER_BROWSER()
    }
    return { id, open }
  }

  async #makeRoom(): Promise<void> {
    const records = await this.#records.list(area)
    const now = this.#clock.now()
    const [stale, fresh] = [records.filter(isStale), records.filter(record => !isStale(record))]
    for (const { id } of stale) await this.#records.remove(area, id)
    if (fresh.length >= openSignInsMax) throw credentialErrors.TOO_MANY_SIGN_INS({ count: openSignInsMax })

    function isStale({ value }: { readonly value: Json }): boolean {
      return (value as unknown as OpenSignIn).until < now
    }
  }
}

interface OpenSignIn {
  readonly credential: string
  readonly version: string
  readonly redirectUri: string
  /** SHA-256: neither state nor session can be read from the store. */
  readonly session: string
  readonly until: number
  readonly verifier: Sealed
}

function fingerprint(secret: string): string {
  return createHash('sha256').update(secret).digest('base64url')
}

function placeOf(id: string) {
  return { type: area, id, field: 'codeVerifier', revision: 1 }
}
