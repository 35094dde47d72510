import { z } from 'zod'
import type { HubError } from '../kernel/error.ts'
import { SECOND } from '../kernel/time.ts'

export const problemType = 'application/problem+json'

/** An error as callers see it (RFC 9457), with the code, side and next step of the hub. */
export const problemSchema = z
  .object({
    type: z.string().meta({ description: 'urn:isthmus:error:<code>', examples: ['urn:isthmus:error:STORE_NOT_FOUND'] }),
    title: z.string().meta({ description: 'What happened, in one sentence.' }),
    status: z.number().int(),
    code: z.string(),
    side: z.enum(['sender', 'receiver', 'hub', 'flow', 'caller']).meta({ description: 'Whose turn it is.' }),
    next: z.string().meta({ description: 'What to do next.' }),
    instance: z.string().meta({ description: 'Path of the request.' }),
  })
  .meta({ title: 'problem' })

export type Problem = z.output<typeof problemSchema>

export function problemOf(error: HubError, instance: string, mask: (text: string) => string = same): Problem {
  return {
    type: `urn:isthmus:error:${error.code}`,
    title: mask(error.message),
    status: statusOf(error),
    code: error.code,
    side: error.side,
    next: mask(error.next),
    instance: mask(instance),
  }
}

/** Seconds for a Retry-After header, where coming back later helps. */
export function retryAfterOf(error: HubError): string | undefined {
  const waitMs = error.retryAfterMs ?? (statusOf(error) === 503 ? 5 * SECOND : undefined)
  return waitMs === undefined ? undefined : String(Math.max(1, Math.ceil(waitMs / SECOND)))
}

const statusOfCode: Readonly<Record<string, number>> = {
  API_TOKEN_MISSING: 401,
  API_TOKEN_WRONG: 401,
  API_SESSION_OVER: 401,
  API_SETUP_REFUSED: 401,
  API_FORBIDDEN: 403,
  API_SESSION_ONLY: 403,
  API_SETUP_OVER: 404,
  API_GIVES_MORE: 403,
  API_CROSS_SITE: 403,
  API_CSRF_TOKEN_MISSING: 403,
  API_PLAIN_HTTP: 403,
  API_TOO_MANY_FAILURES: 429,
  ADMIN_LOGIN_REFUSED: 401,
  ADMIN_LOGIN_TOO_OFTEN: 429,
  ADMIN_CODE_WRONG: 422,
  ADMIN_SIGN_IN_REFUSED: 403,
  ADMIN_SIGN_IN_UNKNOWN: 410,
  ADMIN_SIGN_IN_UNREACHABLE: 502,
  ADMIN_SIGN_IN_WITHOUT_ROLE: 403,
  ADMIN_NAME_RESERVED: 422,
  ADMIN_ROLE_UNKNOWN: 422,
  ADMIN_TOTP_UNKNOWN: 409,
  API_REQUEST_MALFORMED: 400,
  API_REQUEST_INVALID: 400,
  API_BASE64_INVALID: 400,
  API_TYPE_UNSUPPORTED: 415,
  ENDPOINT_CODED: 415,
  API_BODY_TOO_LARGE: 413,
  API_NOT_READY: 503,
  API_ROUTE_UNKNOWN: 404,
  API_TICKET_UNKNOWN: 410,
  API_TOO_MANY_FOLLOWERS: 429,
  BODY_TOO_LARGE: 413,
  CREDENTIAL_UNKNOWN: 404,
  CREDENTIAL_INVALID: 422,
  CREDENTIAL_NOT_AUTHORISED: 409,
  SERVICE_INSTANCE_INVALID: 422,
  SERVICE_KEY_INVALID: 422,
  SERVICE_ROLE_INVALID: 422,
  SERVICE_ROLES_UNKNOWN: 422,
  SERVICE_SPACE_INVALID: 422,
  USER_INVALID: 422,
  USER_ROLE_UNKNOWN: 422,
  ENGINE_HEADERS_TOO_LARGE: 431,
  ENGINE_QUEUE_FULL: 503,
  STORE_FULL: 503,
  STORE_DATABASE_REFUSES: 503,
  HUB_STOPPING: 503,
  ENDPOINT_NOT_LOOPBACK: 403,
  ENDPOINT_CROSS_SITE: 403,
  ENDPOINT_UNAUTHORISED: 401,
  ENDPOINT_FORBIDDEN: 403,
  ENDPOINT_TOO_MANY_FAILURES: 429,
  ENDPOINT_PLAIN_HTTP: 403,
  ENDPOINT_METHOD_REFUSED: 405,
  ENDPOINT_HEADERS_TOO_LARGE: 431,
  ENDPOINT_TOO_SLOW: 408,
}

/** The HTTP status of an error: by its code where HTTP has a word for it, by its side otherwise. */
export function statusOf(error: HubError): number {
  const byCode = statusOfCode[error.code]
  if (byCode !== undefined) return byCode
  if (error.side === 'caller') return /_(UNKNOWN|NOT_FOUND)$/.test(error.code) ? 404 : 409
  if (error.side === 'flow') return 422
  return error.side === 'hub' ? 500 : 502
}

function same(text: string): string {
  return text
}
