import fc from 'fast-check'
import { beforeEach, describe, expect, test } from 'vitest'
import type { Store, StoredReceipt } from '../port.ts'
import {
  accept,
  claim,
  claimOne,
  claimWithDue,
  delivered,
  ids,
  laterAt,
  receiptOf,
  retryLater,
  type StoreWorld,
  setAside,
  someError,
  startedAt,
} from './store-world.ts'

/** What the owner of a claim may write, and what nobody else may. */
export function describeClaims(world: () => StoreWorld): void {
  describe('claims', () => {
    let store: Store
    beforeEach(async () => {
      store = world().store
      await accept(store, { orderKey: 'a' })
    })

    test.each([
      ['receipt', (late: Store, ref: { id: string; fence: number }) => late.receipt(ref, receiptOf('to[0]'))],
      ['finish', (late: Store, ref: { id: string; fence: number }) => late.finish(ref, delivered())],
      ['retry', (late: Store, ref: { id: string; fence: number }) => late.retry(ref, retryLater())],
      ['release', (late: Store, ref: { id: string; fence: number }) => late.release(ref)],
    ])('a late %s is refused, whatever came before', async (_name, write) => {
      const ended = await claimOne(store)
      await store.finish(ended, setAside())
      await expect(write(store, ended)).rejects.toMatchObject({ code: 'STORE_FENCED' })

      await store.requeue(ended.id, { now: startedAt, forgetIntents: false })
      await expect(write(store, ended)).rejects.toMatchObject({ code: 'STORE_FENCED' })

      const released = await claimOne(store)
      await store.release(released)
      await expect(write(store, released)).rejects.toMatchObject({ code: 'STORE_FENCED' })

      const beforeCrash = await claimOne(store)
      await world().crash()
      await expect(write(world().store, beforeCrash)).rejects.toMatchObject({ code: 'STORE_FENCED' })
      const afterCrash = await claimOne(world().store)
      expect(afterCrash.id).toBe(beforeCrash.id)
      await expect(write(world().store, beforeCrash)).rejects.toMatchObject({ code: 'STORE_FENCED' })
      await expect(write(world().store, { id: 'nonsense', fence: 1 })).rejects.toMatchObject({ code: 'STORE_FENCED' })
      expect((await world().store.get(afterCrash.id))?.state).toBe('queued')
    })

    test('of two ends at the same time the first counts', async () => {
      const claimed = await claimOne(store)
      const ends = await Promise.allSettled([
        store.finish(claimed, delivered()),
        store.retry(claimed, retryLater()),
        store.finish(claimed, setAside()),
      ])
      expect(ends.map(end => end.status)).toEqual(['fulfilled', 'rejected', 'rejected'])
      expect((await store.get(claimed.id))?.state).toBe('delivered')
    })

    test('renew names the claims that are lost', async () => {
      await accept(store)
      const [one, other] = await claim(store)
      if (!one || !other) throw new Error('two deliveries were expected')
      await store.finish(one, delivered())
      expect(await store.renew([one, other], 60_000, startedAt)).toEqual([one.id])
    })

    test('released, a delivery is as before, with what was recorded meanwhile', async () => {
      const claimed = await claimOne(store)
      const recorded = store.receipt(claimed, receiptOf('to[0]', { state: 'intended' }))
      await store.release(claimed)
      await recorded
      const again = await claimOne(store)
      expect(again).toMatchObject({
        id: claimed.id,
        attemptCount: 0,
        receipts: [receiptOf('to[0]', { state: 'intended' })],
      })
    })

    test.each(['crash', 'no crash'])(
      'receipts are there for the next attempt, the newest of each effect (%s)',
      async mode => {
        const claimed = await claimOne(store)
        const answer = { headers: { 'content-type': 'x' }, type: 'application/json', body: Buffer.from([0, 255, 10]) }
        await store.receipt(claimed, receiptOf('steps[1].call', { state: 'done', fields: { id: 7 }, answer }))
        await store.receipt(claimed, receiptOf('to[0]', { state: 'intended' }))
        await store.receipt(claimed, receiptOf('to[1]', { state: 'intended' }))
        await store.receipt(claimed, receiptOf('to[0]', { state: 'withdrawn', summary: '451 later' }))
        if (mode === 'crash') await world().crash()
        else await store.retry(claimed, retryLater())
        const again = await claimOne(world().store, { now: laterAt })
        const answers = again.receipts.map(receipt => receipt.answer?.body)
        expect(
          again.receipts.map(receipt => ({ ...receipt, answer: receipt.answer && { ...receipt.answer, body: 0 } })),
        ).toEqual([
          receiptOf('steps[1].call', { fields: { id: 7 }, answer: { ...answer, body: 0 as never } }),
          receiptOf('to[0]', { state: 'withdrawn', summary: '451 later' }),
          receiptOf('to[1]', { state: 'intended' }),
        ])
        expect(answers[0] && Buffer.from(answers[0])).toEqual(answer.body)
      },
    )

    test.each(['withdrawn', 'done'] as const)('what a crash left as intended is %s by the next claim', async state => {
      const noted = receiptOf('to[0]', { state: 'intended', fields: { stream: 'one', places: [1, 2] } })
      await store.receipt(await claimOne(store), noted)
      await world().crash()
      const again = await claimOne(world().store)
      expect(again.receipts).toEqual([noted])
      await world().store.receipt(again, receiptOf('to[0]', { state }))
      await world().store.release(again)
      expect((await claimOne(world().store)).receipts).toEqual([receiptOf('to[0]', { state })])
    })

    test('however receipts come, the newest of each effect is what is read, also by the next claim', async () => {
      const receipt = fc.record({
        effect: fc.constantFrom('to[0]', 'to[1]', 'steps[0].call'),
        state: fc.constantFrom('intended' as const, 'intended' as const, 'done' as const, 'withdrawn' as const),
      })
      const step = fc.oneof(
        fc.record({
          what: fc.constant('receipts' as const),
          receipts: fc.array(receipt, { minLength: 1, maxLength: 3 }),
        }),
        fc.record({ what: fc.constant('end' as const), receipts: fc.array(receipt, { maxLength: 2 }) }),
        fc.record({ what: fc.constantFrom('retry' as const, 'release' as const, 'crash' as const) }),
      )
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 8 }), async steps => {
          const id = await accept(world().store)
          const mine = async () => {
            const all = await claim(world().store, { now: laterAt })
            const found = all.find(each => each.id === id)
            if (!found) throw new Error('the delivery was not claimed')
            for (const other of all) if (other !== found) await world().store.finish(other, delivered())
            return found
          }
          let claimed = await mine()
          const expected = new Map<string, StoredReceipt>()
          let summary = 0
          for (const step of steps) {
            const { store } = world()
            const made = ('receipts' in step ? step.receipts : []).map(({ effect, state }) =>
              receiptOf(effect, { state, summary: String(summary++) }),
            )
            for (const each of made) expected.set(each.effect, each)
            if (step.what === 'receipts') await Promise.all(made.map(each => store.receipt(claimed, each)))
            if (step.what === 'crash') await world().crash()
            if (step.what === 'retry') await store.retry(claimed, retryLater())
            if (step.what === 'release') await store.release(claimed)
            if (step.what === 'end') {
              const last = [...new Map(made.map(each => [each.effect, each])).values()]
              await store.finish(claimed, setAside({ receipts: last }))
              expect(byEffect((await store.get(id))?.receipts)).toEqual(expected)
              await store.requeue(id, { now: startedAt, forgetIntents: false })
            }
            if (step.what !== 'receipts') claimed = await mine()
            const detail = await world().store.get(id)
            expect(byEffect(detail?.receipts)).toEqual(expected)
            if (step.what !== 'receipts') expect(byEffect(claimed.receipts)).toEqual(expected)
          }
          await world().store.finish(claimed, delivered())
        }),
        { numRuns: 40 },
      )
    })

    test.each([1, 40])('the end makes state, %i receipts and terms durable together', async count => {
      const claimed = await claimOne(store)
      const receipts = Array.from({ length: count }, (_, index) => receiptOf(`to[${index}]`, { fields: { index } }))
      await store.receipt(claimed, receiptOf('to[0]', { state: 'intended' }))
      await store.finish(claimed, delivered({ receipts, terms: ['4F2A1', '4F2A1'], summary: '250 queued as 4F2A1' }))
      await world().crash()
      expect(await world().store.get(claimed.id)).toMatchObject({
        state: 'delivered',
        at: startedAt + 5,
        attemptCount: 1,
        summary: '250 queued as 4F2A1',
        error: undefined,
        receipts,
        terms: ['4F2A1'],
      })
      expect(ids(await world().store.find({ term: '4F2A1', limit: 9 }))).toEqual([claimed.id])
    })

    test.each([0, 3, 512, 513, 20_000])('an answer of %i bytes that comes with the end is kept', async bytes => {
      const claimed = await claimOne(store)
      const body = Buffer.alloc(bytes, 0xfe)
      const answer = { headers: { etag: '"7"' }, type: 'application/octet-stream', body }
      await store.finish(claimed, delivered({ receipts: [receiptOf('to[0]', { answer })] }))
      await world().crash()
      const [receipt] = (await world().store.get(claimed.id))?.receipts ?? []
      expect(receipt).toMatchObject({ effect: 'to[0]', answer: { headers: answer.headers, type: answer.type } })
      expect(Buffer.from(receipt?.answer?.body ?? 'no answer').equals(body)).toBe(true)
    })

    test('a failure is shown while the delivery waits, and after its end', async () => {
      const claimed = await claimOne(store)
      await store.retry(claimed, retryLater({ awaitsChange: true }))
      expect(await store.get(claimed.id)).toMatchObject({
        state: 'queued',
        at: laterAt,
        attemptCount: 1,
        awaitsChange: true,
        error: someError,
        attempts: [{ attempt: 1, at: startedAt + 5, error: someError }],
      })
      await store.finish(await claimOne(store, { now: laterAt }), setAside({ at: laterAt + 1 }))
      expect(await store.get(claimed.id)).toMatchObject({
        state: 'set-aside',
        at: laterAt + 1,
        attemptCount: 2,
        awaitsChange: false,
        error: someError,
        attempts: [{ attempt: 1 }, { attempt: 2, at: laterAt + 1 }],
      })
    })

    test('wake makes due what awaits a change, of one flow or of all', async () => {
      await accept(store, { flow: 'invoices' })
      await accept(store, { flow: 'invoices' })
      const places = { orders: 9, invoices: 9 }
      for (const [index, claimed] of (await claim(store, { places })).entries()) {
        await store.retry(claimed, retryLater({ awaitsChange: index < 2 }))
      }
      expect(await store.wake(startedAt, 'nobody')).toBe(0)
      expect(await store.wake(startedAt + 7, 'invoices')).toBe(1)
      expect(await claim(store, { places })).toMatchObject([{ flow: 'invoices', plannedAt: laterAt }])
      await world().crash()
      store = world().store
      expect(await store.wake(startedAt + 8)).toBe(1)
      expect((await store.find({ flow: 'orders', limit: 1 }))[0]).toMatchObject({
        awaitsChange: false,
        at: startedAt + 8,
      })
      expect((await claim(store, { now: startedAt + 8, places })).map(claimed => claimed.flow)).toEqual([
        'orders',
        'invoices',
      ])
    })

    test('wake makes due what only waits for its next try, where that is asked for', async () => {
      await accept(store, { flow: 'invoices' })
      await accept(store, { flow: 'orders' })
      const places = { orders: 9, invoices: 9 }
      for (const claimed of await claim(store, { places })) await store.retry(claimed, retryLater())
      expect(await store.wake(startedAt + 7)).toBe(0)
      expect(await store.wake(startedAt + 7, 'invoices', true)).toBe(1)
      // It is due already, and the other flow waits on.
      expect(await store.wake(startedAt + 8, 'invoices', true)).toBe(0)
      await world().crash()
      store = world().store
      expect((await claim(store, { now: startedAt + 9, places })).map(claimed => claimed.flow)).toEqual(['invoices'])
    })

    test('one that was woken and failed again waits for its new time, also past the one that it had before', async () => {
      const woken = await claimOne(store)
      await accept(store)
      const other = await claimOne(store)
      await store.retry(woken, retryLater({ awaitsChange: true }))
      await store.retry(other, retryLater({ dueAt: laterAt - 1 }))
      await store.wake(startedAt + 7)
      const again = laterAt + 60_000
      await store.retry(await claimOne(store), retryLater({ dueAt: again }))
      expect(await claimWithDue(store, { now: laterAt })).toMatchObject({
        deliveries: [{ id: other.id }],
        nextDueAt: again,
      })
      expect(await claim(store, { now: again })).toMatchObject([{ id: woken.id }])
    })

    test('a failure that is being written when somebody changes the credential is woken too', async () => {
      const claimed = await claimOne(store)
      const [, woken] = await Promise.all([
        store.retry(claimed, retryLater({ awaitsChange: true })),
        store.wake(startedAt),
      ])
      expect(woken).toBe(1)
      expect((await claimOne(store)).id).toBe(claimed.id)
    })

    test('onWork rings after everything that may make a delivery ready', async () => {
      let rings = 0
      store.onWork(() => {
        rings += 1
      })
      const ringsAfter = async (act: () => Promise<unknown>) => {
        const before = rings
        await act()
        await new Promise(resolve => setImmediate(resolve))
        return rings - before
      }
      expect(await ringsAfter(() => accept(store, { orderKey: 'a' }))).toBeGreaterThan(0)
      const first = await claimOne(store)
      expect(await ringsAfter(() => store.release(first))).toBeGreaterThan(0)
      const again = await claimOne(store)
      expect(await ringsAfter(() => store.retry(again, retryLater({ awaitsChange: true })))).toBeGreaterThan(0)
      expect(await ringsAfter(() => store.wake(startedAt))).toBeGreaterThan(0)
      const woken = await claimOne(store)
      expect(await ringsAfter(() => store.finish(woken, setAside()))).toBeGreaterThan(0)
      expect(await ringsAfter(() => store.requeue(woken.id, { now: startedAt, forgetIntents: false }))).toBeGreaterThan(
        0,
      )
      expect(await ringsAfter(() => store.skip(woken.id, startedAt, 'no'))).toBeGreaterThan(0)
    })
  })
}

function byEffect(receipts: readonly StoredReceipt[] = []): ReadonlyMap<string, StoredReceipt> {
  return new Map(receipts.map(receipt => [receipt.effect, receipt]))
}
