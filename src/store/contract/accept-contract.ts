import { beforeEach, describe, expect, test } from 'vitest'
import type { Claimed, Store } from '../port.ts'
import {
  accept,
  claim,
  claimOne,
  claimWithDue,
  delivered,
  ids,
  newDelivery,
  type StoreWorld,
  startedAt,
  textBody,
} from './store-world.ts'

/** What accepting promises: durable, once, in the order of acceptance. */
export function describeAccept(world: () => StoreWorld): void {
  describe('accept', () => {
    let store: Store
    beforeEach(() => {
      store = world().store
    })

    test('what was accepted is claimed as it was', async () => {
      const id = await accept(store, {
        orderKey: 'customer 7',
        headers: { 'message-id': '<1@x>', subject: 'Bestellung ü' },
        attributes: { to: ['a@x', 'b@x'], size: 3, nested: { is: true, nothing: null } },
        body: textBody('the very bytes'),
        acceptedAt: startedAt - 1000,
        isProbe: true,
      })
      const claimed = await claimOne(store)
      expect(claimed).toEqual({
        id,
        fence: expect.any(Number),
        flow: 'orders',
        orderKey: 'customer 7',
        attemptCount: 0,
        requeueCount: 0,
        acceptedAt: startedAt - 1000,
        since: startedAt - 1000,
        isProbe: true,
        headers: { 'message-id': '<1@x>', subject: 'Bestellung ü' },
        attributes: { to: ['a@x', 'b@x'], size: 3, nested: { is: true, nothing: null } },
        body: expect.objectContaining({ bytes: 14, type: 'text/plain' }),
        receipts: [],
      })
      expect(Buffer.from(claimed.body.inline ?? []).toString()).toBe('the very bytes')
    })

    test('after a crash it is claimed the same way, read back from the disk', async () => {
      const wish = { headers: { a: 'ä' }, attributes: { n: 1 }, body: textBody('bytes \u0000 and more'), orderKey: 'k' }
      await accept(store, wish)
      const before = await claimOne(store)
      await world().crash()
      const after = await claimOne(world().store)
      expect({ ...after, fence: 0, body: { ...after.body, inline: 0 } }).toEqual({
        ...before,
        fence: 0,
        body: { ...before.body, inline: 0 },
      })
      expect(Buffer.from(after.body.inline ?? [])).toEqual(Buffer.from(before.body.inline ?? []))
      expect(after.fence).toBeGreaterThan(before.fence)
    })

    test('every acknowledged acceptance survives a crash, also of many at the same time', async () => {
      const accepted = await Promise.all(Array.from({ length: 700 }, () => accept(store)))
      await world().crash()
      expect(ids(await claim(world().store, { max: 1000, places: { orders: 1000 } }))).toEqual(accepted)
    })

    test('ids rise in the order of acceptance, over crashes and with a clock that goes back', async () => {
      const first = await accept(store, { acceptedAt: startedAt })
      const second = await accept(store, { acceptedAt: startedAt - 3_600_000 })
      await world().crash()
      const third = await accept(world().store, { acceptedAt: startedAt - 7_200_000 })
      expect([first, second, third].toSorted()).toEqual([first, second, third])
      expect(new Set([first, second, third]).size).toBe(3)
    })

    test('a known key stores nothing and answers with the earlier id', async () => {
      const first = await store.accept(newDelivery({ keys: ['<1@x>'], body: textBody('first') }))
      const again = await store.accept(newDelivery({ keys: ['<1@x>'], body: textBody('second') }))
      expect(again).toEqual({ id: first.id, duplicate: true })
      expect((await store.counts('orders')).accepted).toBe(1)
    })

    test('of two with the same key at the same time one is a duplicate', async () => {
      const both = await Promise.all([1, 2].map(() => store.accept(newDelivery({ keys: ['<1@x>'] }))))
      expect(both.map(one => one.duplicate)).toEqual([false, true])
      expect(new Set(ids(both)).size).toBe(1)
    })

    test('several that are taken in together have the order of the list, each once, and are there after a crash', async () => {
      const known = await accept(store, { keys: ['a'] })
      await store.finish(await claimOne(store), delivered())
      const sizes = [20_000, 5, 5, 100_000, 5]
      const keys = ['b', 'a', 'b', 'c', 'd']
      const group = keys.map((key, index) =>
        newDelivery({ keys: [key], orderKey: 'k', body: textBody('x'.repeat(sizes[index] ?? 0)) }),
      )
      const accepted = await store.acceptAll('orders', group)
      expect(accepted.map(({ duplicate }) => duplicate)).toEqual([false, true, true, false, false])
      expect([accepted[1]?.id, accepted[2]?.id]).toEqual([known, accepted[0]?.id])
      expect(await store.acceptAll('orders', [])).toEqual([])
      await world().crash()
      const claimed: Claimed[] = []
      for (let count = 0; count < 3; count++) {
        const next = await claimOne(world().store)
        claimed.push(next)
        await world().store.finish(next, delivered())
      }
      expect(ids(claimed)).toEqual([accepted[0]?.id, accepted[3]?.id, accepted[4]?.id])
      expect(claimed.map(({ body }) => body.inline?.length)).toEqual([20_000, 100_000, 5])
    })

    test('one that cannot be written keeps out all that are taken in together with it, and no other', async () => {
      const unwritable = { attributes: { number: 1n as unknown as number } }
      const group = [{}, { body: textBody('x'.repeat(20_000)) }, unwritable, {}].map(newDelivery)
      const ends = await Promise.allSettled([
        store.accept(newDelivery()),
        store.acceptAll('orders', group),
        store.accept(newDelivery()),
      ])
      expect(ends.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
      expect((await store.counts('orders')).accepted).toBe(2)
      expect(await claim(store, { max: 9, places: { orders: 9 } })).toHaveLength(2)
    })

    test('one known key of several refuses, and the others are not remembered', async () => {
      const first = await accept(store, { keys: ['a', 'b'] })
      expect(await store.accept(newDelivery({ keys: ['c', 'b'] }))).toEqual({ id: first, duplicate: true })
      expect(await store.accept(newDelivery({ keys: ['c', 'd'] }))).toMatchObject({ duplicate: false })
    })

    test('keys belong to their flow', async () => {
      await accept(store, { keys: ['a'] })
      expect(await store.accept(newDelivery({ flow: 'invoices', keys: ['a'] }))).toMatchObject({ duplicate: false })
    })

    test('a key is known after its delivery has ended and after a crash', async () => {
      const id = await accept(store, { keys: ['a'] })
      await store.finish(await claimOne(store), delivered())
      await world().crash()
      expect(await world().store.accept(newDelivery({ keys: ['a'] }))).toEqual({ id, duplicate: true })
    })

    test('remembered keys refuse later deliveries but not their own', async () => {
      await accept(store, { keys: ['a'] })
      const second = await store.accept(newDelivery({ keys: ['b'], remember: ['a', 'pair'] }))
      expect(second.duplicate).toBe(false)
      expect(await store.accept(newDelivery({ keys: ['pair'] }))).toEqual({ id: second.id, duplicate: true })
      expect(await store.accept(newDelivery({ keys: [], remember: ['pair'] }))).toMatchObject({ duplicate: false })
    })

    test.each([
      ['with more letters than a row should carry', 'x'.repeat(5000)],
      ['of letters outside ASCII', 'Bestellung-für-Ærøskøbing-'.repeat(9)],
      ['with a zero byte', 'a\u0000b'],
      ['that looks like SQL', `'; drop table delivery; --`],
      ['that is empty', ''],
    ])('a key %s is told apart from its neighbour', async (_name, key) => {
      const first = await store.accept(newDelivery({ keys: [key] }))
      expect(await store.accept(newDelivery({ keys: [`${key}!`] }))).toMatchObject({ duplicate: false })
      expect(await store.accept(newDelivery({ keys: [key] }))).toEqual({ id: first.id, duplicate: true })
      expect((await store.known('orders', [key])).get(key)).toEqual({ id: first.id, state: 'queued', isHeld: false })
    })

    test('one that is due later waits until then, and keeps its place in its order key', async () => {
      const late = await accept(store, { orderKey: 'k', dueAt: startedAt + 5000 })
      const next = await accept(store, { orderKey: 'k' })
      const other = await accept(store)
      const { deliveries, nextDueAt } = await claimWithDue(store)
      expect([ids(deliveries), nextDueAt]).toEqual([[other], startedAt + 5000])
      expect(await claim(store, { now: startedAt + 4999 })).toEqual([])
      const claimed = await claimOne(store, { now: startedAt + 5000 })
      expect(claimed).toMatchObject({ id: late, acceptedAt: startedAt, attemptCount: 0 })
      await store.finish(claimed, delivered())
      expect((await claimOne(store, { now: startedAt + 5000 })).id).toBe(next)
    })

    test('known tells the state of deliveries by their keys', async () => {
      const [ended, waiting] = [await accept(store, { keys: ['a', 'a2'] }), await accept(store, { keys: ['b'] })]
      await store.finish((await claim(store, { max: 1 }))[0] ?? fail(), delivered({ state: 'rejected' }))
      expect(await store.known('orders', ['a', 'a2', 'b', 'c'])).toEqual(
        new Map([
          ['a', { id: ended, state: 'rejected', isHeld: false }],
          ['a2', { id: ended, state: 'rejected', isHeld: false }],
          ['b', { id: waiting, state: 'queued', isHeld: false }],
        ]),
      )
      expect(await store.known('invoices', ['a'])).toEqual(new Map())
    })
  })
}

function fail(): never {
  throw new Error('nothing was claimed')
}
