import type { IncomingMessage } from 'node:http'
import { type Guard, splitBasic } from './guard.ts'
import type { ServiceAnswer } from './service.ts'

export const tokenPath = '/sap/bc/sec/oauth2/token'

/** Says whose an assertion is, or throws why it is refused. */
export type ReadAssertion = (assertion: string) => string

export interface TokenOptions {
  readonly guard: Guard
  readonly expiresInS: number
  readonly readAssertion: ReadAssertion | undefined
}

/** The token endpoint of the system: client credentials, and assertions (RFC 7522) where the twin can read them. */
export function answerToken(
  { guard, expiresInS, readAssertion }: TokenOptions,
  request: IncomingMessage,
  body: string,
): ServiceAnswer {
  const form = new URLSearchParams(body)
  const [, basic] = /^Basic (\S+)$/i.exec(request.headers.authorization ?? '') ?? []
  const [id = '', secret = ''] =
    basic === undefined
      ? [form.get('client_id') ?? '', form.get('client_secret') ?? '']
      : splitBasic(basic).map(formDecoded)
  if (!guard.client(id, secret))
    return answer(401, { error: 'invalid_client', error_description: 'Client authentication failed' })
  const grant = form.get('grant_type')
  if (grant === 'client_credentials') return given(guard.issueToken(id), expiresInS)
  if (grant === 'urn:ietf:params:oauth:grant-type:saml2-bearer' && readAssertion) {
    try {
      return given(guard.issueToken(readAssertion(form.get('assertion') ?? '')), expiresInS)
    } catch (thrown) {
      const text = thrown instanceof Error ? thrown.message : String(thrown)
      return answer(400, {
        error: 'invalid_grant',
        error_description: `Provided authorization grant is invalid. ${text}`,
      })
    }
  }
  return answer(400, { error: 'unsupported_grant_type', error_description: 'Grant type is not supported' })
}

/** RFC 6749 section 2.3.1: both parts are form-encoded; those that came raw are understood too. */
function formDecoded(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    // A raw per cent sign: the client did not encode at all.
    return text
  }
}

function given(token: string, expiresInS: number): ServiceAnswer {
  return answer(200, {
    access_token: token,
    token_type: 'Bearer',
    expires_in: String(expiresInS),
    scope: 'ZAPI_COSTCENTER_SRV_0001',
  })
}

function answer(status: number, document: object): ServiceAnswer {
  const headers = { 'content-type': 'application/json', 'cache-control': 'no-store' }
  return {
    status,
    headers: status === 401 ? { ...headers, 'www-authenticate': 'Basic realm="S4H"' } : headers,
    body: JSON.stringify(document),
  }
}
