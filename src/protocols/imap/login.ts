import type { Duplex } from 'node:stream'
import { asHubError } from '../../kernel/error.ts'
import type { ImapConnection } from './connection.ts'
import { imapErrors } from './errors.ts'
import { quote } from './mailbox-name.ts'
import { readableLine } from './response.ts'

/** Asks what the server can do; the answer stands in `connection.capabilities`. */
export async function readCapabilities(connection: ImapConnection): Promise<ReadonlySet<string>> {
  await connection.run({ text: 'CAPABILITY' })
  return connection.capabilities
}

/** STARTTLS (RFC 3501 section 6.2.1). What the server said before is forgotten. Throws IMAP_TLS_MISSING. */
export async function startTls(
  connection: ImapConnection,
  upgrade: (socket: Duplex) => Promise<Duplex>,
): Promise<void> {
  const offered = await readCapabilities(connection)
  if (!offered.has('STARTTLS')) throw imapErrors.TLS_MISSING()
  await connection.run({ text: 'STARTTLS', isExclusive: true, isLastInClear: true })
  await connection.exchangeSocket(upgrade)
}

/**
 * SASL XOAUTH2 as Microsoft 365 wants it: `user` is the mailbox, the token may be a delegate's. Throws AUTH_REFUSED,
 * CONNECTED_NOT_AUTHORISED, THROTTLED.
 */
export async function logInWithToken(connection: ImapConnection, user: string, token: string): Promise<void> {
  requireMethod(connection, 'AUTH=XOAUTH2', 'XOAUTH2')
  const initial = Buffer.from(`user=${user}\x01auth=Bearer ${token}\x01\x01`).toString('base64')
  await authenticate(connection, 'XOAUTH2', initial)
  await readCapabilities(connection)
}

/**
 * User name and password: SASL PLAIN where it is offered, else LOGIN. `mailbox` may be another's (RFC 4616), but not with
 * LOGIN: the mails of somebody else would be taken for those of the mailbox. Throws OWN_MAILBOX_ONLY.
 */
export async function logInWithPassword(
  connection: ImapConnection,
  mailbox: string,
  user: string,
  password: string,
): Promise<void> {
  const isOwn = mailbox.toLowerCase() === user.toLowerCase()
  if (connection.capabilities.has('AUTH=PLAIN')) {
    const actAs = isOwn ? '' : mailbox
    await authenticate(connection, 'PLAIN', Buffer.from(`${actAs}\0${user}\0${password}`).toString('base64'))
  } else {
    if (connection.capabilities.has('LOGINDISABLED')) requireMethod(connection, 'AUTH=PLAIN', 'LOGIN')
    if (!isOwn) throw imapErrors.OWN_MAILBOX_ONLY({ user: mailbox, login: user })
    await logInPlainly(connection, user, password)
  }
  await readCapabilities(connection)
}

async function authenticate(connection: ImapConnection, method: string, initial: string): Promise<void> {
  const isOneLine = connection.capabilities.has('SASL-IR')
  let isSent = isOneLine
  let refusal = ''
  try {
    await connection.run({
      text: isOneLine ? `AUTHENTICATE ${method} ${initial}` : `AUTHENTICATE ${method}`,
      title: 'AUTHENTICATE',
      isExclusive: true,
      onContinue(text) {
        if (!isSent) {
          isSent = true
          return `${initial}\r\n`
        }
        // The refusal comes as base64 JSON first; an empty line asks for the NO that follows it.
        refusal = readableLine(Buffer.from(text, 'base64').toString('latin1'))
        return '\r\n'
      },
    })
  } catch (error) {
    const known = asHubError(error)
    if (refusal === '' || known.code !== imapErrors.AUTH_REFUSED.code) throw error
    const { user, credential } = connection.options.names
    throw imapErrors.AUTH_REFUSED({ user, credential, answer: `${known.fields.answer} ${refusal}` }, { cause: error })
  }
}

async function logInPlainly(connection: ImapConnection, user: string, password: string): Promise<void> {
  const canQuote = /^[\x20-\x7e]*$/.test(user + password)
  if (canQuote) {
    await connection.run({ text: `LOGIN ${quote(user)} ${quote(password)}`, title: 'LOGIN', isExclusive: true })
    return
  }
  // Octets outside ASCII may only stand in literals (RFC 3501 section 4.3).
  const secrets = [Buffer.from(user), Buffer.from(password)]
  await connection.run({
    text: `LOGIN {${secrets[0]?.length}}`,
    title: 'LOGIN',
    isExclusive: true,
    onContinue() {
      const octets = secrets.shift() ?? Buffer.alloc(0)
      const next = secrets[0]
      return Buffer.concat([octets, Buffer.from(next ? ` {${next.length}}\r\n` : '\r\n')])
    },
  })
}

function requireMethod(connection: ImapConnection, capability: string, method: string): void {
  if (connection.capabilities.has(capability)) return
  const offered = [...connection.capabilities].filter(name => /^AUTH=|^LOGIN/.test(name)).join(' ') || 'nothing'
  throw imapErrors.METHOD_MISSING({ method, offered })
}
