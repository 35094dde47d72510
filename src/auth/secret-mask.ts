/** Shorter secrets would mask half of every line; they are the owner's risk. */
const shortestMasked = 4
/** Secrets remembered per credential: the present ones, and tokens that may still stand in lines being written. */
const rememberedPerCredential = 8

/** Collects the secret values that a log must not show, in every form in which they travel. */
export class SecretMask {
  readonly #byCredential = new Map<string, string[]>()
  #forms: readonly string[] | undefined

  remember(credential: string, ...secrets: readonly (string | undefined)[]): void {
    const known = this.#byCredential.get(credential) ?? []
    const fresh = secrets.filter(secret => secret !== undefined && !known.includes(secret)) as string[]
    if (fresh.length === 0) return
    this.#byCredential.set(credential, [...known, ...fresh].slice(-rememberedPerCredential))
    this.#forms = undefined
  }

  forget(credential: string): void {
    this.#byCredential.delete(credential)
    this.#forms = undefined
  }

  /** Longest first, so that a form which holds another one is masked whole. */
  values(): readonly string[] {
    this.#forms ??= [...new Set([...this.#byCredential.values()].flat().flatMap(formsOf))].toSorted(
      (one, other) => other.length - one.length,
    )
    return this.#forms
  }
}

/** A secret as it is, URL-encoded, and in base64 wherever in a longer text it may begin (Basic, XOAUTH2). */
export function formsOf(secret: string): string[] {
  const forms = [secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1)]
  const bytes = Buffer.from(secret)
  for (const offset of [0, 1, 2]) {
    const encoded = Buffer.concat([Buffer.alloc(offset), bytes])
      .toString('base64')
      .replace(/=+$/, '')
    // The letters at both ends also hold bits of what stands beside the secret; the inner ones are its own.
    const inner = encoded.slice(Math.ceil((offset * 8) / 6), Math.floor(((offset + bytes.length) * 8) / 6))
    forms.push(inner, inner.replaceAll('+', '-').replaceAll('/', '_'))
  }
  return forms.filter(form => form.length >= shortestMasked)
}
