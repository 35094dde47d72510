import { isAscii } from 'node:buffer'
import type { Scope } from '../flow/expression.ts'
import type { Message } from '../kernel/message.ts'
import { smtpErrors } from '../protocols/smtp/errors.ts'
import type { SmtpConfig } from './smtp-config.ts'

/** RFC 5322 section 2.1.1, without the CRLF. */
const lineLettersMax = 998
/** Octets of text in one encoded word of at most 75 letters (RFC 2047 section 2). */
const encodedWordBytes = 45

/** The header lines that the flow puts on top of a mail, or undefined when there are none. Throws SMTP_HEADER_INVALID. */
export async function renderAddedHeaders(
  config: SmtpConfig,
  message: Message,
  scope: Scope,
  now: number,
): Promise<Uint8Array | undefined> {
  const { add, received } = config.headers
  const lines: string[] = []
  if (received) {
    const by = config.helo ?? 'isthmus'
    lines.push(`Received: by ${by} (Isthmus, flow ${scope.flow.name}) id ${message.id};\r\n\t${formatDate(now)}`)
  }
  for (const [name, template] of Object.entries(add)) {
    const value = await template.render(scope)
    if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean')
      throw smtpErrors.HEADER_INVALID({ name, text: 'its value is not a text' })
    lines.push(`${name}: ${encodeValue(name, String(value))}`)
  }
  return lines.length > 0 ? Buffer.from(`${lines.join('\r\n')}\r\n`) : undefined
}

function encodeValue(name: string, value: string): string {
  // A line end in a value that came from outside would begin a header line of somebody else's choice.
  if (/(?!\t)[\p{Cc}\u2028\u2029]/u.test(value))
    throw smtpErrors.HEADER_INVALID({ name, text: 'it holds a control character' })
  const encoded = isAscii(Buffer.from(value)) ? value : encodeWords(value)
  const longest = Math.max(...encoded.split('\r\n').map(line => line.length))
  if (longest + name.length + 2 > lineLettersMax) throw smtpErrors.HEADER_INVALID({ name, text: 'it is too long' })
  return encoded
}

/** Text beyond ASCII for a header (RFC 2047), folded. */
export function encodeWords(text: string): string {
  const words: string[] = []
  let part = ''
  const close = () => words.push(`=?UTF-8?B?${Buffer.from(part).toString('base64')}?=`)
  for (const letter of text) {
    if (Buffer.byteLength(part + letter) > encodedWordBytes) {
      close()
      part = ''
    }
    part += letter
  }
  if (part !== '') close()
  return words.join('\r\n ')
}

/** A date as mail has it (RFC 5322 section 3.3), in UTC. */
export function formatDate(ms: number): string {
  return new Date(ms).toUTCString().replace(/GMT$/, '+0000')
}
