import { randomUUID } from 'node:crypto'
import { asHubError, type HubError, hubErrors } from '../../kernel/error.ts'
import { formatDuration } from '../../kernel/time.ts'
import type { ItemKind } from '../plan/items.ts'
import { carryLinksOver } from './carry-over.ts'
import { concernOf, type RoundsSummary, syncMailbox } from './mailbox-rounds.ts'
import type { Mailbox } from './model.ts'
import type { GroupwareParts } from './parts.ts'
import { Turns } from './turns.ts'

/** How the rounds of a mailbox ended, for whoever decides when it is its turn again. */
export type WorkEnd =
  | { readonly state: 'done'; readonly isUnfinished: boolean; readonly itemCount: number }
  | { readonly state: 'failed'; readonly error: HubError; readonly concerns: 'mailbox' | 'account' }
  /** It is not synced (any more), or is being worked on. */
  | { readonly state: 'left' }

/** Errors of one mailbox that time does not mend: a person has to do something. */
const restingRetries: ReadonlySet<string> = new Set(['after-change', 'never'])

/** Syncs one kind of one mailbox after the other and writes down what came of it. */
export class Worker {
  readonly #parts: GroupwareParts
  readonly #turns = new Turns()
  /** Turns that went well, by organization. */
  readonly #wellDone = new Map<string, number>()
  /** Mailboxes that met a failure of their account, and how many turns had gone well by then. */
  readonly #suspects = new Map<string, { readonly code: string; readonly wellDone: number }>()

  constructor(parts: GroupwareParts) {
    this.#parts = parts
  }

  /** One turn of an active mailbox. Never throws. */
  async work(address: string, kinds: readonly ItemKind[] | undefined, signal: AbortSignal): Promise<WorkEnd> {
    const { directory, journal, progress, clock, log } = this.#parts
    const mailbox = directory.findMailbox(address)
    if (!mailbox || !this.isSynced(mailbox)) {
      this.#suspects.delete(address)
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
      this.#suspects.delete(address)
      this.#wellDone.set(mailbox.organization, this.#wellDoneOf(mailbox) + 1)
      progress.note(address, summary, kinds)
      const itemCount = countOf(summary)
      if (itemCount > 0) {
        const text = `${itemCount} items came over in ${formatDuration(clock.now() - since)}.`
        journal.append(address, { about: 'mailbox', at: clock.now(), what: 'round', text })
      }
      if (mailbox.state === 'error' || mailbox.cause) await this.#settle(mailbox, undefined)
      return { state: 'done', isUnfinished: summary.isUnfinished, itemCount }
    } catch (thrown) {
      const error = asHubError(thrown)
      if (signal.aborted || error.code === hubErrors.STOPPING.code) return { state: 'left' }
      progress.noteFailure(address)
      const { code, message: text, next } = error
      journal.append(address, { about: 'mailbox', at: clock.now(), what: 'round-failed', text, code, next })
      log.warn('groupware.round-failed', { mailbox: address, organization: mailbox.organization, code, text, next })
      const concerns = await this.#concernOf(mailbox, error)
      if (concerns === 'mailbox') await this.#settle(mailbox, error)
      return { state: 'failed', error, concerns }
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
        kinds,
        journal: (kind, decision) => journal.append(mailbox.address, { about: 'item', kind, ...decision }),
      })
    })
  }

  /** A failure that looks like one of the account is this mailbox's own: it must not stop the others even once. */
  expectOwn(mailbox: string, code: string): void {
    this.#suspects.set(mailbox, { code, wellDone: -1 })
  }

  async #concernOf(mailbox: Mailbox, error: HubError): Promise<'mailbox' | 'account'> {
    const { directory, drivers } = this.#parts
    const both = await drivers.peek(directory.organization(mailbox.organization))
    const concerns = both ? concernOf(error, both) : 'account'
    return concerns === 'account' && this.#isItsOwn(mailbox, error) ? 'mailbox' : concerns
  }

  /**
   * A failure of the account which the same mailbox meets again while others do well is its own (an answer that nobody
   * understands, say): it must not stop them each time. A server that is busy means the account, whoever hears it.
   */
  #isItsOwn(mailbox: Mailbox, { code, retryAfterMs }: HubError): boolean {
    if (retryAfterMs !== undefined || /_(BUSY|TOO_MUCH_AT_ONCE)$/.test(code)) return false
    const before = this.#suspects.get(mailbox.address)
    const wellDone = this.#wellDoneOf(mailbox)
    this.#suspects.set(mailbox.address, { code, wellDone })
    return before !== undefined && before.code === code && wellDone > before.wellDone
  }

  #wellDoneOf({ organization }: Mailbox): number {
    return this.#wellDone.get(organization) ?? 0
  }

  /** A mailbox that a person has to look after is shown in error; other troubles only say what they are. */
  async #settle(mailbox: Mailbox, error: HubError | undefined): Promise<void> {
    const { directory, journal, clock, log } = this.#parts
    const now = directory.findMailbox(mailbox.address)
    if (!now || !this.isSynced(now)) return
    const state = error && restingRetries.has(error.retry) ? 'error' : 'active'
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

function countOf({ reports }: RoundsSummary): number {
  let count = 0
  for (const { created, updated, removed, linked } of reports.values()) {
    for (const each of [created, updated, removed]) count += each.exchange + each.crm
    count += linked
  }
  return count
}
