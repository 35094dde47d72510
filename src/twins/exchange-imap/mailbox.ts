import { twinErrors } from '../twin.ts'
import { lowerBound } from './sequence-set.ts'

/** The octets of a mail, or a function that makes them at each reading (then 2,000 mails cost nothing until read). */
export type Content = Uint8Array | (() => Uint8Array)

export interface Mail {
  readonly uid: number
  readonly flags: Set<string>
  /** INTERNALDATE, milliseconds since 1970 UTC. */
  readonly receivedAt: number
  readonly bytes: number
  content(): Uint8Array
}

/** A connection that has a folder selected hears what others do to it. */
export interface FolderWatcher {
  arrived(uid: number): void
  expunged(uid: number): void
  flagsChanged(uid: number): void
  /** The folder is gone or numbered anew: what the connection knows of it is worthless. */
  invalidated(): void
}

export interface Folder {
  readonly name: string
  /** Special use of Exchange's own folders (`\Sent`). */
  readonly use: string | undefined
  readonly uidValidity: number
  readonly uidNext: number
  /** UIDs, rising. */
  readonly uids: readonly number[]
  readonly watchers: Set<FolderWatcher>
  mail(uid: number): Mail | undefined
  mails(): readonly Mail[]
  /** Throws TWIN_FULL. */
  add(content: Content, flags: readonly string[], receivedAt: number): Mail
  remove(uid: number): Mail | undefined
  /** Tells everybody that the flags of a mail are different now. */
  flagsChanged(uid: number): void
  /** New UIDVALIDITY; the mails keep their order and are numbered from 1. */
  renumber(): void
}

export interface Mailbox {
  readonly address: string
  /** Users (UPN) and apps (client id) besides the owner, in lower case. */
  readonly fullAccess: Set<string>
  /** For LOGIN, where the twin allows it. */
  readonly password: string | undefined
  readonly isImapOn: boolean
  /** By name; INBOX is always there. */
  readonly folders: ReadonlyMap<string, Folder>
  folder(name: string): Folder | undefined
  /** Throws TWIN_FULL; undefined when the name is taken. */
  create(name: string): Folder | undefined
  delete(name: string): boolean
  /** With everything below it; false when there is none, or the new name is taken. */
  rename(from: string, to: string): boolean
}

export interface MailboxSeed {
  readonly fullAccess?: readonly string[]
  readonly folders?: readonly string[]
  readonly password?: string
  readonly isImapOn?: boolean
}

export interface MailboxLimits {
  readonly foldersPerMailbox: number
  readonly mailsPerFolder: number
  /** Of the contents that a mailbox holds in memory; contents that are made when read do not count. */
  readonly mailboxBytes: number
}

const ownFolders: readonly (readonly [string, string | undefined])[] = [
  ['INBOX', undefined],
  ['Archive', undefined],
  ['Deleted Items', '\\Trash'],
  ['Drafts', '\\Drafts'],
  ['Junk Email', '\\Junk'],
  ['Sent Items', '\\Sent'],
]

// UIDVALIDITY only has to grow whenever a name is used anew (RFC 3501 section 2.3.1.1).
let lastUidValidity = 1_000

export function makeMailbox(address: string, seed: MailboxSeed, limits: MailboxLimits): Mailbox {
  const folders = new Map<string, Folder>()
  let heldBytes = 0

  const full = (limit: string) => twinErrors.FULL({ mailbox: address, limit })
  const mailbox: Mailbox = {
    address,
    fullAccess: new Set((seed.fullAccess ?? []).map(name => name.toLowerCase())),
    password: seed.password,
    isImapOn: seed.isImapOn ?? true,
    folders,
    folder: name => folders.get(canonical(name)),
    create(name) {
      if (folders.has(canonical(name))) return undefined
      if (folders.size >= limits.foldersPerMailbox) throw full(`${limits.foldersPerMailbox} folders`)
      return put(canonical(name), undefined)
    },
    delete(name) {
      const folder = folders.get(canonical(name))
      if (!folder || folder.name === 'INBOX' || folder.use !== undefined) return false
      for (const uid of folder.uids.slice()) folder.remove(uid)
      folders.delete(folder.name)
      for (const watcher of folder.watchers) watcher.invalidated()
      return true
    },
    rename(from, to) {
      const folder = folders.get(canonical(from))
      if (!folder || folder.name === 'INBOX' || folder.use !== undefined || folders.has(canonical(to))) return false
      const moving = [...folders.values()].filter(other => other === folder || other.name.startsWith(`${folder.name}/`))
      for (const old of moving) {
        folders.delete(old.name)
        const target = put(canonical(to) + old.name.slice(folder.name.length), undefined)
        for (const mail of old.mails()) target.add(() => mail.content(), [...mail.flags], mail.receivedAt)
        for (const watcher of old.watchers) watcher.invalidated()
      }
      return true
    },
  }

  function put(name: string, use: string | undefined): Folder {
    const folder = makeFolder(name, use, {
      mailsMax: limits.mailsPerFolder,
      hold(bytes) {
        if (heldBytes + bytes > limits.mailboxBytes) throw full(`${limits.mailboxBytes} bytes of mail`)
        heldBytes += bytes
      },
      refuse: full,
    })
    folders.set(name, folder)
    return folder
  }

  for (const [name, use] of ownFolders) put(name, use)
  for (const name of seed.folders ?? []) mailbox.create(name)
  return mailbox
}

interface FolderBounds {
  readonly mailsMax: number
  /** Counts octets in (or, below zero, out); throws when the mailbox is full. */
  hold(bytes: number): void
  refuse(limit: string): Error
}

function makeFolder(name: string, use: string | undefined, bounds: FolderBounds): Folder {
  const watchers = new Set<FolderWatcher>()
  let mails = new Map<number, Mail>()
  let uids: number[] = []
  let uidNext = 1
  lastUidValidity += 1
  let uidValidity = lastUidValidity
  const held = new Map<Mail, number>()

  return {
    name,
    use,
    watchers,
    get uidValidity() {
      return uidValidity
    },
    get uidNext() {
      return uidNext
    },
    get uids() {
      return uids
    },
    mail: uid => mails.get(uid),
    mails: () => [...mails.values()],
    add(content, flags, receivedAt) {
      if (mails.size >= bounds.mailsMax) throw bounds.refuse(`${bounds.mailsMax} mails in ${name}`)
      const bytesHeld = typeof content === 'function' ? 0 : content.length
      bounds.hold(bytesHeld)
      const mail = makeMail(uidNext, content, flags, receivedAt)
      held.set(mail, bytesHeld)
      mails.set(mail.uid, mail)
      uids.push(mail.uid)
      uidNext += 1
      for (const watcher of watchers) watcher.arrived(mail.uid)
      return mail
    },
    remove(uid) {
      const mail = mails.get(uid)
      if (!mail) return undefined
      mails.delete(uid)
      uids.splice(lowerBound(uids, uid), 1)
      bounds.hold(-(held.get(mail) ?? 0))
      held.delete(mail)
      for (const watcher of watchers) watcher.expunged(uid)
      return mail
    },
    flagsChanged(uid) {
      for (const watcher of watchers) watcher.flagsChanged(uid)
    },
    renumber() {
      lastUidValidity += 1
      uidValidity = lastUidValidity
      const old = [...mails.values()]
      mails = new Map(old.map((mail, index) => [index + 1, { ...mail, uid: index + 1 }]))
      uids = [...mails.keys()]
      uidNext = uids.length + 1
      const sizes = old.map(mail => held.get(mail) ?? 0)
      held.clear()
      for (const [index, mail] of [...mails.values()].entries()) held.set(mail, sizes[index] ?? 0)
      for (const watcher of watchers) watcher.invalidated()
    },
  }
}

function makeMail(uid: number, content: Content, flags: readonly string[], receivedAt: number): Mail {
  const make = typeof content === 'function' ? content : () => content
  let bytes: number | undefined = typeof content === 'function' ? undefined : content.length
  return {
    uid,
    flags: new Set(flags),
    receivedAt,
    get bytes() {
      bytes ??= make().length
      return bytes
    },
    content: make,
  }
}

/** INBOX is the same in any case (RFC 3501 section 5.1). */
function canonical(name: string): string {
  return name.toUpperCase() === 'INBOX' ? 'INBOX' : name
}
