import type { DatabaseSync } from 'node:sqlite'
import type { KeyMapEntry, KeyMapWrite } from '../../kernel/key-map.ts'
import { jsonOf, numberOf, type Row, textOf } from '../columns.ts'
import { storeErrors } from '../errors.ts'
import type { KeyMaps, StoredReceipt } from '../port.ts'
import type { Committer } from './committer.ts'

/** Key maps. Writes that come with a receipt are put down in its transaction, those of people in one of their own. */
export class KeyMapTable {
  readonly #committer: Committer
  readonly #select
  readonly #upsert
  readonly #delete
  readonly #page
  readonly #names
  readonly #forget

  constructor(database: DatabaseSync, committer: Committer) {
    this.#committer = committer
    this.#select = database.prepare('select value, revision, at from key_map where map = ? and key = ?')
    this.#upsert = database.prepare(`
      insert into key_map values (?, ?, ?, 1, ?)
      on conflict do update set value = excluded.value, revision = revision + 1, at = excluded.at`)
    this.#delete = database.prepare('delete from key_map where map = ? and key = ?')
    this.#page = database.prepare(`
      select key, value, revision, at from key_map
      where map = ? and key > ? and key >= ? and substr(key, 1, length(?)) = ? order by key limit ?`)
    this.#forget = database.prepare(`
      delete from key_map where map = ?1 and key in (
        select key from key_map where map = ?1 and key >= ?2 and substr(key, 1, length(?2)) = ?2 order by key limit ?3)`)
    this.#names = database.prepare('select map, count(*) as entries from key_map group by map order by map')
  }

  /** Inside the transaction of the receipts that bring them. */
  apply(receipts: readonly StoredReceipt[]): void {
    for (const { remember = [], at } of receipts) for (const write of remember) this.#put(write, at)
  }

  async recall(map: string, key: string): Promise<KeyMapEntry | undefined> {
    const row = this.#select.get(map, key)
    return row && entryOf(row)
  }

  async keyMapEntries({ map, prefix, after = '', limit }: Parameters<KeyMaps['keyMapEntries']>[0]) {
    const wanted = prefix ?? ''
    return this.#page
      .all(map, after, wanted, wanted, wanted, limit)
      .map(row => ({ key: textOf(row['key']), ...entryOf(row) }))
  }

  async keyMaps() {
    return this.#names.all().map(row => ({ map: textOf(row['map']), entries: numberOf(row['entries']) }))
  }

  rewrite({ at, expected, ...write }: Parameters<KeyMaps['rewrite']>[0]): Promise<number> {
    return this.#committer.commit(() => {
      const { map, key, value } = write
      const row = this.#select.get(map, key)
      const revision = row ? numberOf(row['revision']) : 0
      if (expected !== undefined && expected !== revision) {
        throw storeErrors.CHANGED_MEANWHILE({ area: `key map ${map}`, id: key })
      }
      this.#put(write, at)
      return value === undefined ? revision : revision + 1
    })
  }

  forgetKeys({ map, prefix = '', max }: Parameters<KeyMaps['forgetKeys']>[0]): Promise<number> {
    return this.#committer.commit(() => Number(this.#forget.run(map, prefix, max).changes))
  }

  #put({ map, key, value }: KeyMapWrite, at: number): void {
    if (value === undefined) this.#delete.run(map, key)
    else this.#upsert.run(map, key, JSON.stringify(value), Math.round(at))
  }
}

function entryOf(row: Row): KeyMapEntry {
  return { value: jsonOf(row['value']), revision: numberOf(row['revision']), at: numberOf(row['at']) }
}
