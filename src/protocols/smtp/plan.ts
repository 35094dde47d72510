import type { SmtpConnection } from './connection.ts'
import type { Refusal } from './envelope.ts'
import { smtpErrors } from './errors.ts'
import type { Mail } from './transaction.ts'

/** How the octets travel: every command awaited; commands in groups (RFC 2920); one chunk of known length (RFC 3030). */
export type SendMode = 'data' | 'data-pipelined' | 'bdat'

export interface SendPlan {
  readonly mode: SendMode
  /** Parameters of MAIL FROM, with a leading blank each. */
  readonly parameters: string
}

/** RFC 5321 section 4.5.3.1.8 asks servers for 100; beyond this number a list is a mistake rather than a mail. */
const recipientsMax = 1000

/** Recipients whom this server cannot be told, where the others are to get the mail without them. */
export function beyondReach({ extensions, server }: SmtpConnection, { to, someRefused }: Mail): Refusal[] {
  if (extensions.smtpUtf8 || someRefused === 'refuse') return []
  const foreign = to.filter(({ needsUtf8 }) => needsUtf8)
  if (foreign.length === to.length) return []
  return foreign.map(({ text }) => ({
    recipient: text,
    reply: smtpErrors.SMTPUTF8_MISSING({ address: text, server }).message,
  }))
}

/**
 * Decides how a mail goes to this server. Throws SMTP_NO_RECIPIENT, SMTP_TOO_MANY_RECIPIENTS, SMTP_SMTPUTF8_MISSING,
 * SMTP_TOO_LARGE, before a byte of it is on the wire.
 *
 * BDAT carries any octets, and is taken for those that DATA would change: bare CR or LF, NUL, no final line end. For
 * all others DATA is as fast, and every server has had more practice with it. Several BDAT mails at once would save a
 * round trip each, but a lost connection would then leave several mails unknown.
 */
export function planMail({ extensions, server }: SmtpConnection, mail: Mail): SendPlan {
  const { content, from, to } = mail
  const { hasBareLineEnd, hasEightBit, hasNul, endsWithLineEnd } = content.facts
  if (to.length === 0) throw smtpErrors.NO_RECIPIENT()
  if (to.length > recipientsMax) throw smtpErrors.TOO_MANY_RECIPIENTS({ count: to.length, countMax: recipientsMax })
  const foreign = [from, ...to].find(address => address?.needsUtf8)
  if (foreign && !extensions.smtpUtf8) throw smtpErrors.SMTPUTF8_MISSING({ address: foreign.text, server })
  const isBinary = hasBareLineEnd || hasNul
  const isExactByData = !isBinary && (endsWithLineEnd || content.bytes === 0)
  const mode = !isExactByData && extensions.chunking ? 'bdat' : extensions.pipelining ? 'data-pipelined' : 'data'
  const bytes = content.bytes + (mode === 'bdat' || endsWithLineEnd ? 0 : 2)
  const { sizeMax } = extensions
  if (sizeMax && bytes > sizeMax)
    throw smtpErrors.TOO_LARGE({ server, bytes, text: `it takes ${sizeMax} bytes at most` })
  let parameters = ''
  if (sizeMax !== undefined) parameters += ` SIZE=${bytes}`
  if (mode === 'bdat' && isBinary && extensions.binaryMime) parameters += ' BODY=BINARYMIME'
  // Without 8BITMIME the octets go as they are: nearly every server keeps them, and converting would break signatures.
  else if (hasEightBit && extensions.eightBitMime) parameters += ' BODY=8BITMIME'
  if (foreign) parameters += ' SMTPUTF8'
  return { mode, parameters }
}
