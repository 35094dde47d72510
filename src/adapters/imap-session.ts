import { resolve } from 'node:path'
import type { SenderContext } from '../flow/adapter.ts'
import type { TokenCredential } from '../kernel/credential.ts'
import { asHubError, hubErrors } from '../kernel/error.ts'
import type { ConnectRequest, TlsWish } from '../kernel/socket.ts'
import { type Clock, HOUR, steadyClock } from '../kernel/time.ts'
import { ImapConnection } from '../protocols/imap/connection.ts'
import { imapErrors } from '../protocols/imap/errors.ts'
import { logInWithPassword, logInWithToken, readCapabilities, startTls } from '../protocols/imap/login.ts'
import { readAuthority } from './authority-file.ts'
import type { ImapConfig } from './imap-config.ts'

/** Its clock is steady: a mailbox must not rest for as long as the clock of the machine is set back. */
export interface ImapContext extends SenderContext<ImapConfig> {
  /** For dates, and for when tokens end. */
  readonly calendar: Pick<Clock, 'now'>
}

export function imapContext(context: SenderContext<ImapConfig>): ImapContext {
  return { ...context, clock: steadyClock(context.clock), calendar: context.clock }
}

/** A connection that is logged in to one mailbox. */
export interface ImapSession {
  readonly connection: ImapConnection
  /** When it should be replaced by a new one, at a moment when nothing is being fetched. */
  readonly renewAt: number
  /** The token it was opened with. */
  readonly token: string | undefined
}

const sessionLimits = {
  /** Part of a token's life after which the session is renewed; the server ends it at 100 %. */
  tokenLifePart: 0.75,
  /** A session is renewed at least this often, so that a changed UIDVALIDITY is noticed. */
  lifeMs: HOUR,
  /** Tokens that may end, one after the other, while the server is shown them. */
  logInTries: 4,
}

/**
 * Connects and logs in. `oldToken` is replaced by a new one where the credential has one. Throws AUTH_REFUSED after
 * one try with a fresh token, TOKEN_EXPIRED when tokens end faster than the server reads them,
 * CONNECTED_NOT_AUTHORISED, CA_UNREADABLE, THROTTLED and the errors of the network.
 */
export async function openSession(
  context: ImapContext,
  mailbox: string,
  signal: AbortSignal,
  oldToken?: string,
): Promise<ImapSession> {
  const { config, clock } = context
  const port = config.port ?? (config.security === 'tls' ? 993 : 143)
  const tls: TlsWish =
    config.ca === undefined
      ? {}
      : { ca: await readAuthority(resolve(context.folder, config.ca), imapErrors.CA_UNREADABLE) }
  const request: ConnectRequest = { host: config.host, port, via: config.via, timeoutMs: config.timeout, signal }
  const socket = await context.connect(config.security === 'tls' ? { ...request, tls } : request)
  const names = { user: mailbox, credential: config.auth }
  const connection = new ImapConnection(socket, { clock, timeoutMs: config.timeout, names })
  signal.addEventListener('abort', () => connection.close(hubErrors.STOPPING()), { once: true })
  if (signal.aborted) connection.close(hubErrors.STOPPING())
  try {
    const greeting = await connection.greet()
    // RFC 3501 section 7.1.4. Somebody in between may have said so, to keep STARTTLS away; and nobody says whose it is.
    if (greeting.status === 'PREAUTH') throw imapErrors.PREAUTHENTICATED({ user: mailbox })
    if (config.security === 'starttls') {
      await startTls(connection, plain => context.connect.upgrade(plain, { ...request, tls }))
    }
    await readCapabilities(connection)
    return await logIn(context, connection, mailbox, oldToken)
  } catch (error) {
    connection.close()
    throw error
  }
}

async function logIn(
  context: ImapContext,
  connection: ImapConnection,
  mailbox: string,
  oldToken: string | undefined,
): Promise<ImapSession> {
  const { auth } = context.config
  const credential = await context.credential(auth)
  const lifeEndsAt = context.clock.now() + sessionLimits.lifeMs
  if (credential.kind === 'basic') {
    await logInWithPassword(connection, mailbox, credential.user || mailbox, credential.password)
    return { connection, renewAt: lifeEndsAt, token: undefined }
  }
  if (credential.kind !== 'oauth2') throw imapErrors.CREDENTIAL_KIND({ credential: auth, kind: credential.kind })
  const token = await logInWithAnyToken(context, connection, mailbox, credential, oldToken)
  const now = context.clock.now()
  // A credential that has no newer token yet is asked again when the server ends the session, not in a circle.
  const isRenewable = token.value !== oldToken
  const lifeMs = token.expiresAt - context.calendar.now()
  const renewAt = isRenewable ? now + lifeMs * sessionLimits.tokenLifePart : lifeEndsAt
  return { connection, renewAt: Math.min(renewAt, lifeEndsAt), token: token.value }
}

async function logInWithAnyToken(
  { calendar, config }: ImapContext,
  connection: ImapConnection,
  mailbox: string,
  credential: TokenCredential,
  oldToken: string | undefined,
): Promise<{ readonly value: string; readonly expiresAt: number }> {
  let token = await credential.token(oldToken)
  let isRefused = false
  for (let tries = 1; ; tries++) {
    try {
      await logInWithToken(connection, mailbox, token.value)
      return token
    } catch (error) {
      if (asHubError(error).code !== imapErrors.AUTH_REFUSED.code) throw error
      // On a slow way, or a slow server, a token may end before it is read: that says nothing about the rights.
      const isOfAge = calendar.now() >= token.expiresAt
      if (isOfAge && (connection.isOver || tries >= sessionLimits.logInTries)) {
        throw imapErrors.TOKEN_EXPIRED({ user: mailbox, credential: config.auth }, { cause: error })
      }
      if (isRefused && !isOfAge) throw error
      isRefused ||= !isOfAge
      // The server may have withdrawn a token before its time; one fresh one is tried, and no more. Where it hung up, too,
      // the next session has it.
      const fresh = await credential.token(token.value)
      if (connection.isOver || fresh.value === token.value) throw error
      token = fresh
    }
  }
}
