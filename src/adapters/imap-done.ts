import type { Link } from '../flow/adapter.ts'
import { asHubError, type HubError } from '../kernel/error.ts'
import type { ImapConnection } from '../protocols/imap/connection.ts'
import { imapErrors } from '../protocols/imap/errors.ts'
import { addFlags, createFolder, hasFolder } from '../protocols/imap/folder.ts'
import { type Copied, canExpunge, deleteMails, type MovedTo, moveMails } from '../protocols/imap/move.ts'
import type { ImapConfig } from './imap-config.ts'
import type { FailedMails } from './imap-failed.ts'
import type { Leftovers } from './imap-leftovers.ts'
import type { ImapContext } from './imap-session.ts'

/** How a mail ended, as far as the mailbox is concerned. */
export type Ending = 'done' | 'failed'

const doneLimits = {
  /** Commands spent per round on finding the mails of a batch that the server refuses. */
  commandsPerRound: 40,
}

/** Errors of one command; everything else ends the session. */
const refusals: ReadonlySet<string> = new Set([
  imapErrors.COMMAND_REFUSED.code,
  imapErrors.FOLDER_MISSING.code,
  imapErrors.FOLDER_NAME.code,
  imapErrors.FOLDER_PLACE.code,
  imapErrors.READ_ONLY.code,
])

/** Search keys that keep mails out that are dealt with but cannot be removed. */
export function leftoverCriteria(config: ImapConfig, connection: ImapConnection): string {
  const moves = config.done.move !== undefined || config.done.failed !== undefined
  const leaves = (moves && !connection.capabilities.has('MOVE')) || config.done.delete === true
  return leaves && !canExpunge(connection) ? ' UNDELETED' : ''
}

/** Makes sure that the target folders are there. What the server thinks of it is shown, and reading goes on. */
export async function prepareFolders(context: ImapContext, connection: ImapConnection, link: Link): Promise<void> {
  const { done } = context.config
  for (const folder of [done.move, done.failed]) {
    if (folder === undefined) continue
    try {
      if (await hasFolder(connection, folder)) continue
      await createFolder(connection, folder)
      context.log.info('imap.folder-created', { mailbox: connection.options.names.user, folder })
    } catch (thrown) {
      const error = asHubError(thrown)
      if (!refusals.has(error.code)) throw error
      link.trouble(error)
    }
  }
}

/** Mails that are through, and wait for the mark, the move or the deletion that says so. Nothing is ever given up. */
export class DonePile {
  readonly #context: ImapContext
  readonly #link: Link
  readonly #waiting = new Map<number, Ending>()
  readonly #copied: Copied
  /** Not before this time: the server refused, and asking on would not help. */
  #notBefore = 0
  #budget: Budget = { commandsLeft: 0 }
  #hasToldLeftovers = false
  readonly #leftovers: Leftovers
  readonly #failed: FailedMails
  readonly #uidValidity: number
  /** What else stays undone until somebody changes something: a mail that could not be taken in. */
  undone: HubError | undefined
  /** Whether that was told, or that the server refuses; not known before the first round. */
  #isStuck: boolean | undefined

  /** `copied`: mails that were copied to their folder but not removed yet, also in an earlier session. */
  constructor(
    context: ImapContext,
    link: Link,
    options: {
      readonly leftovers: Leftovers
      readonly failed: FailedMails
      readonly copied: Copied
      readonly uidValidity: number
    },
  ) {
    this.#context = context
    this.#link = link
    this.#leftovers = options.leftovers
    this.#failed = options.failed
    this.#copied = options.copied
    this.#uidValidity = options.uidValidity
  }

  get count(): number {
    return this.#waiting.size
  }

  has(uid: number): boolean {
    return this.#waiting.has(uid)
  }

  add(uid: number, ending: Ending): void {
    this.#waiting.set(uid, ending)
  }

  /** True when there is something that may be asked of the server now. */
  isDue(now: number): boolean {
    return this.#waiting.size > 0 && now >= this.#notBefore
  }

  /** Tells the server, in batches. A refusal is shown and tried again later; what ends the session is thrown. */
  async flush(connection: ImapConnection): Promise<void> {
    if (this.#waiting.size === 0) return this.#settled()
    if (!this.isDue(this.#context.clock.now())) return
    this.#budget = { commandsLeft: doneLimits.commandsPerRound }
    let refusal: HubError | undefined
    for (const ending of ['done', 'failed'] as const) {
      const uids = [...this.#waiting].filter(([, how]) => how === ending).map(([uid]) => uid)
      if (uids.length > 0) refusal = (await this.#settle(connection, uids, ending)) ?? refusal
    }
    if (!refusal) return this.#settled()
    this.#notBefore = this.#context.clock.now() + this.#context.config.every
    await this.#leftovers.keep(this.#waiting)
    this.#isStuck = true
    this.#link.stuck(refusal)
  }

  /** Remembers what the next session must still tell the server, or the next start after a long stop. */
  async remember(working: Iterable<number>): Promise<void> {
    await this.#leftovers.keep([...[...working].map((uid): [number, Ending] => [uid, 'done']), ...this.#waiting])
  }

  async #settled(): Promise<void> {
    if (this.undone || this.#isStuck !== false) this.#link.stuck(this.undone)
    this.#isStuck = this.undone !== undefined
    if (!this.#leftovers.isEmpty) await this.#leftovers.keep(this.#waiting)
  }

  /** The refusal as people are told of it; undefined when all went well. */
  async #settle(connection: ImapConnection, uids: readonly number[], ending: Ending): Promise<HubError | undefined> {
    const refused: number[] = []
    const act = async (part: readonly number[]) => {
      await this.#apply(connection, part, ending)
      for (const uid of part) this.#waiting.delete(uid)
    }
    const refusal = await actApart(uids, this.#budget, act, refused)
    const action = describeAction(this.#context.config, ending)
    return refusal && doneRefused(connection, action, refused, refusal)
  }

  async #apply(connection: ImapConnection, uids: readonly number[], ending: Ending): Promise<void> {
    const { done } = this.#context.config
    const folder = ending === 'done' ? done.move : done.failed
    if (folder !== undefined) {
      const moved = await moveMaking(connection, uids, folder, this.#copied)
      this.#tellLeftovers(connection, moved.left)
      if (ending === 'failed') await this.#failed.note(moved, this.#uidValidity)
    } else if (ending === 'failed') await addFlags(connection, uids, ['\\Seen', '\\Flagged'])
    else if (done.delete) this.#tellLeftovers(connection, await deleteMails(connection, uids))
    else await addFlags(connection, uids, ['\\Seen'])
  }

  #tellLeftovers(connection: ImapConnection, left: 'gone' | 'marked'): void {
    if (left === 'gone' || this.#hasToldLeftovers) return
    this.#hasToldLeftovers = true
    this.#link.trouble(imapErrors.NO_EXPUNGE({ user: connection.options.names.user }))
  }
}

/** The refusal as people are told of it. */
export function doneRefused(
  connection: ImapConnection,
  action: string,
  uids: readonly number[],
  refusal: HubError,
): HubError {
  return imapErrors.DONE_REFUSED(
    {
      user: connection.options.names.user,
      count: uids.length,
      action,
      answer: refusal.code === imapErrors.COMMAND_REFUSED.code ? String(refusal.fields['answer']) : refusal.message,
      uids: uids.slice(0, 20).join(','),
    },
    { cause: refusal },
  )
}

/** Commands that may be spent on finding the mails of a batch that the server refuses. */
interface Budget {
  commandsLeft: number
}

/** Halves a refused batch until the mails are found that the server minds; returns the last refusal. */
export async function actApart(
  uids: readonly number[],
  budget: Budget,
  act: (uids: readonly number[]) => Promise<void>,
  refused: number[],
): Promise<HubError | undefined> {
  try {
    budget.commandsLeft--
    await act(uids)
    return undefined
  } catch (thrown) {
    const error = asHubError(thrown)
    if (!refusals.has(error.code)) throw error
    const isAboutFolder = error.code !== imapErrors.COMMAND_REFUSED.code || error.fields['command'] === 'CREATE'
    if (uids.length === 1 || isAboutFolder || budget.commandsLeft < 2) {
      refused.push(...uids)
      return error
    }
  }
  const middle = Math.ceil(uids.length / 2)
  const first = await actApart(uids.slice(0, middle), budget, act, refused)
  const second = await actApart(uids.slice(middle), budget, act, refused)
  return second ?? first
}

/** Moves mails into a folder that somebody may have removed while the hub was running. */
export async function moveMaking(
  connection: ImapConnection,
  uids: readonly number[],
  folder: string,
  copied: Copied,
): Promise<MovedTo> {
  try {
    return await moveMails(connection, uids, folder, copied)
  } catch (thrown) {
    const { code } = asHubError(thrown)
    // Not every server says of a folder that it is missing.
    const isMissing =
      code === imapErrors.FOLDER_MISSING.code ||
      (code === imapErrors.COMMAND_REFUSED.code && !(await hasFolder(connection, folder)))
    if (!isMissing) throw thrown
    await createFolder(connection, folder)
    return moveMails(connection, uids, folder, copied)
  }
}

/** What is done with mails, in words behind "refused to". */
export function describeAction({ done }: ImapConfig, ending: Ending): string {
  const folder = ending === 'done' ? done.move : done.failed
  if (folder !== undefined) return `move them to "${folder}"`
  if (ending === 'failed') return 'flag them'
  return done.delete ? 'delete them' : 'mark them as read'
}
