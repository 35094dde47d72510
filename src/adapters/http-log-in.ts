import type { CredentialLookup, CredentialValue } from '../kernel/credential.ts'
import type { HttpConfig } from './http-config.ts'
import { httpErrors } from './http-errors.ts'

export interface LogIn {
  /** Header name in lower case, and its value; undefined without credential. */
  readonly header: readonly [name: string, value: string] | undefined
  /** The token that was used, so that a refused one can be replaced. */
  readonly token: string | undefined
}

const nobody: LogIn = { header: undefined, token: undefined }

/** The header that proves who the hub is. `refused`: a token that the other side has just not taken. */
export async function logIn(config: HttpConfig, lookup: CredentialLookup, refused?: string): Promise<LogIn> {
  const { auth, 'auth-header': authHeader } = config
  if (auth === undefined) return nobody
  const value = await lookup(auth)
  if (authHeader !== undefined) {
    if (value.kind !== 'secret') {
      throw httpErrors.CREDENTIAL_UNFIT({ credential: auth, kind: value.kind, use: `header ${authHeader}` })
    }
    return { header: [authHeader.toLowerCase(), value.secret], token: undefined }
  }
  return authorizationOf(value, refused)
}

async function authorizationOf(value: CredentialValue, refused: string | undefined): Promise<LogIn> {
  if (value.kind === 'basic') {
    const pair = Buffer.from(`${value.user}:${value.password}`).toString('base64')
    return { header: ['authorization', `Basic ${pair}`], token: undefined }
  }
  const token = value.kind === 'secret' ? value.secret : (await value.token(refused)).value
  return { header: ['authorization', `Bearer ${token}`], token: value.kind === 'oauth2' ? token : undefined }
}
