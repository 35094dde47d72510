import { createHash, generateKeyPair, type KeyObject, sign, verify } from 'node:crypto'
import { promisify } from 'node:util'

/** Claims of an access token as Entra issues them for Exchange Online (version 1.0 tokens). Times are in seconds. */
export interface Claims {
  readonly aud: string
  readonly iss: string
  readonly iat: number
  readonly nbf: number
  readonly exp: number
  readonly tid: string
  readonly appid: string
  readonly oid: string
  readonly sub: string
  readonly uti: string
  readonly ver: string
  /** How the app proved itself: 0 not at all, 1 by secret, 2 by certificate. */
  readonly appidacr: '0' | '1' | '2'
  /** Short names of the delegated permissions, by blanks: `IMAP.AccessAsUser.All SMTP.Send`; with a user only. */
  readonly scp?: string
  readonly upn?: string
  readonly unique_name?: string
  readonly idtyp?: 'user' | 'app'
  /** Application permissions (`IMAP.AccessAsApp`); without a user only. */
  readonly roles?: readonly string[]
}

export interface TokenKey {
  readonly kid: string
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
  /** The public key for the JWKS endpoint. */
  readonly jwk: Readonly<Record<string, unknown>>
}

/** One key for all sign-in twins of a process: making one takes up to a second on a busy machine. */
export function tokenKey(): Promise<TokenKey> {
  sharedKey ??= makeTokenKey()
  return sharedKey
}

let sharedKey: Promise<TokenKey> | undefined

async function makeTokenKey(): Promise<TokenKey> {
  const { privateKey, publicKey } = await promisify(generateKeyPair)('rsa', { modulusLength: 2048 })
  const jwk = publicKey.export({ format: 'jwk' })
  const kid = createHash('sha256').update(String(jwk.n)).digest('base64url').slice(0, 27)
  return { kid, privateKey, publicKey, jwk: { ...jwk, kid, x5t: kid, use: 'sig', alg: 'RS256' } }
}

/** A JWT signed with RS256. The type is `JWT`, as Entra writes it: Dovecot 2.3 refuses RFC 9068's `at+jwt`. */
export function signToken(key: TokenKey, claims: object): string {
  const header = encode({ typ: 'JWT', alg: 'RS256', x5t: key.kid, kid: key.kid })
  const content = `${header}.${encode(claims)}`
  return `${content}.${sign('RSA-SHA256', Buffer.from(content), key.privateKey).toString('base64url')}`
}

/** The claims of a token that this key has signed for this origin and that is valid now; undefined for anything else. */
export function readToken(key: TokenKey, token: string, origin: string, nowMs: number): Claims | undefined {
  const [header, payload, signature, ...rest] = token.split('.')
  if (header === undefined || payload === undefined || signature === undefined || rest.length > 0) return undefined
  const head = decode(header)
  if (head?.['alg'] !== 'RS256' || head['kid'] !== key.kid) return undefined
  const isSigned = verify(
    'RSA-SHA256',
    Buffer.from(`${header}.${payload}`),
    key.publicKey,
    Buffer.from(signature, 'base64url'),
  )
  // Signed with our key, so the shape is the one we gave it.
  const claims = isSigned ? (decode(payload) as Claims | undefined) : undefined
  if (!claims?.iss.startsWith(`${origin}/`) || claims.exp * 1000 <= nowMs || claims.nbf * 1000 > nowMs + 1000)
    return undefined
  return claims
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

function decode(part: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString())
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    // Not JSON: simply not one of our tokens.
    return undefined
  }
}
