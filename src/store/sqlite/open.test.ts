import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, expect, test } from 'vitest'
import {
  accept,
  claim,
  claimOne,
  delivered,
  ids,
  newDelivery,
  setAside,
  startedAt,
  textBody,
} from '../contract/store-world.ts'
import type { Store } from '../port.ts'
import { schemaVersion } from './migrations.ts'
import { openSqliteStore } from './open.ts'

let root: string
let folder: string
let opened: Store[]

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'isthmus-store-'))
  folder = join(root, 'data')
  opened = []
})

afterEach(async () => {
  for (const store of opened) await store.close()
  rmSync(root, { recursive: true })
})

async function open(options: Partial<Parameters<typeof openSqliteStore>[0]> = {}): Promise<Store> {
  const store = await openSqliteStore({ folder, ...options })
  opened.push(store)
  return store
}

/** Another program at work in the database file. */
function inDatabase<T>(act: (database: DatabaseSync) => T): T {
  const database = new DatabaseSync(join(folder, 'isthmus.db'))
  try {
    return act(database)
  } finally {
    database.close()
  }
}

test('a folder has one owner, and the second hears who that is', async () => {
  const store = await open()
  await expect(openSqliteStore({ folder })).rejects.toMatchObject({
    code: 'STORE_LOCKED',
    fields: { folder, pid: String(process.pid) },
  })
  // The refusal took nothing away from the owner.
  await accept(store)
  await expect(openSqliteStore({ folder })).rejects.toMatchObject({ code: 'STORE_LOCKED' })
  await store.close()
  expect(await claim(await open())).toHaveLength(1)
})

test('after close writes are refused, and what was asked for before is durable', async () => {
  const store = await open()
  const asked = accept(store)
  await store.close()
  const id = await asked
  await expect(accept(store)).rejects.toMatchObject({ code: 'STORE_CLOSED' })
  await expect(claim(store)).rejects.toMatchObject({ code: 'STORE_CLOSED' })
  expect((await claimOne(await open())).id).toBe(id)
})

test('nobody but its owner reads the database, also in a folder that others may look into', async () => {
  mkdirSync(folder, { mode: 0o755 })
  await accept(await open())
  const modes = ['isthmus.db', 'isthmus.db-wal'].map(name => statSync(join(folder, name)).mode & 0o777)
  expect(modes).toEqual([0o600, 0o600])
})

test('a database of a newer program is refused and left as it is', async () => {
  await (await open()).close()
  inDatabase(database => database.exec(`pragma user_version = ${schemaVersion + 1}`))
  await expect(openSqliteStore({ folder })).rejects.toMatchObject({
    code: 'STORE_NEWER',
    fields: { found: schemaVersion + 1, known: schemaVersion },
  })
  expect(inDatabase(database => database.prepare('pragma user_version').get())).toEqual({
    user_version: schemaVersion + 1,
  })
  // The refusal gave the lock back.
  inDatabase(database => database.exec(`pragma user_version = ${schemaVersion}`))
  await accept(await open())
})

test.each([
  ['gone', () => rmSync(join(folder, 'isthmus.db'))],
  ['empty', () => writeFileSync(join(folder, 'isthmus.db'), '')],
])('a database that is %s is not begun anew over bodies, which nobody would need any more then', async (_, lose) => {
  const store = await open()
  const large = { bytes: 9000, type: 'text/plain', sha256: undefined, inline: Buffer.alloc(9000, 'x') }
  await accept(store, { body: large })
  await store.close()
  const kept = join(root, 'kept.db')
  cpSync(join(folder, 'isthmus.db'), kept)
  lose()
  await expect(openSqliteStore({ folder })).rejects.toMatchObject({
    code: 'STORE_DAMAGED',
    message: expect.stringContaining('isthmus.db is empty or gone'),
  })
  cpSync(kept, join(folder, 'isthmus.db'))
  const [claimed] = await claim(await open())
  expect(claimed?.body.inline).toHaveLength(9000)
})

test('a database that is gone is not begun anew beside its log either, which SQLite would empty', async () => {
  const store = await open()
  const id = await accept(store)
  const copied = join(root, 'copied')
  // As after a kill: what was committed last lies in the log alone.
  for (const name of ['isthmus.db-wal', 'isthmus.db']) cpSync(join(folder, name), join(copied, name))
  rmSync(join(copied, 'isthmus.db'))
  await expect(openSqliteStore({ folder: copied })).rejects.toMatchObject({ code: 'STORE_DAMAGED' })
  cpSync(join(folder, 'isthmus.db'), join(copied, 'isthmus.db'))
  const again = await openSqliteStore({ folder: copied })
  expect((await claimOne(again)).id).toBe(id)
  await again.close()
})

test('a file that is no database is named as damaged', async () => {
  await (await open()).close()
  const file = join(folder, 'isthmus.db')
  const content = readFileSync(file)
  content.fill('not a database ', 0, 4096)
  rmSync(file)
  writeFileSync(file, content)
  await expect(openSqliteStore({ folder })).rejects.toMatchObject({ code: 'STORE_DAMAGED' })
})

test('a full disk refuses all that wait, keeps all that was acknowledged, and goes on when there is room', async () => {
  const store = await open({ limits: { databaseBytes: 640 * 1024 } })
  const accepted: string[] = []
  let refused = 0
  for (let round = 0; round < 20; round += 1) {
    const group = Array.from({ length: 10 }, () => store.accept(newDelivery({ body: textBody('x'.repeat(4000)) })))
    for (const one of await Promise.allSettled(group)) {
      if (one.status === 'fulfilled') accepted.push(one.value.id)
      else {
        refused += 1
        expect(one.reason).toMatchObject({ code: 'STORE_FULL', retry: 'soon' })
      }
    }
  }
  expect(accepted.length).toBeGreaterThan(20)
  expect(refused).toBeGreaterThan(20)
  expect(accepted.length % 10).toBe(0)
  expect(await store.counts('orders')).toMatchObject({ accepted: accepted.length, queued: accepted.length })

  const claimed = await claim(store, { max: 200, places: { orders: 200 } })
  expect(ids(claimed)).toEqual(accepted)
  for (const one of claimed) await store.finish(one, delivered())
  const all = { flow: 'orders', deliveredBefore: Infinity, setAsideBefore: Infinity, max: 1000 }
  expect(await store.purge(all)).toBe(accepted.length)
  for (let round = 0; round < 20; round += 1) await accept(store, { body: textBody('x'.repeat(1000)) })
  expect(await store.counts('orders')).toMatchObject({ accepted: 20 })
})

test('the end of a delivery that finds the disk full can be asked for again', async () => {
  const store = await open({ limits: { databaseBytes: 512 * 1024 } })
  await accept(store)
  const claimed = await claimOne(store)
  const large = Array.from({ length: 200 }, (_, index) => ({
    effect: `steps[0].split[${index}]`,
    state: 'done' as const,
    at: startedAt,
    summary: 'x'.repeat(8000),
    fields: undefined,
    answer: undefined,
  }))
  await expect(store.finish(claimed, delivered({ receipts: large }))).rejects.toMatchObject({ code: 'STORE_FULL' })
  expect(await claim(store)).toEqual([])
  await store.finish(claimed, setAside())
  expect(await store.get(claimed.id)).toMatchObject({ state: 'set-aside', receipts: [] })
})

test('a write that SQLite itself refuses fails alone', async () => {
  const store = await open()
  const unwritable = { ...textBody('x'), bytes: Number.NaN }
  const [one, bad, other] = await Promise.allSettled([
    accept(store),
    store.accept(newDelivery({ keys: ['k'], body: unwritable })),
    accept(store),
  ])
  expect([one.status, bad.status, other.status]).toEqual(['fulfilled', 'rejected', 'fulfilled'])
  expect(await store.known('orders', ['k'])).toEqual(new Map())
  expect(await store.counts('orders')).toMatchObject({ accepted: 2, queued: 2 })
  expect(await claim(store)).toHaveLength(2)
})

test('a changed, a removed and a cut-off audit entry show', async () => {
  const store = await open()
  for (let number = 1; number <= 5; number += 1) {
    await store.audit({ at: startedAt, who: 'ada', action: 'flow.started', detail: { number } })
  }
  expect(await store.auditBreak()).toBeUndefined()
  const tampered = async (sql: string) => {
    inDatabase(database => database.exec(`create table kept as select * from audit; ${sql}`))
    const found = await store.auditBreak()
    inDatabase(database => {
      database.exec('delete from audit; insert into audit select * from kept; drop table kept')
    })
    return found
  }
  expect(await tampered(`update audit set who = 'eve' where number = 3`)).toBe(3)
  expect(await tampered(`update audit set detail = '{"number":99}' where number = 1`)).toBe(1)
  expect(await tampered('delete from audit where number = 2')).toBe(2)
  expect(await tampered('delete from audit where number = 5')).toBe(5)
  expect(await tampered('delete from audit')).toBe(1)
  expect(await store.auditBreak()).toBeUndefined()
  await store.purgeAudit({ before: startedAt + 1, max: 2 })
  expect(await store.auditBreak()).toBeUndefined()
  expect(await tampered('delete from audit where number = 3')).toBe(3)
  expect(await tampered('delete from audit')).toBe(3)
})

test('copies of the files, taken while the store is at work, open whole', async () => {
  const store = await open({ limits: { inlineBytes: 1000 } })
  const acknowledged: string[] = []
  const stops = { isOver: false }
  const produce = async (producer: number) => {
    for (let count = 0; !stops.isOver; count += 1) {
      const body = await store.bodies.write(Buffer.alloc(count % 5 === 0 ? 3000 : 500, `${producer}-${count}`), {
        type: 'text/plain',
        bytesMax: 5000,
        hash: false,
      })
      acknowledged.push(await accept(store, { keys: [`${producer}-${count}`], orderKey: `${producer}`, body }))
    }
  }
  const work = Promise.all([1, 2, 3, 4].map(produce))
  for (let copy = 0; copy < 8; copy += 1) {
    const wanted = acknowledged.length + 4
    for (let turn = 0; turn < 5 + copy || (acknowledged.length < wanted && turn < 1_000_000); turn += 1) {
      await new Promise(resolve => setImmediate(resolve))
    }
    const known = [...acknowledged]
    const copied = join(root, `copy-${copy}`)
    // Arrivals are renamed by other threads while this one copies; a start clears them anyway.
    cpSync(folder, copied, { recursive: true, filter: path => !path.includes('arriving') })
    const other = await openSqliteStore({ folder: copied })
    const rows = new Set(ids(await other.find({ limit: 1000 })))
    expect(known.slice(-900).filter(id => !rows.has(id))).toEqual([])
    for (const { body } of await claim(other)) {
      let bytes = 0
      for await (const chunk of other.bodies.read(body)) bytes += chunk.length
      expect(bytes).toBe(body.bytes)
    }
    await other.close()
  }
  stops.isOver = true
  await work
  expect(acknowledged.length).toBeGreaterThan(20)
})

test('what a purge frees is used again', async () => {
  const store = await open()
  const fileBytes: number[] = []
  for (let round = 0; round < 6; round += 1) {
    await Promise.all(Array.from({ length: 200 }, () => accept(store, { body: textBody('x'.repeat(5000)) })))
    for (const one of await claim(store, { max: 200, places: { orders: 200 } })) void store.finish(one, delivered())
    await accept(store, { isProbe: true })
    await claimOne(store).then(probe => store.finish(probe, delivered()))
    await store.purge({ flow: 'orders', deliveredBefore: Infinity, setAsideBefore: Infinity, max: 1000 })
    inDatabase(database => database.exec('pragma wal_checkpoint(truncate)'))
    fileBytes.push(statSync(join(folder, 'isthmus.db')).size)
  }
  expect(fileBytes[5]).toBeLessThan((fileBytes[0] ?? 0) * 1.2)
})

test('unfinished arrivals of bodies are cleared at the start', async () => {
  const store = await open({ limits: { inlineBytes: 10 } })
  const released = Promise.withResolvers<void>()
  const stuck = store.bodies.write(
    (async function* () {
      yield Buffer.alloc(1000)
      await released.promise
      throw new Error('connection reset')
    })(),
    { type: 'text/plain', bytesMax: 5000, hash: false },
  )
  await expect.poll(() => readdirSync(join(folder, 'bodies', 'arriving'))).toHaveLength(1)
  const copied = join(root, 'copy')
  cpSync(folder, copied, { recursive: true })
  expect(readdirSync(join(copied, 'bodies', 'arriving'))).toHaveLength(1)
  await (await openSqliteStore({ folder: copied })).close()
  expect(readdirSync(join(copied, 'bodies', 'arriving'))).toEqual([])
  released.resolve()
  await expect(stuck).rejects.toThrow('connection reset')
})

test('a delivery whose row cannot be read is set aside, and the others go', async () => {
  const first = await open()
  const poison = await accept(first)
  const sound = [await accept(first), await accept(first)]
  await first.close()
  inDatabase(database =>
    database.exec(`update content set headers = '{broken' where seq = (select min(seq) from content)`),
  )
  const store = await open()
  expect(ids(await claim(store))).toEqual(sound)
  expect(await store.find({ state: 'set-aside', limit: 5 })).toMatchObject([{ id: poison, error: { side: 'hub' } }])
})

test('where the disk is too full to set aside what cannot be read, all wait as before, and go when there is room', async () => {
  const first = await open()
  const poison = await Promise.all(Array.from({ length: 60 }, () => accept(first)))
  const sound = await accept(first)
  const invoice = { flow: 'invoices', body: textBody('x'.repeat(2000)) }
  await Promise.all(Array.from({ length: 60 }, () => accept(first, invoice)))
  for (const one of await claim(first, { places: { invoices: 60 } })) await first.finish(one, delivered())
  await first.close()
  const bytes = inDatabase(database => {
    database.exec(`update content set headers = '{broken' where seq in (select seq from content order by seq limit 60)`)
    const { page_count: pages } = database.prepare('pragma page_count').get() as { page_count: number }
    return pages * 4096
  })
  const store = await open({ limits: { databaseBytes: bytes } })
  // Until nothing more fits.
  for (let size = 3000; size > 100; ) {
    try {
      await store.write('test', `${size}-${Math.random()}`, 'x'.repeat(size))
    } catch {
      size = Math.floor(size / 2)
    }
  }
  await expect(claim(store)).rejects.toMatchObject({ code: 'STORE_FULL' })
  expect(await store.find({ state: 'queued', limit: 100 })).toHaveLength(61)
  await store.purge({ flow: 'invoices', deliveredBefore: Infinity, setAsideBefore: Infinity, max: 100 })
  expect(ids(await claim(store))).toEqual([sound])
  expect(ids(await store.find({ state: 'set-aside', limit: 100 })).toSorted()).toEqual(poison)
})

test('while a delivery is skipped nobody can begin it', async () => {
  const store = await open()
  const id = await accept(store)
  const skipping = store.skip(id, startedAt, 'no')
  expect(await claim(store)).toEqual([])
  await skipping
  expect(await claim(store)).toEqual([])
  expect(await store.get(id)).toMatchObject({ state: 'skipped' })
})

test('the newest messages of a word that many have are found before all that have it are gathered', async () => {
  const store = await open({ limits: { walkRows: 20, termsBehind: 1 } })
  const accepted: string[] = []
  for (let number = 0; number < 60; number++)
    accepted.push(await accept(store, { terms: [`order-${number}`, 'other'] }))
  const newest = accepted.toReversed()
  const find = async (term: string, limit: number) => (await store.find({ term, limit })).map(({ id }) => id)
  expect(await find('order-*', 50)).toEqual(newest.slice(0, 50))
  expect(await find('order-1*', 50)).toEqual(newest.filter((_id, index) => String(59 - index).startsWith('1')))
  // What stands in no index is found all the same, as far as the first look goes.
  inDatabase(database => database.exec('delete from term'))
  expect(await find('order-*', 20)).toEqual(newest.slice(0, 20))
  expect(await find('order-*', 21)).toEqual([])
})

test('a damaged page in the log is told with what lies behind it; what a killed process leaves is not', async () => {
  const store = await open()
  for (let number = 0; number < 40; number++) await accept(store, { keys: [`key ${number}`] })
  const lost: number[] = []
  /** How many deliveries are there, as after kill -9, with the log changed by `damage`. */
  async function openedAs(name: string, damage: (log: Buffer) => Buffer): Promise<number> {
    const copy = join(root, name)
    cpSync(folder, copy, { recursive: true })
    const log = join(copy, 'isthmus.db-wal')
    writeFileSync(log, damage(readFileSync(log)))
    const other = await open({ folder: copy, onLogDamaged: pages => lost.push(pages) })
    return (await other.find({ limit: 100 })).length
  }
  expect(await openedAs('whole', log => log)).toBe(40)
  expect(await openedAs('torn', log => log.subarray(0, log.length - 5000))).toBeLessThan(40)
  const frameBytes = 24 + 8192
  const lastFrame =
    32 + (Math.floor((readFileSync(join(folder, 'isthmus.db-wal')).length - 32) / frameBytes) - 1) * frameBytes
  expect(await openedAs('torn in place', log => log.fill(0, lastFrame + 24))).toBeLessThan(40)
  expect(lost).toEqual([])
  const flipped = (log: Buffer) => log.fill((log[log.length >> 1] ?? 0) ^ 1, log.length >> 1, (log.length >> 1) + 1)
  expect(await openedAs('flipped', flipped)).toBeLessThan(40)
  expect(lost).toEqual([expect.any(Number)])
  expect(lost[0]).toBeGreaterThan(10)
})
