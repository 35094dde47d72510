import type { Link } from '../flow/adapter.ts'
import { asHubError, type HubError } from '../kernel/error.ts'
import type { Json } from '../kernel/json.ts'
import { type Clock, formatDuration, MINUTE, SECOND } from '../kernel/time.ts'
import { imapErrors } from '../protocols/imap/errors.ts'
import { type SelectedFolder, selectFolder } from '../protocols/imap/folder.ts'
import { idle } from '../protocols/imap/idle.ts'
import type { Copied } from '../protocols/imap/move.ts'
import { prepareFolders } from './imap-done.ts'
import { clearFailed, FailedMails } from './imap-failed.ts'
import { FolderReader } from './imap-folder.ts'
import { Leftovers } from './imap-leftovers.ts'
import { OddMails } from './imap-odd-mails.ts'
import { type ImapContext, type ImapSession, openSession } from './imap-session.ts'

/** Finished mails wait so long for others, so that one command marks many. */
const flushDelayMs = 200
/**
 * How often the folder is opened anew. One that is deleted, and perhaps made again under its name, stays open with some
 * servers (Cyrus): there it is empty for good, and nobody says so.
 */
const reopenMs = 5 * MINUTE
/** A session that the server ended for its token sooner than this was not ended by age. */
const shortSessionMs = MINUTE
/** An IDLE that the server ended sooner than this did not wait for anything. */
const shortIdleMs = SECOND

/** Keeps one mailbox read: one session after the other, each ended at a moment when nothing is being fetched. */
export class MailboxReader {
  readonly #context: ImapContext
  readonly #mailbox: string
  readonly #odd = new OddMails()
  /** UIDs under one UIDVALIDITY that a server without MOVE has copied and not yet removed. */
  #copied: { readonly uidValidity: number; readonly uids: Copied } = { uidValidity: 0, uids: new Map() }
  /** The token of the present session. */
  #token: string | undefined
  #failed: FailedMails | undefined
  /** The failed folder is looked after, and when it may be again. */
  #clearing: Promise<void> | undefined
  #clearNotBefore = 0
  /** What the server said to IDLE although it offers it; then the mailbox is polled. */
  #idleRefusal: HubError | undefined

  constructor(context: ImapContext, mailbox: string) {
    this.#context = context
    this.#mailbox = mailbox
  }

  /** Runs until the link's signal aborts. Throws what ended a session, except for a token that came of age. */
  async run(link: Link): Promise<void> {
    try {
      await this.#runSessions(link)
    } finally {
      if (link.signal.aborted) await this.#clearing
    }
  }

  async #runSessions(link: Link): Promise<void> {
    const { clock } = this.#context
    let oldToken: string | undefined
    while (!link.signal.aborted) {
      const openedAt = clock.now()
      try {
        oldToken = await this.#runSession(link, oldToken)
      } catch (thrown) {
        if (link.signal.aborted) return
        const error = asHubError(thrown)
        const isOfAge = error.code === imapErrors.TOKEN_EXPIRED.code && clock.now() - openedAt > shortSessionMs
        if (!isOfAge) throw error
        this.#context.log.info('imap.token-expired', { mailbox: this.#mailbox })
        oldToken = this.#token
      }
    }
  }

  /** Returns the token when the session should be followed by a fresh one. */
  async #runSession(link: Link, oldToken: string | undefined): Promise<string | undefined> {
    const ended = new AbortController()
    const signal = AbortSignal.any([link.signal, ended.signal])
    const session = await openSession(this.#context, this.#mailbox, signal, oldToken)
    this.#token = session.token
    try {
      await this.#readFolder(link, session, signal)
      // The answer to LOGOUT need not be waited for when the hub stops.
      if (!link.signal.aborted) await session.connection.logout()
      return session.token
    } finally {
      ended.abort()
      session.connection.close()
    }
  }

  async #readFolder(link: Link, session: ImapSession, signal: AbortSignal): Promise<void> {
    const { config, clock } = this.#context
    const { connection } = session
    const selected = await selectFolder(connection, config.folder)
    const suspectBelow = await this.#rememberUidValidity(selected)
    await prepareFolders(this.#context, connection, link)
    const { folder, uidValidity } = selected
    const { memory } = this.#context
    const leftovers = await Leftovers.open(memory, `${this.#mailbox}/${folder}`, uidValidity)
    this.#failed ??= await FailedMails.open(memory, config, this.#mailbox)
    const failed = this.#failed
    if (this.#copied.uidValidity !== uidValidity) this.#copied = { uidValidity, uids: new Map() }
    const nap = new Nap(clock)
    const reader: FolderReader = new FolderReader(this.#context, link, session, {
      selected,
      suspectBelow,
      mailbox: this.#mailbox,
      odd: this.#odd,
      leftovers,
      failed,
      copied: this.#copied.uids,
      signal,
      onProgress: () => (reader.isHungry || reader.isFlushDue ? nap.end() : nap.endSoon(flushDelayMs)),
    })
    const canIdle = config.idle && connection.capabilities.has('IDLE') && !this.#idleRefusal
    link.up(describe(config.host, selected, canIdle, config.every))
    try {
      await this.#loop(link, session, selected, reader, nap, canIdle)
    } finally {
      nap.close()
      await reader.remember().catch((thrown: unknown) => {
        // What ended the session counts; as long as their deliveries are kept, the hub knows these mails anyway.
        this.#context.log.warn('imap.not-remembered', { mailbox: this.#mailbox, text: asHubError(thrown).message })
      })
    }
  }

  /** Searches, fetches, marks, waits; returns when the session should be renewed. */
  async #loop(
    link: Link,
    session: ImapSession,
    { folder, uidValidity }: SelectedFolder,
    reader: FolderReader,
    nap: Nap,
    canIdle: boolean,
  ): Promise<void> {
    const { config, clock } = this.#context
    const { connection } = session
    let searchAt = clock.now()
    let reopenAt = clock.now() + reopenMs
    // A mail that arrives while another command runs is told of in its answer, and in no IDLE after it.
    let mailCount = -1
    let isNews = false
    connection.onNews = (name, count) => {
      if (name !== 'EXISTS' || count === mailCount) return
      mailCount = count
      isNews = true
    }
    while (!link.signal.aborted) {
      if (isNews || clock.now() >= searchAt) {
        if (clock.now() >= reopenAt) {
          // The next session reads the folder that bears the name now.
          if ((await selectFolder(connection, folder)).uidValidity !== uidValidity) return
          reopenAt = clock.now() + reopenMs
        }
        isNews = false
        await reader.search()
        this.#clearFailed(link)
        searchAt = clock.now() + config.every
      }
      while (reader.isHungry && !reader.isRenewalDue && !link.signal.aborted) await reader.takeNext()
      // Moving mails away lowers the count, so that the next mail may bring it back to what it was.
      if (reader.pile.count > 0) mailCount = -1
      await reader.pile.flush(connection)
      if (reader.isRenewalDue) return
      if (isNews) continue
      const stop = nap.begin(Math.min(searchAt, session.renewAt, reader.resumeAt) - clock.now())
      const why = canIdle && !this.#idleRefusal ? await this.#idle(session, stop) : await sleepOn(session, stop)
      if (why === 'news') searchAt = clock.now()
    }
  }

  async #idle(session: ImapSession, stop: AbortSignal): Promise<'news' | 'stopped' | 'renew' | 'refused'> {
    const { connection } = session
    const { clock } = this.#context
    const begunAt = clock.now()
    try {
      const why = await idle(connection, stop)
      // A server that ends it as soon as it begins would be asked without a pause.
      return why === 'renew' && clock.now() - begunAt < shortIdleMs ? await sleepOn(session, stop) : why
    } catch (thrown) {
      const error = asHubError(thrown)
      if (error.code !== imapErrors.COMMAND_REFUSED.code || connection.isOver) throw error
      this.#idleRefusal = error
      this.#context.log.warn('imap.idle-refused', { mailbox: this.#mailbox, text: error.message })
      return 'refused'
    }
  }

  /** Beside the reading of mails, so that none waits for it. */
  #clearFailed(link: Link): void {
    const { clock } = this.#context
    if (!this.#failed || this.#clearing || clock.now() < this.#clearNotBefore) return
    this.#clearing = clearFailed(this.#context, this.#mailbox, this.#failed, link).then(waitMs => {
      this.#clearNotBefore = clock.now() + waitMs
      this.#clearing = undefined
    })
  }

  /** Notes UIDVALIDITY; mails with a UID below the result may have been taken in under another UID. */
  async #rememberUidValidity({ folder, uidValidity, uidNext }: SelectedFolder): Promise<number> {
    const { memory, log } = this.#context
    const name = `folder ${this.#mailbox}/${folder}`
    const known = readMemory(await memory.get(name))
    if (known?.uidValidity === uidValidity) return known.suspectBelow
    // Without UIDNEXT every mail of today's folder must be suspected, and so must all later ones.
    const suspectBelow = known ? (uidNext ?? Number.MAX_SAFE_INTEGER) : 0
    if (known)
      log.warn('imap.uidvalidity-changed', { mailbox: this.#mailbox, folder, from: known.uidValidity, to: uidValidity })
    await memory.set(name, { uidValidity, suspectBelow })
    return suspectBelow
  }
}

/** Waits without IDLE; a connection that breaks meanwhile is noticed at once. */
async function sleepOn(session: ImapSession, stop: AbortSignal): Promise<'stopped'> {
  const stopped = new Promise<undefined>(resolve => {
    if (stop.aborted) resolve(undefined)
    stop.addEventListener('abort', () => resolve(undefined), { once: true })
  })
  const error = await Promise.race([stopped, session.connection.ended])
  if (error) throw error
  return 'stopped'
}

/** A wait that can be cut short; when that happens before it begins, it is over at once. */
class Nap {
  readonly #clock: Clock
  #stop = new AbortController()
  #isCut = false
  #cancelEnd = () => {}
  #cancelSoon: (() => void) | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Aborts after `ms`, or sooner. */
  begin(ms: number): AbortSignal {
    const stop = new AbortController()
    this.#stop = stop
    this.#cancelEnd()
    this.#cancelEnd = this.#clock.after(Math.max(0, ms), () => stop.abort())
    if (this.#isCut) stop.abort()
    this.#isCut = false
    return stop.signal
  }

  end(): void {
    this.#cancelSoon?.()
    this.#cancelSoon = undefined
    this.#isCut = true
    if (!this.#stop.signal.aborted) this.#stop.abort()
  }

  endSoon(ms: number): void {
    this.#cancelSoon ??= this.#clock.after(ms, () => this.end())
  }

  /** Leaves no timer behind. */
  close(): void {
    this.#cancelEnd()
    this.#cancelSoon?.()
  }
}

function describe(host: string, selected: SelectedFolder, canIdle: boolean, everyMs: number): string {
  const how = canIdle ? 'IDLE and a search' : 'a search'
  return `${host}, ${selected.folder}: ${selected.mailCount} mails; ${how} every ${formatDuration(everyMs)}`
}

function readMemory(value: Json | undefined): { uidValidity: number; suspectBelow: number } | undefined {
  if (typeof value !== 'object' || value === null || !('uidValidity' in value) || !('suspectBelow' in value))
    return undefined
  const { uidValidity, suspectBelow } = value
  return typeof uidValidity === 'number' && typeof suspectBelow === 'number' ? { uidValidity, suspectBelow } : undefined
}
