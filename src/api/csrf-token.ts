import type { IncomingMessage } from 'node:http'
import type { HttpResponse, HttpRoute } from '../kernel/http-exchange.ts'

/** Nobody compares it: who calls proves it with each request, and no cookie does, so another site has nothing to forge. */
const token = 'not-needed'

/**
 * Whether a caller asks for a CSRF token before it sends (`X-CSRF-Token: Fetch`), as those do that were set up for SAP
 * Gateway, or for HTTPS senders of SAP Cloud Integration. Where messages can be read only, GET reads them all the same.
 */
export function isTokenFetch({ method, headers }: IncomingMessage, { methods }: HttpRoute): boolean {
  if (String(headers['x-csrf-token']).toLowerCase() !== 'fetch') return false
  if (method === 'GET') return methods.some(each => each !== 'GET' && each !== 'HEAD')
  return method === 'HEAD' || method === 'OPTIONS'
}

/** Lets such a caller go on; what it sends along as its token later is ignored. */
export const tokenAnswer: HttpResponse = {
  status: 200,
  headers: { 'x-csrf-token': token, 'cache-control': 'no-store' },
  body: '',
}
