import { isAscii } from 'node:buffer'
import { hostname } from 'node:os'
import type { HubError } from '../kernel/error.ts'
import type { Message } from '../kernel/message.ts'
import { textAttribute } from './smtp-facts.ts'
import { encodeWords, formatDate } from './smtp-headers.ts'

export interface BounceFacts {
  readonly message: Message
  /** Who is told. */
  readonly sender: string
  readonly refused: readonly { readonly recipient: string; readonly reply: string }[]
  /** Server that refused, `host:port`. */
  readonly server: string
  /** Header block of the mail that was refused. */
  readonly header: Uint8Array
  /** Name of this client. */
  readonly reporter: string | undefined
  readonly from: string | undefined
  readonly now: number
}

/**
 * A report that a mail was refused for good (RFC 3464 in a multipart/report, RFC 6522), to be sent with the null
 * sender. It carries the header of the mail, not the mail.
 */
export function writeBounce(facts: BounceFacts): Buffer {
  const { message, refused, sender, now } = facts
  const reporter = facts.reporter ?? hostname()
  const boundary = `isthmus-${message.id}`
  const subject = textAttribute(message, 'subject')
  const original = Buffer.from(facts.header)
  const head = [
    `From: Mail Delivery System <${facts.from ?? `mailer-daemon@${reporter}`}>`,
    `To: <${sender}>`,
    `Subject: ${fold(`Undelivered: ${subject || 'your mail'}`)}`,
    `Date: ${formatDate(now)}`,
    `Message-ID: <bounce.${message.id}.${now}@${reporter}>`,
    ...(messageIdOf(message) === '' ? [] : [`In-Reply-To: ${messageIdOf(message)}`]),
    'Auto-Submitted: auto-replied',
    'MIME-Version: 1.0',
    `Content-Type: multipart/report; report-type=delivery-status;\r\n boundary="${boundary}"`,
  ]
  const words = [
    'Your mail could not be delivered to:',
    '',
    ...refused.flatMap(({ recipient, reply }) => [`  ${recipient}`, ...wrapped(reply).map(line => `    ${line}`)]),
    '',
    `The mail server ${facts.server} refused it for good, so it will not be tried again.`,
    'Its header is attached.',
  ]
  const status = [
    `Reporting-MTA: dns; ${reporter}`,
    `Arrival-Date: ${formatDate(message.acceptedAt)}`,
    ...refused.flatMap(({ recipient, reply }) => [
      '',
      `Final-Recipient: rfc822; ${recipient}`,
      'Action: failed',
      `Status: ${statusOf(reply)}`,
      `Remote-MTA: dns; ${facts.server.replace(/:\d+$/, '')}`,
      `Diagnostic-Code: smtp; ${wrapped(reply).join('\r\n ')}`,
    ]),
  ]
  const part = (type: string, lines: readonly string[]) => [
    `--${boundary}`,
    `Content-Type: ${type}`,
    'Content-Transfer-Encoding: 8bit',
    '',
    ...lines,
    '',
  ]
  const text = [
    ...head,
    '',
    ...part('text/plain; charset=utf-8', words),
    ...part('message/delivery-status', status),
    `--${boundary}`,
    'Content-Type: text/rfc822-headers',
    `Content-Transfer-Encoding: ${isAscii(original) ? '7bit' : '8bit'}`,
    '',
    '',
  ].join('\r\n')
  return Buffer.concat([Buffer.from(text), original, Buffer.from(`\r\n--${boundary}--\r\n`)])
}

/** Whether a failure is one of which the sender of the mail should hear: the other side said no, and means it. */
export function isBounced(error: HubError): boolean {
  const codes = ['REFUSED', 'RECIPIENT_REFUSED', 'SOME_RECIPIENTS_REFUSED', 'TOO_LARGE', 'SMTPUTF8_MISSING']
  return error.retry === 'never' && codes.includes(error.code.replace(/^SMTP_/, ''))
}

/** The status of RFC 3463 behind the code of the reply; an address of four numbers may stand anywhere. */
function statusOf(reply: string): string {
  return /\b5\d\d (5\.\d{1,3}\.\d{1,3})(?!\.?\d)/.exec(reply)?.[1] ?? '5.0.0'
}

const replyLettersMax = 600

/** A reply in lines that any mail server takes: 998 octets (RFC 5322 section 2.1.1) where each letter has four. */
function wrapped(reply: string): string[] {
  return (
    plain(reply)
      .slice(0, replyLettersMax)
      .match(/\S.{0,238}(?=\s|$)|\S.{0,238}/gu) ?? []
  )
}

function messageIdOf(message: Message): string {
  const id = textAttribute(message, 'messageId')
  return /^<[!-;=?-~]{1,900}>$/.test(id) ? id : ''
}

function fold(text: string): string {
  const clean = plain(text).slice(0, 200)
  return isAscii(Buffer.from(clean)) ? clean : encodeWords(clean)
}

function plain(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029]/gu, ' ')
}
