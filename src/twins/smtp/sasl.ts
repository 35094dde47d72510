import type { AuthAttempt, SaslMechanism, SmtpServerAuth } from './options.ts'

export type AuthOutcome =
  | { readonly user: string; readonly refusal?: undefined }
  | { readonly user: undefined; readonly refusal: string }

/**
 * The server's side of AUTH PLAIN, LOGIN and XOAUTH2. `ask` sends a challenge (base64) and gives the client's answer,
 * undefined when it is gone.
 */
export async function authenticate(
  auth: SmtpServerAuth,
  argument: string,
  ask: (challenge: string) => Promise<string | undefined>,
): Promise<AuthOutcome> {
  const [name = '', initial] = argument.split(' ')
  const mechanism = auth.mechanisms.find(known => known === name.toUpperCase())
  if (!mechanism) return refused('504 5.5.4 Mechanism not supported')
  const attempt = await readAttempt(mechanism, initial, ask)
  if (attempt === 'cancelled') return refused('501 5.0.0 Authentication cancelled')
  if (!attempt) return refused('501 5.5.2 Cannot decode the response')
  const refusal = await auth.check(attempt)
  if (refusal === undefined) return { user: attempt.user }
  if (mechanism === 'XOAUTH2' && auth.explainsRefusedToken)
    await ask(encode('{"status":"401","schemes":"bearer","scope":""}'))
  return refused(refusal)
}

async function readAttempt(
  mechanism: SaslMechanism,
  initial: string | undefined,
  ask: (challenge: string) => Promise<string | undefined>,
): Promise<AuthAttempt | 'cancelled' | undefined> {
  const first = initial ?? (await ask(mechanism === 'LOGIN' ? encode('Username:') : ''))
  if (first === '*' || first === undefined) return 'cancelled'
  const text = decode(first)
  if (text === undefined) return undefined
  if (mechanism === 'XOAUTH2') {
    const [user, secret, ...rest] = text.split('\u0001')
    if (!user?.startsWith('user=') || !secret?.startsWith('auth=Bearer ') || rest.join('') !== '') return undefined
    return { mechanism, user: user.slice('user='.length), secret: secret.slice('auth=Bearer '.length) }
  }
  if (mechanism === 'PLAIN') {
    const [, user, secret, ...more] = text.split('\0')
    return user !== undefined && secret !== undefined && more.length === 0 ? { mechanism, user, secret } : undefined
  }
  const second = await ask(encode('Password:'))
  if (second === '*' || second === undefined) return 'cancelled'
  const secret = decode(second)
  return secret === undefined ? undefined : { mechanism, user: text, secret }
}

function refused(refusal: string): AuthOutcome {
  return { user: undefined, refusal }
}

function encode(text: string): string {
  return Buffer.from(text).toString('base64')
}

function decode(text: string): string | undefined {
  return /^[A-Za-z0-9+/]*={0,2}$/.test(text) ? Buffer.from(text, 'base64').toString('utf8') : undefined
}
