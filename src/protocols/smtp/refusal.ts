import type { HubError } from '../../kernel/error.ts'
import { smtpErrors } from './errors.ts'
import { formatReply, type Reply } from './reply.ts'

export interface RefusalContext {
  /** Where in the conversation: `MAIL FROM`, `RCPT TO`, `DATA`, `end of mail`. */
  readonly phase: string
  readonly from: string
  readonly bytes: number
  readonly recipient?: string
}

/** Whose reply it is, and who heard it. */
export interface Refuser {
  /** `host:port`. */
  readonly server: string
  /** Who is logged in. */
  readonly user: string | undefined
}

/** What a 4xx or 5xx reply (or one that makes no sense at this point) means for the delivery. */
export function refusalError({ server, user }: Refuser, reply: Reply, context: RefusalContext): HubError {
  const text = formatReply(reply)
  const { phase } = context
  const facts = { code: reply.code, status: reply.enhanced }
  if (reply.code < 400) return smtpErrors.PROTOCOL({ server, text: `"${text}" at ${phase}`, ...facts })
  // What is said of a recipient is about that one.
  if (isForNow(reply, context) && context.recipient !== undefined)
    return smtpErrors.REFUSED_FOR_NOW({ server, phase, reply: text, ...facts })
  if (isForNow(reply, context)) return laterError(server, phase, reply)
  if (reply.code === 530 && /starttls/i.test(text)) return smtpErrors.TLS_NEEDED({ server, text, ...facts })
  if (reply.code === 530) return smtpErrors.AUTH_NEEDED({ server, reply: text, ...facts })
  if (isTooLarge(reply)) return smtpErrors.TOO_LARGE({ server, bytes: context.bytes, text, ...facts })
  // As nobody no mailbox may send, whatever somebody grants.
  if (context.from !== '<>' && (/SendAsDenied/i.test(text) || reply.enhanced === '5.7.60'))
    return smtpErrors.SEND_AS_DENIED({ server, user, from: context.from, reply: text, ...facts })
  if (context.recipient !== undefined)
    return smtpErrors.RECIPIENT_REFUSED({ server, recipient: context.recipient, reply: text, ...facts })
  return smtpErrors.REFUSED({ server, phase, reply: text, ...facts })
}

/** What a reply that asks to come back later means, wherever it comes. */
export function laterError(server: string, phase: string, reply: Reply): HubError {
  const fields = { server, phase, reply: formatReply(reply), code: reply.code, status: reply.enhanced }
  return saysTooMany(reply) ? smtpErrors.TOO_MANY_CONNECTIONS(fields) : smtpErrors.REFUSED_FOR_NOW(fields)
}

/**
 * The server carries as many connections of this client as it will. No code says it, 4.3.2 and 4.7.0 stand for much else:
 * Exchange writes "432 4.3.2 Concurrent connections limit exceeded" and "sender thread limit exceeded", Postfix "421 4.7.0
 * Error: too many connections from …", Exim "421 Too many concurrent SMTP connections".
 */
export function saysTooMany(reply: Reply): boolean {
  if (reply.code < 400 || reply.code >= 500) return false
  return /(concurrent|too many|max(imum)?) (\w+ )*(connections|sessions)|sender thread limit/i.test(formatReply(reply))
}

/**
 * The server takes no more recipients with this mail (RFC 5321 section 4.5.3.1.10): however often it is tried, the same
 * ones are too many.
 */
export function saysTooManyRecipients(reply: Reply): boolean {
  const isAboutNumber = reply.enhanced === '4.5.3' || /too many recipients/i.test(formatReply(reply))
  return (reply.code === 452 || reply.code === 552) && isAboutNumber
}

/** 4xx; and 552 for a recipient, which RFC 5321 section 4.5.3.1.10 has us read as 452 (too many recipients). */
export function isForNow(reply: Reply, { recipient }: { readonly recipient?: string }): boolean {
  if (reply.code !== 552 || recipient === undefined) return reply.code < 500
  return !isTooLarge(reply, true) && !isOfPolicy(reply)
}

function isTooLarge(reply: Reply, isCertain = false): boolean {
  if (reply.enhanced === '5.3.4' || reply.enhanced === '5.2.3') return true
  // A full mailbox, or what the server does not let in (Gmail: an attachment), has 552 as well.
  return !isCertain && reply.code === 552 && reply.enhanced !== '5.2.2' && !isOfPolicy(reply)
}

function isOfPolicy({ enhanced }: Reply): boolean {
  return enhanced?.startsWith('5.7.') === true
}
