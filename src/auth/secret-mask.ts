/** Older ones may still stand in lines being written; more than these are nobody's secret any more. */
const rememberedPerKind = 8

/** Collects the secret values in use, for the mask of the log (which finds them in each form in which they travel). */
export class SecretMask {
  readonly #byOwner = new Map<string, readonly string[]>()
  #all: readonly string[] = []

  /** Secrets that a person entered. */
  remember(credential: string, ...secrets: readonly (string | undefined)[]): void {
    this.#add(`entered ${credential}`, secrets)
  }

  /** Tokens, which come and go without end and must not push out what was entered. */
  rememberTokens(credential: string, ...tokens: readonly (string | undefined)[]): void {
    this.#add(`tokens ${credential}`, tokens)
  }

  forget(credential: string): void {
    this.#byOwner.delete(`entered ${credential}`)
    this.#byOwner.delete(`tokens ${credential}`)
    this.#collect()
  }

  /** The same list until something changes, so that the mask can tell. */
  values(): readonly string[] {
    return this.#all
  }

  #add(owner: string, secrets: readonly (string | undefined)[]): void {
    const known = this.#byOwner.get(owner) ?? []
    const fresh = secrets.filter(secret => secret !== undefined && !known.includes(secret)) as string[]
    if (fresh.length === 0) return
    this.#byOwner.set(owner, [...known, ...fresh].slice(-rememberedPerKind))
    this.#collect()
  }

  #collect(): void {
    this.#all = [...new Set([...this.#byOwner.values()].flat())]
  }
}
