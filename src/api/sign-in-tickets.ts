import { randomBytes } from 'node:crypto'
import { type Clock, MINUTE } from '../kernel/time.ts'
import { iso } from './views.ts'

export const callbackPath = '/oauth/callback'
export const startPath = '/oauth/start'

const ticketMs = 10 * MINUTE
const ticketsMax = 200

/**
 * Tickets that let a browser begin a sign-in which was asked for with the admin token: whoever asks may be a command
 * line, but the sign-in must begin and end in one browser.
 */
export interface SignInTickets {
  issue(credential: string): { readonly url: string; readonly redirectUri: string; readonly expiresAt: string }
  /** Uses a ticket up; the name of its credential, or undefined when it is not valid. */
  redeem(ticket: string): string | undefined
  /** The address that the sign-in server sends the browser back to. */
  redirectUri(): string
}

/** `publicUrl` is asked for at each use, since the port may be known only once the server listens. */
export function createSignInTickets(clock: Clock, publicUrl: () => string): SignInTickets {
  const open = new Map<string, { readonly credential: string; readonly until: number }>()

  function redirectUri(): string {
    return `${publicUrl()}${callbackPath}`
  }

  return {
    redirectUri,
    issue(credential) {
      const now = clock.now()
      for (const [ticket, { until }] of open) if (until <= now || open.size >= ticketsMax) open.delete(ticket)
      const ticket = randomBytes(32).toString('base64url')
      open.set(ticket, { credential, until: now + ticketMs })
      return {
        url: `${publicUrl()}${startPath}?ticket=${ticket}`,
        redirectUri: redirectUri(),
        expiresAt: iso(now + ticketMs),
      }
    },
    redeem(ticket) {
      const found = open.get(ticket)
      open.delete(ticket)
      return found && found.until > clock.now() ? found.credential : undefined
    },
  }
}
