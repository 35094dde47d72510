import { chownSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface MaildirOwner {
  readonly uid: number
  readonly gid: number
}

export interface MaildirMail {
  /** The file's name without its flags; it stays the same when the mail is moved or marked. */
  readonly name: string
  readonly isSeen: boolean
  readonly isDeleted: boolean
  /** As the server gave it out last; undefined before a client has looked. */
  readonly uid: number | undefined
  readonly bytes: Uint8Array
}

/** Writes mails into a maildir as a delivery agent does: unread, in `new`, the bytes untouched. */
export function writeMails(
  maildir: string,
  mails: Iterable<Uint8Array>,
  owner: MaildirOwner,
  firstIndex: number,
): number {
  makeMaildir(maildir, owner)
  let count = 0
  for (const bytes of mails) {
    const serial = String(firstIndex + count).padStart(7, '0')
    const name = `1700000000.M${serial}P1.test,S=${bytes.byteLength}`
    // Under `new` a server may find it at once: it must be whole there, and the owner's.
    const arriving = join(maildir, 'tmp', name)
    writeFileSync(arriving, bytes, { mode: 0o600 })
    chownSync(arriving, owner.uid, owner.gid)
    renameSync(arriving, join(maildir, 'new', name))
    count++
  }
  return count
}

/** All mails of a maildir, in the order of their names; none when the folder does not exist. */
export function readMails(maildir: string): MaildirMail[] {
  const uids = readUids(maildir)
  return ['new', 'cur']
    .map(part => join(maildir, part))
    .filter(folder => existsSync(folder))
    .flatMap(folder => readdirSync(folder).map(file => ({ file, path: join(folder, file) })))
    .toSorted((a, b) => (a.file < b.file ? -1 : 1))
    .flatMap(({ file, path }) => {
      const [name = file, flags = ''] = file.split(':2,')
      const bytes = readIfThere(path)
      return bytes === undefined
        ? []
        : [{ name, isSeen: flags.includes('S'), isDeleted: flags.includes('T'), uid: uids.get(name), bytes }]
    })
}

/** Mails without the flag S: all of `new`, and those of `cur` that nobody has marked. */
export function countUnread(maildir: string): number {
  return ['new', 'cur']
    .map(part => join(maildir, part))
    .filter(folder => existsSync(folder))
    .flatMap(folder => readdirSync(folder))
    .filter(file => !/:2,[A-Z]*S/.test(file)).length
}

export function makeMaildir(maildir: string, owner: MaildirOwner): void {
  for (const part of ['', 'new', 'cur', 'tmp']) {
    const folder = join(maildir, part)
    if (existsSync(folder)) continue
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    chownSync(folder, owner.uid, owner.gid)
  }
}

/** Dovecot's own list, one line per mail: `<uid> [fields] :<file name>`. */
function readUids(maildir: string): Map<string, number> {
  const list = readIfThere(join(maildir, 'dovecot-uidlist'))
  const uids = new Map<string, number>()
  for (const line of list === undefined ? [] : new TextDecoder('latin1').decode(list).split('\n').slice(1)) {
    const match = /^(\d+) (?:.* )?:(.+)$/.exec(line)
    if (match) uids.set((match[2] ?? '').split(':2,')[0] ?? '', Number(match[1]))
  }
  return uids
}

// The server moves and renames files while we read; a file that has just gone is simply not there.
function readIfThere(path: string): Uint8Array | undefined {
  try {
    return readFileSync(path)
  } catch {
    return undefined
  }
}
