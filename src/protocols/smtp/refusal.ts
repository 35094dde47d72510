import type { HubError } from '../../kernel/error.ts'
import type { SmtpConnection } from './connection.ts'
import { smtpErrors } from './errors.ts'
import { formatReply, type Reply } from './reply.ts'

export interface RefusalContext {
  /** Where in the conversation: `MAIL FROM`, `RCPT TO`, `DATA`, `end of mail`. */
  readonly phase: string
  readonly from: string
  readonly bytes: number
  readonly recipient?: string
}

/** What a 4xx or 5xx reply (or one that makes no sense at this point) means for the delivery. */
export function refusalError(connection: SmtpConnection, reply: Reply, context: RefusalContext): HubError {
  const { server } = connection
  const text = formatReply(reply)
  const { phase } = context
  const facts = { code: reply.code, status: reply.enhanced }
  if (reply.code < 400) return smtpErrors.PROTOCOL({ server, text: `"${text}" at ${phase}`, ...facts })
  if (isForNow(reply, context)) return smtpErrors.REFUSED_FOR_NOW({ server, phase, reply: text, ...facts })
  if (reply.code === 530 && /starttls/i.test(text)) return smtpErrors.TLS_NEEDED({ server, text, ...facts })
  if (reply.code === 530) return smtpErrors.AUTH_NEEDED({ server, reply: text, ...facts })
  if (isTooLarge(reply)) return smtpErrors.TOO_LARGE({ server, bytes: context.bytes, text, ...facts })
  if (/SendAsDenied/i.test(text) || reply.enhanced === '5.7.60')
    return smtpErrors.SEND_AS_DENIED({ server, user: connection.user, from: context.from, reply: text, ...facts })
  if (context.recipient !== undefined)
    return smtpErrors.RECIPIENT_REFUSED({ server, recipient: context.recipient, reply: text, ...facts })
  return smtpErrors.REFUSED({ server, phase, reply: text, ...facts })
}

/** 4xx; and 552 for a recipient, which RFC 5321 section 4.5.3.1.10 has us read as 452 (too many recipients). */
export function isForNow(reply: Reply, { recipient }: { readonly recipient?: string }): boolean {
  return reply.code < 500 || (reply.code === 552 && recipient !== undefined && !isTooLarge(reply, true))
}

function isTooLarge(reply: Reply, isCertain = false): boolean {
  return reply.enhanced === '5.3.4' || reply.enhanced === '5.2.3' || (!isCertain && reply.code === 552)
}
