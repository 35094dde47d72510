import { beforeEach, describe, expect, test } from 'vitest'
import type { Json } from '../../kernel/json.ts'
import type { Store, StoredReceipt } from '../port.ts'
import { accept, claimOne, type StoreWorld, startedAt } from './store-world.ts'

function receipt(at: number, writes: readonly (readonly [key: string, value: Json | undefined])[]): StoredReceipt {
  const remember = writes.map(([key, value]) => ({ map: 'accounts', key, value }))
  return { effect: `to[${at}]`, state: 'done', at, summary: 'ok', fields: undefined, answer: undefined, remember }
}

/** Key maps: written with receipts or by hand. */
export function describeKeyMaps(world: () => StoreWorld): void {
  describe('key maps', () => {
    let store: Store
    beforeEach(() => {
      store = world().store
    })

    test('what a receipt remembers is durable with it, on the way and at the end', async () => {
      await accept(store)
      const claimed = await claimOne(store)
      await store.receipt(claimed, receipt(startedAt + 1, [['1001', { id: 'a' }]]))
      expect(await store.recall('accounts', '1001')).toEqual({ value: { id: 'a' }, revision: 1, at: startedAt + 1 })
      const end = receipt(startedAt + 2, [
        ['1001', { id: 'ü' }],
        ['1002', null],
      ])
      const finish = { state: 'delivered', at: startedAt + 3, summary: 'ok', error: undefined, terms: [] } as const
      await store.finish(claimed, { ...finish, receipts: [end] })
      await world().crash()
      const again = world().store
      expect(await again.recall('accounts', '1001')).toEqual({ value: { id: 'ü' }, revision: 2, at: startedAt + 2 })
      expect(await again.recall('accounts', '1002')).toMatchObject({ value: null, revision: 1 })
      // The receipt itself does not carry what it brought along.
      const detail = await again.get(claimed.id)
      expect(detail?.receipts.filter(kept => 'remember' in kept)).toEqual([])
      expect(detail?.receipts).toHaveLength(2)
    })

    test('a receipt that is refused leaves the map alone', async () => {
      await accept(store)
      const claimed = await claimOne(store)
      const late = receipt(startedAt, [['1001', 1]])
      await expect(store.receipt({ ...claimed, fence: claimed.fence - 1 }, late)).rejects.toMatchObject({
        code: 'STORE_FENCED',
      })
      expect(await store.recall('accounts', '1001')).toBeUndefined()
    })

    test('people write, forget and look page by page', async () => {
      const write = (key: string, value: Json | undefined, expected?: number) =>
        store.rewrite({ map: 'accounts', key, value, at: startedAt, expected })
      expect(await write('b', 1)).toBe(1)
      expect(await write('b', 2, 1)).toBe(2)
      await expect(write('b', 3, 1)).rejects.toMatchObject({ code: 'STORE_CHANGED_MEANWHILE' })
      await expect(write('b', 3, 0)).rejects.toMatchObject({ code: 'STORE_CHANGED_MEANWHILE' })
      const [one, other] = await Promise.allSettled([write('race', 1, 0), write('race', 2, 0)])
      expect([one.status, other.status]).toEqual(['fulfilled', 'rejected'])
      expect(await store.forgetKeys({ map: 'accounts', prefix: 'race', max: 9 })).toBe(1)
      for (const key of ['a', 'ba', 'bb', 'c', '100%', "o'neil"]) await write(key, key)
      await store.rewrite({ map: 'other', key: 'b', value: 0, at: startedAt })
      const keys = async (query: { prefix?: string; after?: string; limit?: number }) =>
        (await store.keyMapEntries({ map: 'accounts', limit: 100, ...query })).map(({ key }) => key)
      expect(await keys({})).toEqual(['100%', 'a', 'b', 'ba', 'bb', 'c', "o'neil"])
      expect(await keys({ prefix: 'b' })).toEqual(['b', 'ba', 'bb'])
      expect(await keys({ prefix: 'b', after: 'b', limit: 1 })).toEqual(['ba'])
      expect(await keys({ prefix: '1' })).toEqual(['100%'])
      expect(await store.keyMaps()).toEqual([
        { map: 'accounts', entries: 7 },
        { map: 'other', entries: 1 },
      ])
      expect(await store.forgetKeys({ map: 'accounts', prefix: 'b', max: 2 })).toBe(2)
      expect(await keys({ prefix: 'b' })).toEqual(['bb'])
      expect(await store.forgetKeys({ map: 'accounts', prefix: '%', max: 9 })).toBe(0)
      await write('b', 2)
      expect(await write('b', 3, 1)).toBe(2)
      expect(await write('b', undefined)).toBe(2)
      expect(await write('b', undefined)).toBe(0)
      expect(await store.forgetKeys({ map: 'accounts', max: 100 })).toBe(5)
      expect(await store.keyMaps()).toEqual([{ map: 'other', entries: 1 }])
      await world().crash()
      expect(await world().store.recall('accounts', 'b')).toBeUndefined()
    })
  })
}
