import { parseAddress } from '../../protocols/smtp/address.ts'
import type { SmtpServerAuth, SmtpServerExtensions } from './options.ts'

/** The keywords that an answer to EHLO announces. */
export function announce(
  extensions: SmtpServerExtensions,
  auth: SmtpServerAuth | undefined,
  isEncrypted: boolean,
): string[] {
  const { sizeMax } = extensions
  return [
    sizeMax !== undefined && (sizeMax > 0 ? `SIZE ${sizeMax}` : 'SIZE'),
    extensions.pipelining && 'PIPELINING',
    extensions.enhancedStatusCodes && 'ENHANCEDSTATUSCODES',
    extensions.startTls && !isEncrypted && 'STARTTLS',
    auth && (isEncrypted || !auth.needsTls) && `AUTH ${auth.mechanisms.join(' ')}`,
    extensions.eightBitMime && '8BITMIME',
    extensions.binaryMime && 'BINARYMIME',
    extensions.chunking && 'CHUNKING',
    extensions.smtpUtf8 && 'SMTPUTF8',
  ].filter(keyword => typeof keyword === 'string')
}

/** Whether a parameter of MAIL FROM (upper case) belongs to something that was announced. */
export function knowsParameter(extensions: SmtpServerExtensions, hasAuth: boolean, parameter: string): boolean {
  if (/^SIZE=\d{1,15}$/.test(parameter)) return extensions.sizeMax !== undefined
  if (parameter === 'BODY=7BIT' || parameter === 'BODY=8BITMIME') return extensions.eightBitMime
  if (parameter === 'BODY=BINARYMIME') return extensions.binaryMime && extensions.chunking
  if (parameter === 'SMTPUTF8') return extensions.smtpUtf8
  return parameter.startsWith('AUTH=') && hasAuth
}

/** `FROM:<a@b> SIZE=1` without its word: the address and the parameters. */
export function readPath(argument: string, word: 'FROM' | 'TO'): { address: string; parameters: string[] } | undefined {
  const match = /^(FROM|TO):<([^<>]*)>((?: [^ ]+)*)$/i.exec(argument)
  if (match?.[1]?.toUpperCase() !== word) return undefined
  return { address: match[2] ?? '', parameters: (match[3] ?? '').split(' ').filter(Boolean) }
}

/** Whether the text is an address as it may stand in an envelope here. */
export function isAddress(text: string, mayBeUtf8: boolean): boolean {
  try {
    const address = parseAddress(text)
    return mayBeUtf8 || (!address.needsUtf8 && address.text === text)
  } catch {
    // Whatever is wrong with it, the client is told that it is no address.
    return false
  }
}
