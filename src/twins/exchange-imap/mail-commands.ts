import type { Command } from './command-reader.ts'
import type { Connection } from './connection.ts'
import { folderName, keptFlags, mailboxOf } from './folder-commands.ts'
import type { Folder, Mail } from './mailbox.ts'
import { badArgument, Refusal } from './reply.ts'
import { readUids, viewOf, writableViewOf } from './selection.ts'
import { formatSequenceSet, readSequenceSet, uidsInSet } from './sequence-set.ts'

export function store(connection: Connection, command: Command): string {
  const view = writableViewOf(connection)
  const { uids, text } = readUids(view, command)
  text.space()
  const match = /^([+-]?)FLAGS(\.SILENT)?$/i.exec(text.word())
  if (!match) throw badArgument()
  text.space()
  const flags = keepFlags(text.flags())
  text.end()
  const isSilent = match[2] !== undefined
  for (const uid of uids) {
    const mail = view.folder.mail(uid)
    if (!mail) continue
    changeFlags(mail, match[1] ?? '', flags)
    view.folder.flagsChanged(uid)
    view.forgetFlags(uid)
    if (isSilent) continue
    const named = command.isUid ? ` UID ${uid}` : ''
    connection.wire.line(`* ${view.sequence(uid)} FETCH (FLAGS (${[...mail.flags].join(' ')})${named})`)
  }
  return 'STORE completed.'
}

export function copy(connection: Connection, command: Command): string {
  const { code } = copyTo(connection, command)
  return `${code}COPY completed.`
}

/** MOVE (RFC 6851): COPYUID first, then the EXPUNGE lines, which the view tells at the end of the command. */
export function move(connection: Connection, command: Command): string {
  const view = writableViewOf(connection)
  const { uids, code } = copyTo(connection, command)
  if (code !== '') connection.wire.line(`* OK ${code.trim()}`)
  for (const uid of uids) view.folder.remove(uid)
  return 'MOVE completed.'
}

/** EXPUNGE, or with UIDs only what is \Deleted among them (RFC 4315). */
export function expunge(connection: Connection, { text, isUid }: Command): string {
  const view = writableViewOf(connection)
  let uids: readonly number[] = view.folder.uids
  if (isUid) {
    text.space()
    const set = readSequenceSet(text.word())
    if (!set) throw badArgument()
    uids = uidsInSet(set, view.uids)
  }
  text.end()
  for (const uid of uids.slice()) {
    if (view.folder.mail(uid)?.flags.has('\\Deleted')) view.folder.remove(uid)
  }
  return 'EXPUNGE completed.'
}

export function append(connection: Connection, { text }: Command): string {
  text.space()
  const name = folderName(text)
  text.space()
  let flags: string[] = []
  if (text.isList()) {
    flags = text.flags()
    text.space()
  }
  let receivedAt = connection.world.clock.now()
  if (text.isQuoted()) {
    receivedAt = readInternalDate(text.string())
    text.space()
  }
  const content = text.literal()
  text.end()
  const folder = targetFolder(connection, name)
  const mail = folder.add(content, keepFlags(flags), receivedAt)
  return `[APPENDUID ${folder.uidValidity} ${mail.uid}] APPEND completed.`
}

function copyTo(connection: Connection, command: Command): { uids: number[]; code: string } {
  const view = viewOf(connection)
  const { uids, text } = readUids(view, command)
  text.space()
  const name = folderName(text)
  text.end()
  const target = targetFolder(connection, name)
  const pairs = uids.flatMap(uid => {
    const mail = view.folder.mail(uid)
    if (!mail) return []
    return [{ uid, copy: target.add(() => mail.content(), [...mail.flags], mail.receivedAt).uid }]
  })
  if (pairs.length === 0) return { uids: [], code: '' }
  const from = formatSequenceSet(pairs.map(pair => pair.uid))
  const to = formatSequenceSet(pairs.map(pair => pair.copy))
  return { uids: pairs.map(pair => pair.uid), code: `[COPYUID ${target.uidValidity} ${from} ${to}] ` }
}

function targetFolder(connection: Connection, name: string): Folder {
  const folder = mailboxOf(connection).folder(name)
  if (!folder) throw new Refusal('NO', "[TRYCREATE] The requested folder doesn't exist.")
  return folder
}

function changeFlags(mail: Mail, how: string, flags: readonly string[]): void {
  if (how === '') mail.flags.clear()
  for (const flag of flags) {
    if (how === '-') mail.flags.delete(flag)
    else mail.flags.add(flag)
  }
}

/** In the spelling of Exchange; flags that it does not keep are left out. */
function keepFlags(flags: readonly string[]): string[] {
  const wanted = new Set(flags.map(flag => flag.toLowerCase()))
  return keptFlags.filter(flag => wanted.has(flag.toLowerCase()))
}

/** `21-Nov-2026 09:00:00 +0100` in milliseconds since 1970 UTC. */
function readInternalDate(text: string): number {
  const match = /^([ \d]\d)-([A-Za-z]{3})-(\d{4}) (\d\d:\d\d:\d\d) ([+-]\d{4})$/.exec(text)
  const ms = match ? Date.parse(`${match[1]} ${match[2]} ${match[3]} ${match[4]} ${match[5]}`) : Number.NaN
  if (Number.isNaN(ms)) throw badArgument()
  return ms
}
