import { DAY } from '../../kernel/time.ts'
import type { Command } from './command-reader.ts'
import type { CommandText } from './command-text.ts'
import type { Connection } from './connection.ts'
import { headerFields, readSection } from './mail-text.ts'
import type { Mail } from './mailbox.ts'
import { badArgument, Refusal } from './reply.ts'
import { viewOf } from './selection.ts'
import { readSequenceSet, type SequenceSet } from './sequence-set.ts'

type Test = (mail: Mail, sequence: number) => boolean
interface Bounds {
  readonly uidMax: number
  readonly sequenceMax: number
}

const nestingMax = 32

/** SEARCH and UID SEARCH. Strings are looked for as they stand in the mail, in any case; nothing is decoded. */
export function search(connection: Connection, { text, isUid }: Command): string {
  const view = viewOf(connection)
  text.space()
  if (text.take('CHARSET ')) {
    const charset = text.astring().toUpperCase()
    if (!['UTF-8', 'US-ASCII'].includes(charset)) {
      throw new Refusal('NO', '[BADCHARSET (US-ASCII UTF-8)] The specified charset is not supported.')
    }
    text.space()
  }
  const bounds = { uidMax: view.uids.at(-1) ?? 0, sequenceMax: view.uids.length }
  const tests = [readKey(text, bounds, 0)]
  while (!text.isAtEnd()) {
    text.space()
    tests.push(readKey(text, bounds, 0))
  }
  const found: number[] = []
  for (const [index, uid] of view.uids.entries()) {
    const mail = view.folder.mail(uid)
    if (mail && tests.every(test => test(mail, index + 1))) found.push(isUid ? uid : index + 1)
  }
  connection.wire.line(['* SEARCH', ...found].join(' '))
  return 'SEARCH completed.'
}

function readKey(text: CommandText, bounds: Bounds, depth: number): Test {
  if (depth > nestingMax) throw badArgument()
  if (text.take('(')) return readGroup(text, bounds, depth)
  const word = text.word()
  const key = word.toUpperCase()
  const flagTest = flagKeys[key]
  if (flagTest) return flagTest
  const headerName = headerKeys[key]
  if (headerName !== undefined) return hasHeader(headerName, argument(text))
  switch (key) {
    case 'NOT': {
      text.space()
      const test = readKey(text, bounds, depth + 1)
      return (mail, sequence) => !test(mail, sequence)
    }
    case 'OR': {
      text.space()
      const one = readKey(text, bounds, depth + 1)
      text.space()
      const other = readKey(text, bounds, depth + 1)
      return (mail, sequence) => one(mail, sequence) || other(mail, sequence)
    }
    case 'HEADER':
      return hasHeader(argument(text).toLowerCase(), argument(text))
    case 'BODY':
      return contains('text', argument(text))
    case 'TEXT':
      return contains('all', argument(text))
    case 'KEYWORD':
      return hasFlag(argument(text))
    case 'UNKEYWORD':
      return hasNoFlag(argument(text))
    case 'LARGER':
      return isLarger(readNumber(text), 1)
    case 'SMALLER':
      return isLarger(readNumber(text), -1)
    case 'SINCE':
    case 'BEFORE':
    case 'ON':
      return isDated(key, readDay(text), mail => mail.receivedAt)
    case 'SENTSINCE':
    case 'SENTBEFORE':
    case 'SENTON':
      return isDated(key.slice(4), readDay(text), sentAt)
    case 'UID': {
      const set = readSet(argument(text))
      return mail => isInSet(set, mail.uid, bounds.uidMax)
    }
    default: {
      const set = readSet(word)
      return (_, sequence) => isInSet(set, sequence, bounds.sequenceMax)
    }
  }
}

function readGroup(text: CommandText, bounds: Bounds, depth: number): Test {
  const tests = [readKey(text, bounds, depth + 1)]
  while (!text.take(')')) {
    text.space()
    tests.push(readKey(text, bounds, depth + 1))
  }
  return (mail, sequence) => tests.every(test => test(mail, sequence))
}

const hasFlag =
  (flag: string): Test =>
  mail =>
    [...mail.flags].some(kept => kept.toLowerCase() === flag.toLowerCase())
const hasNoFlag =
  (flag: string): Test =>
  (mail, sequence) =>
    !hasFlag(flag)(mail, sequence)

const flagKeys: Readonly<Record<string, Test>> = {
  ALL: () => true,
  ANSWERED: hasFlag('\\Answered'),
  DELETED: hasFlag('\\Deleted'),
  DRAFT: hasFlag('\\Draft'),
  FLAGGED: hasFlag('\\Flagged'),
  SEEN: hasFlag('\\Seen'),
  UNANSWERED: hasNoFlag('\\Answered'),
  UNDELETED: hasNoFlag('\\Deleted'),
  UNDRAFT: hasNoFlag('\\Draft'),
  UNFLAGGED: hasNoFlag('\\Flagged'),
  UNSEEN: hasNoFlag('\\Seen'),
  // Exchange keeps no \Recent.
  NEW: () => false,
  RECENT: () => false,
  OLD: () => true,
}

const headerKeys: Readonly<Record<string, string>> = {
  FROM: 'from',
  TO: 'to',
  CC: 'cc',
  BCC: 'bcc',
  SUBJECT: 'subject',
}

function hasHeader(name: string, wanted: string): Test {
  const part = wanted.toLowerCase()
  return mail =>
    headerFields(mail.content()).some(field => field.name === name && field.value.toLowerCase().includes(part))
}

function contains(kind: 'text' | 'all', wanted: string): Test {
  const part = wanted.toLowerCase()
  return mail => Buffer.from(readSection(mail.content(), { kind })).toString('latin1').toLowerCase().includes(part)
}

function isLarger(bytes: number, direction: 1 | -1): Test {
  return mail => (mail.bytes - bytes) * direction > 0
}

function isDated(how: string, day: number, at: (mail: Mail) => number): Test {
  return mail => {
    const mailDay = Math.floor(at(mail) / DAY)
    if (how === 'SINCE') return mailDay >= day
    return how === 'ON' ? mailDay === day : mailDay < day
  }
}

function sentAt(mail: Mail): number {
  const date = headerFields(mail.content()).find(field => field.name === 'date')?.value
  const ms = Date.parse(date ?? '')
  return Number.isNaN(ms) ? mail.receivedAt : ms
}

function argument(text: CommandText): string {
  text.space()
  return text.astring()
}

function readNumber(text: CommandText): number {
  const digits = argument(text)
  if (!/^\d{1,10}$/.test(digits)) throw badArgument()
  return Number(digits)
}

/** A date of SEARCH (`21-Nov-2026`) as a count of days since 1970. */
function readDay(text: CommandText): number {
  const date = argument(text)
  const ms = /^\d{1,2}-[A-Za-z]{3}-\d{4}$/.test(date) ? Date.parse(`${date.replaceAll('-', ' ')} UTC`) : Number.NaN
  if (Number.isNaN(ms)) throw badArgument()
  return Math.floor(ms / DAY)
}

function readSet(word: string): SequenceSet {
  const set = readSequenceSet(word)
  if (!set) throw badArgument()
  return set
}

function isInSet(set: SequenceSet, value: number, star: number): boolean {
  return set.some(([low, high]) => value >= Math.min(low, star) && value <= high && (low <= star || high === Infinity))
}
