import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { type FileHandle, open as openFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { seededRandom } from '../../../test/corpus/seeded-random.ts'
import { accept, claim, claimOne, delivered, ids, readAll, setAside, startedAt } from '../contract/store-world.ts'
import type { Claimed, Store, StoredBody } from '../port.ts'
import { openSqliteStore, type SqliteStoreOptions } from './open.ts'
import type { CreateSegment } from './segment-writer.ts'

const everything = { flow: 'orders', deliveredBefore: Infinity, setAsideBefore: Infinity, max: 10_000 }

let root: string
let folder: string
let opened: Store[]
let random: () => number

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'isthmus-segments-'))
  folder = join(root, 'data')
  opened = []
  random = seededRandom(7)
})

afterEach(async () => {
  for (const store of opened) await store.close()
  rmSync(root, { recursive: true })
})

async function open(options: Partial<SqliteStoreOptions> = {}): Promise<Store> {
  const store = await openSqliteStore({ folder, ...options })
  opened.push(store)
  return store
}

/**
 * What a crash at this moment leaves, in a folder of its own. A segment may be
 * unlinked on the thread pool while we copy: then the copy is made anew.
 */
function copyFolder(name: string): string {
  const copy = join(root, name)
  for (;;) {
    try {
      cpSync(folder, copy, { recursive: true })
      return copy
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
      rmSync(copy, { recursive: true, force: true })
    }
  }
}

const segmentFolder = (of = folder) => join(of, 'bodies', 'segments')

function segmentFiles(of = folder): readonly string[] {
  return readdirSync(segmentFolder(of)).map(name => join(segmentFolder(of), name))
}

function onlySegment(of = folder): string {
  const [only, ...others] = segmentFiles(of)
  if (!only || others.length > 0) throw new Error('expected one segment')
  return only
}

/** A body the size of a mail, with bytes of its own. */
function mailBody(bytes = 9000 + Math.floor(random() * 50_000)): StoredBody & { readonly inline: Uint8Array } {
  const inline = Buffer.alloc(bytes)
  for (let offset = 0; offset + 4 <= bytes; offset += 4) inline.writeUInt32LE(Math.floor(random() * 2 ** 32), offset)
  return { bytes, type: 'message/rfc822', sha256: undefined, inline }
}

async function acceptMails(store: Store, count: number): Promise<Map<string, Uint8Array>> {
  const bodies = Array.from({ length: count }, () => mailBody())
  const accepted = await Promise.all(bodies.map(body => accept(store, { body })))
  return new Map(accepted.map((id, index) => [id, bodies[index]?.inline ?? new Uint8Array()]))
}

function claimAll(store: Store): Promise<readonly Claimed[]> {
  return claim(store, { max: 1000, places: { orders: 1000 } })
}

/** Every delivery has the bytes with which it was accepted. */
async function expectBytes(store: Store, mails: ReadonlyMap<string, Uint8Array>): Promise<void> {
  for (const [id, content] of mails) {
    const detail = await store.get(id)
    expect(Buffer.compare(detail?.body.inline ?? new Uint8Array(), content)).toBe(0)
  }
}

test('bodies the size of a mail lie one behind the other in a segment, and are claimed after a crash as they came', async () => {
  const store = await open()
  const mails = await acceptMails(store, 40)
  const bytes = [...mails.values()].reduce((sum, content) => sum + content.length, 0)
  expect(statSync(onlySegment()).size).toBe(bytes)
  expect(statSync(join(folder, 'isthmus.db-wal')).size).toBeLessThan(bytes / 2)

  const after = await open({ folder: copyFolder('crashed') })
  const claimed = await claimAll(after)
  expect(ids(claimed)).toEqual([...mails.keys()])
  for (const { id, body } of claimed)
    expect(Buffer.compare(body.inline ?? Buffer.of(), mails.get(id) ?? Buffer.of())).toBe(0)
  for (const one of claimed) await after.finish(one, delivered())
  await expectBytes(after, mails)
})

test('deliveries for which there is no room in memory are read back at their claim', async () => {
  const store = await open({ limits: { cacheBytes: 100_000 } })
  const mails = await acceptMails(store, 40)
  for (;;) {
    const claimed = await claim(store, { max: 7 })
    if (claimed.length === 0) break
    // While the claim reads, others are accepted and push what was at hand out of memory.
    for (const [id, content] of await acceptMails(store, claimed.length > 6 ? 1 : 0)) mails.set(id, content)
    for (const one of claimed) {
      expect(Buffer.compare(one.body.inline ?? Buffer.of(), mails.get(one.id) ?? Buffer.of())).toBe(0)
      await store.finish(one, delivered())
    }
  }
  expect((await store.counts('orders')).delivered).toBe(mails.size)
})

test('one that cannot be read is set aside for good, also where the disk refuses to read what was claimed beside it', async () => {
  const first = await open()
  await accept(first)
  const [mail] = [...(await acceptMails(first, 1)).keys()]
  await first.close()
  const database = new DatabaseSync(join(folder, 'isthmus.db'))
  database.exec(`update content set headers = '{broken' where seq = (select min(seq) from content)`)
  database.close()
  const store = await open()
  const file = await openFile(onlySegment())
  const reading = vi.spyOn(Object.getPrototypeOf(file) as FileHandle, 'read').mockImplementation(async () => {
    while ((await store.find({ state: 'set-aside', limit: 1 })).length === 0) await nextTurn()
    throw Object.assign(new Error('EMFILE: too many open files'), { code: 'EMFILE' })
  })
  await file.close()
  await expect(claimAll(store)).rejects.toMatchObject({ code: 'STORE_FULL' })
  reading.mockRestore()
  expect((await claimAll(store)).map(({ id }) => id)).toEqual([mail])
})

test('what a crash tore off at the end of a segment is not in the way of anything', async () => {
  const store = await open()
  const mails = await acceptMails(store, 5)
  const crashed = copyFolder('crashed')
  const torn = onlySegment(crashed)
  writeFileSync(torn, Buffer.concat([readFileSync(torn), Buffer.alloc(12_345, 'half a mail')]))

  const after = await open({ folder: crashed })
  for (const [id, content] of await acceptMails(after, 5)) mails.set(id, content)
  expect(segmentFiles(crashed)).toHaveLength(2)
  await expectBytes(after, mails)
  for (const one of await claimAll(after)) await after.finish(one, delivered())
  await after.purge(everything)
  await after.bodies.collect()
  await after.close()
  await (await open({ folder: crashed })).bodies.collect()
  expect(segmentFiles(crashed)).toEqual([])
})

test.each([
  ['is missing', (file: string) => rmSync(file)],
  ['was cut off', (file: string) => truncateSync(file, 20_000)],
  [
    'has another byte',
    (file: string) => {
      const content = readFileSync(file)
      content.writeUInt8(content.readUInt8(25_000) ^ 1, 25_000)
      writeFileSync(file, content)
    },
  ],
])(
  'when a segment %s, the deliveries concerned come without bytes and say why; the others go on',
  async (_what, damage) => {
    const first = await open()
    const body = mailBody(20_000)
    const whole = await accept(first, { body })
    const hurt = await accept(first, { body: mailBody(20_000) })
    const small = await accept(first)
    const crashed = copyFolder('crashed')
    damage(onlySegment(crashed))

    const store = await open({ folder: crashed })
    const claimed = new Map((await claimAll(store)).map(one => [one.id, one]))
    expect([...claimed.keys()]).toEqual([whole, hurt, small])
    const damaged = claimed.get(hurt)
    if (!damaged) throw new Error('the damaged delivery was not claimed')
    expect(damaged.body).toEqual({ bytes: 20_000, type: 'message/rfc822', sha256: undefined, inline: undefined })
    await expect(readAll(store.bodies.read(damaged.body))).rejects.toMatchObject({
      code: 'STORE_BODY_DAMAGED',
      retry: 'never',
    })
    expect(Buffer.from(claimed.get(small)?.body.inline ?? []).toString()).toBe('hello')
    if (_what !== 'is missing') expect(claimed.get(whole)?.body.inline).toEqual(body.inline)

    // It is set aside, cannot be replayed as it is, and goes on with another body.
    await expect(accept(store, { body: damaged.body, replayOf: hurt })).rejects.toMatchObject({
      code: 'STORE_BODY_DAMAGED',
    })
    await store.finish(damaged, setAside())
    const repair = mailBody(30_000)
    await store.requeue(hurt, { now: startedAt, forgetIntents: false, body: repair })
    expect((await claimOne(store)).body.inline).toEqual(repair.inline)
    expect((await store.get(hurt))?.original?.body).toMatchObject({ bytes: 20_000, inline: undefined })
  },
)

test('when the disk is full, all that wait are refused, nothing names half a body, and it goes on by itself', async () => {
  const disk = { isFull: false, bytesLeft: 0 }
  const store = await open({ createSegment: fillingDisk(disk) })
  const mails = await acceptMails(store, 3)
  disk.isFull = true
  disk.bytesLeft = 30_000
  const refused = await Promise.allSettled([
    ...[1, 2, 3].map(() => accept(store, { keys: ['lost'], body: mailBody(25_000) })),
    accept(store, { flow: 'others' }),
  ])
  expect(refused.map(one => one.status)).toEqual(['rejected', 'rejected', 'rejected', 'fulfilled'])
  for (const one of refused.slice(0, 3)) {
    expect(one).toMatchObject({ reason: { code: 'STORE_FULL', retry: 'soon', cause: { code: 'ENOSPC' } } })
  }
  expect(await store.known('orders', ['lost'])).toEqual(new Map())
  await expectBytes(store, mails)

  disk.isFull = false
  for (const [id, content] of await acceptMails(store, 3)) mails.set(id, content)
  expect(await accept(store, { keys: ['lost'] })).toEqual(expect.any(String))
  const after = await open({ folder: copyFolder('crashed') })
  await expectBytes(after, mails)
  expect((await after.counts('orders')).accepted).toBe(7)
})

test('a flush that fails counts as not written', async () => {
  const disk = { isFull: false, bytesLeft: 0, flushFails: true }
  const store = await open({ createSegment: fillingDisk(disk) })
  await expect(accept(store, { body: mailBody() })).rejects.toMatchObject({ code: 'STORE_FULL' })
  // Nothing was ever kept in that file, so it is gone, too.
  expect(segmentFiles()).toEqual([])
  disk.flushFails = false
  await expectBytes(store, await acceptMails(store, 1))
})

test('segments that nothing needs are deleted, and sparse ones are emptied into the current one', async () => {
  const store = await open({ limits: { segmentBytes: 200_000, segmentGroupBytes: 100_000 } })
  const mails = await acceptMails(store, 60)
  const early = segmentFiles()
  expect(early.length).toBeGreaterThan(3)
  const kept = new Map([...mails].filter((_mail, index) => index % 12 === 0))
  for (const one of await claimAll(store)) await store.finish(one, kept.has(one.id) ? setAside() : delivered())
  await store.bodies.collect()
  expect(segmentFiles()).toEqual(early)

  await store.purge({ ...everything, setAsideBefore: 0 })
  await store.bodies.collect()
  await expectBytes(store, kept)
  const bytesOf = (contents: Iterable<{ readonly length: number }>) =>
    [...contents].reduce((sum, { length }) => sum + length, 0)
  expect(bytesOf(segmentFiles().map(file => ({ length: statSync(file).size })))).toBeLessThan(
    bytesOf(mails.values()) / 2,
  )
  const after = await open({ folder: copyFolder('crashed') })
  await after.bodies.collect()
  await expectBytes(after, kept)
})

test('collecting beside others that accept and purge loses nothing, whenever the process is killed', {
  timeout: 30_000,
}, async () => {
  const store = await open({ limits: { segmentBytes: 300_000, segmentGroupBytes: 100_000 } })
  const kept = new Map<string, Uint8Array>()
  const stops = { isOver: false }
  const produce = async () => {
    while (!stops.isOver) {
      for (const [id, content] of await acceptMails(store, 2)) kept.set(id, content)
      await new Promise(resolve => setTimeout(resolve, 10))
    }
  }
  const crashAndRead = async (round: number) => {
    const going = await acceptMails(store, 20)
    const claimed = await claimAll(store)
    await Promise.all(claimed.map(one => store.finish(one, going.has(one.id) ? delivered() : setAside())))
    await store.purge({ ...everything, setAsideBefore: 0 })
    const acknowledged = new Map(kept)
    const collecting = store.bodies.collect()
    for (let turn = 0; turn < round * 3; turn += 1) await new Promise(resolve => setImmediate(resolve))
    const copy = copyFolder(`copy-${round}`)
    await collecting
    const crashed = await open({ folder: copy })
    await crashed.bodies.collect()
    await expectBytes(crashed, acknowledged)
  }
  const producing = produce()
  try {
    for (let round = 0; round < 6; round += 1) await crashAndRead(round)
  } finally {
    stops.isOver = true
    await producing
  }
  await expectBytes(store, kept)
})

test('a segment with a damaged body keeps what can be read, and goes with its last row', async () => {
  const first = await open()
  const mails = await acceptMails(first, 10)
  for (const one of await claimAll(first)) await first.finish(one, setAside())
  const [hurt, whole, ...others] = [...mails.keys()]
  for (const id of others) await first.skip(id, startedAt, 'not needed')
  await first.purge({ ...everything, setAsideBefore: 0 })
  await first.close()
  const file = onlySegment()
  const content = readFileSync(file)
  content.fill(0, 0, 100)
  writeFileSync(file, content)

  const store = await open({ limits: { segmentBytes: statSync(file).size * 4 } })
  for (const round of [1, 2]) {
    await store.bodies.collect()
    expect(segmentFiles(), `round ${round}`).toHaveLength(2)
  }
  expect((await store.get(whole ?? ''))?.body.inline).toEqual(Buffer.from(mails.get(whole ?? '') ?? []))
  await store.skip(hurt ?? '', startedAt, 'damaged')
  await store.purge({ ...everything, setAsideBefore: 0 })
  await store.bodies.collect()
  expect(segmentFiles()).not.toContain(file)
  expect((await store.get(whole ?? ''))?.body.inline).toEqual(Buffer.from(mails.get(whole ?? '') ?? []))
})

test('a repair moves the body, keeps the first one, and both go with the delivery', async () => {
  const store = await open()
  const [first, second] = [mailBody(), mailBody()]
  const id = await accept(store, { body: first })
  await store.finish(await claimOne(store), setAside())
  const headersOnly = { now: startedAt, forgetIntents: false, headers: { repaired: 'yes' } }
  await store.requeue(id, headersOnly)
  expect(await claimOne(store)).toMatchObject({ headers: { repaired: 'yes' }, body: { inline: first.inline } })
  await store
    .release((await store.find({ limit: 1 })).length === 1 ? { id, fence: 0 } : { id, fence: 1 })
    .catch(() => {})
  await store.close()

  const again = await open()
  await again.finish(await claimOne(again), setAside())
  await again.requeue(id, { now: startedAt, forgetIntents: false, body: second })
  const detail = await again.get(id)
  expect(detail?.body.inline).toEqual(second.inline)
  expect(detail?.original?.body.inline).toEqual(first.inline)
  await again.finish(await claimOne(again), delivered())
  await again.purge(everything)
  await again.close()

  const last = await open()
  await last.bodies.collect()
  expect(segmentFiles()).toEqual([])
})

test('close waits for bodies on their way to the disk', async () => {
  const store = await open()
  const body = mailBody()
  const asked = [accept(store, { body }), accept(store)]
  const closing = store.close()
  await expect(accept(store, { body })).rejects.toMatchObject({ code: 'STORE_CLOSED' })
  await closing
  const [large = '', small = ''] = await Promise.all(asked)
  const again = await open()
  expect(ids(await claimAll(again))).toEqual([large, small])
  await expectBytes(again, new Map([[large, body.inline]]))
})

test('a start finds the rows of segments by an index, however many deliveries there are', async () => {
  await (await open()).close()
  const database = new DatabaseSync(join(folder, 'isthmus.db'))
  const plan = database
    .prepare(
      'explain query plan select segment, count(*), sum(length) from content where segment is not null group by segment',
    )
    .all()
  database.close()
  expect(JSON.stringify(plan)).toContain('COVERING INDEX content_by_segment')
})

/** Files on a disk that takes so many bytes more and then is full. */
function fillingDisk(disk: { isFull: boolean; bytesLeft: number; flushFails?: boolean }): CreateSegment {
  return async file => {
    const handle = await openFile(file, 'wx')
    return {
      async writev(chunks, position) {
        if (!disk.isFull) return handle.writev(chunks, position)
        if (disk.bytesLeft === 0) throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' })
        const whole = Buffer.concat(chunks)
        const { bytesWritten } = await handle.write(whole, 0, Math.min(whole.length, disk.bytesLeft), position)
        disk.bytesLeft -= bytesWritten
        return { bytesWritten }
      },
      async datasync() {
        if (disk.flushFails) throw Object.assign(new Error('EIO: i/o error, fdatasync'), { code: 'EIO' })
        await handle.datasync()
      },
      truncate: bytes => handle.truncate(bytes),
      close: () => handle.close(),
    }
  }
}
