import type { Intake, Link, SenderMemory } from '../flow/adapter.ts'
import { asHubError } from '../kernel/error.ts'
import type { Json } from '../kernel/json.ts'
import { MINUTE } from '../kernel/time.ts'
import { addFlags, selectFolder } from '../protocols/imap/folder.ts'
import { deleteMails, type MovedTo } from '../protocols/imap/move.ts'
import { moveMaking } from './imap-done.ts'
import { type ImapContext, openSession } from './imap-session.ts'

export const failedLimits = {
  /** Mails in the failed folder of a mailbox that are remembered; of more the latest. */
  mails: 1000,
  /** After a server that refused, or could not be reached, it is asked again so much later. */
  againMs: 10 * MINUTE,
} as const

/** The mails that a mailbox has in its failed folder, and which message each of them is. */
interface Kept {
  readonly folder: string
  readonly uidValidity: number
  /** UID there, and the source key. */
  readonly mails: readonly (readonly [uid: number, sourceKey: string])[]
}

/**
 * Remembers which mails lie in the failed folder, so that those leave it whose messages are delivered later, or skipped:
 * what stays there is what nobody has solved yet. Needs a server that says where a mail went (COPYUID, RFC 4315).
 */
export class FailedMails {
  readonly #memory: SenderMemory
  readonly #name: string
  #kept: Kept

  private constructor(memory: SenderMemory, name: string, kept: Kept) {
    this.#memory = memory
    this.#name = name
    this.#kept = kept
  }

  /** `place`: mailbox and folder that are read; `folder`: where failed mails go. */
  static async open(memory: SenderMemory, place: string, folder: string | undefined): Promise<FailedMails> {
    const name = `failed ${place}`
    const kept = readKept(await memory.get(name))
    const isSame = kept !== undefined && kept.folder === folder
    return new FailedMails(memory, name, isSame ? kept : { folder: folder ?? '', uidValidity: 0, mails: [] })
  }

  /** These went there just now. Durable when the promise resolves. */
  async note(moved: MovedTo, sourceKeyOf: (uid: number) => string): Promise<void> {
    if (moved.uidValidity === undefined || moved.uids.size === 0) return
    const before = moved.uidValidity === this.#kept.uidValidity ? this.#kept.mails : []
    const added = [...moved.uids].map(([from, to]) => [to, sourceKeyOf(from)] as const)
    await this.#keep({ uidValidity: moved.uidValidity, mails: [...before, ...added].slice(-failedLimits.mails) })
  }

  /** UIDs of those whose messages are through by now. Of messages that are not kept any more nothing is remembered. */
  async solved(intake: Pick<Intake, 'known'>): Promise<readonly number[]> {
    const { mails } = this.#kept
    if (mails.length === 0) return []
    const known = await intake.known(mails.map(([, key]) => key))
    const left = mails.filter(([, key]) => known.has(key))
    if (left.length < mails.length) await this.#keep({ mails: left })
    return left.filter(([, key]) => isThrough(known.get(key)?.state)).map(([uid]) => uid)
  }

  /** False: the numbers mean other mails now. */
  async isStill(uidValidity: number): Promise<boolean> {
    if (this.#kept.uidValidity === uidValidity) return true
    await this.#keep({ uidValidity, mails: [] })
    return false
  }

  async forget(uids: readonly number[]): Promise<void> {
    await this.#keep({ mails: this.#kept.mails.filter(([uid]) => !uids.includes(uid)) })
  }

  async #keep(change: Partial<Kept>): Promise<void> {
    this.#kept = { ...this.#kept, ...change }
    const { folder, uidValidity, mails } = this.#kept
    await this.#memory.set(this.#name, { folder, uidValidity, mails: mails.map(([uid, key]) => [uid, key]) })
  }
}

/**
 * Takes mails out of the failed folder whose messages are through by now, over a session of its own. What goes wrong is
 * shown, and tried again; false: not for a while.
 */
export async function clearFailed(
  context: ImapContext,
  mailbox: string,
  failed: FailedMails,
  link: Link,
  signal: AbortSignal,
): Promise<boolean> {
  const { done } = context.config
  try {
    const uids = await failed.solved(context.intake)
    if (uids.length === 0 || done.failed === undefined) return true
    const { connection } = await openSession(context, mailbox, signal)
    try {
      const { uidValidity } = await selectFolder(connection, done.failed)
      if (!(await failed.isStill(uidValidity))) return true
      if (done.move !== undefined) await moveMaking(connection, uids, done.move, new Set())
      else if (done.delete) await deleteMails(connection, uids)
      else await addFlags(connection, uids, ['\\Seen'])
      await failed.forget(uids)
      context.log.info('imap.failed-solved', { mailbox, folder: done.failed, count: uids.length })
      await connection.logout()
      return true
    } finally {
      connection.close()
    }
  } catch (thrown) {
    if (!signal.aborted) link.trouble(asHubError(thrown))
    return false
  }
}

function isThrough(state: string | undefined): boolean {
  return state === 'delivered' || state === 'skipped' || state === 'dropped'
}

function readKept(value: Json | undefined): Kept | undefined {
  if (typeof value !== 'object' || value === null || !('mails' in value)) return undefined
  const { folder, uidValidity, mails } = value
  if (typeof folder !== 'string' || typeof uidValidity !== 'number' || !Array.isArray(mails)) return undefined
  return { folder, uidValidity, mails: mails.flatMap(readMail) }
}

function readMail(entry: Json): [number, string][] {
  if (!Array.isArray(entry)) return []
  const [uid, key] = entry
  return typeof uid === 'number' && typeof key === 'string' ? [[uid, key]] : []
}
