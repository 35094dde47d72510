import type { Message } from '../kernel/message.ts'
import { allValues, type MailHeader } from '../protocols/mime/header.ts'
import { smtpErrors } from '../protocols/smtp/errors.ts'
import type { SmtpConfig } from './smtp-config.ts'
import type { MailEnvelope } from './smtp-envelope.ts'
import { textAttribute } from './smtp-facts.ts'

/**
 * Throws SMTP_LOOP when a mail goes round in circles. A mail that must arrive unchanged cannot carry a mark of ours, so
 * what others left in it has to tell.
 */
export function refuseLoop(config: SmtpConfig, message: Message, header: MailHeader, envelope: MailEnvelope): void {
  const max = config.loop['received-max']
  const hops = allValues(header, 'received').length
  if (hops > max) throw smtpErrors.LOOP({ text: `it has ${hops} Received lines, more than ${max}` })
  const from = textAttribute(message, 'from').toLowerCase()
  const ownDomain = config.loop['own-domains'].find(domain => from.endsWith(`@${domain.toLowerCase()}`))
  if (ownDomain !== undefined)
    throw smtpErrors.LOOP({ text: `it comes from ${from}, and ${ownDomain} is where it goes` })
  const marks = (name: string) => allValues(header, name).map(value => value.trim().toLowerCase())
  // Without `to` the recipients are read from the same header, so Delivered-To tells nothing.
  const deliveredTo = config.to === undefined ? [] : marks('delivered-to')
  // The server of the mailbox wrote one itself; that mailbox and the other side may have one address.
  const ownAt = deliveredTo.indexOf(textAttribute(message, 'mailbox').toLowerCase())
  const seen = new Set([...marks('x-loop'), ...deliveredTo.filter((_, index) => index !== ownAt)])
  const again = envelope.to.find(({ text }) => seen.has(text.toLowerCase()))
  if (again) throw smtpErrors.LOOP({ text: `it has been at ${again.text} before` })
}
