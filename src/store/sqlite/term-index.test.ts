import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { accept, claimOne, delivered, startedAt } from '../contract/store-world.ts'
import type { Store } from '../port.ts'
import { openSqliteStore } from './open.ts'

let folder: string
let opened: Store[]

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'isthmus-terms-'))
  opened = []
})

afterEach(async () => {
  for (const store of opened) await store.close()
  rmSync(folder, { recursive: true })
})

async function open(termsBehind: number, life = 'one'): Promise<Store> {
  const store = await openSqliteStore({ folder: join(folder, life), limits: { termsBehind, walkRows: 2 } })
  opened.push(store)
  return store
}

/** What stands in the index itself. */
function indexed(): readonly unknown[] {
  const database = new DatabaseSync(join(folder, 'one', 'isthmus.db'), { readOnly: true })
  try {
    return database
      .prepare('select word from term order by word')
      .all()
      .map(row => row['word'])
  } finally {
    database.close()
  }
}

async function find(store: Store, term: string): Promise<readonly string[]> {
  return (await store.find({ term, limit: 50 })).map(({ id }) => id)
}

test('words are found before and after the index has them, whole and by their beginning', async () => {
  const store = await open(8)
  const ids: string[] = []
  for (const word of ['b1', 'a1', 'c1', 'a2', 'b2', 'a3']) {
    ids.push(await accept(store, { terms: [word, 'each'] }))
  }
  // A delivery and its two words count three: the third one fills it.
  expect(new Set(indexed())).toEqual(new Set(['a1', 'a2', 'a3', 'b1', 'b2', 'c1', 'each']))
  ids.push(await accept(store, { terms: ['a4', 'each'] }))
  expect(indexed()).not.toContain('a4')
  expect(await find(store, 'each')).toEqual(ids.toReversed())
  expect(await find(store, 'a4')).toEqual([ids[6]])
  expect(await find(store, 'a2')).toEqual([ids[3]])
  expect(await find(store, 'a')).toEqual([])
  expect(await find(store, 'a*')).toEqual([6, 5, 3, 1].map(index => ids[index]))
})

test('a start after a kill finds what the index lacks, and goes on with it', async () => {
  const store = await open(8)
  const first = await accept(store, { terms: ['x', 'y'] })
  const second = await accept(store, { terms: ['x', 'z'] })
  expect(indexed()).toEqual([])
  // What a process leaves that is killed now.
  cpSync(join(folder, 'one'), join(folder, 'two'), { recursive: true })
  const next = await open(8, 'two')
  expect(await find(next, 'x')).toEqual([second, first])
  const third = await accept(next, { terms: ['x', 'v', 'w', 'u', 't'] })
  const fourth = await accept(next, { terms: ['x'] })
  expect(await find(next, 'x')).toEqual([fourth, third, second, first])
})

test('words that come later are found, of deliveries that the index has and of those it lacks', async () => {
  const store = await open(4)
  const one = await accept(store, { terms: ['early', 'one', 'a', 'b'] })
  expect(indexed()).toContain('early')
  await store.finish(await claimOne(store), delivered({ terms: ['late', 'early'] }))
  const two = await accept(store, { terms: [] })
  expect(indexed()).toContain('late')
  await store.finish(await claimOne(store), delivered({ terms: ['late'] }))
  expect(await find(store, 'late')).toEqual([two, one])
  expect(await find(store, 'early')).toEqual([one])
})

test('a purge takes words out of the index, also after a start, and those that never came into it', async () => {
  const before = await open(4)
  await accept(before, { terms: ['in', 'the', 'index'] })
  await before.close()
  const store = await open(4)
  await store.finish(await claimOne(store), delivered())
  await accept(store, { terms: ['behind'] })
  await store.finish(await claimOne(store), delivered())
  expect(indexed()).toEqual(['in', 'index', 'the'])
  expect(await store.purge({ flow: 'orders', deliveredBefore: startedAt + 6, setAsideBefore: 0, max: 50 })).toBe(2)
  expect(indexed()).toEqual([])
  expect(await find(store, 'behind')).toEqual([])
  await accept(store, { terms: ['new', 'a', 'b', 'c'] })
  expect(indexed()).toEqual(['a', 'b', 'c', 'new'])
})

test('a write that finds the disk full takes no word out of the search', async () => {
  const store = await open(6)
  const id = await accept(store, { terms: ['kept', 'a'] })
  const other = new DatabaseSync(join(folder, 'one', 'isthmus.db'))
  const failing = `create trigger full before update on fact when new.name = 'terms.indexed' begin select raise(abort, 'full'); end`
  other.exec(failing)
  await expect(accept(store, { terms: ['b', 'c', 'd'] })).rejects.toThrow()
  expect(await find(store, 'kept')).toEqual([id])
  expect(await find(store, 'b')).toEqual([])
  other.exec('drop trigger full')
  other.close()
  const later = await accept(store, { terms: ['b', 'c', 'd'] })
  expect(await find(store, 'b')).toEqual([later])
  expect(indexed()).toEqual(['a', 'b', 'c', 'd', 'kept'])
})
