import type { Link } from '../flow/adapter.ts'
import { asHubError, type HubError } from '../kernel/error.ts'
import { HOUR, SECOND } from '../kernel/time.ts'
import { imapErrors } from '../protocols/imap/errors.ts'
import { type FetchedMail, fetchMails, fetchSizes } from '../protocols/imap/fetch.ts'
import { type SelectedFolder, searchUids } from '../protocols/imap/folder.ts'
import { imapLimits } from '../protocols/imap/limits.ts'
import type { Copied } from '../protocols/imap/move.ts'
import { cutWindows, type FetchWindow, windowLimits } from '../protocols/imap/windows.ts'
import { DonePile, leftoverCriteria } from './imap-done.ts'
import type { FailedMails } from './imap-failed.ts'
import { isOfExpression, refusedMail, takeIn } from './imap-intake.ts'
import type { Leftovers } from './imap-leftovers.ts'
import { type MailPlace, sourceKeyOf } from './imap-message.ts'
import type { OddMails } from './imap-odd-mails.ts'
import type { ImapContext, ImapSession } from './imap-session.ts'

const folderLimits = {
  /** Source keys that the hub is asked about at once. */
  knownBatch: 500,
  /** Times a mail is asked for, or offered to the hub, before it is put aside. */
  attempts: 3,
  /** A mail that cannot be read and has nowhere to go is tried again this often. */
  retryUnreadableMs: HOUR,
  /** Finished mails that are marked without waiting for more. */
  flushCount: 100,
  queueFullMs: 30 * SECOND,
  /** Mails that the hub failed to take, and no other taken, before fetching stops: it is the hub, not the mails. */
  failuresInARow: 20,
}

/** Ends of a connection that one mail may have caused. */
const breakages: ReadonlySet<string> = new Set([
  imapErrors.CONNECTION_LOST.code,
  imapErrors.PROTOCOL.code,
  imapErrors.LIMIT.code,
  imapErrors.TIMEOUT.code,
  imapErrors.TOO_SLOW.code,
])

/** Reads one folder during one session: finds mails, hands them to the hub, follows them to their end. */
export class FolderReader {
  readonly pile: DonePile
  readonly #context: ImapContext
  readonly #link: Link
  readonly #session: ImapSession
  readonly #selected: SelectedFolder
  readonly #suspectBelow: number
  readonly #mailbox: string
  readonly #odd: OddMails
  readonly #leftovers: Leftovers
  readonly #onProgress: () => void
  readonly #signal: AbortSignal
  /** Mails on their way through the flow. */
  readonly #working = new Set<number>()
  /** Those of them that wait behind one that is set aside, for a person: the others must not wait with them. */
  readonly #held = new Set<number>()
  /** Mails that were found and not asked for yet, in the order in which they are taken. */
  #backlog: number[] = []
  #pauseUntil = 0
  #acceptedCount = 0
  /** Mails that the hub did not take, since it last took one. */
  readonly #unclear = new Set<number>()
  /** Mails of the present batch that the hub did not take. */
  #failures: { readonly place: MailPlace; readonly error: HubError }[] = []

  constructor(
    context: ImapContext,
    link: Link,
    session: ImapSession,
    options: {
      readonly selected: SelectedFolder
      readonly suspectBelow: number
      readonly mailbox: string
      readonly odd: OddMails
      readonly leftovers: Leftovers
      readonly failed: FailedMails
      readonly copied: Copied
      readonly signal: AbortSignal
      onProgress(): void
    },
  ) {
    this.#context = context
    this.#link = link
    this.#session = session
    this.#selected = options.selected
    this.#suspectBelow = options.suspectBelow
    this.#mailbox = options.mailbox
    this.#odd = options.odd
    this.#onProgress = options.onProgress
    this.#signal = options.signal
    this.#leftovers = options.leftovers
    const { leftovers, failed, copied } = options
    this.pile = new DonePile(context, link, { leftovers, failed, copied, uidValidity: options.selected.uidValidity })
  }

  /** Looks for mails that the hub has not finished; what it knows already is not fetched again. */
  async search(): Promise<void> {
    const { config, intake, clock } = this.#context
    const { connection } = this.#session
    const criteria = (config.select === 'all' ? 'ALL' : 'UNSEEN') + leftoverCriteria(config, connection)
    const found = await searchUids(connection, criteria)
    const open = found.filter(uid => !this.#working.has(uid) && !this.pile.has(uid))
    // Whether it still is shows when they are fetched.
    this.pile.undone = undefined
    this.#odd.keepOnly(new Set(found.map(uid => this.#keyOf(uid))))
    const fresh: number[] = []
    for (let at = 0; at < open.length; at += folderLimits.knownBatch) {
      const batch = open.slice(at, at + folderLimits.knownBatch)
      const known = await intake.known(batch.map(uid => this.#keyOf(uid)))
      for (const uid of batch) {
        const entry = known.get(this.#keyOf(uid))
        // Its delivery may have been purged since.
        const left = entry ? undefined : this.#leftovers.ending(uid)
        if (left) this.pile.add(uid, left)
        else if (!entry) fresh.push(uid)
        else if (entry.state === 'working' || entry.state === 'held') this.#follow(uid, entry.id)
        else this.pile.add(uid, endingOf(entry.state))
      }
    }
    await this.#findHeld()
    const due = fresh.filter(uid => !this.#odd.isResting(this.#keyOf(uid), clock.now()))
    this.#backlog = config.order === 'oldest-first' ? due : due.toReversed()
  }

  /** Call it when the session ends: what was taken in and not marked yet is told to the server by a later one. */
  remember(): Promise<void> {
    return this.pile.remember(this.#working)
  }

  /** True when there are mails to fetch and places for them. */
  get isHungry(): boolean {
    if (this.#backlog.length === 0 || this.#context.clock.now() < this.#pauseUntil) return false
    return this.#travelling === 0 || this.#travelling <= this.#context.config.ahead / 2
  }

  get isFlushDue(): boolean {
    return this.pile.count >= folderLimits.flushCount && this.pile.isDue(this.#context.clock.now())
  }

  get isRenewalDue(): boolean {
    return this.#context.clock.now() >= this.#session.renewAt
  }

  /** When fetching goes on after the hub asked for a pause; for ever, when it did not. */
  get resumeAt(): number {
    return this.#pauseUntil > this.#context.clock.now() ? this.#pauseUntil : Number.POSITIVE_INFINITY
  }

  /** Fetches the next mails, as many as there are places. Throws what ended the session or what ails the hub. */
  async takeNext(): Promise<void> {
    const { config } = this.#context
    // While nothing is under way everybody waits for the first mails: sizes of a few are told sooner than those of many.
    const atOnce = this.#travelling === 0 ? windowLimits.uids : Number.POSITIVE_INFINITY
    const room = Math.min(config['per-poll'], config.ahead - this.#travelling, atOnce)
    const uids = this.#backlog.splice(0, Math.max(0, room))
    if (uids.length === 0) return
    const readable = uids.filter(uid => !this.#isBreaker(uid))
    const sizes = await this.#measure(readable.filter(uid => !this.#isSuspect(uid)))
    const windows = cutWindows(readable, sizes, imapLimits.heldBytes, uid => this.#isSuspect(uid))
    this.#acceptedCount = 0
    this.#failures = []
    const left = await this.#runWindows(windows)
    this.#backlog.unshift(...left.flatMap(window => window.uids))
    this.#judgeFailures()
  }

  /** Suspects are not measured: they are fetched alone anyway. */
  async #measure(uids: readonly number[]): Promise<Map<number, number>> {
    try {
      return await fetchSizes(this.#session.connection, uids)
    } catch (thrown) {
      this.#suspect(uids, asHubError(thrown))
      throw thrown
    }
  }

  /** Returns the windows that were not asked for, because the session should end or the hub is in trouble. */
  async #runWindows(windows: FetchWindow[]): Promise<FetchWindow[]> {
    const running = new Set<Promise<void>>()
    const failures: unknown[] = []
    let flushing: Promise<void> | undefined
    const track = (work: Promise<void>): Promise<void> => {
      const tracked: Promise<void> = work
        .catch((error: unknown) => {
          failures.push(error)
        })
        .finally(() => running.delete(tracked))
      running.add(tracked)
      return tracked
    }
    // A suspect is fetched with nothing beside it, so that it alone is to blame when the connection breaks.
    const depth = windows.some(({ uids }) => uids.some(uid => this.#isSuspect(uid))) ? 1 : windowLimits.inFlight
    while (windows.length > 0 && failures.length === 0 && !this.#mustPause()) {
      const window = windows.shift()
      if (window) void track(this.#runWindow(window))
      // Marks travel on the same line, behind the windows that are asked for already.
      if (this.isFlushDue && !flushing) {
        flushing = track(this.pile.flush(this.#session.connection)).finally(() => {
          flushing = undefined
        })
      }
      if (running.size >= depth) await Promise.race(running)
    }
    await Promise.all(running)
    if (failures.length > 0) throw failures[0]
    return windows
  }

  #mustPause(): boolean {
    if (this.#signal.aborted || this.isRenewalDue || this.#context.clock.now() < this.#pauseUntil) return true
    return this.#failures.length >= folderLimits.failuresInARow && this.#acceptedCount === 0
  }

  async #runWindow(window: FetchWindow): Promise<void> {
    const { connection } = this.#session
    const answered = new Set<number>()
    /** Large ones begin before they are there, and may be what breaks the connection. */
    const whole = new Set<number>()
    const open = () => window.uids.filter(uid => !answered.has(uid))
    try {
      await fetchMails(connection, window, async mail => {
        answered.add(mail.uid)
        if (mail.body instanceof Uint8Array) whole.add(mail.uid)
        await this.#take(mail)
        if (!connection.isOver) whole.add(mail.uid)
      })
    } catch (thrown) {
      const error = asHubError(thrown)
      if (connection.isOver)
        this.#suspect(
          window.uids.filter(uid => !whole.has(uid)),
          error,
        )
      if (connection.isOver || error.code !== imapErrors.COMMAND_REFUSED.code) throw error
      // One mail that the server cannot read must not cost its neighbours.
      if (window.isLone) this.#missRow(window.uids[0] ?? 0, String(error.fields['answer']))
      else for (const uid of open()) await this.#runWindow({ uids: [uid], isLone: true })
      return
    }
    // Asked for alone, a row needs no UID of its own, and a large body can be streamed whose UID comes last.
    for (const uid of open()) {
      if (window.isLone) this.#missRow(uid, 'no row for it')
      else await this.#runWindow({ uids: [uid], isLone: true })
    }
    for (const uid of answered) this.#odd.clear(this.#keyOf(uid))
  }

  /** The connection broke while these were fetched. One that was fetched alone, as a suspect, is to blame. */
  #suspect(uids: readonly number[], error: HubError): void {
    if (this.#signal.aborted || !breakages.has(error.code)) return
    const [only] = uids
    if (uids.length === 1 && only !== undefined && this.#isSuspect(only)) this.#countAttempt(only)
    for (const uid of uids) this.#odd.suspect(this.#keyOf(uid))
  }

  /** Puts a mail aside that broke the connection whenever it was asked for. */
  #isBreaker(uid: number): boolean {
    const attempts = this.#odd.attempts(this.#keyOf(uid))
    if (!this.#isSuspect(uid) || attempts < folderLimits.attempts) return false
    this.#giveUp(uid, attempts, 'the connection broke each time')
    return true
  }

  async #take(mail: FetchedMail): Promise<void> {
    const place = this.#placeOf(mail.uid)
    const taken = await takeIn(this.#context, this.#link, mail, place, mail.uid < this.#suspectBelow)
    switch (taken.what) {
      case 'accepted':
        this.#acceptedCount++
        this.#odd.hasTaken = true
        this.#unclear.clear()
        this.#link.moved()
        this.#follow(mail.uid, taken.id)
        break
      case 'refused':
        this.#putAside(mail.uid, taken.error)
        break
      case 'synthetic':
        this.#missRow(mail.uid, 'a notice that it could not be read')
        break
      case 'failed':
        if (this.#session.connection.isOver || this.#signal.aborted) break
        if (taken.error.code === 'ENGINE_QUEUE_FULL') this.#pause(taken.error)
        else this.#failures.push({ place, error: taken.error })
    }
  }

  /**
   * Throws when the hub took no mail at all: then the link is down, and no mail is to blame. When it took others, or the
   * expressions of the flow did before, it is the mail: after some attempts it must not be in the way any longer. Of an
   * expression that failed for one mail alone nobody knows yet: it stays, and the next one that comes does not wait.
   */
  #judgeFailures(): void {
    const ailment = this.#failures.find(({ error }) => !this.#odd.hasTaken || !isOfExpression(error))
    if (ailment && this.#acceptedCount === 0) {
      for (const { place } of this.#failures) this.#unclear.add(place.uid)
      if (this.#unclear.size > 1 || !isOfExpression(ailment.error)) throw ailment.error
      this.pile.undone = ailment.error
      return
    }
    for (const { place, error } of this.#failures) {
      if (this.#countAttempt(place.uid) >= folderLimits.attempts) this.#putAside(place.uid, refusedMail(place, error))
      else this.#link.trouble(error)
    }
  }

  #putAside(uid: number, error: HubError): void {
    this.#link.trouble(error)
    this.#finish(uid, 'failed')
  }

  #pause(error: HubError): void {
    if (this.#context.clock.now() >= this.#pauseUntil) this.#link.trouble(error)
    this.#pauseUntil = this.#context.clock.now() + (error.retryAfterMs ?? folderLimits.queueFullMs)
  }

  /** The server lists a mail but does not give it: asked for again with the next searches, then put aside. */
  #missRow(uid: number, detail: string): void {
    const attempts = this.#countAttempt(uid)
    if (attempts >= folderLimits.attempts) this.#giveUp(uid, attempts, detail)
  }

  #giveUp(uid: number, attempts: number, detail: string): void {
    const error = imapErrors.ROW_MISSING({ uid, user: this.#mailbox, attempts, detail })
    // Where it cannot be put aside it is not marked as read, since nobody has read it, but left alone for a while; so is
    // one that the server moves and lists again.
    this.#odd.rest(this.#keyOf(uid), this.#context.clock.now() + folderLimits.retryUnreadableMs)
    if (this.#context.config.done.failed === undefined) this.#link.trouble(error)
    else this.#putAside(uid, error)
  }

  #countAttempt(uid: number): number {
    return this.#odd.countAttempt(this.#keyOf(uid))
  }

  #isSuspect(uid: number): boolean {
    return this.#odd.isSuspect(this.#keyOf(uid))
  }

  /** Waits for the end of a delivery, and puts its mail on the pile then. */
  #follow(uid: number, id: string): void {
    this.#working.add(uid)
    this.#context.intake.outcome(id, this.#signal).then(
      outcome => {
        if (outcome) this.#finish(uid, endingOf(outcome.state))
      },
      (thrown: unknown) => {
        // The mail stays unmarked and is found again by the next search.
        this.#letGo(uid)
        this.#link.trouble(asHubError(thrown))
      },
    )
  }

  #finish(uid: number, ending: 'done' | 'failed'): void {
    this.#letGo(uid)
    this.pile.add(uid, ending)
    this.#onProgress()
  }

  #letGo(uid: number): void {
    this.#working.delete(uid)
    this.#held.delete(uid)
  }

  /** Mails on their way that get on by themselves; only these count towards `ahead`. */
  get #travelling(): number {
    return this.#working.size - this.#held.size
  }

  async #findHeld(): Promise<void> {
    if (this.#working.size <= this.#context.config.ahead / 2) return
    const working = [...this.#working]
    for (let at = 0; at < working.length; at += folderLimits.knownBatch) {
      const batch = working.slice(at, at + folderLimits.knownBatch)
      const known = await this.#context.intake.known(batch.map(uid => this.#keyOf(uid)))
      for (const uid of batch) {
        if (known.get(this.#keyOf(uid))?.state === 'held' && this.#working.has(uid)) this.#held.add(uid)
        else this.#held.delete(uid)
      }
    }
  }

  #placeOf(uid: number): MailPlace {
    const { folder, uidValidity } = this.#selected
    return { mailbox: this.#mailbox, folder, uidValidity, uid }
  }

  #keyOf(uid: number): string {
    return sourceKeyOf(this.#placeOf(uid))
  }
}

function endingOf(state: string): 'done' | 'failed' {
  return state === 'rejected' || state === 'set-aside' ? 'failed' : 'done'
}
