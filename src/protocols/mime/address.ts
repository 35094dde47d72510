import { decodeHeaderText } from '../../kernel/encoded-word.ts'

export interface MailAddress {
  /** Display name, decoded; empty when there is none. */
  readonly name: string
  /** `local@domain`, fit for an SMTP envelope: no comments, no blanks outside quotes, no control characters. */
  readonly address: string
}

const addressLimits = {
  /**
   * RFC 5321 section 4.5.3.1 has 64 before the @, and asks for no limit where there need be none: bounce addresses with
   * another address in them (VERP, SRS) and reply addresses with a token are longer. So only a path sets one.
   */
  localOctets: 254,
  domainOctets: 255,
  /** Addresses of one header field: more than a mail is sent to, so that none is left out without a word. */
  perField: 2_000,
  /** Comments inside comments, and such as do not end. */
  commentDepth: 50,
} as const

/**
 * Addresses of a header field (From, To, Cc …), with groups taken apart (RFC 5322 section 3.4). An entry that is not
 * entirely an address gives nothing: `account)@silly.test(his host)>` must never become a MAIL FROM.
 */
export function parseAddresses(value: string): MailAddress[] {
  const usual = readUsual(value)
  if (usual) return [usual]
  const found: MailAddress[] = []
  let entry: Token[] = []
  let isPhrase = true
  const beginEntry = () => {
    entry = []
    isPhrase = true
  }
  const endEntry = () => {
    const address = readEntry(entry)
    if (address && found.length < addressLimits.perField) found.push(address)
    beginEntry()
  }
  let isInAngle = false
  for (const token of tokenize(value)) {
    const special = token.kind === 'special' ? token.text : ''
    if (special === '<') isInAngle = true
    if (special === '>') isInAngle = false
    // A colon outside <…> begins a group: what stands before it is the group's name. A semicolon ends it.
    if (!isInAngle && special === ':' && isPhrase) beginEntry()
    else if (special === ';' || (special === ',' && !isInAngle)) {
      isInAngle = false
      endEntry()
    } else {
      entry.push(token)
      isPhrase &&= isOfPhrase(token)
    }
  }
  endEntry()
  return found
}

/** The address of a text that is one address and nothing else (`a@b.example`), in its plain form. */
export function parseAddress(text: string): string | undefined {
  const [only, ...more] = parseAddresses(text)
  return more.length === 0 ? only?.address : undefined
}

const word = "[A-Za-z0-9_'-]+"
const atom = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
const label = '[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?'
const usualPattern = new RegExp(
  `^((?:${word}(?: ${word})* ?)?<)?(${atom}(?:\\.${atom})*)@(${label}(?:\\.${label})*)(>)?$`,
)
const usualLettersMax = 400

/** One address as most are, plain or behind a name of plain words: a search for what the grammar would find, too. */
function readUsual(value: string): MailAddress | undefined {
  const match = value.length <= usualLettersMax ? usualPattern.exec(value) : null
  if (!match) return undefined
  const [, before, local = '', domain = '', after] = match
  const isSound = (before === undefined) === (after === undefined)
  if (!isSound || local.length > addressLimits.localOctets || domain.length > addressLimits.domainOctets)
    return undefined
  return { name: before?.slice(0, -1).trimEnd() ?? '', address: `${local}@${domain}` }
}

interface Token {
  readonly kind: 'atom' | 'quoted' | 'domain' | 'special' | 'broken'
  /** A quoted string without its quotes and backslashes. */
  readonly text: string
  /** True when a blank or a comment stood before it. */
  readonly isApart: boolean
}

const atomPattern = /[^\s()<>[\]:;@\\,."\p{Cc}]+/uy
const quotedPattern = /"((?:[^"\\\r\n]|\\[^\r\n])*)"/y
const domainPattern = /\[[^[\]\\\s\p{Cc}]*\]/uy
const blankPattern = /[ \t\r\n]+/y
const lineEndPattern = /[\r\n]|$/g

function* tokenize(value: string): Generator<Token> {
  let at = 0
  let isApart = false
  /** Quotes before this place end no more than the one that was followed so far: it would have ended there. */
  let unendedTo = 0
  /** Each was followed to the end of the value. */
  let unendedComments = 0
  const match = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at
    return pattern.exec(value)
  }
  while (at < value.length) {
    const blank = match(blankPattern)
    const mayBeComment = value[at] === '(' && unendedComments < addressLimits.commentDepth
    const commentEnd = mayBeComment ? skipComment(value, at) : undefined
    if (mayBeComment && commentEnd === undefined) unendedComments++
    if (blank || commentEnd !== undefined) {
      at = blank ? at + blank[0].length : (commentEnd ?? at)
      isApart = true
      continue
    }
    const mayEnd = value[at] === '"' && at >= unendedTo
    const quoted = mayEnd ? match(quotedPattern) : null
    if (mayEnd && !quoted) unendedTo = lineEndAfter(value, at)
    const found = quoted ?? match(atomPattern) ?? match(domainPattern)
    const raw = found?.[0] ?? value[at] ?? ''
    yield { ...nameToken(raw, found?.[1]), isApart }
    isApart = false
    at += raw.length
  }
}

function lineEndAfter(value: string, at: number): number {
  lineEndPattern.lastIndex = at
  return lineEndPattern.exec(value)?.index ?? value.length
}

function nameToken(raw: string, unquoted: string | undefined): Omit<Token, 'isApart'> {
  if (unquoted !== undefined) return { kind: 'quoted', text: unquoted.replace(/\\(.)/gs, '$1') }
  if (raw.length > 1 && raw.startsWith('[')) return { kind: 'domain', text: raw }
  if (/^[<>,;:@.]$/.test(raw)) return { kind: 'special', text: raw }
  return /^["()[\]\\\p{Cc}]/u.test(raw) ? { kind: 'broken', text: raw } : { kind: 'atom', text: raw }
}

/** The place after a comment; undefined when it does not end. */
function skipComment(value: string, from: number): number | undefined {
  let depth = 0
  for (let at = from; at < value.length; at++) {
    const letter = value[at]
    if (letter === '\\') at++
    else if (letter === '(' && ++depth > addressLimits.commentDepth) return undefined
    else if (letter === ')' && --depth === 0) return at + 1
  }
  return undefined
}

function isAtom(token: Token): boolean {
  return token.kind === 'atom'
}

function isBroken(token: Token): boolean {
  return token.kind === 'broken'
}

/** A word of a name; a full stop in a name is out of order and everywhere (RFC 5322 section 4.1). */
function isOfPhrase(token: Token): boolean {
  return token.kind === 'atom' || token.kind === 'quoted' || isSpecial(token, '.')
}

function isSpecial(token: Token | undefined, text: string): boolean {
  return token?.kind === 'special' && token.text === text
}

function readEntry(tokens: readonly Token[]): MailAddress | undefined {
  if (tokens.length === 0 || tokens.some(isBroken)) return undefined
  const angleAt = tokens.findIndex(token => isSpecial(token, '<'))
  if (angleAt < 0) {
    const address = readAddressSpec(tokens)
    return address === undefined ? undefined : { name: '', address }
  }
  if (!isSpecial(tokens.at(-1), '>')) return undefined
  const phrase = tokens.slice(0, angleAt)
  // An address as a name, or brackets in one, are out of order, and everywhere.
  if (!phrase.every(token => isOfPhrase(token) || isSpecial(token, '@') || token.kind === 'domain')) return undefined
  const address = readAddressSpec(withoutRoute(tokens.slice(angleAt + 1, -1)))
  if (address === undefined) return undefined
  const name = phrase.map((token, index) => (token.isApart && index > 0 ? ' ' : '') + token.text).join('')
  return { name: decodeHeaderText(name).trim(), address }
}

/** `@a,@b:joe@c` is `joe@c` (RFC 5322 section 4.4). */
function withoutRoute(tokens: readonly Token[]): readonly Token[] {
  if (!isSpecial(tokens[0], '@')) return tokens
  return tokens.slice(tokens.findIndex(token => isSpecial(token, ':')) + 1)
}

function readAddressSpec(tokens: readonly Token[]): string | undefined {
  const at = tokens.findIndex(token => isSpecial(token, '@'))
  if (at < 1) return undefined
  const local = readLocalPart(tokens.slice(0, at))
  const domain = readDomain(tokens.slice(at + 1))
  return local === undefined || domain === undefined ? undefined : `${local}@${domain}`
}

function readLocalPart(tokens: readonly Token[]): string | undefined {
  if (!isDotted(tokens, ['atom', 'quoted']) && !hasDotsAnywhere(tokens)) return undefined
  const plain = tokens.map(token => token.text).join('')
  if (plain === '' || Buffer.byteLength(plain) > addressLimits.localOctets || /\p{Cc}/u.test(plain)) return undefined
  const needsQuotes = tokens.some(token => token.kind === 'quoted') && !isDotAtom(plain)
  return needsQuotes ? `"${plain.replace(/["\\]/g, '\\$&')}"` : plain
}

function readDomain(tokens: readonly Token[]): string | undefined {
  const [only] = tokens
  if (tokens.length === 1 && only?.kind === 'domain') {
    return /^\[(?:\d{1,3}(?:\.\d{1,3}){3}|IPv6:[0-9A-Fa-f:.]{2,45})\]$/i.test(only.text) ? only.text : undefined
  }
  if (!isDotted(tokens, ['atom'])) return undefined
  const name = tokens.map(token => token.text).join('')
  const labels = name.split('.')
  const isName = labels.every(
    label => label.length <= 63 && /^[\p{L}\p{N}\p{M}_](?:[\p{L}\p{N}\p{M}_-]*[\p{L}\p{N}\p{M}_])?$/u.test(label),
  )
  return isName && Buffer.byteLength(name) <= addressLimits.domainOctets ? name : undefined
}

/** Words with single dots between: `a.b.c`. */
function isDotted(tokens: readonly Token[], kinds: readonly Token['kind'][]): boolean {
  if (tokens.length % 2 === 0) return false
  return tokens.every((token, index) => (index % 2 === 0 ? kinds.includes(token.kind) : isSpecial(token, '.')))
}

/** `a..b`, `a.`: carriers of Japan gave out such addresses, and mails come from them. */
function hasDotsAnywhere(tokens: readonly Token[]): boolean {
  const isOne = tokens.every((token, index) => index === 0 || !token.isApart)
  return isOne && tokens.some(isAtom) && tokens.every(token => isAtom(token) || isSpecial(token, '.'))
}

function isDotAtom(text: string): boolean {
  return /^[^\s()<>[\]:;@\\,."\p{Cc}]+(?:\.[^\s()<>[\]:;@\\,."\p{Cc}]+)*$/u.test(text)
}
