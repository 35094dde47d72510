import type { HubError } from '../kernel/error.ts'
import type { LinkStatus } from './control.ts'
import { storedErrorOf } from './stored-message.ts'

/** What is known of the links of one flow; says only when a state changes. */
export class Links {
  readonly #links = new Map<string, LinkStatus>()

  list(): readonly LinkStatus[] {
    return [...this.#links.values()]
  }

  starting(link: string, now: number): void {
    if (!this.#links.has(link))
      this.#links.set(link, { link, state: 'starting', since: now, detail: '', error: undefined })
  }

  /** True when the link was not up before. */
  up(link: string, now: number, detail: string): boolean {
    const before = this.#links.get(link)
    const isChange = before?.state !== 'up'
    const since = isChange || !before ? now : before.since
    this.#links.set(link, { link, state: 'up', since, detail, error: undefined, stuck: before?.stuck })
    return isChange
  }

  isUp(link: string): boolean {
    return this.#links.get(link)?.state === 'up'
  }

  /** True when the link was not down with the same error before. */
  down(link: string, now: number, error: HubError): boolean {
    const before = this.#links.get(link)
    const isChange = before?.state !== 'down' || before.error?.code !== error.code
    const since = before?.state === 'down' ? before.since : now
    const stored = storedErrorOf(error)
    this.#links.set(link, { link, state: 'down', since, detail: error.message, error: stored, stuck: before?.stuck })
    return isChange
  }

  /** Something stays undone on a link that works; undefined: it is over. */
  stuck(link: string, now: number, error: HubError | undefined): void {
    const before = this.#links.get(link)
    if (!before) return
    const stuck = error && { since: before.stuck?.since ?? now, error: storedErrorOf(error) }
    this.#links.set(link, { ...before, stuck })
  }
}
