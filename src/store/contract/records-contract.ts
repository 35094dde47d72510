import { beforeEach, describe, expect, test } from 'vitest'
import type { Store } from '../port.ts'
import { type StoreWorld, startedAt } from './store-world.ts'

/** Records, the audit log and leases. */
export function describeRecords(world: () => StoreWorld): void {
  describe('records', () => {
    let store: Store
    beforeEach(() => {
      store = world().store
    })

    test('a record is read as it was written, with a revision that grows', async () => {
      expect(await store.read('credential', 'a')).toBeUndefined()
      expect(await store.write('credential', 'a', { secret: 'ü', list: [1, null, true] })).toBe(1)
      expect(await store.write('credential', 'a', 'text')).toBe(2)
      await store.write('alert', 'a', null)
      await world().crash()
      expect(await world().store.read('credential', 'a')).toEqual({ value: 'text', revision: 2 })
      expect(await world().store.read('alert', 'a')).toEqual({ value: null, revision: 1 })
    })

    test('a list has the records of one area, by id', async () => {
      for (const id of ['b', 'a', 'c']) await store.write('x', id, id)
      await store.write('y', 'd', 1)
      expect(await store.list('x')).toEqual(['a', 'b', 'c'].map(id => ({ id, value: id, revision: 1 })))
      expect(await store.list('z')).toEqual([])
    })

    test('a write that expects another revision is refused', async () => {
      const refused = { code: 'STORE_CHANGED_MEANWHILE', fields: { area: 'x', id: 'a' } }
      await expect(store.write('x', 'a', 1, 1)).rejects.toMatchObject(refused)
      expect(await store.write('x', 'a', 1, 0)).toBe(1)
      await expect(store.write('x', 'a', 2, 0)).rejects.toMatchObject(refused)
      const race = await Promise.allSettled([store.write('x', 'a', 'one', 1), store.write('x', 'a', 'other', 1)])
      expect(race.map(one => one.status)).toEqual(['fulfilled', 'rejected'])
      expect(await store.read('x', 'a')).toEqual({ value: 'one', revision: 2 })
    })

    test('a record is removed once', async () => {
      await store.write('x', 'a', 1)
      expect(await store.remove('x', 'a')).toBe(true)
      expect(await store.remove('x', 'a')).toBe(false)
      expect(await store.read('x', 'a')).toBeUndefined()
    })

    test('who has read a record reads what became of it since, however long it is and however many there are', async () => {
      const long = 'x'.repeat(100_000)
      for (let number = 0; number < 50; number++) {
        const id = `record ${number}`
        expect(await store.read('x', id)).toBeUndefined()
        for (const [index, value] of [number, long, 'short', null].entries()) {
          await store.write('x', id, value)
          expect(await store.read('x', id)).toEqual({ value, revision: index + 1 })
        }
        await store.remove('x', id)
        expect(await store.read('x', id)).toBeUndefined()
        // A name that could be mistaken for another one.
        await store.write('x record', String(number), 'other')
        expect(await store.read('x', id)).toBeUndefined()
        await store.write('x', id, number)
      }
      for (let number = 0; number < 50; number++) {
        expect(await store.read('x', `record ${number}`)).toEqual({ value: number, revision: 1 })
      }
    })

    test('a value that was read can be changed by its reader alone', async () => {
      await store.write('x', 'a', { list: [1] })
      const read = await store.read('x', 'a')
      Object.assign(read?.value ?? {}, { list: [] })
      expect(await store.read('x', 'a')).toEqual({ value: { list: [1] }, revision: 1 })
    })

    test('the audit log keeps its entries in order, chained and whole', async () => {
      expect(await store.auditBreak()).toBeUndefined()
      const entries = Array.from({ length: 5 }, (_, index) => ({
        at: startedAt + index,
        who: 'ada',
        action: 'credential.changed',
        detail: { index },
      }))
      await Promise.all([...entries.slice(0, 2).map(entry => store.audit(entry)), store.auditAll(entries.slice(2))])
      await store.auditAll([])
      await world().crash()
      const log = await world().store.auditLog({ limit: 3 })
      expect(log.map(({ number, detail }) => [number, detail])).toEqual([
        [5, { index: 4 }],
        [4, { index: 3 }],
        [3, { index: 2 }],
      ])
      expect(await world().store.auditLog({ before: 3, limit: 9 })).toMatchObject([{ number: 2 }, { number: 1 }])
      expect(new Set(log.map(entry => entry.hash)).size).toBe(3)
      expect(log[0]?.hash).toMatch(/^[0-9a-f]{64}$/)
      expect(await world().store.auditBreak()).toBeUndefined()
    })

    test('the audit log is purged from its beginning, and hangs together from there', async () => {
      for (const at of [1, 2, 9, 3, 4, 5]) await store.audit({ at, who: 'ada', action: 'look', detail: { at } })
      expect(await store.purgeAudit({ before: 4, max: 1 })).toBe(1)
      // What a clock that was set forward wrote keeps what stands behind it.
      expect(await store.purgeAudit({ before: 4, max: 10 })).toBe(1)
      expect(await store.purgeAudit({ before: 4, max: 10 })).toBe(0)
      expect((await store.auditLog({ limit: 9 })).map(({ number }) => number)).toEqual([6, 5, 4, 3])
      expect(await store.auditBreak()).toBeUndefined()
      // The newest one stays, whatever its age: its number and hash are those of the next one.
      expect(await store.purgeAudit({ before: 100, max: 10 })).toBe(3)
      await world().crash()
      const again = world().store
      await again.audit({ at: 6, who: 'ada', action: 'look', detail: {} })
      expect((await again.auditLog({ limit: 9 })).map(({ number }) => number)).toEqual([7, 6])
      expect(await again.auditBreak()).toBeUndefined()
    })

    test('a lease has one owner until it runs out or is given back', async () => {
      const first = await store.lease('poll orders', 'node 1', 1000, startedAt)
      expect(first).toBeTypeOf('number')
      expect(await store.lease('poll orders', 'node 2', 1000, startedAt + 999)).toBeUndefined()
      expect(await store.lease('poll orders', 'node 1', 1000, startedAt + 500)).toBe(first)
      expect(await store.lease('poll orders', 'node 2', 1000, startedAt + 1499)).toBeUndefined()
      const second = await store.lease('poll orders', 'node 2', 1000, startedAt + 1500)
      expect(second).toBeGreaterThan(first ?? Infinity)
      expect(await store.lease('poll orders', 'node 1', 1000, startedAt + 1501)).toBeUndefined()
      await store.endLease('poll orders', 'node 1')
      expect(await store.lease('poll orders', 'node 1', 1000, startedAt + 1502)).toBeUndefined()
      await store.endLease('poll orders', 'node 2')
      const third = await store.lease('poll orders', 'node 1', 1000, startedAt + 1503)
      expect(third).toBeGreaterThan(second ?? Infinity)
      expect(await store.lease('poll invoices', 'node 2', 1000, startedAt)).toBeTypeOf('number')
    })
  })
}
