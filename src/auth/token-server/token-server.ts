import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Log } from '../../kernel/log.ts'
import type { Clock } from '../../kernel/time.ts'
import type { Records } from '../../store/port.ts'
import type { People } from '../people/people.ts'
import { FailureLimit as CallerFailures } from '../service/failure-limit.ts'
import type { AccessTokens, ServiceUsers } from '../service/model.ts'
import type { Vault } from '../vault.ts'
import { addressNow } from './client-source.ts'
import { DeniedTokens } from './denied-tokens.ts'
import { FailureLimit } from './failure-limit.ts'
import { FrontDoor } from './front-door.ts'
import { buildProvider } from './provider.ts'
import { ReplayStore } from './replay-store.ts'
import { openSigningKeys, type SigningKeys, type SigningKeyView } from './signing-keys.ts'
import { openStateStore } from './state-store.ts'
import { audienceOf, type SigningAlgorithm, tokenLimits } from './token-limits.ts'
import type { TrustedIssuers } from './trusted-issuers.ts'
import { TokenVerifier } from './verify-token.ts'

export type { SigningKeyView } from './signing-keys.ts'

export interface TokenServerOptions {
  /** Origin under which callers reach the endpoints of the hub (`https://hub.contoso.com`); it stands in every token. */
  readonly issuer: string
  readonly algorithm?: SigningAlgorithm
  readonly records: Pick<Records, 'read' | 'list' | 'write' | 'remove'>
  readonly vault: Vault
  readonly users: ServiceUsers
  readonly people: People
  readonly trusted?: TrustedIssuers
  readonly clock: Clock
  readonly log: Log
  /** DER form of the certificate that the caller proved to have; without it, the one of the TLS connection. */
  readonly certificateOf?: (request: IncomingMessage) => Uint8Array | undefined
}

/** Issues tokens to service instances (OAuth 2.0, OpenID Connect) and knows its own again. */
export interface TokenServer extends AccessTokens {
  readonly issuer: string
  /** Answers the request when its path is one of the token server's; false: it is somebody else's. */
  handle(request: IncomingMessage, response: ServerResponse): boolean
  listKeys(): readonly SigningKeyView[]
  /** A new signing key: published now, used after `tokenLimits.announceMs`, or at once. */
  rotateKeys(options: { readonly now: boolean }): Promise<SigningKeyView>
  /** Refuses the access token with this `jti` from now on. */
  revokeToken(jti: string): Promise<void>
  /** Seals the signing keys anew with the first master key of the ring. Returns how many records. */
  reseal(): Promise<number>
  close(): Promise<void>
}

/** Reads keys and refusals from the store and stands ready to answer. Throws TOKEN_… errors. */
export async function openTokenServer(options: TokenServerOptions): Promise<TokenServer> {
  const { records, vault, people, clock, log, algorithm = 'ES256' } = options
  const issuer = new URL(options.issuer).origin
  const trusted = options.trusted ?? new Map()
  const keys = await openSigningKeys({ records, vault, clock, algorithm })
  const denied = await DeniedTokens.open(records, clock)
  const state = await openStateStore({ records, clock, denied, callerAddress: addressNow })
  const replays = new ReplayStore(records, clock)
  const verifier = new TokenVerifier({ issuer, audience: audienceOf(issuer), keys, denied, people, trusted, clock })
  const parts = {
    ...options,
    issuer,
    trusted,
    keys,
    denied,
    state,
    replays,
    verifier,
    callerFailures: new CallerFailures(clock),
    passwordFailures: new FailureLimit(tokenLimits.passwordFailures, clock),
    addressFailures: new FailureLimit(tokenLimits.addressFailures, clock),
  }
  const door = new FrontDoor(parts, () => buildProvider(parts))

  const endPurge = repeat(
    clock,
    tokenLimits.purgeEveryMs,
    async () => {
      const gone = (await state.purge()) + (await denied.purge()) + (await replays.purge()) + (await keys.purge())
      if (gone > 0) log.debug('token.purged', { records: gone })
    },
    thrown => log.warn('token.purge-failed', { text: thrown instanceof Error ? thrown.message : String(thrown) }),
  )

  return {
    issuer,
    handle: (request, response) => door.handle(request, response),
    verifyAccessToken: token => verifier.verify(token),
    hasExpired: token => verifier.hasExpired(token),
    isRevoked: claims => verifier.isRevoked(claims),
    listKeys: () => keys.list(),
    rotateKeys: ({ now }) => keys.rotate(now),
    revokeToken: jti => denied.deny('jti', jti, clock.now() + tokenLimits.accessTokenMsMax),
    reseal: () => keys.reseal(),
    async close() {
      endPurge()
      keys.close()
    },
  }
}

export type TokenParts = Omit<TokenServerOptions, 'trusted'> & {
  readonly trusted: TrustedIssuers
  readonly keys: SigningKeys
  readonly denied: DeniedTokens
  readonly state: Awaited<ReturnType<typeof openStateStore>>
  readonly replays: ReplayStore
  readonly verifier: TokenVerifier
  /** Wrong secrets and unknown clients, as the guard of the endpoints counts them. */
  readonly callerFailures: CallerFailures
  /** Wrong passwords by address and user. */
  readonly passwordFailures: FailureLimit
  /** Wrong passwords by address. */
  readonly addressFailures: FailureLimit
}

/** Does the work again and again, one at a time; the returned function ends it. */
function repeat(clock: Clock, everyMs: number, work: () => Promise<void>, onFailure: (thrown: unknown) => void) {
  let isOver = false
  let cancel = clock.after(everyMs, run)
  function run(): void {
    work()
      .catch(onFailure)
      .finally(() => {
        if (!isOver) cancel = clock.after(everyMs, run)
      })
  }
  return () => {
    isOver = true
    cancel()
  }
}
