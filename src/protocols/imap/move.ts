import type { ImapConnection } from './connection.ts'
import { addFlags } from './folder.ts'
import { imapLimits } from './limits.ts'
import { quoteMailbox } from './mailbox-name.ts'
import { formatUidSets } from './uid-set.ts'

/**
 * Moves mails (RFC 6851); without MOVE by COPY, \Deleted and UID EXPUNGE, never by a bare EXPUNGE, which would remove
 * what others marked. `copied` remembers, between attempts, what was copied already. `marked`: the originals are still
 * there, marked as deleted. Throws FOLDER_MISSING, COMMAND_REFUSED, THROTTLED.
 */
export async function moveMails(
  connection: ImapConnection,
  uids: readonly number[],
  folder: string,
  copied: Set<number>,
): Promise<'gone' | 'marked'> {
  const target = quoteMailbox(folder)
  if (connection.capabilities.has('MOVE')) {
    for (const set of formatUidSets(uids, imapLimits.commandBytes - target.length)) {
      await connection.run({ text: `UID MOVE ${set} ${target}`, title: 'UID MOVE', folder, isLong: true })
    }
    return 'gone'
  }
  const open = uids.filter(uid => !copied.has(uid))
  if (open.length > 0) {
    for (const set of formatUidSets(open, imapLimits.commandBytes - target.length)) {
      await connection.run({ text: `UID COPY ${set} ${target}`, title: 'UID COPY', folder, isLong: true })
    }
    for (const uid of open) copied.add(uid)
  }
  const left = await deleteMails(connection, uids)
  for (const uid of uids) copied.delete(uid)
  return left
}

/** Removes exactly these mails (UIDPLUS); `marked`: the server can only mark them as deleted. */
export async function deleteMails(connection: ImapConnection, uids: readonly number[]): Promise<'gone' | 'marked'> {
  await addFlags(connection, uids, ['\\Deleted'])
  if (!canExpunge(connection)) return 'marked'
  for (const set of formatUidSets(uids, imapLimits.commandBytes)) {
    await connection.run({ text: `UID EXPUNGE ${set}`, title: 'UID EXPUNGE', isLong: true })
  }
  return 'gone'
}

/** True when the server can remove exactly the mails it is told. */
export function canExpunge(connection: ImapConnection): boolean {
  return connection.capabilities.has('UIDPLUS') || connection.capabilities.has('IMAP4REV2')
}
