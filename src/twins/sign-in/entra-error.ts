import { randomUUID } from 'node:crypto'

interface EntraErrorSpec {
  readonly error: string
  readonly code: number
  readonly status: number
  readonly text: string
  readonly suberror?: string
}

interface RefusalOptions {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
}

/** A refusal of the sign-in twin; it ends as a JSON answer, as a redirect or on a page, never in the hub's log. */
export class EntraError extends Error {
  readonly spec: EntraErrorSpec
  readonly status: number
  readonly headers: Readonly<Record<string, string>>

  constructor(spec: EntraErrorSpec, text: string, options: RefusalOptions = {}) {
    super(`AADSTS${spec.code}: ${text}`)
    this.spec = spec
    this.status = options.status ?? spec.status
    this.headers = options.headers ?? {}
  }
}

/**
 * The refusals that the twin knows, with Entra's numbers and OAuth codes (learn.microsoft.com, "Microsoft Entra
 * authentication and authorization error codes"). Clients must decide by `error` and `suberror`: texts change.
 */
export const entraErrors = {
  TENANT_UNKNOWN: spec('invalid_request', 90002, 400, "Tenant '{tenant}' not found."),
  TENANT_MISSING: spec(
    'invalid_request',
    50059,
    400,
    'No tenant-identifying information found in either the request or implied by any provided credentials.',
  ),
  PARAMETER_MISSING: spec(
    'invalid_request',
    900144,
    400,
    "The request must contain the following parameter: '{name}'.",
  ),
  REQUEST_MALFORMED: spec('invalid_request', 9002313, 400, 'Invalid request. Request is malformed or invalid.'),
  GRANT_MALFORMED: spec('invalid_grant', 9002313, 400, 'Invalid request. Request is malformed or invalid.'),
  APP_UNKNOWN: spec(
    'unauthorized_client',
    700016,
    400,
    "Application with identifier '{app}' was not found in the directory '{tenant}'.",
  ),
  REDIRECT_MISMATCH: spec(
    'invalid_request',
    50011,
    400,
    "The redirect URI '{redirect}' does not match the redirect URIs configured for the application '{app}'.",
  ),
  RESPONSE_TYPE: spec('unsupported_response_type', 70005, 400, "The response type '{name}' is not supported."),
  RESPONSE_MODE: spec('invalid_request', 70007, 400, "'{name}' is not a supported value for 'response_mode'."),
  GRANT_TYPE: spec('unsupported_grant_type', 70003, 400, "The app requested an unsupported grant type '{name}'."),
  SCOPE_INVALID: spec(
    'invalid_scope',
    70011,
    400,
    "The provided value for the input parameter 'scope' is not valid. The scope '{scope}' is not valid.",
  ),
  SCOPE_NOT_DEFAULT: spec(
    'invalid_scope',
    1002012,
    400,
    'The provided value for scope {scope} is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier (application ID URI).',
  ),
  RESOURCE_UNKNOWN: spec(
    'invalid_resource',
    500011,
    400,
    'The resource principal named {scope} was not found in the tenant named {tenant}.',
  ),
  RESOURCES_MIXED: spec(
    'invalid_request',
    28000,
    400,
    "Provided value for the input parameter 'scope' is not valid because it contains more than one resource.",
  ),
  PKCE_REQUIRED: spec('invalid_request', 50147, 400, 'The code_challenge parameter with method S256 is required here.'),
  PKCE_MISMATCH: spec(
    'invalid_grant',
    501481,
    400,
    'The Code_Verifier does not match the code_challenge supplied in the authorization request.',
  ),
  CODE_USED: spec(
    'invalid_grant',
    54005,
    400,
    'OAuth2 Authorization code was already redeemed, please retry with a new valid code or use an existing refresh token.',
  ),
  GRANT_EXPIRED: spec(
    'invalid_grant',
    70008,
    400,
    'The provided authorization code or refresh token has expired due to inactivity. Send a new interactive authorization request for this user and resource.',
  ),
  GRANT_REVOKED: spec(
    'invalid_grant',
    50173,
    400,
    'The provided grant has expired due to it being revoked, a fresh auth token is needed.',
  ),
  CONSENT_MISSING: spec(
    'invalid_grant',
    65001,
    400,
    "The user or administrator has not consented to use the application with ID '{app}' named '{name}'. Send an interactive authorization request for this user and resource.",
    'consent_required',
  ),
  CONSENT_DECLINED: spec('access_denied', 65004, 400, 'User declined to consent to access the app.'),
  ADMIN_NEEDED: spec(
    'access_denied',
    90094,
    400,
    'An administrator of {tenant} has set a policy that prevents you from granting {name} the permissions it is requesting.',
  ),
  LOGIN_REQUIRED: spec('login_required', 50058, 400, 'A silent sign-in request was sent but no user is signed in.'),
  USER_UNKNOWN: spec('invalid_grant', 50034, 400, 'The user account {user} does not exist in the {tenant} directory.'),
  CLIENT_UNPROVEN: spec(
    'invalid_client',
    7000218,
    401,
    "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
  ),
  CLIENT_PUBLIC: spec(
    'invalid_client',
    700025,
    401,
    "Client is public so neither 'client_assertion' nor 'client_secret' should be presented.",
  ),
  SECRET_WRONG: spec('invalid_client', 7000215, 401, "Invalid client secret provided for app '{app}'."),
  SECRET_EXPIRED: spec('invalid_client', 7000222, 401, "The provided client secret keys for app '{app}' are expired."),
  ASSERTION_SIGNATURE: spec(
    'invalid_client',
    700027,
    401,
    'The certificate with identifier used to sign the client assertion is not registered on application, or the signature does not fit: {text}.',
  ),
  ASSERTION_TIME: spec('invalid_client', 700024, 401, 'Client assertion is not within its valid time range.'),
  ASSERTION_AUDIENCE: spec(
    'invalid_client',
    700023,
    401,
    'Client assertion audience claim does not match Realm issuer.',
  ),
  CERTIFICATE_EXPIRED: spec(
    'invalid_client',
    1000502,
    401,
    'The provided certificate is not within its specified validity period.',
  ),
  THROTTLED: spec('temporarily_unavailable', 90055, 429, 'There are too many incoming requests.'),
  UNAVAILABLE: spec('temporarily_unavailable', 90033, 503, 'A transient error has occurred. Please try again.'),
} as const

/** Makes the error: `refuse('APP_UNKNOWN', { app, tenant })`. Placeholders are filled from the fields. */
export function refuse(
  name: keyof typeof entraErrors,
  fields: Readonly<Record<string, string>> = {},
  options: RefusalOptions = {},
): EntraError {
  const found = entraErrors[name]
  return new EntraError(
    found,
    found.text.replace(/\{(\w+)\}/g, (whole, key: string) => fields[key] ?? whole),
    options,
  )
}

/** The JSON document that Entra answers with. */
export function describeError(error: EntraError, origin: string, nowMs: number): Record<string, unknown> {
  const traceId = randomUUID()
  const correlationId = randomUUID()
  const timestamp = `${new Date(nowMs).toISOString().slice(0, 19).replace('T', ' ')}Z`
  return {
    error: error.spec.error,
    error_description: `${error.message} Trace ID: ${traceId} Correlation ID: ${correlationId} Timestamp: ${timestamp}`,
    error_codes: [error.spec.code],
    timestamp,
    trace_id: traceId,
    correlation_id: correlationId,
    error_uri: `${origin}/error?code=${error.spec.code}`,
    ...(error.spec.suberror === undefined ? {} : { suberror: error.spec.suberror }),
  }
}

function spec(error: string, code: number, status: number, text: string, suberror?: string): EntraErrorSpec {
  return { error, code, status, text, ...(suberror === undefined ? {} : { suberror }) }
}
