import { beforeEach, describe, expect, test } from 'vitest'
import type { Store } from '../port.ts'
import {
  accept,
  claim,
  claimOne,
  claimWithDue,
  delivered,
  ids,
  laterAt,
  newDelivery,
  retryLater,
  type StoreWorld,
  setAside,
  startedAt,
  textBody,
} from './store-world.ts'

/** Who may run, and when: order keys, places, due times, held keys. */
export function describeOrder(world: () => StoreWorld): void {
  describe('order', () => {
    let store: Store
    beforeEach(() => {
      store = world().store
    })

    test('one delivery of an order key runs, the next follows its end, in the order of acceptance', async () => {
      const [first, second, third] = [
        await accept(store, { orderKey: 'a' }),
        await accept(store, { orderKey: 'a' }),
        await accept(store, { orderKey: 'a' }),
      ]
      for (const expected of [first, second, third]) {
        const claimed = await claimOne(store)
        expect(claimed.id).toBe(expected)
        expect(await claim(store)).toEqual([])
        await store.finish(claimed, delivered())
      }
      expect(await claim(store)).toEqual([])
    })

    test('asked for together, deliveries of a flow are accepted in the order of the calls, whatever their size', async () => {
      const sizes = [200_000, 5, 30_000, 5, 5, 100_000, 5]
      const asked = sizes.map((bytes, index) =>
        store.accept(
          newDelivery({ orderKey: 'a', keys: [`${Math.floor(index / 2)}`], body: textBody('x'.repeat(bytes)) }),
        ),
      )
      const accepted = await Promise.all(asked)
      // Of two with the same key the first one counts, although the second is the smaller.
      expect(accepted.map(one => one.duplicate)).toEqual([false, true, false, true, false, true, false])
      const distinct = ids(accepted.filter(one => !one.duplicate))
      expect(distinct.toSorted()).toEqual(distinct)
      for (const expected of distinct) {
        const claimed = await claimOne(store)
        expect(claimed.id).toBe(expected)
        await store.finish(claimed, delivered())
      }
    })

    test('other keys, other flows and deliveries without a key run beside each other', async () => {
      const all = [
        await accept(store, { orderKey: 'a' }),
        await accept(store, { orderKey: 'b' }),
        await accept(store, { orderKey: 'a', flow: 'invoices' }),
        await accept(store),
        await accept(store),
      ]
      expect(ids(await claim(store, { places: { orders: 9, invoices: 9 } }))).toEqual(all)
    })

    test('the oldest go first, as many as wished and as flows have places', async () => {
      const orders = [await accept(store), await accept(store), await accept(store)]
      const invoices = [await accept(store, { flow: 'invoices' }), await accept(store, { flow: 'invoices' })]
      await accept(store, { flow: 'stopped' })
      expect(ids(await claim(store, { max: 3, places: { invoices: 1, orders: 9 } }))).toEqual(orders)
      expect(ids(await claim(store, { max: 9, places: { invoices: 1, orders: 9 } }))).toEqual(invoices.slice(0, 1))
      expect(ids(await claim(store, { max: 9, places: { invoices: 0 } }))).toEqual([])
      expect(ids(await claim(store, { max: 9, places: { invoices: 5 } }))).toEqual(invoices.slice(1))
    })

    test('a failed delivery comes back at its time, and its order key waits with it', async () => {
      const [failed, successor] = [await accept(store, { orderKey: 'a' }), await accept(store, { orderKey: 'a' })]
      await accept(store, { orderKey: 'b' })
      const [first] = await claim(store)
      if (!first) throw new Error('nothing was claimed')
      expect(first.plannedAt).toBeUndefined()
      await store.retry(first, retryLater())
      expect(await claimWithDue(store, { now: laterAt - 1 })).toEqual({ deliveries: [], nextDueAt: laterAt })
      const again = await claimWithDue(store, { now: laterAt })
      expect(ids(again.deliveries)).toEqual([failed])
      expect(again.deliveries[0]).toMatchObject({ attemptCount: 1, since: startedAt, plannedAt: laterAt })
      expect(again.nextDueAt).toBeUndefined()
      await store.finish(again.deliveries[0] ?? first, delivered())
      expect(ids(await claim(store))).toEqual([successor])
    })

    test('the next due time is that of flows that are asked for, the earliest of them', async () => {
      for (const [flow, dueAt] of [
        ['orders', laterAt + 5],
        ['orders', laterAt + 2],
        ['invoices', laterAt],
      ] as const) {
        await accept(store, { flow })
        await store.retry(await claimOne(store, { places: { [flow]: 9 } }), retryLater({ dueAt }))
      }
      expect((await claimWithDue(store)).nextDueAt).toBe(laterAt + 2)
      expect((await claimWithDue(store, { places: { orders: 0, invoices: 0 } })).nextDueAt).toBe(laterAt)
      expect((await claimWithDue(store, { now: laterAt + 1, places: { orders: 0 } })).nextDueAt).toBe(laterAt + 2)
    })

    test('due times and running claims after a crash: waiting goes on waiting, running starts again', async () => {
      const waiting = await accept(store)
      await store.retry(await claimOne(store), retryLater({ since: startedAt + 3 }))
      const running = await accept(store)
      await claimOne(store)
      await world().crash()
      expect(ids(await claim(world().store))).toEqual([running])
      const again = await claim(world().store, { now: laterAt })
      expect(again).toMatchObject([{ id: waiting, since: startedAt + 3, plannedAt: laterAt }])
    })

    test.each(['crash', 'no crash'])(
      'a set-aside delivery that holds keeps its key until it is skipped (%s)',
      async mode => {
        const [held, next] = [
          await accept(store, { orderKey: 'a' }),
          await accept(store, { orderKey: 'a', keys: ['next'] }),
        ]
        const isHeld = async () => (await store.known('orders', ['next'])).get('next')?.isHeld
        const first = await claimOne(store)
        expect(await isHeld()).toBe(false)
        await store.finish(first, setAside())
        if (mode === 'crash') await world().crash()
        store = world().store
        expect(await isHeld()).toBe(true)
        expect(await claim(store)).toEqual([])
        const last = await accept(store, { orderKey: 'a' })
        const other = await accept(store, { orderKey: 'b' })
        expect(ids(await claim(store))).toEqual([other])
        expect((await store.get(next))?.heldBy).toBe(held)
        expect((await store.get(last))?.heldBy).toBe(held)
        await store.skip(held, startedAt, 'not needed')
        expect(await isHeld()).toBe(false)
        const claimed = await claimOne(store)
        expect(claimed.id).toBe(next)
        expect((await store.get(last))?.heldBy).toBeUndefined()
      },
    )

    test.each(['crash', 'no crash'])('requeued, a held delivery runs before its successors (%s)', async mode => {
      const [held, next] = [await accept(store, { orderKey: 'a' }), await accept(store, { orderKey: 'a' })]
      await store.finish(await claimOne(store), setAside())
      await store.requeue(held, { now: startedAt, forgetIntents: false })
      if (mode === 'crash') await world().crash()
      store = world().store
      const claimed = await claimOne(store)
      expect(claimed.id).toBe(held)
      await store.finish(claimed, delivered())
      expect((await claimOne(store)).id).toBe(next)
    })

    test('without holding, successors pass; requeued, it takes its old place behind none but the running one', async () => {
      const [first, second, third] = [
        await accept(store, { orderKey: 'a', holds: false }),
        await accept(store, { orderKey: 'a', holds: false }),
        await accept(store, { orderKey: 'a', holds: false }),
      ]
      await store.finish(await claimOne(store), setAside())
      const running = await claimOne(store)
      expect(running.id).toBe(second)
      await store.requeue(first, { now: startedAt, forgetIntents: false })
      expect(await claim(store)).toEqual([])
      await store.retry(running, retryLater({ dueAt: startedAt }))
      for (const expected of [first, second, third]) {
        const claimed = await claimOne(store)
        expect(claimed.id).toBe(expected)
        await store.finish(claimed, delivered())
      }
    })

    test('one that waits for its due time steps behind an older one that is requeued', async () => {
      const [older, younger] = [
        await accept(store, { orderKey: 'a', holds: false }),
        await accept(store, { orderKey: 'a', holds: false }),
      ]
      await store.finish(await claimOne(store), setAside())
      await store.retry(await claimOne(store), retryLater())
      await store.requeue(older, { now: startedAt, forgetIntents: false })
      const claimed = await claimOne(store, { now: laterAt })
      expect(claimed.id).toBe(older)
      await store.finish(claimed, delivered())
      expect((await claimOne(store, { now: laterAt })).id).toBe(younger)
    })

    test('heldBy names the failed delivery that the others wait for', async () => {
      const [failed, next] = [await accept(store, { orderKey: 'a' }), await accept(store, { orderKey: 'a' })]
      expect((await store.get(next))?.heldBy).toBeUndefined()
      await store.retry(await claimOne(store), retryLater())
      expect((await store.find({ flow: 'orders', limit: 9 })).map(row => row.heldBy)).toEqual([failed, undefined])
    })

    test('a skipped delivery in the midst of a key lets the others keep their order', async () => {
      const [first, second, third] = [
        await accept(store, { orderKey: 'a' }),
        await accept(store, { orderKey: 'a' }),
        await accept(store, { orderKey: 'a' }),
      ]
      await store.skip(second, startedAt, 'not needed')
      for (const expected of [first, third]) {
        const claimed = await claimOne(store)
        expect(claimed.id).toBe(expected)
        await store.finish(claimed, delivered())
      }
    })
  })
}
