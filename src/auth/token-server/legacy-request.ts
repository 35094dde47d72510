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

/** True for a request whose form has to be read before oidc-provider sees it. */
export function isLegacyRequest(request: IncomingMessage): boolean {
  const query = queryOf(request)
  return urlParameters.some(name => query.has(name)) || bearerOf(request) !== undefined
}

/**
 * The form, completed with parameters of the URL where it does not say otherwise: `POST
 * /oauth/token?grant_type=client_credentials` with an empty body is how SAP documents the call, and how senders made for
 * it ask. Undefined when the form is too large or not complete.
 */
export async function readLegacyForm(request: IncomingMessage): Promise<URLSearchParams | undefined> {
  const query = queryOf(request)
  const form = await readForm(request, tokenLimits.formBytes)
  for (const name of urlParameters) {
    const value = query.get(name)
    if (form && value !== null && !form.has(name)) form.set(name, value)
  }
  return form
}

/** Whoever reads the request next gets this form. */
export function replaceForm(request: IncomingMessage, form: URLSearchParams): void {
  const body = Buffer.from(form.toString())
  request.headers['content-type'] = 'application/x-www-form-urlencoded'
  request.headers['content-length'] = String(body.length)
  delete request.headers['transfer-encoding']
  Object.defineProperty(request, 'readable', { value: true, configurable: true })
  request.iterator = () => Readable.from([body]).iterator()
}

/** The access token in place of a client's proof, as the UAA takes it for the grant user_token. */
export function bearerOf(request: IncomingMessage): string | undefined {
  return /^bearer +([^ ]+)$/i.exec(request.headers.authorization ?? '')?.[1]
}

function queryOf({ url = '' }: IncomingMessage): URLSearchParams {
  const at = url.indexOf('?')
  return at < 0 ? noQuery : new URLSearchParams(url.slice(at + 1))
}

/** Of nearly every request. Nobody changes a query. */
const noQuery = new URLSearchParams()
