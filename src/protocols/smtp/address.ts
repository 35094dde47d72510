import { isAscii } from 'node:buffer'
import { domainToASCII } from 'node:url'
import { smtpErrors } from './errors.ts'

/** A mail address that is safe to write into a command: `MAIL FROM:<text>`. */
export interface Address {
  /** As it goes over the wire, domain in ASCII. */
  readonly text: string
  readonly local: string
  readonly domain: string
  /** True when the local part is not ASCII, so that the server must offer SMTPUTF8 (RFC 6531). */
  readonly needsUtf8: boolean
}

/**
 * RFC 5321 section 4.5.3.1, in octets. Its 64 before the @ are no limit here: bounce and reply addresses that carry
 * another address or a token are longer, and mail servers take them.
 */
const addressLimits = { domainBytes: 255, pathBytes: 254 }

// Dots may stand anywhere: addresses such as a..b@docomo.ne.jp exist, and dots cannot break a command.
const plainLocal = /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~.\u0080-\u{10ffff}-]+$/u
// A quoted local part, without the angle brackets, quotes and backslashes on which parsers disagree.
const quotedLocal = /^"[ !#-;=?-[\]-~]*"$/
const domainName = /^(?!-)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*$/
const domainLiteral = /^\[(?:\d{1,3}(?:\.\d{1,3}){3}|IPv6:[0-9A-Fa-f:.]{2,45})\]$/
// Invisible, formatting and separating characters never belong into an address.
const unseen = /[\p{Cc}\p{Cf}\p{Z}\p{Cs}\p{Cn}]/u

/**
 * Reads a bare address (`orders@s4.example`, without a display name). Nothing that could end the command, the path
 * or the line gets through. Throws SMTP_ADDRESS_INVALID.
 */
export function parseAddress(input: string): Address {
  const refuse = (text: string) => smtpErrors.ADDRESS_INVALID({ address: printable(input), text })
  const at = input.lastIndexOf('@')
  if (at <= 0) throw refuse('it has no local part and @')
  const local = input.slice(0, at)
  if (!input.isWellFormed() || !(quotedLocal.test(local) || (plainLocal.test(local) && !unseen.test(local))))
    throw refuse('its local part holds a character that is not allowed')
  const domain = readDomain(input.slice(at + 1))
  if (domain === undefined) throw refuse('its domain is not a domain')
  const text = `${local}@${domain}`
  if (Buffer.byteLength(text) > addressLimits.pathBytes) throw refuse('it is longer than 254 octets')
  return { text, local, domain, needsUtf8: !isAscii(Buffer.from(local)) }
}

function readDomain(input: string): string | undefined {
  if (domainLiteral.test(input)) return input
  if (unseen.test(input)) return undefined
  // Only names beyond ASCII are converted, since the conversion also decodes %xx and full-width letters.
  const ascii = /[^!-~]/.test(input) ? domainToASCII(input) : input
  return domainName.test(ascii) && ascii.length <= addressLimits.domainBytes ? ascii : undefined
}

function printable(text: string): string {
  return text.slice(0, 120).replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, '?')
}
