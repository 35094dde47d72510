import { createHash } from 'node:crypto'

/** How keys and words are stored, and looked for. */
export class WordLimits {
  readonly #limits: { readonly onceKeyBytes: number; readonly termLetters: number }

  constructor(limits: { readonly onceKeyBytes: number; readonly termLetters: number }) {
    this.#limits = limits
  }

  storedKey(key: string): string {
    // The length in letters is cheap and never above the length in bytes.
    const isShort = key.length * 3 <= this.#limits.onceKeyBytes || Buffer.byteLength(key) <= this.#limits.onceKeyBytes
    return isShort ? key : hashedKey(key)
  }

  storedTerm(term: string): string {
    return term.slice(0, this.#limits.termLetters)
  }

  storedTerms(terms: readonly string[]): readonly string[] {
    if (terms.length === 0) return terms
    return [...new Set(terms.filter(term => term !== '').map(term => this.storedTerm(term)))]
  }
}

/** A key that cannot be stored as it is. */
export function hashedKey(key: string): string {
  return `sha256:${createHash('sha256').update(key).digest('hex')}`
}
