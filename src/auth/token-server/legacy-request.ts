import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { readForm } from './read-form.ts'
import { tokenLimits } from './token-limits.ts'

/** What older senders put into the URL of a token request. */
const urlParameters = ['grant_type', 'response_type', 'scope'] as const
/** What would stand in the logs of every proxy on the way. */
const secretParameters = [
  'client_secret',
  'password',
  'assertion',
  'client_assertion',
  'refresh_token',
  'code',
  'code_verifier',
  'token',
]

/** Why a request to an endpoint of clients is refused for what its URL carries; undefined: it may go on. */
export function checkUrlParameters(request: IncomingMessage): string | undefined {
  const query = queryOf(request)
  const secret = secretParameters.find(name => query.has(name))
  if (secret !== undefined) return `${secret} must not stand in the URL`
  const twice = urlParameters.find(name => query.getAll(name).length > 1)
  return twice === undefined ? undefined : `${twice} stands twice in the URL`
}

/**
 * `POST /oauth/token?grant_type=client_credentials` with an empty body is how SAP documents the call, and how senders
 * made for it ask. Puts such parameters into the form, where the form itself does not say otherwise. False: the form
 * could not be read.
 */
export async function takeLegacyParameters(request: IncomingMessage): Promise<boolean> {
  const query = queryOf(request)
  const given = urlParameters.filter(name => query.has(name))
  if (given.length === 0) return true
  const form = await readForm(request, tokenLimits.formBytes)
  if (!form) return false
  for (const name of given) if (!form.has(name)) form.set(name, query.get(name) ?? '')
  const body = Buffer.from(form.toString())
  request.headers['content-type'] = 'application/x-www-form-urlencoded'
  request.headers['content-length'] = String(body.length)
  delete request.headers['transfer-encoding']
  // The form was read to its end; whoever reads the request next gets the completed one.
  Object.defineProperty(request, 'readable', { value: true, configurable: true })
  request.iterator = () => Readable.from([body]).iterator()
  return true
}

function queryOf(request: IncomingMessage): URLSearchParams {
  return new URLSearchParams((request.url ?? '').split('?').slice(1).join('?'))
}
