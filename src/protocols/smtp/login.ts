import type { CredentialValue } from '../../kernel/credential.ts'
import type { SmtpConnection } from './connection.ts'
import { smtpErrors } from './errors.ts'
import { laterError } from './refusal.ts'
import { formatReply, type Reply } from './reply.ts'

/** Whom to log in as. */
export interface SmtpLogin {
  readonly credential: CredentialValue
  /** The mailbox, where it is another than the one that signed in, or where nobody did (app-only tokens). */
  readonly user?: string | undefined
}

/**
 * Logs in with PLAIN, LOGIN (RFC 4954) or XOAUTH2, whichever fits credential and server. A token that the server
 * refuses is renewed once. Throws SMTP_AUTH_REFUSED, SMTP_AUTH_UNFIT, SMTP_REFUSED_FOR_NOW.
 */
export async function logIn(connection: SmtpConnection, login: SmtpLogin, timeoutMs: number): Promise<void> {
  const { credential } = login
  const { server } = connection
  const { auth } = connection.extensions
  const offers = auth.size > 0 ? [...auth].join(', ') : 'no log-in at all'
  const isFit = credential.kind === 'basic' || credential.kind === 'oauth2'
  if (!isFit) throw smtpErrors.AUTH_UNFIT({ server, text: `it is of kind ${credential.kind}` })
  const say = (line: string) => connection.command(line, 'AUTH', timeoutMs)
  if (credential.kind === 'oauth2') {
    const user = login.user ?? credential.user
    if (!auth.has('XOAUTH2')) throw smtpErrors.AUTH_UNFIT({ server, text: `XOAUTH2 is not offered (${offers})` })
    if (user === undefined) throw smtpErrors.AUTH_UNFIT({ server, text: 'nobody signed in, so user has to be set' })
    connection.user = user
    const token = await credential.token()
    const reply = await sayToken(say, user, token.value)
    if (reply.code === 235) return
    const fresh = reply.code >= 500 && connection.isUsable ? await credential.token(token.value) : token
    if (fresh.value === token.value) throw refusedLogin(connection, user, reply)
    return accepted(connection, user, await sayToken(say, user, fresh.value))
  }
  const user = login.user ?? credential.user
  connection.user = user
  if (auth.has('PLAIN'))
    return accepted(connection, user, await say(`AUTH PLAIN ${base64(`\0${user}\0${credential.password}`)}`))
  if (!auth.has('LOGIN'))
    throw smtpErrors.AUTH_UNFIT({ server, text: `neither PLAIN nor LOGIN is offered (${offers})` })
  let reply = await say('AUTH LOGIN')
  if (reply.code === 334) reply = await say(base64(user))
  if (reply.code === 334) reply = await say(base64(credential.password))
  return accepted(connection, user, reply)
}

async function sayToken(say: (line: string) => Promise<Reply>, user: string, token: string): Promise<Reply> {
  const reply = await say(`AUTH XOAUTH2 ${base64(`user=${user}\x01auth=Bearer ${token}\x01\x01`)}`)
  // The reason comes as a challenge; an empty answer fetches the refusal itself.
  return reply.code === 334 ? say('') : reply
}

function accepted(connection: SmtpConnection, user: string, reply: Reply): void {
  if (reply.code !== 235) throw refusedLogin(connection, user, reply)
}

function refusedLogin(connection: SmtpConnection, user: string, reply: Reply): Error {
  const { server } = connection
  const text = formatReply(reply)
  const facts = { code: reply.code, status: reply.enhanced }
  if (reply.code >= 400 && reply.code < 500) return laterError(server, 'AUTH', reply)
  if (reply.code === 530 || reply.code === 538) return smtpErrors.TLS_NEEDED({ server, text, ...facts })
  return smtpErrors.AUTH_REFUSED({ server, user, reply: text, ...facts })
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}
