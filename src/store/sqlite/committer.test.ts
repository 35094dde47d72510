import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Committer } from './committer.ts'

let database: DatabaseSync
let flushes: { readonly succeed: () => void; readonly fail: (error: Error) => void }[]
let committer: Committer

const nextTurn = () => new Promise(resolve => setImmediate(resolve))

beforeEach(() => {
  database = new DatabaseSync(':memory:')
  database.exec('create table word (word text)')
  flushes = []
  const flush = () =>
    new Promise<void>((resolve, reject) => {
      flushes.push({ succeed: resolve, fail: reject })
    })
  committer = new Committer(database, { flush }, { groupWrites: 100 })
})

afterEach(() => database.close())

/** Writes a word down; the list says what its asker was told so far. */
function write(word: string, told: string[] = []): string[] {
  committer
    .commit(() => {
      database.prepare('insert into word values (?)').run(word)
    })
    .then(
      () => told.push('durable'),
      (error: { readonly code: string }) => told.push(error.code),
    )
  return told
}

const words = () =>
  database
    .prepare('select word from word')
    .all()
    .map(row => row['word'])

test('nobody is told before the flush, and what is asked for meanwhile goes together into the next one', async () => {
  const first = write('one')
  await nextTurn()
  const [second, third] = [write('two'), write('three')]
  await nextTurn()
  expect([words(), first]).toEqual([['one'], []])
  flushes[0]?.succeed()
  await nextTurn()
  await nextTurn()
  expect([words(), first, second, third]).toEqual([['one', 'two', 'three'], ['durable'], [], []])
  expect(flushes).toHaveLength(2)
  flushes[1]?.succeed()
  await nextTurn()
  expect([second, third]).toEqual([['durable'], ['durable']])
})

test('who asks whether what is seen is durable waits for the flush under way', async () => {
  await committer.durable()
  write('one')
  await nextTurn()
  const seen: unknown[] = []
  const asking = committer.durable().then(() => seen.push(words()))
  await nextTurn()
  expect(seen).toEqual([])
  flushes[0]?.succeed()
  await asking
  expect(seen).toEqual([['one']])
})

test('after a flush that failed nothing more is taken or vouched for, and everybody hears why', async () => {
  const first = write('one')
  await nextTurn()
  const second = write('two')
  const asking = committer.durable()
  flushes[0]?.fail(Object.assign(new Error('EIO: i/o error, fdatasync'), { code: 'EIO' }))
  await expect(asking).rejects.toMatchObject({ code: 'STORE_NOT_DURABLE', side: 'hub' })
  await nextTurn()
  const third = write('three')
  await nextTurn()
  expect([first, second, third]).toEqual([['STORE_NOT_DURABLE'], ['STORE_NOT_DURABLE'], ['STORE_NOT_DURABLE']])
  expect([committer.isClosed, flushes.length]).toEqual([true, 1])
  await committer.close()
})

test('close brings what was asked for to the disk first', async () => {
  const first = write('one')
  await nextTurn()
  const second = write('two')
  const closing = committer.close()
  const late = write('late')
  flushes[0]?.succeed()
  await nextTurn()
  flushes[1]?.succeed()
  await closing
  expect([first, second, late, words()]).toEqual([['durable'], ['durable'], ['STORE_CLOSED'], ['one', 'two']])
})
