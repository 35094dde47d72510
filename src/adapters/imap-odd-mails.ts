/** What is remembered, beyond one session, of mails that could not be read or taken; by source key. */
export class OddMails {
  readonly #attempts = new Map<string, number>()
  readonly #restsUntil = new Map<string, number>()
  readonly #suspects = new Set<string>()
  /** A mail was taken in since the flow began, so its expressions hold for mails as they usually are. */
  hasTaken = false

  attempts(key: string): number {
    return this.#attempts.get(key) ?? 0
  }

  /** Counts a failed attempt; returns how many there were. */
  countAttempt(key: string): number {
    const count = this.attempts(key) + 1
    this.#attempts.set(key, count)
    return count
  }

  /** True for a mail that was being fetched when a connection broke: it is asked for with nothing beside it. */
  isSuspect(key: string): boolean {
    return this.#suspects.has(key)
  }

  suspect(key: string): void {
    this.#suspects.add(key)
  }

  clear(key: string): void {
    this.#suspects.delete(key)
  }

  /** Leaves a mail alone until then; its attempts are counted anew. */
  rest(key: string, until: number): void {
    this.#restsUntil.set(key, until)
    this.#attempts.delete(key)
  }

  isResting(key: string, now: number): boolean {
    return (this.#restsUntil.get(key) ?? 0) > now
  }

  /** Mails that are gone are not odd any longer. */
  keepOnly(keys: ReadonlySet<string>): void {
    for (const odd of [this.#attempts, this.#restsUntil, this.#suspects]) {
      for (const key of odd.keys()) if (!keys.has(key)) odd.delete(key)
    }
  }
}
