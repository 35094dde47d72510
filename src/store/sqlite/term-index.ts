import type { DatabaseSync } from 'node:sqlite'
import { numberOf, wordsOf } from '../columns.ts'
import type { GroupMember } from './committer.ts'
import type { Facts } from './facts.ts'

/** The fact that says up to which delivery the index has all words. */
export const indexedFact = 'terms.indexed'

/**
 * The words by which people find deliveries. They stand in the rows of their deliveries, and the index follows up to
 * `termsBehind` behind: written one by one each meets another page of it; in their order they share pages. What the index
 * lacks is looked for in the rows, the newest ones.
 */
export class TermIndex implements GroupMember {
  readonly #facts: Facts
  readonly #behindMax: number
  #indexedTo: number
  /** Deliveries behind `#indexedTo` and their words, together; after a write that was repeated it is more than there are. */
  #behind: number
  readonly #insert
  readonly #delete
  readonly #selectBehind

  constructor(database: DatabaseSync, facts: Facts, { termsBehind }: { readonly termsBehind: number }) {
    this.#facts = facts
    this.#behindMax = termsBehind
    this.#insert = database.prepare('insert into term values (?, ?) on conflict do nothing')
    this.#delete = database.prepare('delete from term where word = ? and seq = ?')
    this.#selectBehind = database.prepare('select seq, terms from delivery where seq > ? order by seq')
    this.#indexedTo = facts.read(indexedFact)
    this.#behind = this.#selectBehind.all(this.#indexedTo).length
  }

  /** A delivery, or one that has a row already, got words; they stand in its row before the transaction ends. */
  follow(seq: number, words: readonly string[]): void {
    if (seq > this.#indexedTo) this.#behind += 1 + words.length
    else for (const word of words) this.#insert.run(word, seq)
  }

  purge(seq: number, words: readonly string[]): void {
    if (seq <= this.#indexedTo) for (const word of words) this.#delete.run(word, seq)
  }

  /** Deliveries that the index does not have yet, with a word that is looked for. */
  behind(isWanted: (word: string) => boolean): readonly number[] {
    const rows = this.#selectBehind.all(this.#indexedTo)
    return rows.filter(row => wordsOf(row['terms']).some(isWanted)).map(row => numberOf(row['seq']))
  }

  beforeCommit(): void {
    if (this.#behind < this.#behindMax) return
    const rows = this.#selectBehind.all(this.#indexedTo)
    const found = rows.flatMap(row => wordsOf(row['terms']).map(word => ({ word, seq: numberOf(row['seq']) })))
    // Any order that brings like words together will do.
    for (const { word, seq } of found.toSorted((one, other) => (one.word < other.word ? -1 : 1)))
      this.#insert.run(word, seq)
    this.#indexedTo = numberOf(rows.at(-1)?.['seq'] ?? this.#indexedTo)
    this.#facts.write(indexedFact, this.#indexedTo)
    this.#behind = 0
  }

  afterCommit(): void {}

  afterRollback(): void {
    this.#indexedTo = this.#facts.read(indexedFact)
    this.#behind = this.#behindMax
  }
}
