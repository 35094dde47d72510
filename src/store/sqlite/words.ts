import type { DatabaseSync } from 'node:sqlite'
import { numberOf, stateOf, wordsColumn, wordsOf } from '../columns.ts'
import type { DeliveryState } from '../port.ts'
import { WordLimits } from '../word-limits.ts'
import type { SqliteLimits } from './limits.ts'
import type { TermIndex } from './term-index.ts'

/** The keys that keep a message from being accepted twice, and the words by which people find it. */
export class Words extends WordLimits {
  readonly #selectOnce
  readonly #insertOnce
  readonly #replaceOnce
  readonly #deleteOnce
  readonly #selectKnown
  readonly #selectWords
  readonly #updateTerms
  readonly #index: TermIndex

  constructor(database: DatabaseSync, limits: SqliteLimits, index: TermIndex) {
    super(limits)
    this.#index = index
    this.#selectOnce = database.prepare('select seq from once where flow = ? and key = ?')
    this.#insertOnce = database.prepare('insert into once values (?, ?, ?) on conflict do nothing')
    this.#replaceOnce = database.prepare(
      'insert into once values (?, ?, ?) on conflict (flow, key) do update set seq = excluded.seq',
    )
    this.#deleteOnce = database.prepare('delete from once where flow = ? and key = ? and seq = ?')
    this.#selectKnown = database.prepare(
      'select once.seq, state from once join delivery on delivery.seq = once.seq where once.flow = ? and key = ?',
    )
    this.#selectWords = database.prepare('select flow, once_keys, terms from delivery where seq = ?')
    this.#updateTerms = database.prepare('update delivery set terms = ? where seq = ?')
  }

  /**
   * Takes keys for a new delivery, all or none: when one of them is known, the number of the delivery that has it is
   * returned and nothing is written.
   */
  takeKeys(flow: number, keys: readonly string[], seq: number): number | undefined {
    const [only] = keys
    // With a single key, which is the common case, the insert is the check.
    if (keys.length === 1 && only !== undefined) {
      return this.#insertOnce.run(flow, only, seq).changes === 1 ? undefined : this.#ownerOf(flow, only)
    }
    for (const key of keys) {
      const owner = this.#ownerOf(flow, key)
      if (owner !== undefined) return owner
    }
    for (const key of keys) this.#insertOnce.run(flow, key, seq)
    return undefined
  }

  /** Keys that refuse later deliveries. The newest delivery keeps one, since it is kept longest. */
  remember(flow: number, keys: readonly string[], seq: number): void {
    for (const key of keys) this.#replaceOnce.run(flow, key, seq)
  }

  known(flow: number, key: string): { readonly seq: number; readonly state: DeliveryState } | undefined {
    const row = this.#selectKnown.get(flow, this.storedKey(key))
    return row && { seq: numberOf(row['seq']), state: stateOf(row['state']) }
  }

  /** Further terms of a delivery that has a row already. */
  addTerms(seq: number, terms: readonly string[]): void {
    const earlier = wordsOf(this.#selectWords.get(seq)?.['terms'])
    const added = this.storedTerms(terms).filter(term => !earlier.includes(term))
    if (added.length === 0) return
    this.#index.follow(seq, added)
    this.#updateTerms.run(wordsColumn([...earlier, ...added]), seq)
  }

  /** Forgets keys and terms; called before the row of the delivery goes, which names them. */
  purge(seq: number): void {
    const row = this.#selectWords.get(seq)
    if (!row) return
    for (const key of wordsOf(row['once_keys'])) this.#deleteOnce.run(numberOf(row['flow']), key, seq)
    this.#index.purge(seq, wordsOf(row['terms']))
  }

  #ownerOf(flow: number, key: string): number | undefined {
    const row = this.#selectOnce.get(flow, key)
    return row && numberOf(row['seq'])
  }
}
