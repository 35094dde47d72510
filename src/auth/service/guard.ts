import { hash, randomBytes } from 'node:crypto'
import type { Log } from '../../kernel/log.ts'
import type { Clock } from '../../kernel/time.ts'
import { readBasic } from './basic-header.ts'
import { thumbprintOf } from './client-certificate.ts'
import { FailureLimit } from './failure-limit.ts'
import { guardLimits } from './guard-limits.ts'
import type {
  AccessTokenClaims,
  AccessTokens,
  Admission,
  Caller,
  Check,
  GrantType,
  Guard,
  GuardedRequest,
  GuardReason,
  ServiceUsers,
} from './model.ts'

export interface GuardOptions {
  readonly users: Pick<
    ServiceUsers,
    'checkSecret' | 'checkCertificate' | 'checkKey' | 'effectiveRoles' | 'noteUse' | 'instanceOfClient'
  >
  /** Without a token server no token counts; asked at each call, since it may open later. */
  readonly tokens?: () => AccessTokens | undefined
  readonly clock: Clock
  readonly log: Log
  /** Counts refusals for the metrics. */
  readonly onRefused?: (reason: GuardReason) => void
}

/** What a request proved, before anybody asks what its caller may do. */
type Proof =
  | {
      readonly ok: true
      readonly by: Caller['by']
      readonly check: Check & { ok: true }
      readonly claims?: AccessTokenClaims
    }
  | { readonly ok: false; readonly reason: GuardReason; readonly keyId?: string; readonly clientId?: string }

/** A credential that was found right once; what became of its key and instance since is asked each time. */
type Remembered =
  | { readonly by: 'basic'; readonly clientId: string; readonly keyId: string; readonly until: number }
  | { readonly by: 'bearer'; readonly claims: AccessTokenClaims; readonly until: number }

// Three parts of base64url (RFC 7515 section 7.1); libraries let other letters and padding pass.
const tokenShape = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/

const basicChallenge = 'Basic realm="isthmus", charset="UTF-8"'
const bearerChallenge = 'Bearer realm="isthmus"'

/** Answered with 401 however often: whoever waits for it to get a new token would never ask for one. */
const noGuesses: ReadonlySet<GuardReason> = new Set(['no-credential', 'token-expired'])

/** An instance that lists none of these acts for users alone, as its tokens say. */
const grantsForItself: ReadonlySet<GrantType> = new Set(['client_credentials', 'client_x509'])

/** The one check of Basic, Bearer and client certificate; every change of keys and roles counts on the next call. */
export function createGuard({ users, tokens, clock, log, onRefused }: GuardOptions): Guard {
  const failures = new FailureLimit(clock)
  const remembered = new Map<string, Remembered>()

  function prove(request: GuardedRequest): Proof | Promise<Proof> {
    const { authorization } = request
    if (authorization === undefined) return proveByCertificate(request)
    const known = remembered.get(digestOf(authorization))
    if (known && clock.now() < known.until) return proveAgain(known, request)
    const [, scheme = '', value = ''] = /^([A-Za-z]+) +([^ ]+)$/.exec(authorization) ?? []
    if (/^basic$/i.test(scheme)) return proveByBasic(authorization, value)
    if (/^bearer$/i.test(scheme)) return proveByToken(authorization, value, request)
    return { ok: false, reason: scheme === '' ? 'malformed' : 'unknown-scheme' }
  }

  function proveAgain(known: Remembered, request: GuardedRequest): Proof {
    if (known.by === 'bearer') return proveClaims(known.claims, request)
    return asProof('basic', users.checkKey(known.clientId, known.keyId))
  }

  function proveByBasic(authorization: string, encoded: string): Proof {
    const [raw, ...others] = readBasic(encoded)
    // What cannot be read costs what a wrong secret costs.
    const first = users.checkSecret(raw?.clientId ?? '', raw?.secret ?? '')
    if (!raw) return { ok: false, reason: 'malformed' }
    const right = [first, ...others.map(({ clientId, secret }) => users.checkSecret(clientId, secret))].find(
      check => check.ok,
    )
    if (right?.ok) {
      const { instance, key } = right
      const until = clock.now() + guardLimits.cacheMs
      remember(authorization, { by: 'basic', clientId: instance.clientId, keyId: key.id, until })
    }
    return asProof('basic', right ?? first)
  }

  async function proveByToken(authorization: string, token: string, request: GuardedRequest): Promise<Proof> {
    const isToken = token.length <= guardLimits.tokenBytes && tokenShape.test(token)
    if (!isToken) return { ok: false, reason: 'malformed' }
    const claims = await tokens?.()?.verifyAccessToken(token)
    if (!claims) {
      const hasExpired = await tokens?.()?.hasExpired(token)
      return { ok: false, reason: hasExpired ? 'token-expired' : 'token-not-genuine' }
    }
    const until = Math.min(clock.now() + guardLimits.cacheMs, claims.expiresAt)
    remember(authorization, { by: 'bearer', claims, until })
    return proveClaims(claims, request)
  }

  function proveClaims(claims: AccessTokenClaims, request: GuardedRequest): Proof {
    const { clientId, keyId, thumbprint } = claims
    const named = { ok: false, keyId, clientId } as const
    if (clock.now() >= claims.expiresAt) return { ...named, reason: 'token-expired' }
    if (tokens?.()?.isRevoked(claims) !== false) return { ...named, reason: 'token-revoked' }
    if (thumbprint !== undefined) {
      const certificate = request.certificate()
      const isItsOwn = certificate !== undefined && thumbprintOf(certificate) === thumbprint
      if (!isItsOwn) return { ...named, reason: 'token-without-its-certificate' }
    }
    const check = users.checkKey(clientId, keyId)
    return check.ok ? { ok: true, by: 'bearer', check, claims } : check
  }

  function proveByCertificate(request: GuardedRequest): Proof {
    const certificate = request.certificate()
    if (!certificate) return { ok: false, reason: 'no-credential' }
    return asProof('certificate', users.checkCertificate(certificate))
  }

  function remember(authorization: string, proven: Remembered): void {
    const oldest = remembered.keys().next()
    if (remembered.size >= guardLimits.cacheEntries && !oldest.done) remembered.delete(oldest.value)
    const digest = digestOf(authorization)
    remembered.delete(digest)
    remembered.set(digest, proven)
  }

  function decide(proof: Proof, request: GuardedRequest, role: string): Admission {
    if (!proof.ok) return refuse(401, proof.reason, proof, request, role)
    const { instance, key } = proof.check
    const named = { clientId: instance.clientId, keyId: key.id }
    if (instance.plan !== 'integration-flow') return refuse(403, 'plan-of-the-api', named, request, role)
    // Without a token it calls for itself, and not for a user whose roles would narrow what it may.
    const isForItself = instance.grantTypes.some(grant => grantsForItself.has(grant))
    if (!proof.claims && !isForItself) return refuse(403, 'grant-not-listed', named, request, role)
    if (!users.effectiveRoles(instance).includes(role)) return refuse(403, 'role-missing', named, request, role)
    // A token may carry less than its instance has, and never more.
    if (proof.claims && !proof.claims.scope.includes(role)) {
      return refuse(403, 'role-not-in-token', named, request, role)
    }
    users.noteUse(key.id, request.address)
    const { subject = instance.clientId, trustedIssuer: idp } = proof.claims ?? {}
    return { ...named, instance: instance.name, subject, idp, by: proof.by }
  }

  function refuse(
    status: 401 | 403,
    reason: GuardReason,
    named: { readonly keyId?: string; readonly clientId?: string },
    request: GuardedRequest,
    role: string,
  ): Admission {
    onRefused?.(reason)
    const isGuess = status === 401 && !noGuesses.has(reason)
    const tooMany = isGuess ? failures.note(request.address, named.clientId) : undefined
    const correlationId = randomBytes(8).toString('hex')
    const { address, path } = request
    const fields = { correlation: correlationId, reason, client: named.clientId, key: named.keyId, address, path, role }
    if (!tooMany) log.warn('caller.refused', { status, ...fields })
    else if (tooMany.isFirst) log.error('caller.refused-often', { ...fields, waitMs: tooMany.waitMs })
    const isToken = /^bearer /i.test(request.authorization ?? '')
    const challenges = isToken ? [`${bearerChallenge}, error="invalid_token"`] : [basicChallenge, bearerChallenge]
    return {
      refusal: {
        status: tooMany ? 429 : status,
        correlationId,
        retryAfterMs: tooMany?.waitMs,
        challenges: status === 401 && !tooMany ? challenges : [],
      },
    }
  }

  return {
    admit(request, role) {
      const proof = prove(request)
      if (proof instanceof Promise) return proof.then(proven => decide(proven, request, role))
      return decide(proof, request, role)
    },
  }
}

function asProof(by: Caller['by'], check: Check): Proof {
  return check.ok ? { ok: true, by, check } : check
}

/** What is remembered is no credential: whoever reads the memory of the hub finds none here. */
function digestOf(authorization: string): string {
  return hash('sha256', authorization, 'base64')
}
