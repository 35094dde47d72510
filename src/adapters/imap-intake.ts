import type { Link } from '../flow/adapter.ts'
import { asHubError, type HubError } from '../kernel/error.ts'
import { imapErrors } from '../protocols/imap/errors.ts'
import type { FetchedMail } from '../protocols/imap/fetch.ts'
import { describeMail, isSynthetic, type MailHead, type MailPlace, peelHead, readHead } from './imap-message.ts'
import { recogniseProbe, useProbe } from './imap-probe.ts'
import type { ImapContext } from './imap-session.ts'

/** What became of a mail that was fetched. */
export type Taken =
  | { readonly what: 'accepted'; readonly id: string }
  /** The mail itself is at fault; it is put aside with this reason. */
  | { readonly what: 'refused'; readonly error: HubError }
  /** The server did not hand over the mail but a notice that it cannot. */
  | { readonly what: 'synthetic' }
  /** The hub could not take it now. */
  | { readonly what: 'failed'; readonly error: HubError }

/** Hands one fetched mail to the hub. It never throws: whatever one mail does, the others go on. */
export async function takeIn(
  context: ImapContext,
  link: Link,
  mail: FetchedMail,
  place: MailPlace,
  isSuspect: boolean,
): Promise<Taken> {
  try {
    if (mail.body instanceof Uint8Array) return await takeHead(context, mail, place, isSuspect, mail.body, mail.body)
    const { head, body, leave } = await peelHead(mail.body)
    try {
      return await takeHead(context, mail, place, isSuspect, head, body)
    } finally {
      await leave()
    }
  } catch (thrown) {
    const error = asHubError(thrown)
    // A connection that broke in the midst of a mail says nothing about the mail.
    if (link.signal.aborted || error.code.startsWith('IMAP_')) return { what: 'failed', error }
    // An expression of the document that fails is the document's mistake before it is the mail's: if it fails for every
    // mail the link goes down and they all stay where they are.
    if (isOfExpression(error)) return { what: 'failed', error }
    return error.retry === 'never' ? { what: 'refused', error: refusedMail(place, error) } : { what: 'failed', error }
  }
}

async function takeHead(
  context: ImapContext,
  mail: FetchedMail,
  place: MailPlace,
  isSuspect: boolean,
  headBytes: Uint8Array,
  body: Uint8Array | AsyncIterable<Uint8Array>,
): Promise<Taken> {
  const { mailbox: user, uid } = place
  const head = readHead(headBytes)
  const { subject, receivedCount } = head.facts
  if (isSynthetic(head.facts)) return { what: 'synthetic' }
  // The literal's length decides; sizes that the server tells beforehand are estimates.
  const bytesMax = context.config['max-size'] ?? context.limits.messageBytes
  if (mail.bytes > bytesMax) {
    const { bytes } = mail
    return { what: 'refused', error: imapErrors.MAIL_TOO_LARGE({ uid, user, bytes, bytesMax, subject }) }
  }
  if (receivedCount > context.config['received-max']) {
    return { what: 'refused', error: imapErrors.LOOP({ uid, user, receivedCount, subject }) }
  }
  warnOfCutHeader(context, head, place)
  const probe = await recogniseProbe(context.memory, head.claimedProbe)
  // The same mail once more is no new one; another mail with a used token is a mail like any other.
  const isRepeat = isSuspect || probe?.state === 'used'
  const token = probe?.state === 'open' ? probe.token : undefined
  const { id } = await context.intake.accept(describeMail(place, head, body, isRepeat, token))
  if (token !== undefined) await useProbe(context.memory, token)
  return { what: 'accepted', id }
}

/** True for an expression of the document that failed on a mail (once-by, order-by). */
export function isOfExpression(error: HubError): boolean {
  return error.code.startsWith('EXPRESSION_')
}

/** The error of a mail that the hub does not want. */
export function refusedMail({ mailbox, uid }: MailPlace, cause: HubError): HubError {
  return imapErrors.MAIL_REFUSED({ uid, user: mailbox, reason: cause.message }, { cause })
}

function warnOfCutHeader(context: ImapContext, head: MailHead, { mailbox, uid }: MailPlace): void {
  if (!head.header.isWhole) context.log.warn('imap.header-cut', { mailbox, uid, fieldCount: head.header.fields.length })
}
