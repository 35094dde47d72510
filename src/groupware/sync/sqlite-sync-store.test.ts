import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openSyncStore } from './sqlite-sync-store.ts'
import type { Link, ScopeKey, SyncStore } from './sync-store.ts'

const scope: ScopeKey = { organization: 'x', mailbox: 'a@x.example', kind: 'appointment' }
const other: ScopeKey = { ...scope, mailbox: 'b@x.example' }

function link(number: number, fields: Partial<Link> = {}): Link {
  return {
    key: `L${String(number).padStart(4, '0')}`,
    exchange: { id: `A${number}`, version: '1', identity: `U${number}` },
    crm: { id: `B${number}`, version: 'W/"1"', identity: null },
    base: { subject: 'abc' },
    pending: { exchange: {}, crm: {} },
    isDirty: false,
    role: 'lead',
    held: undefined,
    ...fields,
  }
}

let folder = ''
let store: SyncStore
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'isthmus-sync-'))
  store = openSyncStore({ file: join(folder, 'groupware.db') })
})
afterEach(async () => {
  await store.close()
  rmSync(folder, { recursive: true, force: true })
})

async function reopen(): Promise<void> {
  await store.close()
  store = openSyncStore({ file: join(folder, 'groupware.db') })
}

test('what was written is there after a restart, all of it as it was', async () => {
  const pending = { exchange: { subject: ['abc', 'def'] }, crm: {} }
  const links = [
    link(1),
    link(2, { pending, isDirty: true }),
    link(3, { held: { side: 'crm', at: 6 }, role: 'follower', saidInCrm: ['subject'] }),
  ]
  const { exchange: source } = link(4)
  const intent = { key: 'crm A4', to: 'crm', source, mark: 'U4', base: { subject: 'x' }, at: 5 } as const
  const ghost = { side: 'crm', id: 'B9', version: null, reason: 'released', at: 7 } as const
  const error = { code: 'X', side: 'receiver', message: 'No.', next: 'Ask.' }
  const waiting = {
    side: 'exchange',
    id: 'A8',
    version: '3',
    attemptCount: 2,
    dueAt: 90,
    at: 8,
    error,
    isWanted: true,
  } as const
  const tokens = { exchange: 'state', crm: '2026-11-23T08:00:00Z' }
  await store.write(scope, {
    putLinks: links,
    putIntents: [intent],
    putUnseen: [{ side: 'exchange', id: 'A1', at: 9 }],
    putGhosts: [ghost],
    putWaiting: [waiting],
    state: { tokens, firstRoundAt: 10.4 },
  })
  await reopen()
  expect(await store.findLinks(scope, 'exchange', ['A1', 'A2', 'A3', 'A7'])).toEqual(links)
  expect(await store.openLinks(scope, 'dirty')).toEqual([links[1]])
  expect(await store.openLinks(scope, 'held')).toEqual([links[2]])
  expect(await store.unseen(scope)).toEqual([{ side: 'exchange', id: 'A1', at: 9 }])
  expect(await store.intents(scope)).toEqual([intent])
  expect(await store.findGhosts(scope, 'crm', ['B9', 'B8'])).toEqual([ghost])
  expect(await store.findWaiting(scope, 'exchange', ['A8'])).toEqual([waiting])
  expect(await store.readScope(scope)).toMatchObject({ tokens, firstRoundAt: 10, isBrakeReleased: false })
})

test('a write that cannot be done as a whole is not done at all, and the others beside it are', async () => {
  await store.write(scope, { putLinks: [link(1)] })
  // Another link to the same item of the mailbox.
  const clash = store.write(scope, {
    dropLinks: ['L0001'],
    putLinks: [link(2), link(3, { exchange: link(2).exchange })],
  })
  const beside = store.write(scope, { putLinks: [link(5)] })
  await expect(clash).rejects.toThrow()
  await beside
  expect((await store.listPairs(scope, undefined, 10)).map(pair => pair.key)).toEqual(['L0001', 'L0005'])
})

test('links are found by either id, by identity and page by page, however many they are', async () => {
  await store.write(scope, { putLinks: Array.from({ length: 250 }, (_, number) => link(number)) })
  const ids = Array.from({ length: 100 }, (_, number) => `B${number * 2}`)
  expect(await store.findLinks(scope, 'crm', ids)).toHaveLength(100)
  expect(await store.findLinks(scope, 'crm', ['B7', 'B7'])).toHaveLength(1)
  expect((await store.findByIdentity(scope, ['U8', 'none'])).map(found => found.key)).toEqual(['L0008'])
  const first = await store.listPairs(scope, undefined, 200)
  const second = await store.listPairs(scope, first.at(-1)?.key, 200)
  expect([first.length, second.length]).toEqual([200, 50])
  expect(await store.countLinks(scope)).toBe(250)
})

test('mailboxes do not see each other, but know who leads an item of the CRM', async () => {
  await store.write(scope, { putLinks: [link(1)] })
  await store.write(other, { putLinks: [link(1)] })
  expect(await store.linksElsewhere(other, ['B1', 'B2'])).toEqual([
    { mailbox: 'a@x.example', key: 'L0001', crmId: 'B1', role: 'lead' },
  ])
  await store.write(other, { demote: [{ mailbox: 'a@x.example', key: 'L0001' }] })
  expect((await store.findLinks(scope, 'crm', ['B1']))[0]?.role).toBe('follower')
  expect((await store.findLinks(other, 'crm', ['B1']))[0]?.role).toBe('lead')
  await store.forget(scope)
  expect(await store.countLinks(scope)).toBe(0)
  expect(await store.countLinks(other)).toBe(1)
})

test('after a restart it is known in which mailboxes something is left to be done, and from when on', async () => {
  const waiting = {
    side: 'crm',
    version: undefined,
    attemptCount: 1,
    at: 5,
    error: undefined,
    isWanted: false,
  } as const
  const later = { ...waiting, id: 'B1', dueAt: 900 }
  await store.write(scope, {
    putWaiting: [later, { ...later, id: 'B2', dueAt: 400 }, { ...later, id: 'B3', dueAt: undefined }],
  })
  await store.write(other, { begins: true })
  await store.write({ ...other, kind: 'task' }, { putWaiting: [later] })
  await store.write({ ...scope, mailbox: 'c@x.example' }, { state: { firstRoundAt: 10 } })
  await reopen()
  expect(await store.openWork()).toEqual([
    { organization: 'x', mailbox: 'a@x.example', dueAt: 400 },
    { organization: 'x', mailbox: 'b@x.example', dueAt: 0 },
  ])
  await store.write(other, { state: { isUnderWay: false } })
  await store.forget(scope)
  expect(await store.openWork()).toEqual([{ organization: 'x', mailbox: 'b@x.example', dueAt: 900 }])
})

test('ghosts of deletions go with time, those of people who parted two items stay', async () => {
  const ghosts = [
    { side: 'crm', id: 'old', version: '1', reason: 'deleted', at: 1 },
    { side: 'crm', id: 'new', version: '1', reason: 'deleted', at: 100 },
    { side: 'crm', id: 'kept', version: null, reason: 'released', at: 1 },
  ] as const
  await store.write(scope, { putGhosts: ghosts })
  expect(await store.purgeGhosts(50)).toBe(1)
  expect((await store.findGhosts(scope, 'crm', ['old', 'new', 'kept'])).map(ghost => ghost.id).toSorted()).toEqual([
    'kept',
    'new',
  ])
})

test('a store of a newer program is left alone', async () => {
  await store.close()
  store = openSyncStore({ file: ':memory:' })
  const database = new DatabaseSync(join(folder, 'groupware.db'))
  database.exec('pragma user_version = 99')
  database.close()
  expect(() => openSyncStore({ file: join(folder, 'groupware.db') })).toThrow(/schema version 99/)
})
