import { createHash, timingSafeEqual, type X509Certificate } from 'node:crypto'
import { decodeProtectedHeader, errors, jwtVerify } from 'jose'
import type { App } from './directory.ts'
import { refuse } from './entra-error.ts'

/** How the app proved itself; it stands in the token as appidacr. */
export type ClientProof = '0' | '1' | '2'

const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
// Clocks of two machines differ; Entra allows five minutes.
const clockToleranceS = 300

/**
 * Checks the client's secret (form field or Basic) or its assertion signed with a certificate (RFC 7523 section 3).
 * Throws Entra's invalid_client refusals. `audiences` are the names by which this tenant's token endpoint is known.
 */
export async function proveClient(
  app: App,
  form: URLSearchParams,
  basic: { readonly user: string; readonly password: string } | undefined,
  audiences: readonly string[],
  nowMs: number,
): Promise<ClientProof> {
  const assertion = form.get('client_assertion')
  const secret = form.get('client_secret') ?? basic?.password
  const isPublic = app.secrets.length === 0 && app.certificates.length === 0
  if (isPublic) {
    if (assertion !== null || secret !== undefined) throw refuse('CLIENT_PUBLIC')
    return '0'
  }
  if (assertion !== null) {
    if (form.get('client_assertion_type') !== assertionType) {
      throw refuse('PARAMETER_MISSING', { name: 'client_assertion_type' })
    }
    await checkAssertion(app, assertion, audiences, nowMs)
    return '2'
  }
  if (secret === undefined || secret === '') throw refuse('CLIENT_UNPROVEN')
  const found = app.secrets.find(candidate => isSame(candidate.value, secret))
  if (!found) throw refuse('SECRET_WRONG', { app: app.clientId })
  if (found.expiresAt <= nowMs) throw refuse('SECRET_EXPIRED', { app: app.clientId })
  return '1'
}

async function checkAssertion(app: App, assertion: string, audiences: readonly string[], nowMs: number): Promise<void> {
  const certificate = findCertificate(app, assertion)
  if (!certificate) throw refuse('ASSERTION_SIGNATURE', { text: 'no registered certificate has this thumbprint' })
  if (certificate.validToDate.getTime() <= nowMs) throw refuse('CERTIFICATE_EXPIRED')
  try {
    await jwtVerify(assertion, certificate.publicKey, {
      algorithms: ['PS256', 'RS256'],
      issuer: app.clientId,
      subject: app.clientId,
      audience: [...audiences],
      requiredClaims: ['exp', 'jti'],
      clockTolerance: clockToleranceS,
      currentDate: new Date(nowMs),
    })
  } catch (error) {
    if (error instanceof errors.JWTExpired) throw refuse('ASSERTION_TIME')
    if (error instanceof errors.JWTClaimValidationFailed) {
      if (error.claim === 'aud') throw refuse('ASSERTION_AUDIENCE')
      if (error.claim === 'nbf') throw refuse('ASSERTION_TIME')
    }
    throw refuse('ASSERTION_SIGNATURE', { text: error instanceof Error ? error.message : String(error) })
  }
}

/** The registered certificate that the assertion's header names by SHA-256 or SHA-1 thumbprint. */
function findCertificate(app: App, assertion: string): X509Certificate | undefined {
  let header: ReturnType<typeof decodeProtectedHeader>
  try {
    header = decodeProtectedHeader(assertion)
  } catch (error) {
    throw refuse('ASSERTION_SIGNATURE', { text: error instanceof Error ? error.message : String(error) })
  }
  return app.certificates.find(
    certificate =>
      header['x5t#S256'] === thumbprint(certificate, 'sha256') || header.x5t === thumbprint(certificate, 'sha1'),
  )
}

function thumbprint(certificate: X509Certificate, digest: 'sha256' | 'sha1'): string {
  return createHash(digest).update(certificate.raw).digest('base64url')
}

function isSame(expected: string, given: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(expected), digest(given))
}
