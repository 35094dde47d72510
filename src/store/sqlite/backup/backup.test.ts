import { createHash } from 'node:crypto'
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import {
  accept,
  claim,
  claimOne,
  delivered,
  readAll,
  receiptOf,
  replayInTurn,
  retryLater,
  setAside,
  startedAt,
} from '../../contract/store-world.ts'
import { lifeRecord } from '../../life-record.ts'
import type { Store } from '../../port.ts'
import { holdBodies, lockFolder } from '../lock.ts'
import { openSqliteStore } from '../open.ts'
import { type BackupRequest, backUp } from './back-up.ts'
import { type RestoreRequest, restore, verify } from './restore.ts'

// One body in the row, one in a segment, one in a file of its own.
const bodyBytes = [300, 30_000, 90_000] as const
const limits = { inlineBytes: 64_000, segmentBytes: 400_000 }
const now = startedAt + 60_000

let root: string
let data: string
let target: string
let second: string
let opened: Store[]

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'isthmus-backup-'))
  data = join(root, 'data')
  target = join(root, 'monday')
  second = join(root, 'second')
  opened = []
})
afterEach(async () => {
  for (const store of opened) await store.close()
  rmSync(root, { recursive: true })
})

async function open(folder = data): Promise<Store> {
  const store = await openSqliteStore({ folder, limits })
  opened.push(store)
  return store
}

async function closeAll(): Promise<void> {
  for (const store of opened.splice(0)) await store.close()
}

const never = new AbortController().signal

const backUpTo = (changes: Partial<BackupRequest> = {}) =>
  backUp({ folder: data, target, books: [], signal: never, onProgress: () => {}, ...changes })

const restoreTo = (changes: Partial<RestoreRequest> = {}) =>
  restore({
    backup: target,
    folder: second,
    who: 'anna@hub',
    now,
    deliverWaiting: false,
    switches: [{ area: 'organization', field: 'rests' }],
    signal: never,
    onProgress: () => {},
    ...changes,
  })

const verifyIt = () => verify({ backup: target, signal: never, onProgress: () => {} })

function contentOf(number: number): Buffer {
  return Buffer.alloc(bodyBytes[number % 3] ?? 0, `content of ${number} `)
}

async function acceptNumbered(store: Store, number: number, changes: Parameters<typeof accept>[1] = {}) {
  const body = await store.bodies.write(contentOf(number), { type: 'text/plain', bytesMax: 1e6, hash: false })
  return accept(store, { body, headers: { number: String(number) }, ...changes })
}

async function expectContent(store: Store, id: string): Promise<void> {
  const detail = await store.get(id)
  if (!detail) throw new Error(`${id} is not there`)
  const content = await readAll(store.bodies.read(detail.body))
  expect(content.equals(contentOf(Number(detail.headers['number'])))).toBe(true)
}

/** Every file of a folder, by its path. */
function filesOf(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(each => each.isFile())
    .map(each => join(each.parentPath, each.name))
}

test('a store comes back with all that it held, and what waited is set aside, holding its order key', async () => {
  const store = await open()
  const ids: string[] = []
  for (let number = 0; number < 12; number++) {
    ids.push(await acceptNumbered(store, number, { keys: [`key ${number}`], orderKey: `order ${number % 2}` }))
  }
  const [first] = await claim(store)
  if (!first) throw new Error('nothing to claim')
  await store.finish(first, delivered())
  const next = await claimOne(store, { max: 1 })
  await store.receipt(next, receiptOf('to[0]', { state: 'intended' }))
  await store.retry(next, retryLater({ awaitsChange: true }))
  const probe = await accept(store, { isProbe: true })
  await store.write('credential', 'm365', { secret: 'sealed' })
  for (const [id, rests] of Object.entries({ contoso: false, alpine: false, fabrikam: true })) {
    await store.write('organization', id, { about: 'ü', rests })
  }
  await store.audit({ at: 1, who: 'admin', action: 'one', detail: {} })
  await store.rewrite({ map: 'materials', key: 'M-1', value: { guid: 'g' }, at: 5 })

  const manifest = await backUpTo()
  expect(manifest).toMatchObject({ waiting: 11, damaged: 0 })
  expect(await verifyIt()).toEqual({ manifest, damaged: [] })
  for (const file of filesOf(target)) expect(statSync(file).mode & 0o077).toBe(0)
  await closeAll()

  expect(await restoreTo()).toEqual({ manifest, setAside: 11, paused: ['alpine', 'contoso'] })
  const restored = await open(second)
  for (const id of ids) await expectContent(restored, id)
  expect(await restored.counts('orders')).toMatchObject({ accepted: 12, queued: 0, delivered: 1, setAside: 11 })
  const about = await restored.get(ids[3] ?? '')
  expect(about).toMatchObject({ state: 'set-aside', at: now, error: { code: 'STORE_RESTORED', side: 'hub' } })
  expect(about?.error?.next).toContain(ids[3])
  expect((await restored.get(next.id))?.receipts).toMatchObject([{ effect: 'to[0]', state: 'intended' }])
  // A probe carries nothing.
  expect((await restored.get(probe))?.state).toBe('queued')
  expect(await restored.read('credential', 'm365')).toMatchObject({ value: { secret: 'sealed' } })
  expect(await restored.list('organization')).toEqual([
    { id: 'alpine', value: { about: 'ü', rests: true }, revision: 2 },
    { id: 'contoso', value: { about: 'ü', rests: true }, revision: 2 },
    { id: 'fabrikam', value: { about: 'ü', rests: true }, revision: 1 },
  ])
  expect(await restored.recall('materials', 'M-1')).toMatchObject({ value: { guid: 'g' } })
  expect(await restored.auditLog({ limit: 5 })).toMatchObject([
    { who: 'anna@hub', action: 'store.restore', detail: { setAside: 11, paused: ['alpine', 'contoso'] } },
    { action: 'one' },
  ])
  expect(await restored.auditBreak()).toBeUndefined()

  // What is new does not overtake what is in doubt of its key; each goes when its turn has come.
  const later = await acceptNumbered(restored, 30, { orderKey: 'order 1', acceptedAt: now })
  expect((await claim(restored, { now })).map(({ id }) => id)).toEqual([probe])
  const odd = ids.filter((_, index) => index % 2 === 1)
  expect(await replayInTurn(restored, odd, now)).toEqual(odd)
  expect((await claimOne(restored, { now })).id).toBe(later)
})

test('where no hub has worked since, what waited goes on', async () => {
  const store = await open()
  const id = await acceptNumbered(store, 1)
  await store.write('organization', 'contoso', { rests: false })
  await backUpTo()
  expect(await restoreTo({ deliverWaiting: true })).toMatchObject({ setAside: 0, paused: [] })
  const restored = await open(second)
  expect(await claimOne(restored, { now })).toMatchObject({ id })
  expect(await restored.auditLog({ limit: 1 })).toMatchObject([{ action: 'store.restore', detail: { setAside: 0 } }])
})

test('of a hub that worked when it was backed up nobody says that it died', async () => {
  const store = await open()
  await store.write(lifeRecord.area, lifeRecord.id, { v: 1, underWay: {} })
  await backUpTo()
  await restoreTo()
  expect(await (await open(second)).read(lifeRecord.area, lifeRecord.id)).toBeUndefined()
})

test('a backup beside those who accept, deliver, purge and clear up holds all that waits, byte by byte', {
  timeout: 60_000,
}, async () => {
  const store = await open()
  const over = new AbortController()
  let number = 0
  const accepting = async () => {
    while (!over.signal.aborted) {
      await acceptNumbered(store, number++)
      await sleep(2)
    }
  }
  const delivering = async () => {
    for (let round = 0; !over.signal.aborted; round++) {
      const claimed = await claim(store, { max: 8 })
      await Promise.all(claimed.slice(1).map(one => store.finish(one, delivered())))
      const [left] = claimed
      if (left) await store.finish(left, number % 3 === 0 ? setAside() : delivered())
      await store.purge({ flow: 'orders', deliveredBefore: startedAt + 1e9, setAsideBefore: 0, max: 50 })
      if (round % 20 === 0) await store.bodies.collect()
      await sleep(2)
    }
  }
  const working = [accepting(), accepting(), accepting(), accepting(), delivering()]
  try {
    for (let round = 0; round < 4; round++) {
      await sleep(100)
      target = join(root, `backup ${round}`)
      second = join(root, `second ${round}`)
      expect((await backUpTo()).damaged).toBe(0)
      const { setAside: waited } = await restoreTo()
      const restored = await open(second)
      const rows = await restored.find({ limit: 1000 })
      expect(rows.length).toBeGreaterThan(0)
      for (const { id } of rows) await expectContent(restored, id)
      expect(rows.filter(({ error }) => error?.code === 'STORE_RESTORED').length).toBe(Math.min(waited, 1000))
      await restored.close()
      opened.pop()
    }
  } finally {
    over.abort()
    await Promise.all(working)
  }
  expect(number).toBeGreaterThan(100)
})

test('bodies that nobody needs any more stay while a backup copies them, and go after it', async () => {
  const store = await open()
  await acceptNumbered(store, 2)
  await store.finish(await claimOne(store), delivered())
  await store.purge({ flow: 'orders', deliveredBefore: now * 2, setAsideBefore: 0, max: 50 })
  const letGo = holdBodies(data)
  expect(await store.bodies.collect()).toBe(0)
  letGo?.()
  expect(await store.bodies.collect()).toBe(1)
})

test('the books of others come along as of the same moment', async () => {
  await open()
  mkdirSync(join(data, 'groupware'))
  const book = new DatabaseSync(join(data, 'groupware/links.sqlite'))
  book.exec(`pragma journal_mode = wal; create table link (a text) strict; insert into link values ('kept')`)
  await backUpTo({ books: ['groupware/links.sqlite', 'groupware/log.sqlite'] })
  book.close()
  await restoreTo()
  const restored = new DatabaseSync(join(second, 'groupware/links.sqlite'))
  expect(restored.prepare('select a from link').get()).toEqual({ a: 'kept' })
  restored.close()
})

test('what is ended leaves nothing, what was killed is no backup, and neither is in the way of the next', async () => {
  const store = await open()
  await acceptNumbered(store, 2)
  const ending = new AbortController()
  const onProgress = (_bytes: number, path: string) => {
    if (path.startsWith('bodies')) ending.abort('SIGINT')
  }
  await expect(backUpTo({ signal: ending.signal, onProgress })).rejects.toBe('SIGINT')
  expect(readdirSync(root)).toEqual(['data'])

  mkdirSync(`${target}.unfinished`)
  writeFileSync(join(`${target}.unfinished`, 'isthmus.db'), 'not ours')
  await expect(backUpTo()).rejects.toMatchObject({ code: 'STORE_BACKUP_THERE' })
  writeFileSync(join(`${target}.unfinished`, 'files.sha256'), '')
  await expect(verify({ backup: `${target}.unfinished`, signal: never, onProgress: () => {} })).rejects.toMatchObject({
    code: 'STORE_BACKUP_DAMAGED',
  })
  await backUpTo()
  expect(readdirSync(root).toSorted()).toEqual(['data', 'monday'])
  await expect(backUpTo()).rejects.toMatchObject({ code: 'STORE_BACKUP_THERE' })
  expect(await verifyIt()).toMatchObject({ damaged: [] })
})

test('a file that is called like an unfinished backup stays', async () => {
  await open()
  writeFileSync(`${target}.unfinished`, 'not ours')
  await expect(backUpTo()).rejects.toMatchObject({ code: 'STORE_BACKUP_NOT_WRITTEN' })
  expect(readFileSync(`${target}.unfinished`, 'utf8')).toBe('not ours')
})

test('a place that is not there, and a folder without a store, are told as such', async () => {
  await expect(backUpTo()).rejects.toMatchObject({ code: 'STORE_NOT_EMBEDDED' })
  await open()
  await expect(backUpTo({ target: join(root, 'no/such/place') })).rejects.toMatchObject({
    code: 'STORE_BACKUP_NOT_WRITTEN',
  })
})

test('a database with a damaged page is not passed on as a backup', async () => {
  const store = await open()
  for (let number = 0; number < 300; number++) await acceptNumbered(store, number * 3)
  await closeAll()
  const database = openSync(join(data, 'isthmus.db'), 'r+')
  writeSync(database, Buffer.alloc(3 * 8192, 0xa5), 0, 3 * 8192, 20 * 8192)
  closeSync(database)
  await expect(backUpTo()).rejects.toMatchObject({ code: 'STORE_DAMAGED' })
  expect(readdirSync(root)).toEqual(['data'])
})

test('bodies that were lost before are counted, and the rest comes back', async () => {
  const store = await open()
  const ids = [await acceptNumbered(store, 0), await acceptNumbered(store, 1), await acceptNumbered(store, 2)]
  await acceptNumbered(store, 4)
  await closeAll()
  const [large = ''] = filesOf(join(data, 'bodies')).filter(file => !file.endsWith('.seg'))
  const [segment = ''] = filesOf(join(data, 'bodies/segments'))
  rmSync(large)
  truncateSync(segment, statSync(segment).size - 1)
  expect(await backUpTo()).toMatchObject({ damaged: 2 })
  await restoreTo()
  const restored = await open(second)
  await expectContent(restored, ids[0] ?? '')
  await expectContent(restored, ids[1] ?? '')
  const lost = await restored.get(ids[2] ?? '')
  if (!lost) throw new Error('it is not there')
  await expect(readAll(restored.bodies.read(lost.body))).rejects.toMatchObject({ code: 'STORE_BODY_MISSING' })
})

test('whatever is changed, cut off or gone in a backup: it is not restored, and nothing of it stays', async () => {
  const store = await open()
  for (let number = 0; number < 6; number++) await acceptNumbered(store, number)
  await backUpTo()
  const damages: readonly ((file: string) => void)[] = [
    file => rmSync(file),
    file => truncateSync(file, statSync(file).size - 1),
    file => {
      const content = readFileSync(file)
      const at = content.length >> 1
      content.writeUInt8((content[at] ?? 0) ^ 1, at)
      writeFileSync(file, content)
    },
  ]
  for (const file of filesOf(target)) {
    const before = readFileSync(file)
    for (const damage of damages) {
      damage(file)
      const refused = await restoreTo().catch((thrown: unknown) => thrown)
      // One bit of the manifest may be in what it only tells.
      if (refused instanceof Error || !file.endsWith('backup.json')) {
        expect(refused).toMatchObject({ code: 'STORE_BACKUP_DAMAGED' })
        expect(existsSync(second) ? readdirSync(second).filter(name => !name.startsWith('store.')) : []).toEqual([])
        const found = await verifyIt().catch((thrown: unknown) => thrown)
        if (!(found instanceof Error)) expect(found).toMatchObject({ damaged: [file.slice(target.length + 1)] })
      }
      rmSync(second, { recursive: true, force: true })
      writeFileSync(file, before)
    }
  }
  await restoreTo()
})

test('a list that leads out of the backup is refused', async () => {
  await open()
  await backUpTo()
  const list = join(target, 'files.sha256')
  const wrong = readFileSync(list, 'utf8').replace('isthmus.db', '../../etc/passwd')
  writeFileSync(list, wrong)
  const manifest = JSON.parse(readFileSync(join(target, 'backup.json'), 'utf8')) as object
  const sha256 = createHash('sha256').update(wrong).digest('hex')
  writeFileSync(join(target, 'backup.json'), JSON.stringify({ ...manifest, sha256 }))
  await expect(restoreTo()).rejects.toMatchObject({ code: 'STORE_BACKUP_DAMAGED' })
})

test('nothing is restored over a store, or beside a hub, and a hub does not start on the half of a restore', async () => {
  const store = await open()
  const id = await acceptNumbered(store, 2)
  await backUpTo()
  await expect(restoreTo({ folder: data })).rejects.toMatchObject({ code: 'STORE_LOCKED' })
  await closeAll()
  await expect(restoreTo({ folder: data })).rejects.toMatchObject({ code: 'STORE_FOLDER_TAKEN' })
  mkdirSync(second)
  const unlock = lockFolder(second)
  await expect(restoreTo()).rejects.toMatchObject({ code: 'STORE_LOCKED' })
  unlock()
  // Killed in its midst.
  writeFileSync(join(second, 'isthmus.db.restoring'), '')
  mkdirSync(join(second, 'bodies'))
  writeFileSync(join(second, 'bodies/some'), 'half')
  await expect(openSqliteStore({ folder: second })).rejects.toMatchObject({ code: 'STORE_RESTORE_UNFINISHED' })
  await restoreTo()
  await expectContent(await open(second), id)
  expect(existsSync(join(second, 'bodies/some'))).toBe(false)
})
