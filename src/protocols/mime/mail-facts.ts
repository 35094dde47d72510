import { decodeHeaderText } from '../../kernel/encoded-word.ts'
import type { MailAddress } from './address.ts'
import { parseAddresses } from './address.ts'
import { allValues, type MailHeader } from './header.ts'

/** What a mail says about itself. Texts are empty, and lists too, where it says nothing that can be used. */
export interface MailFacts {
  readonly from: string
  /** Who it is for: Delivered-To, X-Original-To, To, Cc, each address once. */
  readonly to: readonly string[]
  readonly cc: readonly string[]
  readonly subject: string
  /** With its angle brackets: `<a@b>`. */
  readonly messageId: string
  /** ISO 8601, UTC. */
  readonly date: string
  /** `<>` for the null sender of a bounce, an address, or empty when the header is not there. */
  readonly returnPath: string
  /** Received lines: hops that the mail has made. */
  readonly receivedCount: number
  /** True for bounces, vacation notes, receipts and bulk mail: never answer these. */
  readonly isAutomatic: boolean
}

const subjectLettersMax = 2_000
/** A date with its comments; a longer one is none, and would take its time to read. */
const dateLettersMax = 200
/** More than a mail is sent to, so that none is left out without a word. */
const addressesMax = 2_000

/** Reads the facts of a mail from its header. */
export function readMailFacts(header: MailHeader): MailFacts {
  const first = (name: string) => header.fields.find(field => field[0] === name)?.[1] ?? ''
  const addresses = (name: string) => allValues(header, name).flatMap(parseAddresses)
  const sender = addresses('from')[0] ?? addresses('sender')[0]
  const cc = addresses('cc')
  const to = [...addresses('delivered-to'), ...addresses('x-original-to'), ...addresses('to'), ...cc]
  const returnPath = readReturnPath(first('return-path'))
  return {
    from: sender?.address ?? '',
    to: eachOnce(to),
    cc: eachOnce(cc),
    subject: decodeHeaderText(first('subject')).slice(0, subjectLettersMax),
    messageId: readMessageId(first('message-id')),
    date: readDate(first('date')),
    returnPath,
    receivedCount: header.fields.filter(field => field[0] === 'received').length,
    isAutomatic: isAutomatic(first, returnPath),
  }
}

/** `<a@b>` of a Message-ID header, with what mailers put around it taken away; empty when there is none. */
export function readMessageId(value: string): string {
  const bracketed = /<([^<>\s]{1,990})>/.exec(value)?.[1]
  const bare = /^[^<>\s]{1,990}$/.exec(value.trim())?.[0]
  const id = bracketed ?? bare
  return id === undefined ? '' : `<${id}>`
}

/** Auto-Submitted (RFC 3834), a null return path, Precedence, and reports (RFC 6522: bounces, read receipts). */
function isAutomatic(first: (name: string) => string, returnPath: string): boolean {
  const submitted = first('auto-submitted').toLowerCase()
  if (submitted !== '' && !/^no\b/.test(submitted)) return true
  if (returnPath === '<>' || /^(bulk|junk|auto_reply)\b/i.test(first('precedence'))) return true
  return /^multipart\/report\b/i.test(first('content-type'))
}

function readReturnPath(value: string): string {
  if (/^<\s*>$/.test(value)) return '<>'
  return parseAddresses(value)[0]?.address ?? ''
}

function readDate(value: string): string {
  if (value.length > dateLettersMax) return ''
  // A comment (`(CEST)`) is allowed behind the zone; Date.parse knows the rest of RFC 5322.
  const ms = Date.parse(withZone(withColons(value.replace(/\([^()]*\)/g, ' ').trim())))
  const isUsable = Number.isFinite(ms) && ms > Date.UTC(1970, 0, 1) && ms < Date.UTC(2200, 0, 1)
  return isUsable ? new Date(ms).toISOString() : ''
}

/** Some programs write the time of day as their country does (`21 Nov 2026 10.00.00 +0100`). */
function withColons(date: string): string {
  return date.replace(/(\d{4}\s+\d\d?)\.(\d\d)(?:\.(\d\d))?(?=\s|$)/, (_time, hour, minute, second = '00') => {
    return `${hour}:${minute}:${second}`
  })
}

/** RFC 5322 section 4.3: a zone that is missing, or that nobody knows, is UTC; Date.parse takes that of this machine. */
function withZone(date: string): string {
  if (/^\d{4}-/.test(date)) return /[T ][\d:.]+$/.test(date) ? `${date}Z` : date
  const [, time = '', offset, zone = ''] =
    /^(.*?:\d\d?(?:\.\d+)?)\s*(?:UTC?|GMT)?([+-]\d\d:?\d\d)?\s*([A-Za-z]{0,5})$/.exec(date) ?? []
  if (time === '') return /:\d\d\s+\d{4}$/.test(date) ? `${date} +0000` : date
  if (offset !== undefined) return `${time} ${offset}`
  if (/^(?:UTC?|GMT|Z|[ECMP][SD]T)$/i.test(zone)) return date
  return /^[AP]M$/i.test(zone) ? `${date} +0000` : `${time} +0000`
}

function eachOnce(addresses: readonly MailAddress[]): string[] {
  const seen = new Map<string, string>()
  for (const { address } of addresses.slice(0, addressesMax)) {
    const key = address.toLowerCase()
    if (!seen.has(key)) seen.set(key, address)
  }
  return [...seen.values()]
}
