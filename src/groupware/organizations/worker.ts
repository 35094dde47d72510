import { randomUUID } from 'node:crypto'
import { asHubError, type HubError, hubErrors } from '../../kernel/error.ts'
import { formatDuration, steadyClock } from '../../kernel/time.ts'
import type { ItemKind } from '../plan/items.ts'
import { Claims } from '../sync/claims.ts'
import { carryLinksOver } from './carry-over.ts'
import { concernOf, type RoundsSummary, syncMailbox } from './mailbox-rounds.ts'
import type { Mailbox } from './model.ts'
import type { GroupwareParts } from './parts.ts'
import { Suspects, type Verdict } from './suspects.ts'
import { Turns } from './turns.ts'

/** How the rounds of a mailbox ended, for whoever decides when it is its turn again. */
export type WorkEnd =
  | {
      readonly state: 'done'
      readonly isUnfinished: boolean
      readonly dueAt: number
      readonly itemCount: number
      readonly concerned: ReadonlySet<string>
    }
  | { readonly state: 'failed'; readonly error: HubError; readonly verdict: Verdict }
  /** It is not synced (any more), or is being worked on. */
  | { readonly state: 'left' }

/** Errors of one mailbox that time does not mend: a person has to do something. */
const restingRetries: ReadonlySet<string> = new Set(['after-change', 'never'])

/** Syncs mailboxes and writes down what came of it. */
export class Worker {
  readonly #parts: GroupwareParts
  readonly #turns = new Turns()
  readonly #claims: Claims
  /** Who met what may be a failure of the account. */
  readonly suspects = new Suspects()

  constructor(parts: GroupwareParts) {
    this.#parts = parts
    this.#claims = new Claims(steadyClock(parts.clock))
  }

  /** One turn of an active mailbox. Never throws. */
  async work(address: string, kinds: readonly ItemKind[] | undefined, signal: AbortSignal): Promise<WorkEnd> {
    const { directory, journal, progress, clock, log } = this.#parts
    const mailbox = directory.findMailbox(address)
    if (!mailbox || !this.isSynced(mailbox)) {
      this.suspects.forget(address)
      return { state: 'left' }
    }
    const since = clock.now()
    try {
      const summary = await this.#turns.alone(address, async () => {
        // It may have waited behind another round or the action of a person, which changed things.
        const now = directory.findMailbox(address)
        return now && this.isSynced(now) ? this.#sync(now, kinds, signal) : undefined
      })
      if (!summary) return { state: 'left' }
      this.suspects.clear(mailbox)
      progress.note(address, summary, kinds)
      const itemCount = countOf(summary)
      if (itemCount > 0) {
        const text = `${itemCount} items came over in ${formatDuration(clock.now() - since)}.`
        journal.append(address, { about: 'mailbox', at: clock.now(), what: 'round', text })
      }
      if (mailbox.state === 'error' || mailbox.cause) await this.#settle(mailbox, undefined)
      const { isUnfinished, dueAt, concerned } = summary
      return { state: 'done', isUnfinished, dueAt, itemCount, concerned }
    } catch (thrown) {
      const error = asHubError(thrown)
      if (signal.aborted || error.code === hubErrors.STOPPING.code) return { state: 'left' }
      progress.noteFailure(address)
      const { code, message: text, next } = error
      journal.append(address, { about: 'mailbox', at: clock.now(), what: 'round-failed', text, code, next })
      log.warn('groupware.round-failed', { mailbox: address, organization: mailbox.organization, code, text, next })
      const verdict = await this.#judge(mailbox, error)
      if (verdict === 'mailbox' || verdict === 'perhaps-mailbox') await this.#settle(mailbox, error, verdict)
      return { state: 'failed', error, verdict }
    }
  }

  /** True for one that its state and its organization let be synced; one in error is tried again, more slowly. */
  isSynced(mailbox: Mailbox): boolean {
    const { directory } = this.#parts
    return (
      (mailbox.state === 'active' || mailbox.state === 'error') &&
      directory.hasOrganization(mailbox.organization) &&
      !directory.organization(mailbox.organization).isPaused
    )
  }

  /** Work on a mailbox that must not meet a round of it: it waits for those that run. */
  alone<T>(address: string, work: () => Promise<T>): Promise<T> {
    return this.#turns.alone(address, work)
  }

  #sync(mailbox: Mailbox, kinds: readonly ItemKind[] | undefined, signal: AbortSignal): Promise<RoundsSummary> {
    const { directory, drivers, store, journal, clock, log } = this.#parts
    const organization = directory.organization(mailbox.organization)
    return drivers.use(organization, mailbox, async both => {
      const rules = directory.rulesOf(mailbox)
      await carryLinksOver({ mailbox, rules, store, journal, clock }, both.exchange, signal)
      return syncMailbox({
        mailbox,
        rules,
        drivers: both,
        store,
        clock,
        log,
        signal,
        newKey: randomUUID,
        claims: this.#claims,
        kinds,
        journal: (kind, decision) => journal.append(mailbox.address, { about: 'item', kind, ...decision }),
      })
    })
  }

  async #judge(mailbox: Mailbox, error: HubError): Promise<Verdict> {
    const { directory, drivers } = this.#parts
    const { organization: name } = mailbox
    const both = await drivers.peek(directory.organization(name), mailbox)
    // What could not be opened by a mailbox may be opened by the next one, by which the servers are looked for then.
    const concern = both ? concernOf(error, both) : 'either'
    return this.suspects.judge(mailbox, error, concern, () => {
      return directory.mailboxes(name).filter(each => this.isSynced(each)).length
    })
  }

  /** A mailbox that a person has to look after is shown in error; other troubles only say what they are. */
  async #settle(mailbox: Mailbox, error: HubError | undefined, verdict?: Verdict): Promise<void> {
    const { directory, journal, clock, log } = this.#parts
    const now = directory.findMailbox(mailbox.address)
    if (!now || !this.isSynced(now)) return
    const state = verdict === 'perhaps-mailbox' ? now.state : stateAfter(error)
    const cause = error && { code: error.code, side: error.side, message: error.message, next: error.next }
    try {
      // What a person says of it in this moment counts.
      const written = await directory.setState(now.address, state, cause, each => this.isSynced(each))
      if (written.state !== state) return
    } catch (thrown) {
      log.warn('groupware.state-not-stored', { mailbox: now.address, text: asHubError(thrown).message })
      return
    }
    if (state === now.state) return
    const text = error ? `In error: ${error.message}` : 'Active again.'
    journal.append(now.address, { about: 'mailbox', at: clock.now(), what: 'state', text })
  }
}

function stateAfter(error: HubError | undefined): 'error' | 'active' {
  return error && restingRetries.has(error.retry) ? 'error' : 'active'
}

function countOf({ reports }: RoundsSummary): number {
  let count = 0
  for (const { created, updated, removed, linked } of reports.values()) {
    for (const each of [created, updated, removed]) count += each.exchange + each.crm
    count += linked
  }
  return count
}
