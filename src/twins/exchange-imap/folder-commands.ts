import type { Command } from './command-reader.ts'
import type { CommandText } from './command-text.ts'
import type { Connection } from './connection.ts'
import { decodeFolderName, encodeFolderName } from './folder-name.ts'
import type { Folder, Mailbox } from './mailbox.ts'
import { badArgument, Refusal, texts } from './reply.ts'
import { viewOf } from './selection.ts'
import { openView } from './view.ts'

/** Flags that Exchange keeps; others are taken and forgotten, there are no free keywords. */
export const keptFlags = ['\\Seen', '\\Answered', '\\Flagged', '\\Deleted', '\\Draft', '$MDNSent']

export function select(connection: Connection, { verb, text }: Command): string {
  const { wire } = connection
  const mailbox = mailboxOf(connection)
  text.space()
  const name = folderName(text)
  text.end()
  // RFC 3501 section 6.3.1: a failed SELECT leaves nothing selected.
  unselect(connection)
  const folder = mailbox.folder(name)
  if (!folder) throw new Refusal('NO', `${encodeFolderName(name)} doesn't exist.`)
  const isReadOnly = verb === 'EXAMINE'
  const view = openView(folder, isReadOnly, () => connection.wake())
  connection.view = view
  const firstUnseen = view.uids.findIndex(uid => !folder.mail(uid)?.flags.has('\\Seen'))
  wire.line(`* ${view.uids.length} EXISTS`)
  wire.line('* 0 RECENT')
  wire.line(`* FLAGS (${keptFlags.join(' ')})`)
  wire.line(`* OK [PERMANENTFLAGS (${isReadOnly ? '' : keptFlags.join(' ')})] Permanent flags`)
  if (firstUnseen >= 0) wire.line(`* OK [UNSEEN ${firstUnseen + 1}] Is the first unseen message`)
  wire.line(`* OK [UIDVALIDITY ${folder.uidValidity}] UIDVALIDITY value`)
  wire.line(`* OK [UIDNEXT ${folder.uidNext}] The next unique identifier value`)
  return `[${isReadOnly ? 'READ-ONLY' : 'READ-WRITE'}] ${verb} completed.`
}

export function unselect(connection: Connection): string {
  connection.view?.close()
  connection.view = undefined
  return 'UNSELECT completed.'
}

/** CLOSE removes what is marked \Deleted without telling (RFC 3501 section 6.4.2). */
export function close(connection: Connection): string {
  const view = viewOf(connection)
  if (!view.isReadOnly) {
    for (const uid of view.uids) {
      if (view.folder.mail(uid)?.flags.has('\\Deleted')) view.folder.remove(uid)
    }
  }
  unselect(connection)
  return 'CLOSE completed.'
}

export function status(connection: Connection, { text }: Command): string {
  text.space()
  const name = folderName(text)
  const folder = mailboxOf(connection).folder(name)
  text.space()
  const items = text.list(() => text.atom().toUpperCase())
  text.end()
  if (!folder) throw new Refusal('NO', `${encodeFolderName(name)} doesn't exist.`)
  const values = items.map(item => `${item} ${statusValue(folder, item)}`)
  connection.wire.line(`* STATUS ${quote(name)} (${values.join(' ')})`)
  return 'STATUS completed.'
}

export function list(connection: Connection, { verb, text }: Command): string {
  const mailbox = mailboxOf(connection)
  text.space()
  const reference = text.astring()
  text.space()
  const pattern = text.pattern()
  text.end()
  if (pattern === '') {
    connection.wire.line(`* ${verb} (\\Noselect) "/" ""`)
    return `${verb} completed.`
  }
  const wanted = patternOf(reference + pattern)
  for (const folder of [...mailbox.folders.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    if (!wanted.test(encodeFolderName(folder.name))) continue
    const hasChildren = [...mailbox.folders.keys()].some(name => name.startsWith(`${folder.name}/`))
    const attributes = [hasChildren ? '\\HasChildren' : '\\HasNoChildren', ...(folder.use ? [folder.use] : [])]
    connection.wire.line(`* ${verb} (${attributes.join(' ')}) "/" ${quote(folder.name)}`)
  }
  return `${verb} completed.`
}

export function create(connection: Connection, { text }: Command): string {
  text.space()
  const name = folderName(text).replace(/\/$/, '')
  text.end()
  const isUsable = name !== '' && !name.includes('//') && !name.startsWith('/')
  if (!isUsable || !mailboxOf(connection).create(name)) throw new Refusal('NO', 'Mailbox already exists.')
  return 'CREATE completed.'
}

export function remove(connection: Connection, { text }: Command): string {
  text.space()
  const name = folderName(text)
  text.end()
  if (!mailboxOf(connection).delete(name)) throw new Refusal('NO', 'DELETE failed.')
  return 'DELETE completed.'
}

export function rename(connection: Connection, { text }: Command): string {
  text.space()
  const from = folderName(text)
  text.space()
  const to = folderName(text)
  text.end()
  if (!mailboxOf(connection).rename(from, to)) throw new Refusal('NO', 'RENAME failed.')
  return 'RENAME completed.'
}

/** Every folder counts as subscribed. */
export function subscribe(connection: Connection, { verb, text }: Command): string {
  text.space()
  const name = folderName(text)
  text.end()
  if (!mailboxOf(connection).folder(name)) throw new Refusal('NO', `${encodeFolderName(name)} doesn't exist.`)
  return `${verb} completed.`
}

export function namespace(connection: Connection, { text }: Command): string {
  text.end()
  connection.wire.line('* NAMESPACE (("" "/")) NIL NIL')
  return 'NAMESPACE completed.'
}

export function mailboxOf(connection: Connection): Mailbox {
  if (!connection.mailbox) throw new Refusal('BAD', texts.invalidState)
  return connection.mailbox
}

/** A folder name of a command, decoded. */
export function folderName(text: CommandText): string {
  const name = decodeFolderName(text.astring())
  if (name === undefined) throw badArgument()
  return name
}

function statusValue(folder: Folder, item: string): number {
  switch (item) {
    case 'MESSAGES':
      return folder.uids.length
    case 'RECENT':
      return 0
    case 'UIDNEXT':
      return folder.uidNext
    case 'UIDVALIDITY':
      return folder.uidValidity
    case 'UNSEEN':
      return folder.mails().filter(mail => !mail.flags.has('\\Seen')).length
    default:
      throw badArgument()
  }
}

/** `*` goes through the delimiter, `%` does not. INBOX fits in any case. */
function patternOf(pattern: string): RegExp {
  const body = pattern
    .replace(/\*+/g, '*')
    .replace(/[.+?^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('%', '[^/]*')
  return new RegExp(`^${body}$`, pattern.toUpperCase() === 'INBOX' ? 'i' : '')
}

function quote(name: string): string {
  const wire = encodeFolderName(name)
  return /^[A-Za-z0-9&,+/._-]+$/.test(wire) ? wire : `"${wire.replace(/["\\]/g, '\\$&')}"`
}
