import type { IncomingHttpHeaders } from 'node:http'
import type { HubError } from '../kernel/error.ts'
import { apiErrors } from './api-errors.ts'
import { isLoopback } from './request-guard.ts'

/**
 * With this prefix browsers take the cookie over HTTPS (or from this very machine) only, for this host and path, so that
 * no neighbour can plant one (RFC 6265bis section 4.1.3).
 */
export const sessionCookie = '__Host-isthmus'

/** Ties a log-in at an identity provider to the browser that began it. */
export const signInCookie = '__Host-isthmus-sign-in'

const attributes = 'Path=/; Secure; HttpOnly; SameSite=Strict'

export function setSessionCookie(id: string): string {
  return `${sessionCookie}=${id}; ${attributes}`
}

export function clearSessionCookie(): string {
  return `${sessionCookie}=; ${attributes}; Max-Age=0`
}

/** The value of a cookie that is there once; of one that somebody set twice nobody knows which was meant. */
export function readCookie(header: string | undefined, name: string): string | undefined {
  const values = (header ?? '').split(';').flatMap(part => {
    const [each, value] = part.trim().split('=', 2)
    return each === name && value ? [value] : []
  })
  return values.length === 1 ? values[0] : undefined
}

/** Why a browser must not be believed: the page that drives it is of another site. */
export function findCrossSite(headers: IncomingHttpHeaders, publicUrl: string | undefined): HubError | undefined {
  const site = headers['sec-fetch-site']
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return apiErrors.CROSS_SITE()
  const { origin, host } = headers
  if (origin === undefined) return undefined
  const own = publicUrl === undefined ? `http://${host}` : new URL(publicUrl).origin
  return origin === own ? undefined : apiErrors.CROSS_SITE()
}

/** Passwords travel over HTTPS, or do not leave this machine. */
export function findReadable(
  headers: IncomingHttpHeaders,
  address: string,
  publicUrl: string | undefined,
): HubError | undefined {
  if (publicUrl?.startsWith('https:')) return undefined
  const isNear = isLoopback(address) && headers['x-forwarded-proto'] !== 'http'
  return isNear ? undefined : apiErrors.PLAIN_HTTP()
}
