import type { AccessToken } from '../kernel/credential.ts'
import type { HubError } from '../kernel/error.ts'
import { type CertificateFacts, certificateFacts } from './certificate-facts.ts'
import { bindingOf, type StoredCredential, type StoredGrant } from './credential-store.ts'
import { credentialErrors } from './errors.ts'
import { type KnownHost, readKnownHosts } from './known-hosts.ts'
import { endpointsOf } from './provider.ts'

type CredentialState =
  /** It can be used, or nothing speaks against it yet. */
  | 'ready'
  /** Somebody must sign in. */
  | 'needs-authorisation'
  /** Somebody must consent to what the application may do. */
  | 'consent-missing'
  /** The other side refuses the application, its secret or its request. */
  | 'refused'

export interface CredentialStatus {
  readonly state: CredentialState
  /** Who signed in. */
  readonly user: string | undefined
  /** End of the token in use, milliseconds since 1970 UTC. */
  readonly expiresAt: number | undefined
  readonly authorisedAt: number | undefined
  readonly lastRefreshAt: number | undefined
  /** The certificate that is kept, without its key. */
  readonly certificate: CertificateFacts | undefined
  /** Servers of a credential of kind known-hosts. */
  readonly hosts: readonly KnownHost[] | undefined
  /** What went wrong the last time, and what to do. */
  readonly error:
    | { readonly code: string; readonly message: string; readonly next: string; readonly at: number | undefined }
    | undefined
}

export interface StatusFacts {
  readonly grant: StoredGrant | undefined
  readonly token: AccessToken | undefined
  readonly failure: { readonly error: HubError; readonly at: number } | undefined
  readonly now: number
}

/** What people are told about a credential. */
export function statusOf(stored: StoredCredential, { grant, token, failure, now }: StatusFacts): CredentialStatus {
  const settings = stored.settings()
  const pem = 'certificate' in settings ? settings.certificate : undefined
  const certificate = pem === undefined ? undefined : certificateFacts(pem)
  const facts = {
    certificate,
    hosts: settings.kind === 'known-hosts' ? readKnownHosts(stored.secrets().knownHosts ?? '') : undefined,
    user: grant?.user,
    expiresAt: token?.expiresAt,
    authorisedAt: grant?.authorisedAt,
    lastRefreshAt: grant?.refreshedAt,
  }
  if (certificate && certificate.endsAt <= now) {
    const day = new Date(certificate.endsAt).toISOString().slice(0, 10)
    const ended = credentialErrors.CERTIFICATE_ENDED({ credential: stored.name, day })
    return { ...facts, state: 'refused', error: { ...wordsOf(ended), at: certificate.endsAt } }
  }
  const error = failure ? { ...wordsOf(failure.error), at: failure.at } : refusalThatHolds(stored, grant)
  if (settings.kind === 'oauth2-authorization-code') {
    const binding = bindingOf(endpointsOf(settings).tokenUrl, settings.clientId)
    if (grant?.binding !== binding) {
      const missing = { ...wordsOf(credentialErrors.NOT_AUTHORISED({ credential: stored.name })), at: undefined }
      const state = error?.code === 'OAUTH_CONSENT_MISSING' ? 'consent-missing' : 'needs-authorisation'
      return { ...facts, state, error: error ?? missing }
    }
  }
  return { ...facts, state: stateAfter(error?.code), error: error && { ...wordsOf(error), at: error.at } }
}

/** What was said of the secret before it was renewed holds no more; that somebody has to sign in does. */
function refusalThatHolds({ changedAt }: StoredCredential, grant: StoredGrant | undefined) {
  const refusal = grant?.refusal
  return refusal && stateAfter(refusal.code) === 'refused' && refusal.at < changedAt ? undefined : refusal
}

function stateAfter(code: string | undefined): CredentialState {
  if (code === 'OAUTH_CONSENT_MISSING') return 'consent-missing'
  if (code === 'OAUTH_SIGN_IN_NEEDED' || code === 'CREDENTIAL_NOT_AUTHORISED') return 'needs-authorisation'
  return code === 'OAUTH_CLIENT_REFUSED' || code === 'OAUTH_REQUEST_REFUSED' ? 'refused' : 'ready'
}

function wordsOf({ code, message, next }: { code: string; message: string; next: string }) {
  return { code, message, next }
}
