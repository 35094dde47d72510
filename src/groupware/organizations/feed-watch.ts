import { type Clock, MINUTE, steadyClock } from '../../kernel/time.ts'
import type { SideDriver } from '../drivers.ts'
import type { ItemKind } from '../plan/items.ts'
import { watermarkLimits, watermarkToken } from '../sync/watermark.ts'

const watchLimits = {
  /** Pages of one answer; the rest comes with the next question. */
  pages: 100,
  /** The feed tells a change again while its watermark overlaps; for so long it is known as told. */
  rememberedMs: 2 * watermarkLimits.overlapMs + MINUTE,
} as const

interface Told {
  readonly version: string | undefined
  readonly at: number
}

/** Hears from the feed of a CRM whose items have changed. It reads no item: the turns of the mailboxes do. */
export class FeedWatch {
  readonly #crm: SideDriver
  readonly #organization: string
  readonly #clock: Clock
  readonly #onChange: (owner: string, kind: ItemKind) => void
  readonly #tokens = new Map<ItemKind, string>()
  readonly #told = new Map<string, Told>()
  readonly #since: number

  constructor(crm: SideDriver, organization: string, clock: Clock, onChange: (owner: string, kind: ItemKind) => void) {
    this.#crm = crm
    this.#organization = organization
    this.#clock = steadyClock(clock)
    this.#onChange = onChange
    this.#since = clock.now()
  }

  /** One question. Throws what the CRM answered; the next one begins where the last good one ended. */
  async ask(kind: ItemKind, signal: AbortSignal): Promise<void> {
    const owners = new Set<string>()
    try {
      for (let page = 0; page < watchLimits.pages; page++) {
        const token = this.#tokens.get(kind) ?? watermarkToken(this.#since)
        const answer = await this.#crm.feed?.(this.#organization, kind, token, signal, true)
        if (!answer) return
        for (const [index, change] of answer.changes.entries()) {
          if (this.#isNews(`${kind} ${change.id}`, change.isDeleted ? 'deleted' : change.version)) {
            for (const owner of answer.owners[index] ?? []) owners.add(owner)
          }
        }
        this.#tokens.set(kind, answer.token)
        if (!answer.hasMore) break
      }
    } finally {
      // Also when a later page fails: what an earlier one told is not told again.
      this.#forgetOld()
      for (const owner of owners) this.#onChange(owner, kind)
    }
  }

  #isNews(name: string, version: string | undefined): boolean {
    const before = this.#told.get(name)
    this.#told.delete(name)
    this.#told.set(name, { version, at: this.#clock.now() })
    return !before || version === undefined || before.version !== version
  }

  /** The oldest come first: each was put behind the others when it was told. */
  #forgetOld(): void {
    const before = this.#clock.now() - watchLimits.rememberedMs
    for (const [name, { at }] of this.#told) {
      if (at >= before) return
      this.#told.delete(name)
    }
  }
}
