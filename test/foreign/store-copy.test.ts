import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { stringify } from 'yaml'
import {
  accept,
  claim,
  delivered,
  newDelivery,
  readAll,
  receiptOf,
  retryLater,
  setAside,
  someError,
  startedAt,
} from '../../src/store/contract/store-world.ts'
import type { Store } from '../../src/store/port.ts'
import { type CopyRequest, copyFromSqlite } from '../../src/store/postgres/copy-from-sqlite.ts'
import { openPostgresStore } from '../../src/store/postgres/open.ts'
import { openSqliteStore } from '../../src/store/sqlite/open.ts'
import { GuideMachine } from '../hub/guide.ts'
import { describeForeign } from './servers/needs.ts'
import { type Postgresql, startPostgresql } from './servers/postgresql.ts'

// One body in the row, one in a segment, one in a file of its own.
const bodyBytes = [300, 30_000, 400_000] as const
const everyDelivery = { limit: 1000 }

describeForeign('an embedded store that is copied to PostgreSQL', ['postgresql', 'openssl'], () => {
  let server: Postgresql
  let folder: string
  let copies = 0

  beforeAll(async () => {
    server = await startPostgresql()
  })
  afterAll(() => server.stop())
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'isthmus-copy-'))
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  const request = (changes: Partial<CopyRequest> = {}): CopyRequest => ({
    folder,
    address: server.address(`copy_${++copies}`),
    owner: 'copy',
    signal: new AbortController().signal,
    onProgress: () => {},
    ...changes,
  })

  test('has there what it had, and goes on where it was', async () => {
    const source = await openSqliteStore({ folder })
    const ids = await fill(source)
    const before = await everythingOf(source, ids)
    await source.close()

    const copying = request()
    const { rows, damaged } = await copyFromSqlite(copying)
    expect(rows).toMatchObject({ delivery: ids.length, content: ids.length, original: 2, audit: 3, flow: 2 })
    expect(damaged).toBe(0)

    const copied = await openPostgresStore({ address: copying.address, owner: 'hub-1' })
    expect(await everythingOf(copied, ids)).toEqual(before)
    // Keys go on refusing, ids and flows go on rising, and everything that waits can be delivered in its order.
    expect(await copied.accept(newDelivery({ keys: ['key 0'] }))).toEqual({ id: ids[0], duplicate: true })
    expect(await copied.accept(newDelivery({ keys: ['odd\0key'] }))).toMatchObject({ duplicate: true })
    const newest = await accept(copied, { flow: 'a third flow' })
    expect(newest > (ids.at(-1) ?? '')).toBe(true)
    for (let isMore = true; isMore; ) {
      const claimed = await claim(copied, { now: startedAt + 1e9, places: { orders: 9, invoices: 9 } })
      for (const one of claimed) {
        expect(await readAll(copied.bodies.read(one.body))).toHaveLength(one.body.bytes)
        await copied.finish(one, delivered({ at: startedAt + 1e9 }))
      }
      isMore = claimed.length > 0
    }
    for (const flow of ['orders', 'invoices']) expect(await copied.counts(flow)).toMatchObject({ queued: 0 })
    expect(await copied.auditBreak()).toBeUndefined()
    await copied.audit({ at: 4, who: 'admin', action: 'look', detail: {} })
    expect(await copied.auditBreak()).toBeUndefined()
    expect(await copied.bodies.collect()).toBe(0)
    await copied.close()
  })

  test('is refused where hubs have worked already, and while a hub has it', async () => {
    const source = await openSqliteStore({ folder })
    await accept(source)
    await expect(copyFromSqlite(request())).rejects.toMatchObject({ code: 'STORE_LOCKED' })
    await source.close()
    const copying = request()
    await copyFromSqlite(copying)
    await expect(copyFromSqlite(copying)).rejects.toMatchObject({ code: 'STORE_NOT_EMPTY' })
    await expect(copyFromSqlite(request({ folder: join(folder, 'bodies') }))).rejects.toMatchObject({
      code: 'STORE_NOT_EMBEDDED',
    })
  })

  test('is not there at all when the copy is ended', async () => {
    const source = await openSqliteStore({ folder })
    const ids = await fill(source)
    await source.close()
    const ending = new AbortController()
    const copying = request({
      signal: ending.signal,
      onProgress: table => {
        if (table === 'delivery') ending.abort(new Error('Ctrl-C'))
      },
    })
    await expect(copyFromSqlite(copying)).rejects.toThrow('Ctrl-C')
    const { rows } = await copyFromSqlite({ ...copying, signal: new AbortController().signal })
    expect(rows).toMatchObject({ delivery: ids.length })
  })

  test('a body that was lost before is counted, and its delivery comes along', async () => {
    const source = await openSqliteStore({ folder })
    const [inSegment, inFile] = [await body(source, 1), await body(source, 2)]
    const ids = [await accept(source, { body: inSegment }), await accept(source, { body: inFile })]
    await source.close()
    rmSync(join(folder, 'bodies', inFile.sha256?.slice(0, 2) ?? ''), { recursive: true })
    rmSync(join(folder, 'bodies/segments'), { recursive: true })
    const copying = request()
    expect(await copyFromSqlite(copying)).toMatchObject({ damaged: 2 })
    const copied = await openPostgresStore({ address: copying.address, owner: 'hub-1' })
    for (const id of ids) {
      const detail = await copied.get(id)
      if (!detail) throw new Error(`${id} did not come along`)
      await expect(readAll(copied.bodies.read(detail.body))).rejects.toMatchObject({ code: 'STORE_BODY_MISSING' })
    }
    await copied.close()
  })

  test('isthmus store copy says what came along', async () => {
    const machine = new GuideMachine({ folder, environment: { ISTHMUS_POSTGRES_PASSWORD: 'pw' }, replacements: [] })
    const { host, port, user, schema } = server.address('by_command')
    writeFileSync(
      join(folder, 'isthmus.yaml'),
      stringify({ flows: [], store: { postgres: { host, port, user, schema } } }),
    )
    expect(await machine.try('isthmus store copy')).toMatchObject({
      code: 2,
      output: expect.stringContaining('STORE_NOT_EMBEDDED'),
    })
    const source = await openSqliteStore({ folder: join(folder, 'data') })
    await accept(source)
    await source.close()
    expect(await machine.run('isthmus store copy')).toMatch(/delivery +1\n/)
  })
})

function body(store: Store, kind: 0 | 1 | 2) {
  const content = Buffer.alloc(bodyBytes[kind], `body ${kind} `)
  return store.bodies.write(content, { type: 'text/plain', bytesMax: 1_000_000, hash: true })
}

/** Deliveries in every state, with everything that can belong to one; the ids in the order of their acceptance. */
async function fill(store: Store): Promise<readonly string[]> {
  const ids: string[] = []
  for (let number = 0; number < 24; number++) {
    const id = await accept(store, {
      flow: number % 5 === 4 ? 'invoices' : 'orders',
      keys: number === 3 ? ['odd\0key'] : [`key ${number}`],
      remember: [`also ${number}`],
      orderKey: number % 2 === 0 ? `order ${number % 4}` : undefined,
      headers: { subject: `Number ${number} \u{1F4E6}` },
      attributes: { number, nested: { 'a\0b': [null, 1.5, 'ü'] } },
      body: await body(store, (number % 3) as 0 | 1 | 2),
      terms: [`word-${number}`, 'all'],
      isProbe: number === 7,
      acceptedAt: startedAt + number,
    })
    ids.push(id)
  }
  const places = { orders: 100, invoices: 100 }
  const ends = ['deliver', 'set aside', 'retry', 'leave', 'set aside and repair', 'skip'] as const
  for (const [index, one] of (await claim(store, { places })).entries()) {
    await store.receipt(
      one,
      receiptOf('steps[0].call', { answer: { headers: { a: 'b' }, type: 'x/y', body: Buffer.from('seen') } }),
    )
    const end = ends[index % ends.length]
    if (end === 'deliver')
      await store.finish(one, delivered({ receipts: [receiptOf('to[0]', { fields: { id: 7 } })], terms: ['late'] }))
    if (end === 'retry') await store.retry(one, retryLater({ awaitsChange: true }))
    if (end === 'leave') await store.receipt(one, receiptOf('to[0]', { state: 'intended' }))
    if (end !== 'set aside' && end !== 'set aside and repair' && end !== 'skip') continue
    await store.finish(one, setAside({ error: someError }))
    if (end === 'skip') await store.skip(one.id, startedAt + 99, 'not needed')
    if (end !== 'set aside and repair') continue
    const change = { now: startedAt + 99, forgetIntents: false, headers: { subject: 'repaired' } }
    await store.requeue(one.id, { ...change, body: await body(store, 2) })
  }
  for (const action of ['one', 'two', 'three']) await store.audit({ at: 1, who: 'admin', action, detail: { action } })
  await store.write('credential', 'm365', { secret: 'sealed' })
  await store.write('credential', 'm365', { secret: 'sealed anew' })
  await store.rewrite({ map: 'materials', key: 'M-1', value: { guid: 'g' }, at: 5 })
  return ids
}

/** All that the port shows, bytes as text. */
async function everythingOf(store: Store, ids: readonly string[]) {
  const details = await Promise.all(
    ids.map(async id => {
      const detail = await store.get(id)
      if (!detail) throw new Error(`${id} is not there`)
      const { body, original, receipts, ...rest } = detail
      const bytesOf = async (of: typeof body) => (await readAll(store.bodies.read(of))).toString('latin1')
      return {
        ...rest,
        body: { ...body, inline: await bytesOf(body) },
        original: original && { ...original, body: { ...original.body, inline: await bytesOf(original.body) } },
        receipts: receipts
          .map(({ answer, ...receipt }) => ({
            ...receipt,
            answer: answer && { ...answer, body: Buffer.from(answer.body).toString() },
          }))
          .toSorted((one, other) => one.effect.localeCompare(other.effect)),
      }
    }),
  )
  return {
    details,
    found: await store.find(everyDelivery),
    byWord: (await store.find({ ...everyDelivery, term: 'late' })).map(({ id }) => id),
    counts: [await store.counts('orders'), await store.counts('invoices')],
    names: (await store.flowNames()).toSorted(),
    known: [...(await store.known('orders', ['key 0', 'also 0', 'key 1', 'nothing']))].toSorted(([one], [other]) =>
      one.localeCompare(other),
    ),
    records: await store.list('credential'),
    audit: await store.auditLog({ limit: 10 }),
    keyMaps: await store.keyMapEntries({ map: 'materials', limit: 10 }),
  }
}
