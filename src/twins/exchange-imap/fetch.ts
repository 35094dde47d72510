import { strike } from '../twin.ts'
import type { Command } from './command-reader.ts'
import type { CommandText } from './command-text.ts'
import { type Connection, ConnectionOver } from './connection.ts'
import { failedRetrieval, readSection, type Section } from './mail-text.ts'
import type { Mail } from './mailbox.ts'
import { badArgument } from './reply.ts'
import { readUids, viewOf } from './selection.ts'

type Item =
  | { readonly kind: 'UID' | 'FLAGS' | 'INTERNALDATE' | 'RFC822.SIZE' | 'ENVELOPE' | 'BODYSTRUCTURE' | 'BODY' }
  | {
      readonly kind: 'octets'
      /** What stands before the literal: `BODY[]<0>`. */
      readonly label: string
      readonly section: Section
      readonly range: { readonly from: number; readonly count: number } | undefined
      readonly isPeek: boolean
    }

/** FETCH and UID FETCH. A mail that is gone, or that the faults hide, has no row; the command is OK all the same. */
export async function fetch(connection: Connection, command: Command): Promise<string> {
  const { wire, world } = connection
  const view = viewOf(connection)
  const { uids, text } = readUids(view, command)
  text.space()
  const items = readItems(text)
  text.end()
  if (command.isUid && !items.some(item => item.kind === 'UID')) items.unshift({ kind: 'UID' })
  const faults = world.faults()
  const dropAfter = faults.drop && faults.drop.times > 0 ? faults.drop.afterRows : undefined
  let rowCount = 0
  for (const uid of uids) {
    if (dropAfter === rowCount) await cutConnection(connection, faults.drop)
    const mail = view.folder.mail(uid)
    const isBody = items.some(item => item.kind === 'octets')
    if (!mail || (isBody && faults.missingRows?.includes(uid))) continue
    await writeRow(connection, mail, view.sequence(uid), items)
    rowCount += 1
    await wire.flushWhenLarge()
  }
  if (dropAfter === rowCount) await cutConnection(connection, faults.drop)
  return 'FETCH completed.'
}

async function writeRow(connection: Connection, mail: Mail, sequence: number, items: readonly Item[]): Promise<void> {
  const { wire, world } = connection
  const view = viewOf(connection)
  const faults = world.faults()
  const marksSeen = !view.isReadOnly && items.some(item => item.kind === 'octets' && !item.isPeek)
  let shown = items
  if (marksSeen && !mail.flags.has('\\Seen')) {
    mail.flags.add('\\Seen')
    view.folder.flagsChanged(mail.uid)
    if (!items.some(item => item.kind === 'FLAGS')) shown = [...items, { kind: 'FLAGS' }]
  }
  if (shown.some(item => item.kind === 'FLAGS')) view.forgetFlags(mail.uid)
  if (faults.uidAfterLiteral) {
    shown = [...shown.filter(item => item.kind !== 'UID'), ...shown.filter(item => item.kind === 'UID')]
  }
  const content = faults.syntheticMails?.includes(mail.uid) ? failedRetrieval(mail.uid) : undefined
  wire.octets(`* ${sequence} FETCH (`)
  for (const [index, item] of shown.entries()) {
    if (index > 0) wire.octets(' ')
    if (item.kind === 'octets') await writeOctets(connection, item, content ?? mail.content())
    else wire.octets(`${item.kind} ${describe(item.kind, mail, faults.sizeEstimated ?? false)}`)
  }
  wire.octets(')\r\n')
}

async function writeOctets(
  connection: Connection,
  item: Extract<Item, { kind: 'octets' }>,
  mail: Uint8Array,
): Promise<void> {
  const { wire, world } = connection
  const section = readSection(mail, item.section)
  const octets = item.range ? section.subarray(item.range.from, item.range.from + item.range.count) : section
  wire.octets(`${item.label} {${octets.length}}\r\n`)
  const cut = world.faults().cutLiteral
  if (cut && octets.length > cut.atOctet && cut.times > 0) {
    wire.octets(octets.subarray(0, cut.atOctet))
    await cutConnection(connection, cut)
  }
  wire.octets(octets)
}

async function cutConnection(connection: Connection, fault: { times: number } | undefined): Promise<void> {
  strike(fault)
  await connection.wire.cut()
  throw new ConnectionOver()
}

function describe(kind: Exclude<Item['kind'], 'octets'>, mail: Mail, isSizeEstimated: boolean): string {
  if (kind === 'UID') return `${mail.uid}`
  if (kind === 'FLAGS') return `(${[...mail.flags].join(' ')})`
  if (kind === 'INTERNALDATE') return `"${formatInternalDate(mail.receivedAt)}"`
  // Exchange's ENVELOPE and BODYSTRUCTURE are at times broken or NIL; the twin says NIL always, so that nobody comes
  // to rely on them.
  if (kind !== 'RFC822.SIZE') return 'NIL'
  // Exchange guesses from its own store, not from the MIME text it will render; it is off in both directions.
  return `${isSizeEstimated ? Math.round(mail.bytes * (mail.uid % 2 === 0 ? 0.6 : 2.9)) + 37 : mail.bytes}`
}

function readItems(text: CommandText): Item[] {
  if (text.take('ALL'))
    return [{ kind: 'FLAGS' }, { kind: 'INTERNALDATE' }, { kind: 'RFC822.SIZE' }, { kind: 'ENVELOPE' }]
  if (text.take('FAST')) return [{ kind: 'FLAGS' }, { kind: 'INTERNALDATE' }, { kind: 'RFC822.SIZE' }]
  if (text.take('FULL')) {
    return [
      { kind: 'FLAGS' },
      { kind: 'INTERNALDATE' },
      { kind: 'RFC822.SIZE' },
      { kind: 'ENVELOPE' },
      { kind: 'BODY' },
    ]
  }
  const single = readItem(text)
  return single ? [single] : text.list(() => readItem(text) ?? fail())
}

/** One item, or undefined when none of its names comes next. Longer names are tried first. */
function readItem(text: CommandText): Item | undefined {
  if (text.take('BODY.PEEK[')) return readSectionItem(text, true)
  if (text.take('BODY[')) return readSectionItem(text, false)
  const whole = { kind: 'octets', range: undefined } as const
  if (text.take('RFC822.HEADER')) {
    return { ...whole, label: 'RFC822.HEADER', section: { kind: 'header' }, isPeek: true }
  }
  if (text.take('RFC822.TEXT')) return { ...whole, label: 'RFC822.TEXT', section: { kind: 'text' }, isPeek: false }
  for (const kind of ['BODYSTRUCTURE', 'BODY', 'ENVELOPE', 'FLAGS', 'INTERNALDATE', 'RFC822.SIZE', 'UID'] as const) {
    if (text.take(kind)) return { kind }
  }
  if (text.take('RFC822')) return { ...whole, label: 'RFC822', section: { kind: 'all' }, isPeek: false }
  return undefined
}

function readSectionItem(text: CommandText, isPeek: boolean): Item {
  const { section, name } = readSectionName(text)
  if (!text.take(']')) throw badArgument()
  if (!text.take('<')) return { kind: 'octets', label: `BODY[${name}]`, section, range: undefined, isPeek }
  const match = /^(\d{1,10})\.(\d{1,10})>$/.exec(text.word())
  if (!match) throw badArgument()
  const from = Number(match[1])
  return {
    kind: 'octets',
    label: `BODY[${name}]<${from}>`,
    section,
    range: { from, count: Number(match[2]) },
    isPeek,
  }
}

/** Numbered parts are refused: the twin knows whole mails, as the hub asks for them. */
function readSectionName(text: CommandText): { section: Section; name: string } {
  for (const isWanted of [false, true]) {
    const name = isWanted ? 'HEADER.FIELDS' : 'HEADER.FIELDS.NOT'
    if (!text.take(`${name} `)) continue
    const names = text.list(() => text.astring())
    return {
      section: { kind: 'fields', isWanted, names: names.map(field => field.toLowerCase()) },
      name: `${name} (${names.join(' ')})`,
    }
  }
  if (text.take('HEADER')) return { section: { kind: 'header' }, name: 'HEADER' }
  if (text.take('TEXT')) return { section: { kind: 'text' }, name: 'TEXT' }
  return { section: { kind: 'all' }, name: '' }
}

function fail(): never {
  throw badArgument()
}

function formatInternalDate(ms: number): string {
  const [, day = '', month = '', year = '', time = ''] = /, (\d\d) (\w{3}) (\d{4}) ([\d:]{8})/.exec(
    new Date(ms).toUTCString(),
  ) ?? ['']
  return `${day.replace(/^0/, ' ')}-${month}-${year} ${time} +0000`
}
