import type { ErrorOptions, HubError } from '../../kernel/error.ts'
import { oauthErrors } from './errors.ts'

/** An error of RFC 6749 (4.1.2.1, 5.2) as it came, from the token endpoint or in the redirect. */
export interface Refusal {
  readonly error: string
  readonly description?: string | undefined
}

/** What a sentence about a refusal may name. */
export interface RefusalContext {
  readonly credential: string
  /** Where an administrator consents for the whole organization, when the provider has such a page. */
  readonly adminConsentUrl?: string | undefined
  /** How the hub proved which application it is. */
  readonly authentication?: { readonly method: string } | undefined
}

/** A refusal as an error whose sentence and next step a person can act on. */
export function explainRefusal(refusal: Refusal, context: RefusalContext, options: ErrorOptions = {}): HubError {
  const isByTls = context.authentication?.method === 'tls' && clientRefusals.has(refusal.error)
  const known = entraCause(refusal.description) ?? (isByTls ? refusedInAnswer : causes[refusal.error])
  const { kind, reason, step } = known ?? {
    kind: 'REQUEST_REFUSED' as const,
    reason: 'it gave no reason that is known here',
    step: 'Look the answer up in the documentation of the provider, and correct the credential.',
  }
  const fields = {
    credential: context.credential,
    reason: `${reason} (${shortened(refusal)})`,
    step: step
      .replace('{credential}', context.credential)
      .replace('{consent}', context.adminConsentUrl ?? 'the consent page of the provider'),
  }
  return oauthErrors[kind](fields, options)
}

/** The same for a client certificate that a token server refused in the TLS handshake; `words`: what it said of it. */
export function explainCertificateRefusal(words: string, { credential }: RefusalContext, cause: unknown): HubError {
  const reason = `it refuses its certificate in the TLS handshake: ${words}`
  return oauthErrors.CLIENT_REFUSED({ credential, reason, step: certificateStep(credential) }, { cause })
}

function certificateStep(credential: string): string {
  return (
    `Compare client id and certificate of ${credential} with the service key or the registration they come from; ` +
    'the token URL is the one for certificates (SAP BTP: certurl, followed by /oauth/token).'
  )
}

type Kind =
  | 'CONSENT_MISSING'
  | 'SIGN_IN_NEEDED'
  | 'CLIENT_REFUSED'
  | 'REQUEST_REFUSED'
  | 'SERVER_BUSY'
  | 'SERVER_FAILED'
interface Cause {
  readonly kind: Kind
  readonly reason: string
  readonly step: string
}

const signInAgain = 'Open Credentials > {credential} and sign in again.'
const consent =
  'Let an administrator open {consent} and accept, or sign in at Credentials > {credential} as somebody who may consent.'

function cause(kind: Kind, reason: string, step: string): Cause {
  return { kind, reason, step }
}

const clientRefused = cause(
  'CLIENT_REFUSED',
  'client id, secret or certificate was refused',
  'Compare client id and secret of {credential} with the registration of the application, and enter the secret anew.',
)
const refusedInAnswer = cause('CLIENT_REFUSED', 'client id or certificate was refused', certificateStep('{credential}'))
/** Cloud Foundry's UAA, and so XSUAA, said `unauthorized` for long. */
const clientRefusals = new Set(['invalid_client', 'unauthorized'])

// RFC 6749 sections 4.1.2.1 and 5.2, OpenID Connect Core section 3.1.2.6.
const causes: Readonly<Record<string, Cause>> = {
  invalid_grant: cause('SIGN_IN_NEEDED', 'its refresh token or code was refused', signInAgain),
  interaction_required: cause('SIGN_IN_NEEDED', 'the person must act in the sign-in page', signInAgain),
  login_required: cause('SIGN_IN_NEEDED', 'the person must sign in', signInAgain),
  consent_required: cause('CONSENT_MISSING', 'the permissions were not granted', consent),
  access_denied: cause('CONSENT_MISSING', 'the person or a policy declined', consent),
  invalid_client: clientRefused,
  unauthorized: clientRefused,
  unauthorized_client: cause(
    'CLIENT_REFUSED',
    'the application may not use this kind of sign-in',
    'Allow this grant type in the registration of the application.',
  ),
  invalid_scope: cause(
    'REQUEST_REFUSED',
    'a scope is unknown or not allowed',
    'Correct the scopes of {credential}, or add the permission to the registration of the application.',
  ),
  unsupported_grant_type: cause(
    'REQUEST_REFUSED',
    'the server does not offer this kind of sign-in',
    'Use another kind of credential, or check the token URL of {credential}.',
  ),
  temporarily_unavailable: cause('SERVER_BUSY', 'it is overloaded or in maintenance', 'Nothing; the hub waits.'),
  server_error: cause('SERVER_FAILED', 'it met an error of its own', 'Nothing; the hub tries again.'),
}

// learn.microsoft.com, "Microsoft Entra authentication and authorization error codes".
const entraCauses: Readonly<Record<string, Cause>> = {
  '65001': cause('CONSENT_MISSING', 'neither the person nor an administrator has consented', consent),
  '65004': cause('CONSENT_MISSING', 'the person declined to consent', consent),
  '90093': cause('CONSENT_MISSING', 'only an administrator may grant these permissions', consent),
  '90094': cause('CONSENT_MISSING', 'only an administrator may grant these permissions', consent),
  '90095': cause('CONSENT_MISSING', 'an administrator must approve the request', consent),
  '70008': cause('SIGN_IN_NEEDED', 'the code or refresh token expired because it was not used', signInAgain),
  '700082': cause('SIGN_IN_NEEDED', 'the refresh token expired because it was not used for 90 days', signInAgain),
  '700084': cause('SIGN_IN_NEEDED', 'the refresh token of a single page application lives one day', signInAgain),
  '54005': cause('SIGN_IN_NEEDED', 'the code was used already', signInAgain),
  '50173': cause('SIGN_IN_NEEDED', 'the password was changed or the session revoked', signInAgain),
  '50133': cause('SIGN_IN_NEEDED', 'the password expired or was changed', signInAgain),
  '50055': cause('SIGN_IN_NEEDED', 'the password of the person expired', signInAgain),
  '50076': cause('SIGN_IN_NEEDED', 'a policy now asks for a second factor', signInAgain),
  '50078': cause('SIGN_IN_NEEDED', 'the second factor must be shown again', signInAgain),
  '50079': cause('SIGN_IN_NEEDED', 'the person must register a second factor', signInAgain),
  '70043': cause('SIGN_IN_NEEDED', 'a conditional access policy ended the session', signInAgain),
  '70044': cause('SIGN_IN_NEEDED', 'a conditional access policy ended the session', signInAgain),
  '53003': cause(
    'SIGN_IN_NEEDED',
    'a conditional access policy blocks this sign-in',
    'Let an administrator of Entra exempt the account or the address of the hub from the policy, then sign in again.',
  ),
  '50034': cause(
    'SIGN_IN_NEEDED',
    'the account does not exist in this tenant',
    'Check the tenant of {credential}, then sign in with an account of it.',
  ),
  '50057': cause(
    'SIGN_IN_NEEDED',
    'the account is disabled',
    'Enable the account in Entra, or sign in at Credentials > {credential} with another one.',
  ),
  '50105': cause(
    'SIGN_IN_NEEDED',
    'the account is not assigned to the application',
    'Assign it under Enterprise applications > Users and groups, then sign in again.',
  ),
  '7000215': cause(
    'CLIENT_REFUSED',
    'the client secret is wrong',
    'Enter the value of the secret (not its id) from Certificates & secrets at Credentials > {credential}.',
  ),
  '7000222': cause(
    'CLIENT_REFUSED',
    'the client secret has expired',
    'Make a new secret under Certificates & secrets and enter its value at Credentials > {credential}.',
  ),
  '7000218': cause(
    'CLIENT_REFUSED',
    'a client secret or certificate is asked for and none was sent',
    'Enter one at Credentials > {credential}, or register the redirect URI under "Mobile and desktop applications".',
  ),
  '700016': cause(
    'CLIENT_REFUSED',
    'the application is not known in this tenant',
    'Compare client id and tenant of {credential} with the Overview page of the app registration.',
  ),
  '700027': cause(
    'CLIENT_REFUSED',
    'the certificate is not registered for the application',
    'Upload the certificate under Certificates & secrets > Certificates of the app registration.',
  ),
  '700024': cause(
    'CLIENT_REFUSED',
    'the assertion is outside its time',
    'Set the clock of this machine (NTP); it differs too much from that of the sign-in server.',
  ),
  '7000112': cause('CLIENT_REFUSED', 'the application is disabled', 'Enable it under Enterprise applications.'),
  '90002': cause('CLIENT_REFUSED', 'the tenant does not exist', 'Correct the tenant of {credential} (name or id).'),
  '50011': cause(
    'REQUEST_REFUSED',
    'the redirect URI of the hub is not registered',
    'Add it under Authentication > Web of the app registration, letter for letter.',
  ),
  '70011': cause('REQUEST_REFUSED', 'a scope is not valid', 'Correct the scopes of {credential}.'),
  '650053': cause(
    'REQUEST_REFUSED',
    'a scope does not exist at that resource',
    'Correct the scopes of {credential}, or add the permission to the app registration.',
  ),
  '1002012': cause(
    'REQUEST_REFUSED',
    'client credentials want one scope that ends in /.default',
    'Set the scope of {credential} to https://outlook.office365.com/.default.',
  ),
  '500011': cause(
    'REQUEST_REFUSED',
    'the resource of the scope is not known in this tenant',
    'Correct the scopes of {credential}; for mail they begin with https://outlook.office.com/.',
  ),
  '90033': cause('SERVER_BUSY', 'it has a passing fault', 'Nothing; the hub tries again.'),
  '50196': cause('SERVER_BUSY', 'it saw too many equal requests', 'Nothing; the hub waits.'),
}

function entraCause(description: string | undefined): Cause | undefined {
  const code = /AADSTS(\d+)/.exec(description ?? '')?.[1]
  return code === undefined ? undefined : entraCauses[code]
}

// Only the first line: the rest holds trace ids, and for other providers a page of text.
function shortened({ error, description }: Refusal): string {
  const line = description
    ?.split(/[\r\n]/)[0]
    ?.replace(/\s*Trace ID:.*$/, '')
    .slice(0, 300)
  return line ? `${error}: ${line}` : error
}
