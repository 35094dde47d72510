import { HubError } from '../../kernel/error.ts'
import type { Connect, ConnectRequest, TlsWish } from '../../kernel/socket.ts'
import { type Clock, MINUTE, SECOND } from '../../kernel/time.ts'
import { SmtpConnection } from './connection.ts'
import { smtpErrors } from './errors.ts'
import { noExtensions, readExtensions } from './extensions.ts'
import { logIn, type SmtpLogin } from './login.ts'
import { laterError } from './refusal.ts'
import { formatReply, type Reply } from './reply.ts'

/** How long to wait for what, in milliseconds. */
export interface SmtpTimeouts {
  readonly connectMs: number
  readonly greetingMs: number
  /** EHLO, AUTH, MAIL, RCPT, RSET. */
  readonly commandMs: number
  readonly dataStartMs: number
  /** For the server to take the next piece of a body. */
  readonly dataBlockMs: number
  /** For the answer to the final dot; too short a time makes doubles. */
  readonly dataEndMs: number
}

/** RFC 5321 section 4.5.3.2, but for the connection itself: a server that is down is to be known quickly. */
export const defaultTimeouts: SmtpTimeouts = {
  connectMs: 15 * SECOND,
  greetingMs: 5 * MINUTE,
  commandMs: 5 * MINUTE,
  dataStartMs: 2 * MINUTE,
  dataBlockMs: 3 * MINUTE,
  dataEndMs: 10 * MINUTE,
}

/**
 * `tls`: from the first byte. `starttls`: needed. `starttls-if-offered`: encrypted when the server can, which somebody
 * between the two can prevent. `none`: never.
 */
type SmtpSecurity = 'none' | 'starttls' | 'starttls-if-offered' | 'tls'

export interface SmtpServer {
  readonly host: string
  readonly port: number
  readonly security: SmtpSecurity
  readonly tls?: TlsWish
  readonly via?: string | undefined
  /** Name for EHLO; undefined takes the address of the connection. */
  readonly helo?: string | undefined
  readonly timeouts: SmtpTimeouts
  /** Asked at each connection, so that a changed credential acts at once. */
  readonly login?: (() => Promise<SmtpLogin>) | undefined
}

export interface SmtpSurroundings {
  readonly connect: Connect
  readonly clock: Clock
}

/** Connects, greets, encrypts and logs in: afterwards mails can be sent. Throws SMTP_… errors and those of `connect`. */
export async function openSession(
  server: SmtpServer,
  { connect, clock }: SmtpSurroundings,
  signal?: AbortSignal,
): Promise<SmtpConnection> {
  const name = `${server.host}:${server.port}`
  const tls: TlsWish = { servername: server.host, ...server.tls }
  const request: ConnectRequest = {
    host: server.host,
    port: server.port,
    via: server.via,
    timeoutMs: server.timeouts.connectMs,
    signal,
    ...(server.security === 'tls' && { tls }),
  }
  const fail = (cause: unknown, error: typeof smtpErrors.CONNECT_FAILED) => {
    if (signal?.aborted) return smtpErrors.INTERRUPTED({ server: name }, { cause })
    return cause instanceof HubError ? cause : error({ server: name, text: textOf(cause) }, { cause })
  }
  const socket = await connect(request).catch(cause => {
    throw fail(cause, isCertificateTrouble(cause) ? smtpErrors.TLS_FAILED : smtpErrors.CONNECT_FAILED)
  })
  let connection = new SmtpConnection(socket, { server: name, clock })
  connection.isEncrypted = server.security === 'tls'
  const abort = () => connection.fail(smtpErrors.INTERRUPTED({ server: name }))
  if (signal?.aborted) abort()
  signal?.addEventListener('abort', abort)
  try {
    const greeting = await connection.expect('greeting', server.timeouts.greetingMs).promise
    if (greeting.code !== 220) throw unwelcome(name, 'greeting', greeting)
    await greet(connection, server)
    if (wantsStartTls(connection, server)) {
      const reply = await connection.command('STARTTLS', 'STARTTLS', server.timeouts.commandMs)
      if (reply.code !== 220) throw smtpErrors.TLS_NEEDED({ server: name, text: formatReply(reply) })
      const upgraded = await connect.upgrade(connection.detach(), { ...request, tls }).catch(cause => {
        throw fail(cause, smtpErrors.TLS_FAILED)
      })
      connection = new SmtpConnection(upgraded, { server: name, clock })
      connection.isEncrypted = true
      // What was announced in the clear may have been forged (RFC 3207 section 4.2), so it is asked again.
      await greet(connection, server)
    }
    connection.greeting = formatReply(greeting)
    if (server.login) await logIn(connection, await server.login(), server.timeouts.commandMs)
    return connection
  } catch (error) {
    await connection.quit()
    throw error
  } finally {
    signal?.removeEventListener('abort', abort)
  }
}

function wantsStartTls(connection: SmtpConnection, { security }: SmtpServer): boolean {
  if (security === 'starttls' && !connection.extensions.startTls)
    throw smtpErrors.TLS_NEEDED({ server: connection.server, text: 'it does not offer STARTTLS' })
  return security === 'starttls' || (security === 'starttls-if-offered' && connection.extensions.startTls)
}

async function greet(connection: SmtpConnection, { helo, timeouts }: SmtpServer): Promise<void> {
  const name = helo ?? addressLiteral(connection.localAddress)
  const reply = await connection.command(`EHLO ${name}`, 'EHLO', timeouts.commandMs)
  if (reply.code === 250) {
    connection.extensions = readExtensions(reply)
    return
  }
  // Only a server that does not know EHLO is asked the old way; 550 for our name would be 550 again.
  if (![500, 501, 502, 504].includes(reply.code)) throw unwelcome(connection.server, 'EHLO', reply)
  const old = await connection.command(`HELO ${name}`, 'HELO', timeouts.commandMs)
  if (old.code !== 250) throw unwelcome(connection.server, 'HELO', old)
  connection.extensions = noExtensions
}

// RFC 5321 section 4.1.3: a client without a name of its own says its address.
function addressLiteral(address: string | undefined): string {
  if (address === undefined) return '[127.0.0.1]'
  const v4 = address.replace(/^::ffff:/i, '')
  return v4.includes(':') ? `[IPv6:${v4}]` : `[${v4}]`
}

function unwelcome(server: string, phase: string, reply: Reply): HubError {
  const text = formatReply(reply)
  const facts = { code: reply.code, status: reply.enhanced }
  if (reply.code >= 500) return smtpErrors.GREETING_REFUSED({ server, reply: text, ...facts })
  if (reply.code >= 400) return laterError(server, phase, reply)
  return smtpErrors.PROTOCOL({ server, text: `"${text}" at ${phase}` })
}

function isCertificateTrouble(cause: unknown): boolean {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
  return /CERT|TLS|SSL|SELF_SIGNED|UNABLE_TO_(VERIFY|GET)/.test(code)
}

function textOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}
