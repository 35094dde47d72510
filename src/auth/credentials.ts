import type { CredentialLookup, CredentialValue } from '../kernel/credential.ts'
import { asHubError, type HubError } from '../kernel/error.ts'
import type { JsonObject } from '../kernel/json.ts'
import type { Log } from '../kernel/log.ts'
import type { Connect } from '../kernel/socket.ts'
import type { Clock } from '../kernel/time.ts'
import type {
  ApplicationSettings,
  CredentialInput,
  CredentialKind,
  CredentialSettings,
  SecretRenewal,
  Secrets,
} from './credential-input.ts'
import { type CredentialStatus, statusOf } from './credential-status.ts'
import { bindingOf, type CredentialRecords, CredentialStore, type StoredCredential } from './credential-store.ts'
import { credentialErrors } from './errors.ts'
import { endpointsOf } from './provider.ts'
import { SecretMask } from './secret-mask.ts'
import type { SignInRequest } from './sign-in.ts'
import { makeTokenCache, type TokenCache } from './token-cache.ts'
import type { TokenSource } from './token-source.ts'
import type { Vault } from './vault.ts'

export interface CredentialsOptions {
  readonly records: CredentialRecords
  readonly vault: Vault
  readonly clock: Clock
  readonly connect: Connect
  readonly log: Log
  readonly random?: () => number
  /** Seals what others keep in the vault anew, before the older master keys go. Returns how many records. */
  readonly resealOthers?: () => Promise<number>
}

/** A credential as people see it: never a secret value. */
export interface CredentialView {
  readonly name: string
  readonly kind: CredentialKind
  readonly revision: number
  readonly changedAt: number
  readonly settings: JsonObject
  /** Which secrets are kept (`password`, `clientSecret`). */
  readonly secrets: readonly string[]
  readonly status: CredentialStatus
}

export type CredentialEvent =
  /** It was changed, deleted, signed in for, or is taken again: what waited for it may be tried now. */
  | { readonly type: 'credential.changed'; readonly name: string }
  /** The other side refused it; only a person can mend that. */
  | { readonly type: 'credential.refused'; readonly name: string; readonly error: HubError }

/** Everything the hub uses to prove who it is to others. */
export interface Credentials {
  /** For adapters: the value behind a name, as it is now. */
  readonly lookup: CredentialLookup
  create(name: string, input: CredentialInput): Promise<CredentialView>
  /** Replaces the settings. Secrets that are left out stay as they are. `revision`: refuse when it is another one. */
  update(name: string, input: CredentialInput, revision?: number): Promise<CredentialView>
  /** Puts new secrets in the place of old ones, as when a client secret runs out; the settings and the sign-in stay. */
  renew(name: string, given: SecretRenewal, revision?: number): Promise<CredentialView>
  delete(name: string): Promise<void>
  list(): Promise<readonly CredentialView[]>
  get(name: string): Promise<CredentialView>
  /** Where to send the browser of the person who signs in. */
  beginAuthorisation(name: string, request: SignInRequest): Promise<{ readonly url: string }>
  /** Takes the query of the redirect; throws in words what the sign-in server refused. */
  completeAuthorisation(
    query: Readonly<Record<string, string>> | URLSearchParams,
    session: string,
  ): Promise<{ readonly name: string; readonly user: string | undefined }>
  /** Every secret in use, as it is, for the mask of the log; the same list until one changes. */
  secretValues(): readonly string[]
  on(listener: (event: CredentialEvent) => void): () => void
  /** Seals everything anew with the first master key of the ring. Returns how many records. */
  rotateMasterKey(): Promise<number>
  close(): Promise<void>
}

/** One version of a credential, ready for use. */
interface Live {
  readonly version: string
  readonly value: CredentialValue
  readonly source: TokenSource | undefined
  readonly cache: TokenCache | undefined
}

export function openCredentials(options: CredentialsOptions): Credentials {
  const { clock, log } = options
  const store = new CredentialStore(options.records, options.vault)
  const mask = new SecretMask()
  const listeners = new Set<(event: CredentialEvent) => void>()
  const lives = new Map<string, Live>()
  const turns = new Map<string, Promise<unknown>>()
  const failures = new Map<string, { readonly error: HubError; readonly at: number }>()

  function emit(event: CredentialEvent): void {
    if (event.type === 'credential.refused') {
      log.warn(event.type, { credential: event.name, code: event.error.code, text: event.error.message })
    } else log.info(event.type, { credential: event.name })
    for (const listener of listeners) listener(event)
  }

  // What takes new credentials, signs in and asks for tokens is loaded when it is first needed: it brings OAuth.
  const loadInput = () => import('./credential-input.ts')

  async function loadSignIns() {
    const { SignIns } = await import('./sign-in.ts')
    return new SignIns(options.records, options.vault, clock)
  }

  async function loadSources() {
    const { makeTokenSource } = await import('./token-source.ts')
    return (name: string, settings: ApplicationSettings, secrets: Secrets): TokenSource =>
      makeTokenSource({
        name,
        settings,
        secrets,
        store,
        clock,
        mask,
        connect: options.connect,
        inTurn: work => inTurn(name, work),
      })
  }

  function inTurn<T>(name: string, work: () => Promise<T>): Promise<T> {
    const turn = (turns.get(name) ?? Promise.resolve()).then(work, work)
    const settled = turn
      .catch(() => {})
      .then(() => {
        if (turns.get(name) === settled) turns.delete(name)
      })
    turns.set(name, settled)
    return turn
  }

  async function readOrThrow(name: string): Promise<StoredCredential> {
    const stored = await store.read(name)
    if (!stored) throw credentialErrors.UNKNOWN({ credential: name })
    return stored
  }

  async function readRevision(name: string, revision: number | undefined): Promise<StoredCredential> {
    const stored = await readOrThrow(name)
    if (revision === undefined || revision === stored.revision) return stored
    throw credentialErrors.CHANGED_MEANWHILE({ credential: name })
  }

  async function liveOf(name: string): Promise<Live> {
    const stored = await readOrThrow(name)
    const known = lives.get(name)
    if (known?.version === stored.version) return known
    const secrets = stored.secrets()
    mask.remember(name, ...maskedSecrets(secrets))
    const settings = stored.settings()
    const makeValue =
      'provider' in settings ? await prepareTokens(name, settings, secrets) : () => plainValue(settings, secrets)
    // While the grant was read another caller may have made it.
    const meanwhile = lives.get(name)
    if (meanwhile?.version === stored.version) return meanwhile
    drop(name)
    const live = { version: stored.version, ...makeValue() }
    lives.set(name, live)
    return live
  }

  function plainValue(
    settings: Exclude<CredentialSettings, ApplicationSettings>,
    secrets: Secrets,
  ): Omit<Live, 'version'> {
    if (settings.kind === 'basic') {
      const value = { kind: 'basic' as const, user: settings.user, password: secrets.password ?? '' }
      return { value, source: undefined, cache: undefined }
    }
    if (settings.kind === 'secret') {
      return { value: { kind: 'secret', secret: secrets.secret ?? '' }, source: undefined, cache: undefined }
    }
    if (settings.kind === 'certificate') {
      const { certificate } = settings
      const value = { kind: 'certificate' as const, certificate, privateKey: secrets.privateKey ?? '' }
      return { value, source: undefined, cache: undefined }
    }
    const value = { kind: 'known-hosts' as const, knownHosts: secrets.knownHosts ?? '' }
    return { value, source: undefined, cache: undefined }
  }

  /** Reads what is needed for tokens; who asks for them is made by what it gives back. */
  async function prepareTokens(
    name: string,
    settings: ApplicationSettings,
    secrets: Secrets,
  ): Promise<() => Omit<Live, 'version'>> {
    const [sourceOf, grant] = await Promise.all([loadSources(), store.readGrant(name)])
    return () => {
      const source = sourceOf(name, settings, secrets)
      const cache = makeTokenCache({
        clock,
        random: options.random ?? Math.random,
        fetchToken: () => watched(name, source.fetchToken()),
        onBackgroundFailure: error =>
          log.warn('token.renewal-failed', { credential: name, code: error.code, text: error.message }),
      })
      const value = { kind: 'oauth2' as const, user: grant?.user, token: tokenFrom(name, cache) }
      return { value, source, cache }
    }
  }

  /** Whoever asks while the credential is changed gets a token of what it is then. */
  function tokenFrom(name: string, cache: TokenCache): TokenCache['token'] {
    return async refused => {
      try {
        return await cache.token(refused)
      } catch (thrown) {
        const now = (await liveOf(name)).cache
        if (!now || now === cache) throw thrown
        return now.token(refused)
      }
    }
  }

  // Notes how the last request for a token ended, and tells when that became better or worse.
  async function watched<T>(name: string, request: Promise<T>): Promise<T> {
    try {
      const result = await request
      const before = failures.get(name)
      failures.delete(name)
      if (before && before.error.retry === 'after-change') emit({ type: 'credential.changed', name })
      return result
    } catch (thrown) {
      const error = asHubError(thrown)
      // What the person at the browser did wrong says nothing about the credential.
      if (error.side === 'caller') throw error
      const isNews = failures.get(name)?.error.code !== error.code
      failures.set(name, { error, at: clock.now() })
      if (isNews && error.retry === 'after-change') emit({ type: 'credential.refused', name, error })
      throw error
    }
  }

  function drop(name: string): void {
    const live = lives.get(name)
    lives.delete(name)
    live?.source?.close().catch(() => {})
  }

  async function viewOf(stored: StoredCredential): Promise<CredentialView> {
    const { name, kind, revision, changedAt } = stored
    const settings = stored.settings()
    const status = statusOf(stored, {
      grant: 'provider' in settings ? await store.readGrant(name) : undefined,
      token: lives.get(name)?.cache?.current(),
      failure: failures.get(name),
      now: clock.now(),
    })
    return {
      name,
      kind,
      revision,
      changedAt,
      settings: settings as unknown as JsonObject,
      secrets: stored.secretNames,
      status,
    }
  }

  async function written(name: string): Promise<CredentialView> {
    failures.delete(name)
    drop(name)
    emit({ type: 'credential.changed', name })
    return viewOf(await readOrThrow(name))
  }

  async function replace(
    { name, revision }: StoredCredential,
    settings: CredentialSettings,
    secrets: Secrets,
  ): Promise<CredentialView> {
    mask.remember(name, ...maskedSecrets(secrets))
    await store.write(name, settings, secrets, clock.now(), revision)
    return written(name)
  }

  return {
    lookup: async name => (await liveOf(name)).value,

    async create(name, input) {
      const { settings, secrets } = (await loadInput()).parseCredential(name, input)
      if (await store.read(name)) throw credentialErrors.EXISTS({ credential: name })
      mask.remember(name, ...maskedSecrets(secrets))
      await store.write(name, settings, secrets, clock.now(), 0)
      return written(name)
    },

    // In turn with requests for tokens: one that is under way may bring a refresh token, and that has to be kept.
    update: (name, input, revision) =>
      inTurn(name, async () => {
        const { hasSecret, parseCredential } = await loadInput()
        const stored = await readRevision(name, revision)
        const kept = stored.kind === input.kind ? stored.secrets() : {}
        const whole = parseCredential(name, input, kept)
        const origin = otherServer(stored.settings(), whole.settings)
        if (origin !== undefined && hasSecret(kept) && !hasSecret(input)) {
          throw credentialErrors.SECRET_WANTED({ credential: name, origin })
        }
        const { settings, secrets } = origin === undefined ? whole : parseCredential(name, input)
        return replace(stored, settings, secrets)
      }),

    renew: (name, given, revision) =>
      inTurn(name, async () => {
        const { parseCredential } = await loadInput()
        const stored = await readRevision(name, revision)
        refuseSecretNotKept(stored, given)
        const { settings, secrets } = parseCredential(name, { ...stored.settings(), ...given }, stored.secrets())
        return replace(stored, settings, secrets)
      }),

    async delete(name) {
      if (!(await store.remove(name))) throw credentialErrors.UNKNOWN({ credential: name })
      drop(name)
      failures.delete(name)
      mask.forget(name)
      emit({ type: 'credential.changed', name })
    },

    list: async () => Promise.all((await store.list()).map(viewOf)),
    get: async name => viewOf(await readOrThrow(name)),

    async beginAuthorisation(name, request) {
      const stored = await readOrThrow(name)
      const settings = stored.settings()
      if (!('provider' in settings)) throw credentialErrors.NOT_BY_SIGN_IN({ credential: name, kind: stored.kind })
      const signIns = await loadSignIns()
      return { url: await signIns.begin(name, stored.version, settings, request) }
    },

    async completeAuthorisation(given, session) {
      const query = new URLSearchParams(given)
      const name = await (await loadSignIns()).credentialOf(query, session)
      const stored = await readOrThrow(name)
      const settings = stored.settings()
      if (!('provider' in settings)) throw credentialErrors.NOT_BY_SIGN_IN({ credential: name, kind: stored.kind })
      const user = await watched(name, redeem(stored, settings, query, session))
      await written(name)
      return { name, user }
    },

    secretValues: () => mask.values(),
    on(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    async rotateMasterKey() {
      const count = await store.rotateMasterKey(options.resealOthers ?? (async () => 0))
      for (const name of lives.keys()) drop(name)
      return count
    },
    async close() {
      listeners.clear()
      await Promise.all([...lives.values()].map(async live => live.source?.close()))
      lives.clear()
    },
  }

  async function redeem(
    stored: StoredCredential,
    settings: ApplicationSettings,
    query: URLSearchParams,
    session: string,
  ): Promise<string | undefined> {
    const { name } = stored
    const finished = await (await loadSignIns()).finish(query, session, settings)
    // Changed since: the code may be for another application, and was asked for by the older one.
    if (finished.version !== stored.version) throw credentialErrors.SIGN_IN_UNKNOWN()
    const source = (await loadSources())(name, settings, stored.secrets())
    try {
      const answer = await source.redeem(finished.code, finished.redirectUri, finished.codeVerifier)
      const { refreshToken, user } = answer
      if (refreshToken === undefined) throw credentialErrors.NO_REFRESH_TOKEN({ credential: name })
      mask.rememberTokens(name, refreshToken, answer.accessToken)
      await inTurn(name, async () => {
        const held = await store.readGrant(name)
        const at = clock.now()
        const binding = bindingOf(endpointsOf(settings).tokenUrl, settings.clientId)
        const grant = { binding, user, authorisedAt: at, refreshedAt: at, refusal: undefined, refreshToken }
        await store.writeGrant(name, grant, held?.revision ?? 0)
      })
      return user
    } finally {
      await source.close()
    }
  }
}

/** Host keys are public; they are sealed so that nobody can change them unseen. */
function maskedSecrets({ knownHosts: _public, ...secrets }: Secrets): readonly (string | undefined)[] {
  return Object.values(secrets)
}

/** A new secret of another sort would change how the credential proves itself: that is a change of its settings. */
function refuseSecretNotKept({ name, secretNames }: StoredCredential, given: SecretRenewal): void {
  const keeps = new Set(secretNames.includes('privateKey') ? [...secretNames, 'certificate'] : secretNames)
  const field = Object.keys(given).find(each => !keeps.has(each))
  if (field === undefined) return
  const reason = `it keeps no ${field} that could be renewed, but ${[...keeps].join(', ') || 'nothing'}`
  throw credentialErrors.INVALID({ credential: name, reason })
}

/**
 * Origin of the token server where a change leads to another one. No secret is kept for that one: whoever may edit a
 * credential must not be able to read its secrets by sending them to a server of their own.
 */
function otherServer(before: CredentialSettings, after: CredentialSettings): string | undefined {
  if (!('provider' in before) || !('provider' in after)) return undefined
  const { origin } = new URL(endpointsOf(after).tokenUrl)
  return origin === new URL(endpointsOf(before).tokenUrl).origin ? undefined : origin
}
