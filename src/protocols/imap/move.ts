import type { ImapConnection } from './connection.ts'
import { addFlags, requireKept } from './folder.ts'
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

/** Mails that were copied and not removed yet, and where to, as far as the server says. */
export type Copied = Map<number, { readonly uidValidity: number; readonly uid: number } | undefined>

/**
 * Moves mails (RFC 6851); without MOVE by COPY, \Deleted and UID EXPUNGE, never by a bare EXPUNGE, which would remove
 * what others marked. `copied` remembers, between attempts, what was copied already. Throws FOLDER_MISSING,
 * COMMAND_REFUSED, READ_ONLY, THROTTLED.
 */
export async function moveMails(
  connection: ImapConnection,
  uids: readonly number[],
  folder: string,
  copied: Copied,
): Promise<MovedTo> {
  if (connection.capabilities.has('MOVE')) {
    return { left: 'gone', ...placesOf(uids, await sendThere(connection, 'UID MOVE', uids, folder)) }
  }
  requireKept(connection, '\\Deleted')
  const open = uids.filter(uid => !copied.has(uid))
  // Noted command by command: what one has copied is not copied again when the next one is refused.
  await sendThere(connection, 'UID COPY', open, folder, (uid, place) => copied.set(uid, place))
  const left = await deleteMails(connection, uids)
  const places = placesOf(uids, copied)
  for (const uid of uids) copied.delete(uid)
  return { left, ...places }
}

async function sendThere(
  connection: ImapConnection,
  title: 'UID MOVE' | 'UID COPY',
  uids: readonly number[],
  folder: string,
  onSent: (uid: number, place: ReturnType<Copied['get']>) => void = () => {},
): Promise<Copied> {
  const target = quoteMailbox(folder)
  const asked = new Set(uids)
  const there: Copied = new Map()
  const read = (code: string) => {
    for (const [uid, place] of readCopyUid(code, asked)) there.set(uid, place)
  }
  for (const set of formatUidSets(uids, imapLimits.commandBytes - target.length)) {
    const line = await connection.run({
      text: `${title} ${set} ${target}`,
      title,
      folder,
      isLong: true,
      onData(response) {
        // RFC 6851 section 4.3: of a move it comes before the mails are gone, and not with the end of the command.
        if (response.name === 'OK') read(/\[([^\]]*)\]/.exec(textOf(response.rest))?.[1] ?? '')
        return false
      },
    })
    read(line.code)
    for (const uid of readUidSet(set, asked.size) ?? []) onSent(uid, there.get(uid))
  }
  return there
}

/** Nothing where the server names mails that nobody asked for, or does not say where each of them went. */
function readCopyUid(code: string, asked: ReadonlySet<number>): Copied {
  const [, uidValidity, from = '', to = ''] = /^COPYUID (\d{1,10}) ([\d,:]+) ([\d,:]+)$/i.exec(code) ?? []
  const before = readUidSet(from, asked.size) ?? []
  const after = readUidSet(to, asked.size) ?? []
  if (before.length !== after.length || before.some(uid => !asked.has(uid))) return new Map()
  return new Map(after.map((uid, index) => [before[index] ?? 0, { uidValidity: Number(uidValidity), uid }]))
}

function placesOf(uids: readonly number[], there: Copied): Omit<MovedTo, 'left'> {
  const places = uids.flatMap(from => {
    const place = there.get(from)
    return place ? [{ from, ...place }] : []
  })
  const uidValidity = places.at(-1)?.uidValidity
  const now = places.filter(place => place.uidValidity === uidValidity)
  return { uidValidity, uids: new Map(now.map(({ from, uid }) => [from, uid])) }
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
