import type { ImapConnection } from './connection.ts'
import { addFlags } from './folder.ts'
import { imapLimits } from './limits.ts'
import { quoteMailbox } from './mailbox-name.ts'
import { textOf } from './response.ts'
import { formatUidSets, readUidSet } from './uid-set.ts'

/** Where mails went, as far as the server says (COPYUID, RFC 4315 section 3). */
export interface MovedTo {
  /** `marked`: the originals are still there, marked as deleted. */
  readonly left: 'gone' | 'marked'
  /** Of the folder they went to. */
  readonly uidValidity: number | undefined
  /** New UIDs by the old ones. */
  readonly uids: ReadonlyMap<number, number>
}

/**
 * Moves mails (RFC 6851); without MOVE by COPY, \Deleted and UID EXPUNGE, never by a bare EXPUNGE, which would remove
 * what others marked. `copied` remembers, between attempts, what was copied already. Throws FOLDER_MISSING, COMMAND_REFUSED, THROTTLED.
 */
export async function moveMails(
  connection: ImapConnection,
  uids: readonly number[],
  folder: string,
  copied: Set<number>,
): Promise<MovedTo> {
  const places = new Places(uids.length)
  if (connection.capabilities.has('MOVE')) {
    await sendThere(connection, 'UID MOVE', uids, folder, places)
    return { left: 'gone', uidValidity: places.uidValidity, uids: places.uids }
  }
  const open = uids.filter(uid => !copied.has(uid))
  await sendThere(connection, 'UID COPY', open, folder, places)
  for (const uid of open) copied.add(uid)
  const left = await deleteMails(connection, uids)
  for (const uid of uids) copied.delete(uid)
  return { left, uidValidity: places.uidValidity, uids: places.uids }
}

async function sendThere(
  connection: ImapConnection,
  title: 'UID MOVE' | 'UID COPY',
  uids: readonly number[],
  folder: string,
  places: Places,
): Promise<void> {
  const target = quoteMailbox(folder)
  for (const set of formatUidSets(uids, imapLimits.commandBytes - target.length)) {
    const line = await connection.run({
      text: `${title} ${set} ${target}`,
      title,
      folder,
      isLong: true,
      onData(response) {
        // RFC 6851 section 4.3: of a move it comes before the mails are gone, and not with the end of the command.
        if (response.name === 'OK') places.read(/\[([^\]]*)\]/.exec(textOf(response.rest))?.[1] ?? '')
        return false
      },
    })
    places.read(line.code)
  }
}

/** Reads where mails went out of response codes. */
class Places {
  uidValidity: number | undefined
  readonly uids = new Map<number, number>()
  readonly #countMax: number

  constructor(countMax: number) {
    this.#countMax = countMax
  }

  read(code: string): void {
    const [, uidValidity, from = '', to = ''] = /^COPYUID (\d{1,10}) ([\d,:]+) ([\d,:]+)$/i.exec(code) ?? []
    const before = readUidSet(from, this.#countMax)
    const after = readUidSet(to, this.#countMax)
    if (!before || before.length !== after?.length) return
    this.uidValidity = Number(uidValidity)
    for (const [index, uid] of after.entries()) this.uids.set(before[index] ?? 0, uid)
  }
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
