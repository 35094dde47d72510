import type { Intake, Link, SenderMemory } from '../flow/adapter.ts'
import { asHubError } from '../kernel/error.ts'
import type { Json } from '../kernel/json.ts'
import { MINUTE } from '../kernel/time.ts'
import type { ImapConnection } from '../protocols/imap/connection.ts'
import { addFlags, selectFolder } from '../protocols/imap/folder.ts'
import { type Copied, deleteMails, type MovedTo } from '../protocols/imap/move.ts'
import type { ImapConfig } from './imap-config.ts'
import { actApart, describeAction, doneRefused, moveMaking } from './imap-done.ts'
import { sourceKeyOf } from './imap-message.ts'
import { type ImapContext, openSession } from './imap-session.ts'

export const failedLimits = {
  /** Mails in the failed folder of a mailbox that are remembered; of more the latest. */
  mails: 1000,
  /** Between two log-ins to take mails out of it, and after one that went wrong. */
  everyMs: MINUTE,
  againMs: 10 * MINUTE,
  /** Times a mail is asked for that the server will not let go. */
  attempts: 3,
  /** Commands of one log-in for mails that the server refuses. */
  commands: 40,
} as const

/** A mail in the failed folder: its UID there, and where it was read. */
type Entry = readonly [uid: number, readUnder: number, readAs: number]

interface Kept {
  /** host:port and folder, so that after a change of the document nothing else is taken for it. */
  readonly place: string
  readonly uidValidity: number
  readonly mails: readonly Entry[]
}

/**
 * Remembers which mails lie in the failed folder, so that those leave it whose messages are delivered later, or skipped:
 * what stays there is what nobody has solved yet. Needs a server that says where a mail went (COPYUID, RFC 4315).
 */
export class FailedMails {
  readonly #memory: SenderMemory
  readonly #name: string
  readonly #keyOf: (entry: Entry) => string
  #kept: Kept
  #writing: Promise<void> = Promise.resolve()
  #copied: Copied = new Map()
  readonly #attempts = new Map<number, number>()

  private constructor(memory: SenderMemory, name: string, keyOf: (entry: Entry) => string, kept: Kept) {
    this.#memory = memory
    this.#name = name
    this.#keyOf = keyOf
    this.#kept = kept
  }

  static async open(memory: SenderMemory, config: ImapConfig, mailbox: string): Promise<FailedMails> {
    const { folder, host, port } = config
    const name = `failed ${mailbox}/${folder}`
    const place = `${host}:${port ?? ''} ${config.done.failed ?? ''}`
    const keyOf = ([, uidValidity, uid]: Entry) => sourceKeyOf({ mailbox, folder, uidValidity, uid })
    const kept = readKept(await memory.get(name))
    return new FailedMails(memory, name, keyOf, kept?.place === place ? kept : { place, uidValidity: 0, mails: [] })
  }

  /** What a server without MOVE has copied out of the folder and not removed yet. */
  get copied(): Copied {
    return this.#copied
  }

  /** These went there just now, out of the folder with this UIDVALIDITY. Durable when the promise resolves. */
  async note(moved: MovedTo, readUnder: number): Promise<void> {
    if (moved.uidValidity === undefined) return
    await this.isStill(moved.uidValidity)
    const added = [...moved.uids].map(([from, to]): Entry => [to, readUnder, from])
    await this.#keep({ mails: [...this.#kept.mails, ...added].slice(-failedLimits.mails) })
  }

  /** UIDs of those whose messages are through by now. What can never be, or is not kept any more, is forgotten. */
  async solved(intake: Pick<Intake, 'known'>): Promise<readonly number[]> {
    const { mails } = this.#kept
    if (mails.length === 0) return []
    const known = await intake.known(mails.map(this.#keyOf))
    const stateOf = (entry: Entry) => known.get(this.#keyOf(entry))?.state
    const over = mails.filter(entry => [undefined, 'rejected'].includes(stateOf(entry))).map(([uid]) => uid)
    if (over.length > 0) await this.forget(over)
    return mails.filter(entry => isThrough(stateOf(entry))).map(([uid]) => uid)
  }

  /** False: it was another folder before, whose numbers meant other mails. */
  async isStill(uidValidity: number): Promise<boolean> {
    if (this.#kept.uidValidity === uidValidity) return true
    this.#copied = new Map()
    await this.#keep({ uidValidity, mails: [] })
    return false
  }

  async forget(uids: readonly number[]): Promise<void> {
    const gone = new Set(uids)
    for (const uid of uids) this.#attempts.delete(uid)
    await this.#keep({ mails: this.#kept.mails.filter(([uid]) => !gone.has(uid)) })
  }

  /** The server would not let go of these; one that it keeps for good is not asked for for ever. */
  async noteRefused(uids: readonly number[]): Promise<void> {
    for (const uid of uids) this.#attempts.set(uid, (this.#attempts.get(uid) ?? 0) + 1)
    const given = uids.filter(uid => (this.#attempts.get(uid) ?? 0) >= failedLimits.attempts)
    if (given.length > 0) await this.forget(given)
  }

  /** One write after the other, each with what is known then. */
  #keep(change: Partial<Kept>): Promise<void> {
    this.#kept = { ...this.#kept, ...change }
    const writing = this.#writing.then(() => {
      const { place, uidValidity, mails } = this.#kept
      return this.#memory.set(this.#name, { place, uidValidity, mails: mails.map(entry => [...entry]) })
    })
    this.#writing = writing.catch(() => undefined)
    return writing
  }
}

/**
 * Takes mails out of the failed folder whose messages are through by now, over a session of its own. What goes wrong is
 * shown. Resolves with the milliseconds until the next time; it never rejects.
 */
export async function clearFailed(
  context: ImapContext,
  mailbox: string,
  failed: FailedMails,
  link: Link,
): Promise<number> {
  const { done } = context.config
  // Where both are one folder nothing is to be moved.
  if (done.failed === undefined || done.failed === done.move) return failedLimits.againMs
  try {
    const uids = await failed.solved(context.intake)
    if (uids.length === 0) return 0
    const { connection } = await openSession(context, mailbox, link.signal)
    try {
      const { uidValidity } = await selectFolder(connection, done.failed)
      if (!(await failed.isStill(uidValidity))) return failedLimits.everyMs
      const refused: number[] = []
      const budget = { commandsLeft: failedLimits.commands }
      const refusal = await actApart(uids, budget, part => settle(connection, part, failed, done), refused)
      const action = `${describeAction(context.config, 'done')} (in "${done.failed}")`
      if (refusal) link.trouble(doneRefused(connection, action, refused, refusal))
      await failed.noteRefused(refused)
      await connection.logout()
      return refusal ? failedLimits.againMs : failedLimits.everyMs
    } finally {
      connection.close()
    }
  } catch (thrown) {
    if (!link.signal.aborted) link.trouble(asHubError(thrown))
    return failedLimits.againMs
  }
}

async function settle(
  connection: ImapConnection,
  uids: readonly number[],
  failed: FailedMails,
  done: ImapConfig['done'],
): Promise<void> {
  if (done.move !== undefined) await moveMaking(connection, uids, done.move, failed.copied)
  else if (done.delete) await deleteMails(connection, uids)
  else await addFlags(connection, uids, ['\\Seen'])
  await failed.forget(uids)
}

function isThrough(state: string | undefined): boolean {
  return state === 'delivered' || state === 'skipped' || state === 'dropped'
}

function readKept(value: Json | undefined): Kept | undefined {
  if (typeof value !== 'object' || value === null || !('mails' in value)) return undefined
  const { place, uidValidity, mails } = value
  if (typeof place !== 'string' || typeof uidValidity !== 'number' || !Array.isArray(mails)) return undefined
  return { place, uidValidity, mails: mails.flatMap(readEntry) }
}

function readEntry(entry: Json): Entry[] {
  if (!Array.isArray(entry)) return []
  const [uid, readUnder, readAs] = entry
  const isWhole = typeof uid === 'number' && typeof readUnder === 'number' && typeof readAs === 'number'
  return isWhole ? [[uid, readUnder, readAs]] : []
}
