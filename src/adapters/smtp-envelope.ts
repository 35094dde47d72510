import { isDeepStrictEqual } from 'node:util'
import type { Scope, Template } from '../flow/expression.ts'
import type { Message } from '../kernel/message.ts'
import { headerLimits, type MailHeader } from '../protocols/mime/header.ts'
import { readMailFacts } from '../protocols/mime/mail-facts.ts'
import { type Address, parseAddress } from '../protocols/smtp/address.ts'
import { smtpErrors } from '../protocols/smtp/errors.ts'
import type { SmtpConfig } from './smtp-config.ts'

export interface MailEnvelope {
  /** Undefined is the null sender. */
  readonly from: Address | undefined
  /** Each once. */
  readonly to: readonly Address[]
}

/** Who sends and who receives, by the document and the message. Throws SMTP_ADDRESS_INVALID, SMTP_NO_RECIPIENT. */
export async function readEnvelope(config: SmtpConfig, message: Message, scope: Scope): Promise<MailEnvelope> {
  const [from, to] = await Promise.all([readSender(config, message, scope), readRecipients(config, message, scope)])
  if (to.length === 0) throw smtpErrors.NO_RECIPIENT()
  return { from, to }
}

/**
 * Throws SMTP_RECIPIENTS_UNKNOWN when the recipients are those of a header that is longer than the hub reads: the others
 * would go without their mail.
 */
export function refuseUnknownRecipients(config: SmtpConfig, message: Message, header: MailHeader): void {
  if (config.to !== undefined || header.isWhole) return
  // A step of the flow may have named its own.
  if (!isDeepStrictEqual(message.attributes['to'], readMailFacts(header).to)) return
  throw smtpErrors.RECIPIENTS_UNKNOWN({ bytes: headerLimits.blockBytes, fields: headerLimits.fields })
}

async function readSender(config: SmtpConfig, message: Message, scope: Scope): Promise<Address | undefined> {
  const { isAutomatic, returnPath, from } = message.attributes
  // A mailbox that logs in may not send as nobody (Exchange Online: SendAsDenied).
  const isSubmitted = config.from !== 'return-path' && config.auth !== undefined
  // RFC 3834 section 3 and RFC 5321 section 6.1: an answer to an automatic mail would start a circle.
  if (config.from === 'none' || isBounce(message) || (isAutomatic === true && !isSubmitted)) return undefined
  if (config.from !== 'return-path') {
    const text = await config.from.render(scope)
    return text === '' || text === '<>' ? undefined : readOne(text)
  }
  // What the sender of a mail wrote into it may be anything. If it is no address, nobody can be told of a failure
  // anyhow, and that is what the null sender says.
  return [returnPath, from].map(readIfValid).find(address => address !== undefined)
}

/** Of such a one nobody is told that it did not arrive, or both sides would tell each other for ever. */
function isBounce({ attributes, headers }: Message): boolean {
  return attributes['returnPath'] === '<>' || /^multipart\/report\b/i.test(headers['content-type'] ?? '')
}

async function readRecipients(config: SmtpConfig, message: Message, scope: Scope): Promise<Address[]> {
  const wanted: readonly Template[] | undefined =
    config.to === undefined || Array.isArray(config.to) ? config.to : [config.to]
  const values = wanted
    ? await Promise.all(wanted.map(async template => template.render(scope)))
    : [message.attributes['to']]
  const each = new Map<string, Address>()
  for (const value of values.flat().filter(isGiven)) {
    const address = readOne(value)
    const key = `${address.local}@${address.domain.toLowerCase()}`
    if (!each.has(key)) each.set(key, address)
  }
  return [...each.values()]
}

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null && value !== ''
}

function readOne(value: unknown): Address {
  if (typeof value !== 'string') {
    const address = JSON.stringify(value) ?? typeof value
    throw smtpErrors.ADDRESS_INVALID({ address, text: 'it is not a text' })
  }
  return parseAddress(value.trim())
}

function readIfValid(value: unknown): Address | undefined {
  try {
    return typeof value === 'string' && value !== '' ? parseAddress(value) : undefined
  } catch {
    // The next candidate is asked.
    return undefined
  }
}
