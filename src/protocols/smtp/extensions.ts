import type { Reply } from './reply.ts'

/** What a server announced in its answer to EHLO. */
export interface Extensions {
  /** Keywords in upper case as they were announced, for people. */
  readonly keywords: readonly string[]
  readonly pipelining: boolean
  readonly eightBitMime: boolean
  readonly smtpUtf8: boolean
  readonly chunking: boolean
  readonly binaryMime: boolean
  readonly startTls: boolean
  readonly enhancedStatusCodes: boolean
  /** Undefined: SIZE is not announced. 0: announced without a limit. Else the limit in bytes (RFC 1870). */
  readonly sizeMax: number | undefined
  /** SASL mechanisms in upper case. */
  readonly auth: ReadonlySet<string>
}

/** Reads the answer to EHLO (RFC 5321 section 4.1.1.1); the first line is the greeting. */
export function readExtensions(reply: Reply): Extensions {
  const keywords = new Map<string, string>()
  for (const line of reply.lines.slice(1)) {
    // Old servers write AUTH=LOGIN beside or instead of AUTH LOGIN.
    const [name = '', ...parameters] = line.trim().toUpperCase().split(/[ =]+/)
    if (name) keywords.set(name, [keywords.get(name), ...parameters].filter(Boolean).join(' '))
  }
  const size = keywords.get('SIZE')
  return {
    keywords: [...keywords].map(([name, parameters]) => (parameters ? `${name} ${parameters}` : name)),
    pipelining: keywords.has('PIPELINING'),
    eightBitMime: keywords.has('8BITMIME'),
    smtpUtf8: keywords.has('SMTPUTF8'),
    chunking: keywords.has('CHUNKING'),
    binaryMime: keywords.has('BINARYMIME'),
    startTls: keywords.has('STARTTLS'),
    enhancedStatusCodes: keywords.has('ENHANCEDSTATUSCODES'),
    sizeMax: size === undefined ? undefined : /^\d{1,15}$/.test(size) ? Number(size) : 0,
    auth: new Set((keywords.get('AUTH') ?? '').split(' ').filter(Boolean)),
  }
}

/** A server that knows only HELO. */
export const noExtensions: Extensions = readExtensions({ code: 250, enhanced: undefined, lines: [] })
