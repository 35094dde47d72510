import { asHubError, HubError, hubErrors } from '../../kernel/error.ts'
import { type Clock, steadyClock } from '../../kernel/time.ts'
import type { ItemKind } from '../plan/items.ts'
import { scheduleLimits, wishedWaitMs } from '../schedule/limits.ts'
import { decideHeld, type HeldDecision } from '../sync/held-deletions.ts'
import { type AccessTest, causeOfTest, testAccess } from './access-test.ts'
import { carryLinksOver } from './carry-over.ts'
import { organizationErrors } from './errors.ts'
import { organizationLimits as limits } from './limits.ts'
import type { Cause, JobAction, Mailbox, MailboxState } from './model.ts'
import type { GroupwareParts } from './parts.ts'
import { itemKinds } from './rules-input.ts'
import type { Worker } from './worker.ts'

/** What the tests of a job have shown: of which mailboxes was said what fits the account as well, and that others are well. */
interface Shown {
  isWell: boolean
  readonly forbidden: Map<string, string>
}

interface Rest {
  readonly since: number
  readonly until: number
  /** Rests in a row. */
  readonly count: number
}

/** What administrators do to one mailbox; each of it may be repeated. */
export class MailboxActions {
  readonly #parts: GroupwareParts
  readonly #worker: Worker
  /** Why the account of a job's organization was refused: its other mailboxes need not knock, too. */
  readonly #refused = new WeakMap<AbortSignal, AccessTest>()
  readonly #shown = new WeakMap<AbortSignal, Shown>()
  /** While the servers ask the account of a job's organization to wait, no other mailbox of the job knocks. */
  readonly #rests = new WeakMap<AbortSignal, Rest>()
  /** The time of the rests, which a machine that sets its clock back does not prolong. */
  readonly #clock: Clock
  /** Why the links of a job's first mailboxes could not go over, where that is so for all of them. */
  readonly #unmoved = new WeakMap<AbortSignal, HubError>()
  /** It is its turn now, or no longer. */
  readonly #changed: (mailbox: Mailbox) => void

  constructor(parts: GroupwareParts, worker: Worker, changed: (mailbox: Mailbox) => void) {
    this.#parts = parts
    this.#clock = steadyClock(parts.clock)
    this.#worker = worker
    this.#changed = changed
  }

  /** `signal` is one for each job. */
  async act(action: JobAction, address: string, signal: AbortSignal): Promise<void> {
    switch (action) {
      case 'activate':
        return this.#activate(address, signal)
      case 'deactivate':
        // It waits for a round that runs, and begins no other.
        await this.#setState(address, 'not-activated', 'Deactivated; links are kept.')
        return this.#worker.alone(address, async () => {})
      case 'pause':
        return this.#pause(address)
      case 'resume':
        return this.#resume(address)
      case 'resync':
        return this.#resync(address)
      case 'delete':
        return this.remove(address).catch(unlessGone)
      case 'release-brake':
        await this.decideHeld(address, 'pass')
        return
      case 'restore-held':
        await this.decideHeld(address, 'restore')
        return
      case 'move':
        return this.#move(address, signal)
    }
  }

  /** Tests the access to a mailbox, also of settings that are not saved yet. Writes nothing. */
  async test(mailbox: Mailbox, signal: AbortSignal): Promise<AccessTest> {
    const { directory, drivers, clock } = this.#parts
    const organization = directory.organization(mailbox.organization)
    const rules = directory.rulesOf(mailbox)
    const ending = AbortSignal.any([signal, AbortSignal.timeout(limits.testMs)])
    return drivers
      .use(organization, mailbox, async both =>
        testAccess(async () => both, { mailbox, rules, now: clock.now(), signal: ending }),
      )
      .catch((thrown: unknown): AccessTest => {
        const { code, side, message, next, retry } = asHubError(thrown)
        const steps = [{ step: 'settings', ok: false, detail: message, cause: { code, side, message, next } }]
        return { mailbox: mailbox.address, ok: false, steps, isAccountRefused: retry === 'after-change' }
      })
  }

  /** Forgets all of a mailbox in the hub; nothing is changed on either side. */
  async remove(address: string): Promise<void> {
    const { directory, store, journal, progress } = this.#parts
    const mailbox = await directory.setState(address, 'not-activated')
    this.#changed(mailbox)
    await this.#worker.alone(mailbox.address, async () => {
      for (const kind of itemKinds) await store.forget({ ...mailbox, mailbox: mailbox.address, kind })
      await directory.removeMailbox(mailbox.address)
      await progress.forget(mailbox.address)
      journal.forget(mailbox.address)
    })
  }

  /** Lets the deletions pass that the brake holds back, or has what is gone created anew. Returns how many. */
  async decideHeld(address: string, decision: HeldDecision, kinds: readonly ItemKind[] = itemKinds): Promise<number> {
    const { directory, store, clock } = this.#parts
    const mailbox = directory.mailbox(address)
    let count = 0
    await this.#worker.alone(mailbox.address, async () => {
      for (const kind of kinds) {
        const scope = { organization: mailbox.organization, mailbox: mailbox.address, kind }
        count += await decideHeld(store, scope, decision, clock.now())
      }
    })
    if (count === 0) return 0
    const what = decision === 'pass' ? `let ${count} deletions pass that` : `had ${count} items restored whose deletion`
    this.#note(mailbox.address, `A person ${what} the brake held back.`)
    this.#changed(mailbox)
    return count
  }

  async #activate(address: string, signal: AbortSignal): Promise<void> {
    const { directory } = this.#parts
    const before = directory.mailbox(address)
    const { state } = await directory.setState(address, 'testing', undefined, each => each.state !== 'active')
    if (state !== 'testing') return
    const test = await this.#testInJob(address, signal)
    // Somebody deactivated or deleted it meanwhile: that is the later word.
    const isMeant = ({ state }: Mailbox) => state === 'testing'
    if (!isMeant(directory.mailbox(address))) return
    if (signal.aborted) {
      await directory.setState(address, before.state, before.cause, isMeant)
      throw hubErrors.STOPPING()
    }
    const cause = causeOfTest(test)
    if (cause) {
      this.#changed(await directory.setState(address, 'error', cause, isMeant))
      this.#note(address, `Not activated: ${cause.message}`)
      throw failureOf(cause)
    }
    await this.#setState(address, 'active', 'Activated.', isMeant)
  }

  /** What the servers said of the account to other tests of a job counts for this one, too. */
  async #testInJob(address: string, signal: AbortSignal): Promise<AccessTest> {
    const { directory } = this.#parts
    for (;;) {
      const restMs = (this.#rests.get(signal)?.until ?? 0) - this.#clock.now()
      if (restMs > 0) await this.#clock.sleep(restMs, signal)
      const refused = this.#refused.get(signal)
      if (refused) return refused
      const startedAt = this.#clock.now()
      const mailbox = directory.mailbox(address)
      const isOwn = directory.organization(mailbox.organization).access === 'ews-direct'
      const test = await this.test(mailbox, signal)
      const { busyMs } = test
      const restCount = this.#rest(signal, startedAt, busyMs)
      const isHopeless =
        this.#isRefused(test, mailbox, signal) || (busyMs !== undefined && restCount > limits.busyRests)
      if (isHopeless && !isOwn) this.#refused.set(signal, test)
      const isOver = signal.aborted || directory.mailbox(address).state !== 'testing'
      if (busyMs === undefined || isHopeless || isOver) return test
    }
  }

  /** Whether a test has shown that the account is refused, and not this mailbox alone. */
  #isRefused(test: AccessTest, mailbox: Mailbox, signal: AbortSignal): boolean {
    const shown = this.#shown.get(signal) ?? { isWell: false, forbidden: new Map() }
    this.#shown.set(signal, shown)
    shown.isWell ||= test.ok
    const code = causeOfTest(test)?.code ?? ''
    const { isPerhapsOwn } = test
    const { suspects } = this.#worker
    if (test.isAccountRefused && isPerhapsOwn) {
      shown.forbidden.set(mailbox.address, code)
      suspects.note(mailbox)
    }
    if (shown.isWell) {
      for (const [address, said] of shown.forbidden) suspects.expectOwn({ ...mailbox, address }, said)
      shown.forbidden.clear()
    }
    if (!test.isAccountRefused || !isPerhapsOwn) return test.isAccountRefused ?? false
    return !shown.isWell && shown.forbidden.size >= limits.refusedInARow
  }

  /**
   * Returns how many rests in a row a job keeps. Of tests that were under way together the first that is asked to wait
   * counts for all; that another one went well does not end the wait.
   */
  #rest(signal: AbortSignal, startedAt: number, busyMs: number | undefined): number {
    const before = this.#rests.get(signal)
    if (before && startedAt <= before.since) return before.count
    if (busyMs === undefined) {
      this.#rests.delete(signal)
      return 0
    }
    const since = this.#clock.now()
    const count = (before?.count ?? 0) + 1
    const until = since + wishedWaitMs(scheduleLimits, busyMs, count, scheduleLimits.accountFirstMs)
    this.#rests.set(signal, { since, until, count })
    return count
  }

  async #pause(address: string): Promise<void> {
    const { state } = this.#parts.directory.mailbox(address)
    if (state === 'paused') return
    if (state !== 'active' && state !== 'error') throw wrongState(address, state, 'paused')
    await this.#setState(address, 'paused', 'Paused.')
    await this.#worker.alone(address, async () => {})
  }

  async #resume(address: string): Promise<void> {
    const { state } = this.#parts.directory.mailbox(address)
    if (state === 'active') return
    if (state !== 'paused' && state !== 'error') throw wrongState(address, state, 'resumed')
    await this.#setState(address, 'active', 'Goes on.')
  }

  /** Reads everything anew; links are kept, so that nothing is doubled. */
  async #resync(address: string): Promise<void> {
    const { directory, store } = this.#parts
    const mailbox = directory.mailbox(address)
    if (mailbox.state === 'not-activated') throw wrongState(address, mailbox.state, 'synced anew')
    await this.#worker.alone(mailbox.address, async () => {
      for (const kind of itemKinds) {
        const scope = { organization: mailbox.organization, mailbox: mailbox.address, kind }
        await store.write(scope, {
          state: { tokens: { exchange: undefined, crm: undefined }, keysComparedAt: undefined },
        })
      }
    })
    this.#note(mailbox.address, 'Everything is read anew with the next round.')
    this.#changed(mailbox)
  }

  /** Its links go over to another way into the mailbox, if none of its rounds had them do so. */
  async #move(address: string, signal: AbortSignal): Promise<void> {
    const { directory, drivers, store, journal, clock } = this.#parts
    const refused = this.#unmoved.get(signal)
    if (refused) throw refused
    const mailbox = directory.mailbox(address)
    const organization = directory.organization(mailbox.organization)
    const rules = directory.rulesOf(mailbox)
    try {
      await this.#worker.alone(mailbox.address, () =>
        drivers.use(organization, mailbox, ({ exchange }) =>
          carryLinksOver({ mailbox, rules, store, journal, clock }, exchange, signal),
        ),
      )
    } catch (thrown) {
      const error = asHubError(thrown)
      const exchange = (await drivers.peek(organization, mailbox))?.exchange
      // To ask once more for another mailbox would bring the same words; its rounds try it again when the account works.
      if (error.retry === 'after-change' && exchange?.concerns(error) !== 'mailbox') this.#unmoved.set(signal, error)
      throw error
    }
    this.#changed(mailbox)
  }

  async #setState(
    address: string,
    state: MailboxState,
    text: string,
    isMeant?: (mailbox: Mailbox) => boolean,
  ): Promise<void> {
    const { state: before } = this.#parts.directory.mailbox(address)
    const mailbox = await this.#parts.directory.setState(address, state, undefined, isMeant)
    if (before !== mailbox.state) this.#note(mailbox.address, text)
    this.#changed(mailbox)
  }

  #note(mailbox: string, text: string): void {
    const { journal, clock } = this.#parts
    journal.append(mailbox, { about: 'mailbox', at: clock.now(), what: 'state', text })
  }
}

function wrongState(mailbox: string, state: string, wish: string): HubError {
  return organizationErrors.MAILBOX_STATE({ mailbox, state, wish })
}

/** After a crash a job begins again with what it may have deleted. */
function unlessGone(thrown: unknown): void {
  if (asHubError(thrown).code !== organizationErrors.MAILBOX_UNKNOWN.code) throw thrown
}

/** The failure that a test found, once more as an error. */
function failureOf({ code, side, message, next }: Cause): HubError {
  return new HubError(code, { side: side as HubError['side'], retry: 'after-change', means: message, next })
}
