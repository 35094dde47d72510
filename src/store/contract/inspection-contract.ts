import { beforeEach, describe, expect, test } from 'vitest'
import type { Store } from '../port.ts'
import {
  accept,
  claim,
  claimOne,
  delivered,
  ids,
  laterAt,
  receiptOf,
  retryLater,
  type StoreWorld,
  setAside,
  someError,
  startedAt,
  textBody,
} from './store-world.ts'

const minute = 60_000

/** What people see of deliveries. */
export function describeInspection(world: () => StoreWorld): void {
  describe('find, get, counts', () => {
    let store: Store
    beforeEach(() => {
      store = world().store
    })

    test('find looks by flow, state, time and word, newest first', async () => {
      const a = await accept(store, { terms: ['<a@x>', 'DOCNUM 1'], acceptedAt: startedAt })
      const b = await accept(store, { terms: ['<b@x>', 'DOCNUM 1'], acceptedAt: startedAt + minute })
      const c = await accept(store, { flow: 'invoices', terms: ['<a@y>'], acceptedAt: startedAt + 2 * minute })
      await store.finish((await claim(store, { max: 1 }))[0] ?? { id: a, fence: 0 }, setAside())
      const found = async (query: object) => ids(await store.find({ limit: 10, ...query }))
      expect(await found({})).toEqual([c, b, a])
      expect(await found({ flow: 'orders' })).toEqual([b, a])
      expect(await found({ flow: 'nobody' })).toEqual([])
      expect(await found({ state: 'queued' })).toEqual([c, b])
      expect(await found({ flow: 'orders', state: 'set-aside' })).toEqual([a])
      expect(await found({ flow: 'orders', state: 'delivered' })).toEqual([])
      expect(await found({ acceptedFrom: startedAt + minute })).toEqual([c, b])
      expect(await found({ acceptedTo: startedAt + minute })).toEqual([b, a])
      expect(await found({ flow: 'orders', acceptedFrom: startedAt + 1, acceptedTo: startedAt + minute })).toEqual([b])
      expect(await found({ term: 'DOCNUM 1' })).toEqual([b, a])
      expect(await found({ term: '<a*' })).toEqual([c, a])
      expect(await found({ term: '<a*', flow: 'orders', state: 'set-aside' })).toEqual([a])
      expect(await found({ term: '<a' })).toEqual([])
      expect(await found({ term: '<A@x>' })).toEqual([])
      expect(await found({ term: 'DOCNUM 1', acceptedTo: startedAt })).toEqual([a])
      expect(await found({ term: '%' })).toEqual([])
      // Each row says what either side knows it by, whichever way it was found.
      for (const query of [{}, { flow: 'orders' }, { term: '<b@x>' }]) {
        const row = (await store.find({ limit: 10, ...query })).find(({ id }) => id === b)
        expect(row?.terms).toEqual(['<b@x>', 'DOCNUM 1'])
      }
    })

    test('flows are known by name as long as the store lives, also when nothing of them is left', async () => {
      expect(await store.flowNames()).toEqual([])
      await accept(store, {})
      await accept(store, { flow: 'invoices' })
      const [claimed] = await claim(store, { max: 1 })
      if (claimed) await store.finish(claimed, delivered())
      await store.purge({ flow: 'orders', deliveredBefore: laterAt, setAsideBefore: laterAt, max: 10 })
      await world().reopen()
      expect((await world().store.flowNames()).toSorted()).toEqual(['invoices', 'orders'])
      expect(await world().store.counts('orders')).toMatchObject({ accepted: 0 })
    })

    test('a clock that was set back does not hide deliveries from a search by time', async () => {
      const late = await accept(store, { acceptedAt: startedAt + 1000 * minute })
      const early = await accept(store, { acceptedAt: startedAt })
      await world().reopen()
      const find = (acceptedFrom: number, acceptedTo: number) =>
        world().store.find({ acceptedFrom, acceptedTo, limit: 9 })
      expect(ids(await find(startedAt - 1, startedAt + 1))).toEqual([early])
      expect(ids(await find(startedAt + 2, startedAt + 1000 * minute))).toEqual([late])
    })

    test('pages follow each other without a gap and without a repeat', async () => {
      const accepted = await Promise.all(
        Array.from({ length: 25 }, (_, index) => accept(store, { terms: [`t${index % 2}`] })),
      )
      for (const query of [{}, { flow: 'orders' }, { flow: 'orders', state: 'queued' as const }, { term: 't*' }]) {
        const seen: string[] = []
        for (let before: string | undefined; seen.length < 100; before = seen.at(-1)) {
          const page = ids(await store.find({ ...query, before, limit: 10 }))
          if (page.length === 0) break
          seen.push(...page)
        }
        expect(seen).toEqual(accepted.toReversed())
      }
      expect(await store.find({ before: 'nonsense', limit: 10 })).toEqual([])
      expect(await store.find({ limit: 0 })).toEqual([])
    })

    test('a find returns at most 1,000', async () => {
      await Promise.all(Array.from({ length: 1001 }, () => accept(store)))
      expect(await store.find({ flow: 'orders', limit: 5000 })).toHaveLength(1000)
    })

    test('what a flow has set aside is gone through from the oldest on', async () => {
      for (let index = 0; index < 9; index++) await accept(store)
      await accept(store, { flow: 'invoices' })
      const aside: string[] = []
      for (const [index, one] of (await claim(store, { places: { orders: 9, invoices: 9 } })).entries()) {
        if (index % 3 !== 0) await store.finish(one, setAside())
        if (index % 3 !== 0 && one.flow === 'orders') aside.push(one.id)
      }
      expect(aside.length).toBeGreaterThan(4)
      expect(ids(await store.oldestSetAside('orders', undefined, 10))).toEqual(aside)
      expect(ids(await store.oldestSetAside('orders', undefined, 2))).toEqual(aside.slice(0, 2))
      expect(ids(await store.oldestSetAside('orders', aside[1], 2))).toEqual(aside.slice(2, 4))
      expect(await store.oldestSetAside('orders', aside.at(-1), 2)).toEqual([])
      expect(await store.oldestSetAside('nobody', undefined, 2)).toEqual([])
      expect(await store.oldestSetAside('orders', 'nonsense', 2)).toEqual([])
    })

    test('of what is set aside it is told what the other side may have', async () => {
      const intended = receiptOf('to[0]', { state: 'intended' })
      const ends = [
        { before: [], end: [] },
        { before: [intended], end: [] },
        { before: [intended], end: [receiptOf('to[0]')] },
        { before: [intended], end: [receiptOf('to[0]', { state: 'withdrawn' })] },
        { before: [receiptOf('to[0]')], end: [receiptOf('to[1]', { state: 'intended' })] },
        { before: [intended, receiptOf('to[1]')], end: [] },
      ] as const
      for (const { before, end } of ends) {
        await accept(store)
        const claimed = await claimOne(store)
        for (const receipt of before) await store.receipt(claimed, receipt)
        await store.finish(claimed, setAside({ receipts: end }))
      }
      const rows = await store.oldestSetAside('orders', undefined, 10)
      expect(rows.map(row => row.hasIntent)).toEqual([false, true, false, false, true, true])
    })

    test('get shows everything about a delivery', async () => {
      const first = await accept(store)
      const id = await accept(store, {
        orderKey: 'a',
        headers: { subject: 's' },
        attributes: { to: ['x'] },
        body: textBody('the body'),
        terms: ['<1@x>', '<1@x>', ''],
        isProbe: true,
        replayOf: first,
      })
      const detail = await store.get(id)
      expect({ ...detail, body: { ...detail?.body, inline: 0 } }).toEqual({
        id,
        flow: 'orders',
        state: 'queued',
        orderKey: 'a',
        attemptCount: 0,
        acceptedAt: startedAt,
        at: startedAt,
        awaitsChange: false,
        heldBy: undefined,
        summary: undefined,
        error: undefined,
        isProbe: true,
        replayOf: first,
        bytes: 8,
        headers: { subject: 's' },
        attributes: { to: ['x'] },
        body: { bytes: 8, type: 'text/plain', sha256: undefined, inline: 0 },
        original: undefined,
        terms: ['<1@x>'],
        receipts: [],
        attempts: [],
      })
      expect(Buffer.from(detail?.body.inline ?? []).toString()).toBe('the body')
      expect(await store.get('00000000000')).toBeUndefined()
      expect(await store.get('nonsense')).toBeUndefined()
      expect(await store.getAll(['nonsense', id, '00000000000', first])).toEqual([detail, await store.get(first)])
      expect(await store.getAll([])).toEqual([])
    })

    test('the newest 50 failed attempts are kept, oldest first', async () => {
      const id = await accept(store)
      for (let attempt = 1; attempt <= 53; attempt += 1) {
        await store.retry(
          await claimOne(store, { now: startedAt + attempt }),
          retryLater({ at: attempt, dueAt: startedAt }),
        )
      }
      const attempts = (await store.get(id))?.attempts ?? []
      expect(attempts.map(one => one.attempt)).toEqual(Array.from({ length: 50 }, (_, index) => index + 4))
    })

    test('counts follow every change, leave probes out and survive a crash', async () => {
      expect(await store.counts('orders')).toEqual(countsOf({}))
      for (const state of ['delivered', 'dropped', 'rejected', 'set-aside', 'skipped'] as const) {
        await accept(store, { acceptedAt: startedAt + 1 })
        await accept(store, { isProbe: true, acceptedAt: startedAt + 9 })
        for (const claimed of await claim(store)) await store.finish(claimed, delivered({ state }))
      }
      await accept(store, { isProbe: true, acceptedAt: startedAt })
      await accept(store, { acceptedAt: startedAt + 2 })
      await accept(store, { acceptedAt: startedAt + 3 })
      await accept(store, { flow: 'invoices', acceptedAt: startedAt + 4 })
      const expected = countsOf({
        accepted: 7,
        queued: 2,
        delivered: 1,
        dropped: 1,
        rejected: 1,
        setAside: 1,
        skipped: 1,
        oldestQueuedAt: startedAt + 2,
        lastAcceptedAt: startedAt + 3,
      })
      expect(await store.counts('orders')).toEqual(expected)
      await world().crash()
      expect(await world().store.counts('orders')).toEqual(expected)
    })
  })

  describe('requeue and skip', () => {
    let store: Store
    let id: string
    beforeEach(async () => {
      store = world().store
      id = await accept(store, {
        headers: { subject: 'old' },
        attributes: { a: 1 },
        body: textBody('old body'),
        keys: ['k'],
      })
    })

    test('a requeued delivery counts its attempts anew and keeps its history and receipts', async () => {
      const claimed = await claimOne(store)
      await store.receipt(claimed, receiptOf('to[1]', { state: 'intended' }))
      await store.finish(claimed, setAside({ receipts: [receiptOf('to[0]')] }))
      await store.requeue(id, { now: startedAt + minute, forgetIntents: false })
      expect(await store.get(id)).toMatchObject({
        state: 'queued',
        at: startedAt + minute,
        attemptCount: 0,
        summary: undefined,
        error: undefined,
        original: undefined,
        attempts: [{ attempt: 1, error: someError }],
      })
      await world().crash()
      const again = await claimOne(world().store, { now: startedAt + minute })
      expect(again).toMatchObject({ id, attemptCount: 0, acceptedAt: startedAt, since: startedAt + minute })
      expect(again.receipts).toEqual([receiptOf('to[1]', { state: 'intended' }), receiptOf('to[0]')])
      await world().store.receipt(again, receiptOf('to[0]', { summary: 'newer' }))
      expect((await world().store.get(id))?.receipts[1]?.summary).toBe('newer')
    })

    test('how often it was requeued is known to each attempt, and stays known over failures and a crash', async () => {
      for (const times of [0, 1, 2]) {
        await world().store.retry(await claimOne(world().store), retryLater({ dueAt: startedAt }))
        await world().crash()
        const claimed = await claimOne(world().store)
        expect(claimed.requeueCount).toBe(times)
        await world().store.finish(claimed, setAside())
        await world().store.requeue(id, { now: startedAt, forgetIntents: false })
      }
    })

    test('forgetting intents leaves only what is certain', async () => {
      const claimed = await claimOne(store)
      await store.receipt(claimed, receiptOf('to[0]', { state: 'intended' }))
      await store.receipt(claimed, receiptOf('to[1]', { state: 'withdrawn' }))
      const last = [receiptOf('to[2]', { state: 'intended' }), receiptOf('to[3]')]
      await store.finish(claimed, setAside({ receipts: last }))
      await store.requeue(id, { now: startedAt, forgetIntents: true })
      expect((await claimOne(store)).receipts.map(receipt => receipt.effect)).toEqual(['to[1]', 'to[3]'])
    })

    test('a repair replaces headers and body, and keeps what was accepted', async () => {
      await store.finish(await claimOne(store), setAside())
      await store.requeue(id, { now: startedAt, forgetIntents: false, body: textBody('new, longer body') })
      const repaired = await claimOne(store)
      expect(Buffer.from(repaired.body.inline ?? []).toString()).toBe('new, longer body')
      expect(repaired).toMatchObject({ headers: { subject: 'old' }, attributes: { a: 1 }, body: { bytes: 16 } })

      await store.finish(repaired, setAside())
      await store.requeue(id, { now: startedAt, forgetIntents: false, headers: { subject: 'new' } })
      await world().crash()
      const detail = await world().store.get(id)
      expect(detail).toMatchObject({
        headers: { subject: 'new' },
        bytes: 16,
        original: { headers: { subject: 'old' } },
      })
      expect(Buffer.from(detail?.body.inline ?? []).toString()).toBe('new, longer body')
      expect(Buffer.from(detail?.original?.body.inline ?? []).toString()).toBe('old body')
      expect(detail?.original?.body.bytes).toBe(8)
    })

    test('only a set-aside delivery is requeued, and only once', async () => {
      const change = { now: startedAt, forgetIntents: false }
      await expect(store.requeue('00000000000', change)).rejects.toMatchObject({ code: 'STORE_NOT_FOUND' })
      await expect(store.requeue('nonsense', change)).rejects.toMatchObject({ code: 'STORE_NOT_FOUND' })
      await expect(store.requeue(id, change)).rejects.toMatchObject({
        code: 'STORE_NOT_SET_ASIDE',
        fields: { state: 'queued' },
      })
      await store.finish(await claimOne(store), setAside())
      const twice = await Promise.allSettled([store.requeue(id, change), store.requeue(id, change)])
      expect(twice.map(one => one.status)).toEqual(['fulfilled', 'rejected'])
      expect(await claim(store)).toHaveLength(1)
    })

    test('of many those that are set aside are requeued, and once: the others are left alone', async () => {
      const many = [id, ...(await Promise.all([1, 2, 3].map(() => accept(store, { orderKey: 'a' }))))]
      for (let count = 0; count < 2; count++) {
        const [claimed] = await claim(store, { max: 1 })
        const before = [receiptOf('to[0]', { state: 'intended' }), receiptOf('to[1]')]
        for (const receipt of before) if (claimed) await store.receipt(claimed, receipt)
        if (claimed) await store.finish(claimed, setAside({ receipts: [receiptOf('to[2]', { state: 'intended' })] }))
      }
      const asked = ['nonsense', '00000000000', ...many.toReversed(), id]
      const quicker = store.skip(many[3] ?? '', startedAt, 'no')
      const twice = await Promise.all([store.requeueAll(asked, startedAt + minute), store.requeueAll(asked, startedAt)])
      await quicker
      expect(twice).toEqual([many.slice(0, 2), []])
      expect(await store.getAll(many)).toMatchObject([
        {
          id,
          state: 'queued',
          at: startedAt + minute,
          attemptCount: 0,
          error: undefined,
          receipts: [{ effect: 'to[1]' }],
        },
        { state: 'queued', at: startedAt + minute, receipts: [{ effect: 'to[1]' }] },
        { state: 'queued', at: startedAt, receipts: [] },
        { state: 'skipped' },
      ])
      expect(await store.counts('orders')).toMatchObject({ queued: 3, setAside: 0, skipped: 1 })
      // Each in its old place: those of one order key go one after the other, the oldest first.
      for (const wanted of [many.slice(0, 2), many.slice(2, 3)]) {
        const claims = await claim(store)
        expect(ids(claims)).toEqual(wanted)
        for (const claimed of claims) await store.finish(claimed, delivered())
      }
      expect(await store.requeueAll([], startedAt)).toEqual([])
      await world().crash()
      expect(await claim(world().store, { now: laterAt })).toEqual([])
    })

    test('of many those that are set aside are skipped; what they held goes on', async () => {
      const held = await Promise.all([1, 2].map(() => accept(store, { orderKey: 'a' })))
      for (const claimed of await claim(store)) await store.finish(claimed, setAside())
      const probe = await accept(store, { isProbe: true })
      expect(await claim(store, { max: 1 })).toMatchObject([{ id: probe }])
      const asked = [probe, ...held, id, 'nonsense', id]
      const twice = await Promise.all([
        store.skipAll(asked, startedAt + minute, 'no orders'),
        store.skipAll(asked, startedAt, 'no'),
      ])
      expect(twice).toEqual([[id, held[0]], []])
      expect(await store.getAll([id, ...held])).toMatchObject([
        { state: 'skipped', at: startedAt + minute, summary: 'no orders' },
        { state: 'skipped' },
        { state: 'queued' },
      ])
      expect(ids(await claim(store))).toEqual([held[1]])
      await world().crash()
      expect(await world().store.counts('orders')).toMatchObject({ queued: 1, setAside: 0, skipped: 2 })
    })

    test('skip ends what is queued, waiting or set aside, with its reason', async () => {
      await store.skip(id, startedAt + 1, 'sent by hand')
      expect(await store.get(id)).toMatchObject({ state: 'skipped', at: startedAt + 1, summary: 'sent by hand' })
      const waiting = await accept(store)
      await store.retry(await claimOne(store), retryLater())
      await store.skip(waiting, startedAt, 'no')
      const aside = await accept(store)
      await store.finish(await claimOne(store), setAside())
      await store.skip(aside, startedAt, 'no')
      expect(await claim(store, { now: laterAt })).toEqual([])
      await world().crash()
      expect(await claim(world().store, { now: laterAt })).toEqual([])
      expect(await world().store.counts('orders')).toMatchObject({ queued: 0, setAside: 0, skipped: 3 })
    })

    test('skip refuses what runs, what has ended and what is unknown', async () => {
      const claimed = await claimOne(store)
      await expect(store.skip(id, startedAt, 'no')).rejects.toMatchObject({ code: 'STORE_RUNNING' })
      await store.finish(claimed, delivered())
      await expect(store.skip(id, startedAt, 'no')).rejects.toMatchObject({ code: 'STORE_FINISHED' })
      await expect(store.skip('00000000000', startedAt, 'no')).rejects.toMatchObject({ code: 'STORE_NOT_FOUND' })
      expect(await store.get(id)).toMatchObject({ state: 'delivered', summary: '250 Ok' })
    })
  })
}

function countsOf(some: Partial<Awaited<ReturnType<Store['counts']>>>): Awaited<ReturnType<Store['counts']>> {
  return {
    accepted: 0,
    queued: 0,
    delivered: 0,
    dropped: 0,
    rejected: 0,
    setAside: 0,
    skipped: 0,
    oldestQueuedAt: undefined,
    lastAcceptedAt: undefined,
    ...some,
  }
}
