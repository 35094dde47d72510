import type { HubError } from '../../kernel/error.ts'
import type { Concern } from '../drivers.ts'
import { organizationLimits as limits } from './limits.ts'
import type { Mailbox } from './model.ts'

/** Whom a failure of a mailbox's rounds stops, as far as it can be known yet. */
export type Verdict = 'mailbox' | 'perhaps-mailbox' | 'perhaps-account' | 'account'

interface Seen {
  /** Rounds that went well. */
  wellDone: number
  /** Mailboxes that met a failure which may be the account's, since a round last went well. */
  readonly inARow: Set<string>
}

/**
 * Tells the failures of one mailbox from those of the account behind all mailboxes of its organization. The words of a
 * server often fit both (403: EWS may be switched off for the one as for the other), so the other mailboxes tell.
 */
export class Suspects {
  readonly #organizations = new Map<string, Seen>()
  /** Mailboxes that met what may be a failure of their account, and how many rounds had gone well by then. */
  readonly #met = new Map<string, { readonly code: string; readonly wellDone: number }>()

  /** A round of a mailbox went well: so does the account. */
  clear({ organization, address }: Pick<Mailbox, 'organization' | 'address'>): void {
    const seen = this.#seenOf(organization)
    seen.wellDone += 1
    seen.inARow.clear()
    this.#met.delete(address)
  }

  forget(address: string): void {
    this.#met.delete(address)
  }

  /** A failure that looks like one of the account is this mailbox's own: it must not stop the others even once. */
  expectOwn({ organization, address }: Pick<Mailbox, 'organization' | 'address'>, code: string): void {
    this.#seenOf(organization).inARow.delete(address)
    this.#met.set(address, { code, wellDone: -1 })
  }

  /** A mailbox met outside of its rounds what may be a failure of the account. */
  note({ organization, address }: Pick<Mailbox, 'organization' | 'address'>): void {
    this.#seenOf(organization).inARow.add(address)
  }

  /**
   * What the same mailbox meets again while others do well is its own (an answer that nobody understands, say). A server
   * that is busy means the account, whoever hears it. What fits both is the account's when several mailboxes in a row
   * have met it, or all there are; `syncedCount` says how many these are.
   */
  judge(
    { organization, address }: Pick<Mailbox, 'organization' | 'address'>,
    { code, retryAfterMs }: HubError,
    concern: Concern,
    syncedCount: () => number,
  ): Verdict {
    if (concern !== 'account' && concern !== 'either') return 'mailbox'
    if (retryAfterMs !== undefined || /_(BUSY|TOO_MUCH_AT_ONCE)$/.test(code)) return 'account'
    const { wellDone, inARow } = this.#seenOf(organization)
    const before = this.#met.get(address)
    this.#met.set(address, { code, wellDone })
    if (before?.code === code && wellDone > before.wellDone) return 'mailbox'
    if (concern === 'account') return 'account'
    inARow.add(address)
    return inARow.size >= Math.min(limits.refusedInARow, syncedCount()) ? 'perhaps-account' : 'perhaps-mailbox'
  }

  #seenOf(organization: string): Seen {
    const seen = this.#organizations.get(organization) ?? { wellDone: 0, inARow: new Set() }
    this.#organizations.set(organization, seen)
    return seen
  }
}
