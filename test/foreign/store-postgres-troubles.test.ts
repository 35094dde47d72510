import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { keyMapLimits } from '../../src/kernel/key-map.ts'
import { type Clock, systemClock } from '../../src/kernel/time.ts'
import {
  accept,
  claim,
  claimOne,
  delivered,
  laterAt,
  newDelivery,
  readAll,
  receiptOf,
  setAside,
  startedAt,
  textBody,
} from '../../src/store/contract/store-world.ts'
import type { PostgresAddress } from '../../src/store/postgres/connection.ts'
import { openPostgresStore, type PostgresStoreOptions } from '../../src/store/postgres/open.ts'
import { watchStore } from '../../src/store/watch-store.ts'
import { describeForeign } from './servers/needs.ts'
import { type Postgresql, startPostgresql } from './servers/postgresql.ts'
import { waitFor } from './servers/wait.ts'

const soonMs = 20_000

describeForeign('the store on PostgreSQL, in trouble', ['postgresql', 'openssl'], () => {
  let server: Postgresql
  let schemas = 0

  beforeAll(async () => {
    server = await startPostgresql()
  })
  afterAll(() => server.stop())

  /** Rows and entries of indexes that a store with that owner and schema has read, by table, once it is closed. */
  async function tuplesReadBy(owner: string): Promise<Record<string, number>> {
    // A server process tells what it has read when it ends, at the latest.
    await waitFor('the connections to end', soonMs, async () => {
      const left = await server.admin(`select from pg_stat_activity where application_name = 'isthmus ${owner}'`)
      return left.length === 0
    })
    const read = await server.admin(`
      select relname, (coalesce(seq_tup_read, 0) + (select coalesce(sum(idx_tup_read), 0) from pg_stat_user_indexes i
        where i.relid = t.relid))::integer as tuples
      from pg_stat_user_tables t where schemaname = '${owner}'`)
    return Object.fromEntries(read.map(row => [String(row['relname']), Number(row['tuples'])]))
  }

  function open(options: Partial<PostgresStoreOptions> = {}) {
    return openPostgresStore({ address: server.address(`troubled_${++schemas}`), owner: 'hub-1', ...options })
  }

  describe('who may open it', () => {
    test('the second hub is told who has the store', async () => {
      const address = server.address('owned')
      const store = await open({ address })
      await expect(open({ address, owner: 'hub-2' })).rejects.toMatchObject({
        code: 'STORE_OWNED',
        fields: { owner: expect.stringContaining('isthmus hub-1') },
      })
      const other = await open()
      await other.close()
      await store.close()
      await (await open({ address, owner: 'hub-2' })).close()
    })

    test('one that stands by opens it when the other has gone, and ends when it is told to', async () => {
      const address = server.address('waited_for')
      const store = await open({ address })
      const id = await accept(store)
      const waitsFor: string[] = []
      const standby = (signal: AbortSignal) => ({ signal, onWaiting: (owner: string) => waitsFor.push(owner) })
      const tired = new AbortController()
      const gaveUp = open({ address, owner: 'hub-3', standby: standby(tired.signal) })
      const waiting = open({
        address,
        owner: 'hub-2',
        standby: standby(new AbortController().signal),
        limits: { standbyEveryMs: 50 },
      })
      await waitFor('both to wait', soonMs, () => waitsFor.length === 2)
      tired.abort()
      await expect(gaveUp).rejects.toThrow()
      await store.close()
      const next = await waiting
      expect((await claimOne(next)).id).toBe(id)
      await next.close()
    })

    test.each([
      ['nobody listens there', { port: 1 }, /ECONNREFUSED/],
      ['there is no such database', { database: 'nowhere' }, /nowhere/],
      ['the password is wrong', { password: 'guess' }, /password authentication failed/],
      ['nobody vouches for its certificate', { tls: true }, /self-signed certificate/],
    ] as const)('%s', async (_what, wrong, text) => {
      const address: PostgresAddress = { ...server.address('unreachable'), ...wrong }
      await expect(open({ address })).rejects.toMatchObject({
        code: 'STORE_UNREACHABLE',
        fields: { database: address.database, address: `127.0.0.1:${address.port}`, text: expect.stringMatching(text) },
      })
    })

    test('a schema that somebody else made for it will do', async () => {
      await server.admin(`create role guest login password 'pw'; create schema made authorization guest`)
      await (await open({ address: { ...server.address('made'), user: 'guest' } })).close()
      expect(await server.admin('select version from made.schema_version')).toEqual([{ version: 1 }])
    })

    test('a schema of a newer program is left alone', async () => {
      const address = server.address('newer')
      await (await open({ address })).close()
      await server.admin('update newer.schema_version set version = 99')
      await expect(open({ address })).rejects.toMatchObject({ code: 'STORE_NEWER', fields: { found: 99 } })
      expect(await server.admin('select version from newer.schema_version')).toEqual([{ version: 99 }])
    })
  })

  describe('while it is open', () => {
    test('what a lost hub held, and had begun of a body, is free at the next start', async () => {
      const address = server.address('begun')
      const store = await open({ address, owner: 'begun', limits: { inlineBytes: 1000, bodyChunkBytes: 1000 } })
      expect(await store.lease('poller', 'hub-1', 60_000, startedAt)).toBeGreaterThan(0)
      const rows = () =>
        server.admin('select (select count(*) from begun.body), (select count(*) from begun.body_chunk) chunks')
      const options = { type: 'text/plain', bytesMax: 5000, hash: false }
      await expect(store.bodies.write(Buffer.alloc(5001), options)).rejects.toMatchObject({ code: 'BODY_TOO_LARGE' })
      const endless = async function* () {
        for (;;) yield Buffer.alloc(1500)
      }
      await expect(store.bodies.write(endless(), options)).rejects.toMatchObject({ code: 'BODY_TOO_LARGE' })
      expect(await rows()).toEqual([{ count: '0', chunks: '0' }])
      const cut = Promise.withResolvers<undefined>()
      const begun = async function* () {
        yield Buffer.alloc(2500)
        await cut.promise
      }
      const writing = store.bodies.write(begun(), options).catch((thrown: unknown) => thrown)
      await waitFor('two chunks', soonMs, async () => (await rows())[0]?.['chunks'] === '2')
      await server.admin(
        `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'isthmus begun'`,
      )
      cut.reject(new Error('the sender went, too'))
      await Promise.all([writing, store.close()])
      await server.admin('insert into begun.body default values')
      const next = await open({ address, owner: 'hub-2' })
      expect(await rows()).toEqual([{ count: '0', chunks: '0' }])
      expect(await next.lease('poller', 'hub-2', 60_000, startedAt)).toBeGreaterThan(0)
      await next.close()
    })

    test('a claim that cannot be read, and a skip that cannot be written, leave the delivery to the next one', async () => {
      const address = server.address('unread')
      const store = await open({ address, limits: { cacheBytes: 0 } })
      const id = await accept(store)
      await server.admin('alter table unread.content rename to elsewhere')
      await expect(claimOne(store)).rejects.toThrow(/content/)
      await server.admin('alter table unread.elsewhere rename to content')
      await server.admin('alter table unread.delivery rename column summary to elsewhere')
      await expect(store.skip(id, startedAt, 'no')).rejects.toThrow(/summary/)
      await server.admin('alter table unread.delivery rename column elsewhere to summary')
      expect((await claimOne(store)).id).toBe(id)
      await store.close()
    })

    test('a server that may only be read is told as that, not as a disk of the hub', async () => {
      const address = server.address('readable')
      await (await open({ address })).close()
      await server.admin('alter database isthmus set default_transaction_read_only = on')
      try {
        await expect(open({ address })).rejects.toMatchObject({
          code: 'STORE_DATABASE_REFUSES',
          message: expect.stringContaining('read-only transaction'),
          next: expect.stringContaining('PostgreSQL server'),
        })
      } finally {
        await server.admin('begin read write; alter database isthmus reset default_transaction_read_only; commit')
      }
      const next = await open({ address })
      await accept(next)
      await next.close()
    })

    test('a write that the server refuses fails alone', async () => {
      const store = await open()
      await accept(store)
      // More milliseconds than a bigint holds.
      const [bad, ...good] = await Promise.allSettled([
        // Asked for first and in the midst: what is counted before the failure must not be counted twice.
        (async () => {
          const first = accept(store)
          const refused = store.lease('poller', 'hub-1', 1e30, startedAt)
          await first
          return refused
        })(),
        accept(store),
        store.write('area', 'id', 1),
        accept(store, { keys: ['k'] }),
      ])
      expect(bad).toMatchObject({ status: 'rejected' })
      expect(good.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled'])
      expect(await store.counts('orders')).toMatchObject({ accepted: 4, queued: 4 })
      await store.close()
    })

    test('the longest key that a map takes has a place, whatever its letters', async () => {
      const store = await open()
      const map = 'm'.repeat(keyMapLimits.mapLetters)
      // Letters of three bytes each, of which no two are alike, so that nothing of them can be packed.
      const key = Array.from({ length: keyMapLimits.keyLetters }, (_, at) =>
        String.fromCharCode(0x4e00 + at * 31),
      ).join('')
      await store.rewrite({ map, key, value: 1, at: startedAt })
      expect((await store.recall(map, key))?.value).toBe(1)
      await store.close()
    })

    test('a U+0000 has a place in keys, words and texts', async () => {
      const store = await open()
      const odd = 'a\0b'
      const id = await accept(store, { keys: [odd], orderKey: odd, terms: [odd], headers: { subject: odd } })
      expect(await store.accept(newDelivery({ keys: [odd] }))).toEqual({ id, duplicate: true })
      expect(await store.accept(newDelivery({ keys: ['a\u2400b'] }))).toMatchObject({ duplicate: false })
      expect([...(await store.known('orders', [odd])).keys()]).toEqual([odd])
      expect((await store.find({ term: odd, limit: 9 })).map(row => row.id)).toEqual([id])
      expect((await store.get(id))?.headers).toEqual({ subject: odd })
      await store.audit({ at: 1, who: odd, action: 'look', detail: { odd } })
      expect(await store.auditBreak()).toBeUndefined()
      await store.close()
    })

    test('keys and words that are the same for the database refuse nothing', async () => {
      const store = await open()
      const halves = ['a\ud800', 'a\ud801']
      const id = await accept(store, { keys: halves, remember: ['a\udfff'], terms: [...halves, 'b\0', 'b\u2400'] })
      expect([...(await store.known('orders', ['a\ud800'])).values()]).toEqual([{ id, state: 'queued', isHeld: false }])
      await store.finish(await claimOne(store), delivered({ terms: ['c\0', 'c\u2400', 'b\0'] }))
      expect((await store.get(id))?.terms).toEqual(['a\ufffd', 'b\u2400', 'c\u2400'])
      expect((await store.find({ term: 'c\0', limit: 9 })).map(row => row.id)).toEqual([id])
      await store.close()
    })

    test('an entry of the audit log that was changed or cut off shows', async () => {
      const address = server.address('audited')
      const store = await open({ address })
      for (const action of ['one', 'two', 'three']) await store.audit({ at: 1, who: 'admin', action, detail: {} })
      expect(await store.auditBreak()).toBeUndefined()
      await server.admin('delete from audited.audit where number = 3')
      expect(await store.auditBreak()).toBe(3)
      await server.admin(`update audited.audit set who = 'nobody' where number = 2`)
      expect(await store.auditBreak()).toBe(2)
      await store.close()
    })

    test.each([
      ['the server ends its connection', 'select pg_terminate_backend(pid)'],
      ['the server does not answer any more', undefined],
    ])('%s: nothing more is taken, and whoever watches hears of it', async (_what, end) => {
      const address = server.address(end ? 'cut' : 'silent')
      const store = await open({ address, owner: 'lost', limits: { answerMs: 1000 } })
      const id = await accept(store)
      const owners = `
        from pg_locks join pg_stat_activity using (pid)
        where locktype = 'advisory' and granted and application_name = 'isthmus lost'`
      const [owner] = await server.admin(`select pid ${owners}`)
      if (end) await server.admin(`${end} ${owners}`)
      else process.kill(Number(owner?.['pid']), 'SIGSTOP')
      try {
        await expect(accept(store)).rejects.toMatchObject({ code: 'STORE_CONNECTION_LOST' })
        await expect(accept(store)).rejects.toMatchObject({ code: 'STORE_CONNECTION_LOST' })
        const lost = Promise.withResolvers<string>()
        const hurried: Clock = { ...systemClock, after: (_ms, run) => systemClock.after(10, run) }
        const watch = watchStore(store, hurried, error => lost.resolve(error.code))
        expect(await lost.promise).toBe('STORE_CONNECTION_LOST')
        watch.end()
      } finally {
        if (!end) process.kill(Number(owner?.['pid']), 'SIGCONT')
      }
      await store.close()
      const next = await waitFor('the store to be free', soonMs, () =>
        open({ address }).catch((thrown: unknown) => {
          if (String(thrown).includes('Another hub')) return undefined
          throw thrown
        }),
      )
      expect((await claimOne(next)).id).toBe(id)
      await next.close()
    })
  })

  test('a server that falls silent lets the store be closed, and one that stands by ends', async () => {
    const address = server.address('silenced')
    const options = { address, owner: 'silenced', limits: { answerMs: 1000, standbyEveryMs: 50, cacheBytes: 0 } }
    const store = await open(options)
    await accept(store)
    const waits = Promise.withResolvers<string>()
    const standby = { signal: new AbortController().signal, onWaiting: waits.resolve }
    const standsBy = open({ ...options, standby }).catch((thrown: unknown) => thrown)
    await waits.promise
    await store.find({ limit: 1 })
    const pids = await server.admin(`select pid from pg_stat_activity where application_name = 'isthmus silenced'`)
    expect(pids.length).toBeGreaterThanOrEqual(3)
    for (const { pid } of pids) process.kill(Number(pid), 'SIGSTOP')
    try {
      const claimed = claimOne(store).catch((thrown: unknown) => thrown)
      await expect(accept(store)).rejects.toMatchObject({ code: 'STORE_CONNECTION_LOST' })
      await store.close()
      expect(await claimed).toMatchObject({ code: 'STORE_CONNECTION_LOST' })
      expect(await standsBy).toMatchObject({ code: 'STORE_CONNECTION_LOST' })
    } finally {
      for (const { pid } of pids) process.kill(Number(pid), 'SIGCONT')
    }
  })

  test('a look at a message that is under way when the server dies is refused, and ends no hub', async () => {
    const address = server.address('looked_at')
    const store = await open({ address })
    const id = await accept(store)
    const { host, port, database, user, password } = address
    const locker = new pg.Client({ host, port, database, user, ...(password !== undefined && { password }) })
    locker.on('error', () => {})
    await locker.connect()
    // The last thing that is read of a message.
    await locker.query('begin; lock table looked_at.attempt in access exclusive mode')
    const looks = [1, 2].map(() => store.get(id).catch((thrown: unknown) => thrown))
    const waiting = `select from pg_stat_activity where application_name = 'isthmus hub-1' and wait_event_type = 'Lock'`
    await waitFor('the looks to wait', soonMs, async () => (await server.admin(waiting)).length === looks.length)
    await server.kill9()
    for (const look of looks) expect(await look).toMatchObject({ code: 'STORE_CONNECTION_LOST' })
    await store.close()
    await server.restart()
  })

  test('nobody waits while a large body is removed', async () => {
    const address = server.address('large')
    const options = { address, owner: 'large', limits: { inlineBytes: 1000 } }
    const first = await open(options)
    await first.bodies.write(Buffer.alloc(5000), { type: 'text/plain', bytesMax: 10_000, hash: false })
    await first.close()
    const store = await open(options)
    await accept(store)
    let isSlow = true
    const slow = server
      .admin('begin; lock table large.body_chunk in exclusive mode; select pg_sleep(4); commit')
      .finally(() => {
        isSlow = false
      })
    const locks = (granted: boolean) => async () => {
      const where = `relation = 'large.body_chunk'::regclass and granted = ${granted}`
      return (await server.admin(`select from pg_locks where ${where}`)).length > 0
    }
    await waitFor('the lock', soonMs, locks(true))
    const collected = store.bodies.collect()
    await waitFor('the removal', soonMs, locks(false))
    await accept(store)
    expect(isSlow).toBe(true)
    await slow
    expect(await collected).toBe(1)
    expect(await server.admin('select from large.body_chunk')).toHaveLength(0)
    await store.close()
    await expect(store.find({ limit: 1 })).rejects.toMatchObject({ code: 'STORE_CLOSED' })
  })

  test('looking costs what it finds, however much is kept', async () => {
    const address = server.address('filled')
    const first = await open({ address })
    await accept(first, { flow: 'idle' })
    await accept(first)
    await first.close()
    const rows = 20_000
    await server.admin(`
      set search_path = filled;
      insert into delivery select i, number, 3, i, 'key ' || i, 1, 1, i, i, 9, 'text/plain', null, '{}', '{}'
        from generate_series(1, ${rows}) i, flow where name = 'orders';
      insert into key_map select 'map', 'key ' || i, '1', 1, 1 from generate_series(1, ${rows}) i;
      insert into body (sha256) select 'used ' || i from generate_series(1, ${rows}) i;
      insert into body_use select i, 'used ' || i from generate_series(1, ${rows}) i;
      insert into body (sha256) select 'unused ' || i from generate_series(1, 200) i;
      analyze`)
    await server.admin('select pg_stat_reset()')
    const store = await open({ address, owner: 'filled' })
    expect(await store.find({ flow: 'idle', limit: 50 })).toHaveLength(1)
    expect(await store.find({ flow: 'orders', state: 'rejected', limit: 50 })).toHaveLength(0)
    expect(await store.find({ state: 'queued', limit: 50 })).toHaveLength(2)
    expect(await store.counts('orders')).toMatchObject({ queued: 1, oldestQueuedAt: startedAt })
    expect(await store.purge({ flow: 'orders', deliveredBefore: 1, setAsideBefore: startedAt, max: 10 })).toBe(0)
    expect(await store.forgetKeys({ map: 'map', prefix: 'key 100', max: 1000 })).toBe(111)
    expect(await store.bodies.collect()).toBe(200)
    await store.close()
    const tuples = await tuplesReadBy('filled')
    expect(tuples['delivery']).toBeLessThan(100)
    expect(tuples['key_map']).toBeLessThan(1000)
    // Once all of them, by a connection that reads.
    expect(tuples['body']).toBeLessThan(2 * rows)
  })

  test('how the server goes about it while little is kept costs no more when much is', async () => {
    const address = server.address('grown')
    const store = await open({ address, owner: 'grown', limits: { readConnections: 1, cacheBytes: 0 } })
    const life = async () => {
      const ids: string[] = []
      for (const [index, key] of ['a', 'b', 'c', 'd'].entries()) {
        const at = startedAt + index
        const id = await accept(store, { keys: [`${Math.random()}`], terms: [`word ${key}`], acceptedAt: at })
        const claimed = await claimOne(store, { now: at })
        await store.receipt(claimed, receiptOf('to[0]', { state: 'intended' }))
        await store.finish(claimed, setAside({ receipts: [receiptOf('to[1]')], terms: [`id ${id}`] }))
        ids.push(id)
      }
      const [first = '', , , last = ''] = ids
      expect(await store.oldestSetAside('orders', first, 3)).toHaveLength(3)
      expect(await store.getAll(ids)).toHaveLength(4)
      expect(await store.requeueAll(ids.slice(0, 2), startedAt)).toHaveLength(2)
      for (const claimed of await claim(store)) await store.finish(claimed, delivered())
      expect(await store.skipAll(ids.slice(2, 3), startedAt, 'no')).toHaveLength(1)
      await store.requeue(last, { now: startedAt, forgetIntents: true, body: textBody('better') })
      await store.finish(await claimOne(store), delivered())
      expect(await store.find({ flow: 'orders', term: 'word *', limit: 4 })).toHaveLength(4)
      const before = startedAt + 1000
      expect(await store.purge({ flow: 'orders', deliveredBefore: before, setAsideBefore: before, max: 10 })).toBe(4)
    }
    const tables = ['delivery', 'content', 'receipt', 'attempt', 'once', 'term', 'original', 'body_use', 'audit']
    const schema = tables.map(table => `alter table ${table} set (autovacuum_enabled = false)`).join(';')
    await server.admin(`set search_path = grown; ${schema}`)
    await life()
    await accept(store, { dueAt: laterAt })
    await server.admin('set search_path = grown; analyze')
    // Often enough for the server to keep how it goes about it.
    for (let count = 0; count < 7; count++) await life()
    const rows = 20_000
    await server.admin(`
      set search_path = grown;
      insert into delivery select seq + 1000000000 + i, flow, 6, 1, null, 1, 1, 1, 1, 9, 'text/plain', null, '{}', '{}'
        from delivery, generate_series(1, ${rows}) i where state = 2;
      insert into content select seq, '{}', '{}', 'x' from delivery where state = 6;
      insert into original select seq, '{}', 1, 'text/plain', null, 'x' from delivery where state = 6;
      insert into receipt (seq, effect, state, at, summary) select seq, 'to[0]', 'intended', 1, 'x' from delivery where state = 6;
      insert into attempt (seq, attempt, at, error) select seq, 1, 1, '{}' from delivery where state = 6;
      insert into once select flow, 'key ' || seq, seq from delivery where state = 6;
      insert into term select 'other ' || seq, seq from delivery where state = 6;
      insert into body_use select seq, 'x' from delivery where state = 6`)
    await server.admin('select pg_stat_reset()')
    await life()
    await store.close()
    const read = await tuplesReadBy('grown')
    expect(Object.entries(read).filter(([table, tuples]) => tables.includes(table) && tuples > 1000)).toEqual([])
  })

  test('a word that very many messages have is found at once, also before the server has counted them', async () => {
    const address = server.address('uncounted')
    const store = await open({ address })
    const id = await accept(store, { terms: ['all', 'all of it'] })
    const rows = 20_000
    await server.admin(`
      set search_path = uncounted;
      alter table delivery set (autovacuum_enabled = false);
      alter table term set (autovacuum_enabled = false);
      insert into delivery select i, number, 3, i, null, 1, 1, i, i, 9, 'text/plain', null, '{}', '{}'
        from generate_series(1, ${rows}) i, flow where name = 'orders';
      insert into term select 'all', i from generate_series(1, ${rows}) i`)
    const begunAt = performance.now()
    for (const term of ['all', 'all*', 'al*']) {
      const found = await store.find({ term, limit: 50 })
      expect(found[0]?.id).toBe(id)
      expect(new Set(found.map(row => row.id)).size).toBe(50)
    }
    // Where the server made a join of it, this took half a minute.
    expect(performance.now() - begunAt).toBeLessThan(5_000)
    await store.close()
  })

  test('what was acknowledged survives kill -9 also where the custom of the server is not to wait for the disk', async () => {
    await server.admin('alter database isthmus set synchronous_commit = off')
    const address = server.address('careless')
    const store = await open({ address })
    const id = await accept(store)
    await server.kill9()
    await store.close()
    await server.restart()
    await server.admin('alter database isthmus reset synchronous_commit')
    const next = await open({ address })
    expect((await claimOne(next)).id).toBe(id)
    await next.close()
  })

  test('what was acknowledged survives kill -9 of the server, large bodies with it', { timeout: 120_000 }, async () => {
    const address = server.address('power_cut')
    const accepted = new Map<string, { readonly bytes: number; readonly key: string }>()
    const options = { address, limits: { inlineBytes: 20_000, bodyChunkBytes: 8192 } }
    for (let round = 0; round < 3; round += 1) {
      const store = await open(options)
      const cut = new AbortController()
      const producers = Array.from({ length: 8 }, async (_, producer) => {
        for (let number = 0; !cut.signal.aborted; number += 1) {
          const key = `key ${round} ${producer} ${number}`
          const bytes = number % 3 === 0 ? 50_000 : 500
          try {
            const body = await store.bodies.write(Buffer.alloc(bytes, key), {
              type: 'text/plain',
              bytesMax: 100_000,
              hash: false,
            })
            const id = await accept(store, { keys: [key], body, orderKey: `order ${producer}` })
            accepted.set(id, { bytes, key })
          } catch {
            // The server died under it; nobody was told that it was safe.
            return
          }
        }
      })
      await waitFor('enough to lose', soonMs, () => accepted.size >= 60 * (round + 1))
      await server.kill9()
      cut.abort()
      await Promise.all(producers)
      await store.close()
      await server.restart()
    }
    const store = await open({ ...options, limits: { ...options.limits, collectBatch: 3 } })
    // What arrived whole without being accepted in the end goes, and nothing else does.
    expect(await store.bodies.collect()).toBeLessThanOrEqual(3 * 8)
    for (const [id, { bytes, key }] of accepted) {
      const detail = await store.get(id)
      if (!detail) throw new Error(`${id} is lost`)
      expect(await readAll(store.bodies.read(detail.body))).toEqual(Buffer.alloc(bytes, key))
    }
    const { queued } = await store.counts('orders')
    expect(queued).toBeGreaterThanOrEqual(accepted.size)
    for (let left = queued; left > 0; ) {
      const { deliveries } = await store.claim({
        owner: 'hub-1',
        max: 500,
        now: startedAt,
        leaseMs: 1000,
        places: new Map([['orders', 500]]),
      })
      await Promise.all(deliveries.map(claimed => store.finish(claimed, delivered())))
      left -= deliveries.length
    }
    expect(await store.counts('orders')).toMatchObject({ queued: 0, delivered: queued })
    await store.close()
  })
})
