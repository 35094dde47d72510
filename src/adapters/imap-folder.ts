import type { Link } from '../flow/adapter.ts'
import { asHubError, type HubError } from '../kernel/error.ts'
import { HOUR, SECOND } from '../kernel/time.ts'
import { imapErrors } from '../protocols/imap/errors.ts'
import { type FetchedMail, fetchMails, fetchSizes } from '../protocols/imap/fetch.ts'
import { type SelectedFolder, searchUids } from '../protocols/imap/folder.ts'
import { imapLimits } from '../protocols/imap/limits.ts'
import { cutWindows, type FetchWindow, windowLimits } from '../protocols/imap/windows.ts'
import { DonePile, leftoverCriteria } from './imap-done.ts'
import { refusedMail, takeIn } from './imap-intake.ts'
import { type MailPlace, sourceKeyOf } from './imap-message.ts'
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

/** What is remembered of odd mails of a mailbox beyond one session, by source key. */
export interface OddMails {
  readonly attempts: Map<string, number>
  readonly notBefore: Map<string, number>
}

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
  readonly #onProgress: () => void
  readonly #signal: AbortSignal
  /** Mails on their way through the flow. */
  readonly #working = new Set<number>()
  /** Mails that were found and not asked for yet, in the order in which they are taken. */
  #backlog: number[] = []
  #pauseUntil = 0
  #acceptedCount = 0
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
    this.pile = new DonePile(context, link)
  }

  /** Looks for mails that the hub has not finished; what it knows already is not fetched again. */
  async search(): Promise<void> {
    const { config, intake, clock } = this.#context
    const { connection } = this.#session
    const criteria = (config.select === 'all' ? 'ALL' : 'UNSEEN') + leftoverCriteria(config, connection)
    const found = await searchUids(connection, criteria)
    const open = found.filter(uid => !this.#working.has(uid) && !this.pile.has(uid))
    this.#forgetOdd(new Set(found))
    const fresh: number[] = []
    for (let at = 0; at < open.length; at += folderLimits.knownBatch) {
      const batch = open.slice(at, at + folderLimits.knownBatch)
      const known = await intake.known(batch.map(uid => this.#keyOf(uid)))
      for (const uid of batch) {
        const entry = known.get(this.#keyOf(uid))
        if (!entry) fresh.push(uid)
        else if (entry.state === 'working') this.#follow(uid, entry.id)
        else this.pile.add(uid, endingOf(entry.state))
      }
    }
    const due = fresh.filter(uid => (this.#odd.notBefore.get(this.#keyOf(uid)) ?? 0) <= clock.now())
    this.#backlog = config.order === 'oldest-first' ? due : due.toReversed()
  }

  /** True when there are mails to fetch and places for them. */
  get isHungry(): boolean {
    if (this.#backlog.length === 0 || this.#context.clock.now() < this.#pauseUntil) return false
    const { ahead } = this.#context.config
    return this.#working.size === 0 || this.#working.size <= ahead / 2
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
    const room = Math.min(config['per-poll'], config.ahead - this.#working.size)
    const uids = this.#backlog.splice(0, Math.max(0, room))
    if (uids.length === 0) return
    const sizes = await fetchSizes(this.#session.connection, uids)
    const windows = cutWindows(uids, sizes, imapLimits.heldBytes)
    this.#acceptedCount = 0
    this.#failures = []
    const left = await this.#runWindows(windows)
    this.#backlog.unshift(...left.flatMap(window => window.uids))
    this.#judgeFailures()
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
    while (windows.length > 0 && failures.length === 0 && !this.#mustPause()) {
      const window = windows.shift()
      if (window) void track(this.#runWindow(window))
      // Marks travel on the same line, behind the windows that are asked for already.
      if (this.isFlushDue && !flushing) {
        flushing = track(this.pile.flush(this.#session.connection)).finally(() => {
          flushing = undefined
        })
      }
      if (running.size >= windowLimits.inFlight) await Promise.race(running)
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
    const answered = await fetchMails(this.#session.connection, window, mail => this.#take(mail))
    for (const uid of window.uids) if (!answered.has(uid)) this.#missRow(uid, 'no row for it')
  }

  async #take(mail: FetchedMail): Promise<void> {
    const place = this.#placeOf(mail.uid)
    const taken = await takeIn(this.#context, this.#link, mail, place, mail.uid < this.#suspectBelow)
    switch (taken.what) {
      case 'accepted':
        this.#acceptedCount++
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
   * Throws when the hub took no mail at all: then the link is down, and no mail is to blame. When it took others, it is
   * the mail: after some attempts it must not be in the way any longer.
   */
  #judgeFailures(): void {
    const [first] = this.#failures
    if (first && this.#acceptedCount === 0) throw first.error
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
    if (attempts < folderLimits.attempts) return
    this.#link.trouble(imapErrors.ROW_MISSING({ uid, user: this.#mailbox, attempts, detail }))
    if (this.#context.config.done.failed !== undefined) this.#finish(uid, 'failed')
    // Nobody has read it, so it is not marked as read; it is left alone for a while.
    else this.#odd.notBefore.set(this.#keyOf(uid), this.#context.clock.now() + folderLimits.retryUnreadableMs)
  }

  #countAttempt(uid: number): number {
    const key = this.#keyOf(uid)
    const count = (this.#odd.attempts.get(key) ?? 0) + 1
    this.#odd.attempts.set(key, count)
    return count
  }

  /** Mails that are gone are not odd any longer. */
  #forgetOdd(found: ReadonlySet<number>): void {
    const keys = new Set([...found].map(uid => this.#keyOf(uid)))
    for (const map of [this.#odd.attempts, this.#odd.notBefore]) {
      for (const key of map.keys()) if (!keys.has(key)) map.delete(key)
    }
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
        this.#working.delete(uid)
        this.#link.trouble(asHubError(thrown))
      },
    )
  }

  #finish(uid: number, ending: 'done' | 'failed'): void {
    this.#working.delete(uid)
    this.pile.add(uid, ending)
    this.#onProgress()
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
