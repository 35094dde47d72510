import type { KeyMapEntry, KeyMapWrite } from '../../kernel/key-map.ts'
import { jsonOf, numberOf, type Row, textOf } from '../columns.ts'
import { storeErrors } from '../errors.ts'
import type { KeyMaps, StoredReceipt } from '../port.ts'
import type { Committer } from './committer.ts'
import type { Sql } from './connection.ts'

const select = { name: 'key', text: 'select value, revision, at from key_map where map = $1 and key = $2' }
const upsert = {
  name: 'key-write',
  text: `
    insert into key_map values ($1, $2, $3, 1, $4)
    on conflict (map, key) do update
      set value = excluded.value, revision = key_map.revision + 1, at = excluded.at`,
}
const remove = { name: 'key-remove', text: 'delete from key_map where map = $1 and key = $2' }
const page = {
  name: 'keys',
  text: `
    select key, value, revision, at from key_map
    where map = $1 and key > $2 and key >= $3 and key <= $4 and starts_with(key, $3)
    order by key limit $5`,
}
const forget = {
  name: 'keys-forget',
  text: `
    with gone as (
      delete from key_map where map = $1 and key in (
        select key from key_map
        where map = $1 and key >= $2 and key <= $3 and starts_with(key, $2)
        order by key limit $4)
      returning 1)
    select count(*) as gone from gone`,
}
const names = {
  name: 'key-maps',
  text: 'select map, count(*) as entries from key_map group by map order by map',
}

/** Writes that come with receipts, in the transaction of these. */
export function applyRemembered(sql: Sql, receipts: readonly StoredReceipt[]): readonly Promise<unknown>[] {
  return receipts.flatMap(({ remember = [], at }) => remember.map(write => put(sql, write, at)))
}

export function openKeyMaps(reads: Sql, committer: Committer): KeyMaps {
  return {
    async recall(map, key) {
      const [row] = await reads.query(select, [map, key])
      return row && entryOf(row)
    },
    async keyMapEntries({ map, prefix = '', after = '', limit }) {
      const rows = await reads.query(page, [map, after, prefix, endOf(prefix), limit])
      return rows.map(row => ({ key: textOf(row['key']), ...entryOf(row) }))
    },
    async keyMaps() {
      const rows = await reads.query(names)
      return rows.map(row => ({ map: textOf(row['map']), entries: numberOf(row['entries']) }))
    },
    rewrite: ({ at, expected, ...write }) =>
      committer.commit(
        async sql => {
          const { map, key, value } = write
          const [row] = await sql.query(select, [map, key])
          const revision = row ? numberOf(row['revision']) : 0
          if (expected !== undefined && expected !== revision) {
            throw storeErrors.CHANGED_MEANWHILE({ area: `key map ${map}`, id: key })
          }
          await put(sql, write, at)
          return value === undefined ? revision : revision + 1
        },
        { isAlone: true },
      ),
    forgetKeys: ({ map, prefix = '', max }) =>
      committer.commit(
        async sql => {
          const [row] = await sql.query(forget, [map, prefix, endOf(prefix), max])
          return numberOf(row?.['gone'])
        },
        // In its turn with what people write.
        { isAlone: true },
      ),
  }
}

/** Closes the range of all that begins with the prefix, so that nobody looks at the rest of the map. */
function endOf(prefix: string): string {
  return `${prefix}\u{10FFFF}`
}

function put(sql: Sql, { map, key, value }: KeyMapWrite, at: number): Promise<unknown> {
  return value === undefined
    ? sql.query(remove, [map, key])
    : sql.query(upsert, [map, key, JSON.stringify(value), Math.round(at)])
}

function entryOf(row: Row): KeyMapEntry {
  return { value: jsonOf(row['value']), revision: numberOf(row['revision']), at: numberOf(row['at']) }
}
