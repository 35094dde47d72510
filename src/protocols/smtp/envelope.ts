import type { HubError } from '../../kernel/error.ts'
import type { Address } from './address.ts'
import type { SmtpConnection } from './connection.ts'
import { smtpErrors } from './errors.ts'
import type { SendPlan } from './plan.ts'
import { isForNow, type RefusalContext, refusalError, saysTooManyRecipients } from './refusal.ts'
import { formatReply, type Reply } from './reply.ts'
import type { SmtpTimeouts } from './session.ts'
import type { Mail } from './transaction.ts'

/** A recipient whom the server refused for good, and what it said. */
export interface Refusal {
  readonly recipient: string
  readonly reply: string
}

export interface Envelope {
  readonly accepted: readonly string[]
  readonly refused: readonly Refusal[]
  /** Octets of the connection before the command MAIL. */
  readonly mailAt: number
}

/**
 * MAIL, RCPT and (but for BDAT) DATA; resolves when the server waits for the octets. `onAccepted` is called as soon as
 * it is certain that the mail will go to somebody.
 */
export async function openEnvelope(
  connection: SmtpConnection,
  mail: Mail,
  plan: SendPlan,
  timeouts: SmtpTimeouts,
  onAccepted: (envelope: Envelope) => void,
): Promise<Envelope> {
  const mailFrom = `MAIL FROM:<${mail.from?.text ?? ''}>${plan.parameters}`
  if (connection.needsReset) await reset(connection, timeouts)
  connection.needsReset = true
  const mailAt = connection.writtenBytes
  const context = { from: mail.from?.text ?? '<>', bytes: mail.content.bytes }
  const [only, ...others] = mail.to
  if (plan.mode === 'data-pipelined' && only && others.length === 0)
    return openForOne(connection, mailFrom, only, context, timeouts, onAccepted)
  const replies =
    plan.mode === 'data' || !connection.extensions.pipelining
      ? await inTurn(connection, mailFrom, mail.to, timeouts)
      : await together(connection, mailFrom, mail.to, timeouts)
  if (!isYes(replies.mail)) throw refusalError(connection, replies.mail, { phase: 'MAIL FROM', ...context })
  const envelope = { ...judge(connection, mail, replies.recipients, context), mailAt }
  onAccepted(envelope)
  if (plan.mode === 'bdat') return envelope
  const data = await connection.command('DATA', 'DATA', timeouts.dataStartMs)
  if (data.code !== 354) throw refusalError(connection, data, { phase: 'DATA', ...context })
  return envelope
}

/** The usual mail has one recipient: everything up to DATA goes out in one segment (RFC 2920 section 3.1). */
async function openForOne(
  connection: SmtpConnection,
  mailFrom: string,
  recipient: Address,
  context: Omit<RefusalContext, 'phase'>,
  timeouts: SmtpTimeouts,
  onAccepted: (envelope: Envelope) => void,
): Promise<Envelope> {
  const envelope = { accepted: [recipient.text], refused: [], mailAt: connection.writtenBytes }
  const mail = connection.expect('MAIL FROM', timeouts.commandMs)
  const rcpt = connection.expect('RCPT TO', timeouts.commandMs)
  const data = connection.expect('DATA', timeouts.dataStartMs)
  connection.write(`${mailFrom}\r\nRCPT TO:<${recipient.text}>\r\nDATA\r\n`)
  let refusal: HubError | undefined
  const mailReply = await mail.promise
  if (!isYes(mailReply)) refusal = refusalError(connection, mailReply, { phase: 'MAIL FROM', ...context })
  if (refusal && mailReply.code === 421) throw refusal
  const rcptReply = await rcpt.promise
  if (!refusal && !isYes(rcptReply))
    refusal = refusalError(connection, rcptReply, { phase: 'RCPT TO', recipient: recipient.text, ...context })
  if (!refusal) onAccepted(envelope)
  else if (rcptReply.code === 421) throw refusal
  const dataReply = await data.promise
  if (!refusal && dataReply.code === 354) return envelope
  if (dataReply.code === 354) {
    // RFC 2920 section 3.1: a server may wait for a mail that is for nobody; an empty one ends that.
    const end = connection.expect('end of nothing', timeouts.dataEndMs)
    connection.write('.\r\n')
    await end.promise
  }
  throw refusal ?? refusalError(connection, dataReply, { phase: 'DATA', ...context })
}

interface EnvelopeReplies {
  readonly mail: Reply
  readonly recipients: readonly Reply[]
}

async function inTurn(
  connection: SmtpConnection,
  mailFrom: string,
  to: readonly Address[],
  { commandMs }: SmtpTimeouts,
): Promise<EnvelopeReplies> {
  const mail = await connection.command(mailFrom, 'MAIL FROM', commandMs)
  const recipients: Reply[] = []
  if (!isYes(mail)) return { mail, recipients }
  for (const { text } of to) {
    const reply = await connection.command(`RCPT TO:<${text}>`, 'RCPT TO', commandMs)
    recipients.push(reply)
    if (reply.code === 421) break
  }
  return { mail, recipients }
}

async function together(
  connection: SmtpConnection,
  mailFrom: string,
  to: readonly Address[],
  { commandMs }: SmtpTimeouts,
): Promise<EnvelopeReplies> {
  const mail = connection.expect('MAIL FROM', commandMs)
  const due = to.map(() => connection.expect('RCPT TO', commandMs))
  connection.write([mailFrom, ...to.map(({ text }) => `RCPT TO:<${text}>`), ''].join('\r\n'))
  const first = await mail.promise
  const recipients: Reply[] = []
  if (first.code === 421) return { mail: first, recipients }
  for (const reply of due) {
    recipients.push(await reply.promise)
    if (recipients.at(-1)?.code === 421) break
  }
  return { mail: first, recipients }
}

/** Who gets the mail, or why nobody does. */
function judge(
  connection: SmtpConnection,
  mail: Mail,
  replies: readonly Reply[],
  context: Omit<RefusalContext, 'phase'>,
): Omit<Envelope, 'mailAt'> {
  const accepted: string[] = []
  const refused: Refusal[] = []
  let firstRefusal: HubError | undefined
  for (const [index, reply] of replies.entries()) {
    const recipient = mail.to[index]?.text ?? ''
    if (isYes(reply)) {
      accepted.push(recipient)
      continue
    }
    const error = refusalError(connection, reply, { phase: 'RCPT TO', recipient, ...context })
    if (accepted.length > 0 && saysTooManyRecipients(reply)) {
      const facts = { reply: formatReply(reply), code: reply.code, status: reply.enhanced }
      throw smtpErrors.TOO_MANY_RECIPIENTS({ count: mail.to.length, countMax: accepted.length, ...facts })
    }
    // Half a delivery cannot be retried for the other half, so one "later" is a "later" for all.
    if (isForNow(reply, { recipient })) throw error
    firstRefusal ??= error
    refused.push({ recipient, reply: formatReply(reply) })
  }
  if (firstRefusal && accepted.length === 0) throw firstRefusal
  if (firstRefusal && mail.someRefused === 'refuse') {
    const recipients = refused.map(({ recipient, reply }) => `${recipient} (${reply})`).join(', ')
    throw smtpErrors.SOME_RECIPIENTS_REFUSED({ server: connection.server, count: refused.length, recipients })
  }
  return { accepted, refused }
}

async function reset(connection: SmtpConnection, { commandMs }: SmtpTimeouts): Promise<void> {
  const reply = await connection.command('RSET', 'RSET', commandMs)
  if (reply.code !== 250) throw refusalError(connection, reply, { phase: 'RSET', from: '<>', bytes: 0 })
  connection.needsReset = false
}

/** The first digit tells (RFC 5321 section 4.3.2); 251 to a recipient: the server forwards. */
function isYes({ code }: Reply): boolean {
  return code >= 200 && code < 300
}
