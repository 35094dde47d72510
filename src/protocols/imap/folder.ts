import { asHubError } from '../../kernel/error.ts'
import type { DataResponse, ImapConnection } from './connection.ts'
import { imapErrors } from './errors.ts'
import { imapLimits } from './limits.ts'
import { encodeMailboxName, quote, quoteMailbox } from './mailbox-name.ts'
import { explainFolder } from './namespace.ts'
import { textOf } from './response.ts'
import { notImap } from './response-reader.ts'
import { formatUidSets } from './uid-set.ts'

export interface SelectedFolder {
  readonly folder: string
  readonly uidValidity: number
  /** The UID the next mail will get, undefined when the server did not say. */
  readonly uidNext: number | undefined
  readonly mailCount: number
}

/** Opens a folder, to read only with `examine`. Throws FOLDER_MISSING, FOLDER_PLACE. */
export async function selectFolder(
  connection: ImapConnection,
  folder: string,
  how: 'select' | 'examine' = 'select',
): Promise<SelectedFolder> {
  let mailCount = 0
  let codes = ''
  connection.uidValidity = undefined
  const selecting = connection.run({
    text: `${how.toUpperCase()} ${quoteMailbox(folder)}`,
    folder,
    isExclusive: true,
    onData(response) {
      if (response.name === 'EXISTS') mailCount = response.number
      if (response.name === 'OK') codes += textOf(response.rest)
      return false
    },
  })
  const line = await selecting.catch(async thrown => {
    throw await explainFolder(connection, folder, thrown)
  })
  const uidValidity = numberOf(/\[UIDVALIDITY (\d+)\]/i, codes)
  if (uidValidity === undefined) throw notImap('a folder without UIDVALIDITY', [`${line.code} ${line.text}`])
  connection.uidValidity = uidValidity
  const kept = /\[PERMANENTFLAGS \(([^)]*)\)\]/i.exec(codes)?.[1]
  connection.keptFlags = kept === undefined ? undefined : new Set(kept.toLowerCase().split(' '))
  return { folder, uidValidity, uidNext: numberOf(/\[UIDNEXT (\d+)\]/i, codes), mailCount }
}

/** UIDs that fit, rising. `criteria` is IMAP text: `UNSEEN`, `ALL`, `UID 17:*`. */
export async function searchUids(connection: ImapConnection, criteria: string): Promise<number[]> {
  const uids: number[] = []
  await connection.run({
    text: `UID SEARCH ${criteria}`,
    title: 'UID SEARCH',
    onData(response) {
      if (response.name !== 'SEARCH') return false
      for (const word of textOf(response.rest).split(' ')) {
        const uid = Number(word)
        if (Number.isInteger(uid) && uid > 0) uids.push(uid)
      }
      return true
    },
  })
  return [...new Set(uids)].toSorted((a, b) => a - b)
}

/**
 * Adds flags (`\Seen`, `\Flagged`) to mails. Throws when the server refuses any part of it, and READ_ONLY where it would
 * not keep the first of them.
 */
export async function addFlags(
  connection: ImapConnection,
  uids: readonly number[],
  flags: readonly [string, ...string[]],
): Promise<void> {
  requireKept(connection, flags[0])
  for (const set of formatUidSets(uids, imapLimits.commandBytes)) {
    await connection.run({
      text: `UID STORE ${set} +FLAGS.SILENT (${flags.join(' ')})`,
      title: 'UID STORE',
      isLong: true,
    })
  }
}

/**
 * Throws READ_ONLY. Servers say OK to a flag that they do not keep (RFC 3501 section 7.1, PERMANENTFLAGS); one that lets
 * new ones be made (`\*`) may have spared itself the list.
 */
export function requireKept({ keptFlags, options }: ImapConnection, flag: string): void {
  if (!keptFlags || keptFlags.has(flag.toLowerCase()) || keptFlags.has('\\*')) return
  throw imapErrors.READ_ONLY({ user: options.names.user, flag })
}

/** True when the folder is there. A server that does not know LIST for it is believed to have it. */
export async function hasFolder(connection: ImapConnection, folder: string): Promise<boolean> {
  let isThere = false
  await connection.run({
    // A name may hold wildcards; a pattern that also finds others is enough, the answers are compared.
    text: `LIST "" ${quote(encodeMailboxName(folder).replaceAll('*', '%'))}`,
    title: 'LIST',
    onData(response) {
      if (response.name !== 'LIST') return false
      isThere ||= namesFolder(response, folder)
      return true
    },
  })
  return isThere
}

/** Creates a folder; one that is there already is fine. Throws COMMAND_REFUSED, FOLDER_PLACE. */
export async function createFolder(connection: ImapConnection, folder: string): Promise<void> {
  try {
    await connection.run({ text: `CREATE ${quoteMailbox(folder)}` })
  } catch (thrown) {
    // A server for which upper and lower case are one lists the folder by another name than was asked for.
    if (/\[ALREADYEXISTS\]|already exists/i.test(String(asHubError(thrown).fields['answer']))) return
    throw await explainFolder(connection, folder, thrown)
  }
}

/** Puts a mail into a folder, unread. Throws IMAP_FOLDER_MISSING. */
export async function appendMail(connection: ImapConnection, folder: string, mail: Buffer): Promise<void> {
  await connection.run({
    text: `APPEND ${quoteMailbox(folder)} {${mail.length}}`,
    folder,
    isExclusive: true,
    onContinue: () => Buffer.concat([mail, Buffer.from('\r\n')]),
  })
}

/** Asks for nothing, so that the server tells what is new and a dead connection is noticed. */
export async function noop(connection: ImapConnection): Promise<void> {
  await connection.run({ text: 'NOOP' })
}

function namesFolder(response: DataResponse, folder: string): boolean {
  const wire = encodeMailboxName(folder)
  const text = textOf(response.rest.slice(0, 1))
  const literal = response.rest[1]
  const name =
    typeof literal === 'object'
      ? literal.held?.toString('latin1')
      : /(?:"((?:[^"\\]|\\.)*)"|([^" ]+))$/
          .exec(text)
          ?.slice(1)
          .find(part => part !== undefined)
  const plain = name?.replace(/\\(.)/g, '$1')
  if (/\\Noselect|\\NonExistent/i.test(text)) return false
  return plain === wire || (wire.toUpperCase() === 'INBOX' && plain?.toUpperCase() === 'INBOX')
}

function numberOf(pattern: RegExp, text: string): number | undefined {
  const match = pattern.exec(text)
  return match ? Number(match[1]) : undefined
}
