import { describe, expect, test } from 'vitest'
import {
  accept,
  claim,
  claimOne,
  delivered,
  ids,
  newDelivery,
  receiptOf,
  type StoreWorld,
  setAside,
  startedAt,
} from './store-world.ts'

/** What retention deletes, and what it leaves. */
export function describePurge(world: () => StoreWorld): void {
  describe('purge', () => {
    const everything = { flow: 'orders', deliveredBefore: Infinity, setAsideBefore: Infinity, max: 10_000 }

    test('what was kept long enough goes with everything that belongs to it', async () => {
      const { store } = world()
      const id = await accept(store, { keys: ['k'], remember: ['r'], terms: ['<1@x>'] })
      const claimed = await claimOne(store)
      await store.receipt(claimed, receiptOf('to[0]'))
      await store.finish(claimed, delivered({ at: startedAt + 5, terms: ['4F2A1'] }))
      const young = await accept(store)
      await store.skip(await accept(store), startedAt + 9, 'no')
      const request = { ...everything, deliveredBefore: startedAt + 5, setAsideBefore: 0 }
      expect(await store.purge(request)).toBe(0)
      expect(await store.purge({ ...request, flow: 'invoices', deliveredBefore: startedAt + 6 })).toBe(0)
      expect(await store.purge({ ...request, deliveredBefore: startedAt + 6 })).toBe(1)
      expect(await store.get(id)).toBeUndefined()
      expect(ids(await store.find({ limit: 9, state: 'queued' }))).toEqual([young])
      expect(await store.find({ term: '<1@x>', limit: 9 })).toEqual([])
      expect(await store.find({ term: '4F2A1', limit: 9 })).toEqual([])
      expect(await store.accept(newDelivery({ keys: ['k', 'r'] }))).toMatchObject({ duplicate: false })
      await world().crash()
      const counts = await world().store.counts('orders')
      expect(counts).toMatchObject({ accepted: 3, delivered: 0, lastAcceptedAt: startedAt })
    })

    test('set-aside deliveries have a time of their own, queued ones never go', async () => {
      const { store } = world()
      const aside = await accept(store)
      await store.finish(await claimOne(store), setAside())
      const waiting = await accept(store)
      expect(await store.purge({ ...everything, setAsideBefore: startedAt })).toBe(0)
      expect(await store.purge({ ...everything, deliveredBefore: 0 })).toBe(1)
      expect(await store.get(aside)).toBeUndefined()
      expect(ids(await claim(store))).toEqual([waiting])
    })

    test('a purged delivery no longer holds its key, and its id is not given again', async () => {
      const { store } = world()
      const [held, next] = [await accept(store, { orderKey: 'a' }), await accept(store, { orderKey: 'a' })]
      await store.finish(await claimOne(store), setAside())
      await store.purge(everything)
      await store.finish(await claimOne(store), delivered())
      await store.purge(everything)
      await world().crash()
      const later = await accept(world().store, { orderKey: 'a' })
      expect([held, next, later].toSorted()).toEqual([held, next, later])
      expect(new Set([held, next, later]).size).toBe(3)
    })

    test('it deletes as many as asked for, and takes in while it does', async () => {
      const { store } = world()
      await Promise.all(Array.from({ length: 450 }, () => accept(store)))
      for (const claimed of await claim(store, { max: 450, places: { orders: 450 } })) {
        void store.finish(claimed, delivered({ state: 'dropped' }))
      }
      await accept(store, { isProbe: true })
      const [purged, meanwhile] = await Promise.all([store.purge({ ...everything, max: 430 }), accept(store)])
      expect(purged).toBe(430)
      expect((await store.get(meanwhile))?.state).toBe('queued')
      expect(await store.purge(everything)).toBe(20)
      expect(await store.counts('orders')).toMatchObject({ accepted: 1, queued: 1, dropped: 0 })
    })
  })
}
