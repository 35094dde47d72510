import { expect, test } from 'vitest'
import { heldBody } from '../kernel/body.ts'
import { KiB, MiB } from '../kernel/size.ts'
import { Outcomes } from './outcomes.ts'

function ended(id: string, bytes: number) {
  const body = heldBody(Buffer.alloc(bytes, 'a'), 'text/plain')
  return {
    id,
    state: 'delivered',
    summary: '250 ok',
    result: { id, headers: {}, attributes: {}, body, acceptedAt: 0 },
  } as const
}

test('recent ends hold 16 MiB of results at most, and the newest are still known', () => {
  const outcomes = new Outcomes()
  const ids = Array.from({ length: 1000 }, (_, index) => `m${index}`)
  for (const id of ids) outcomes.settle(ended(id, 60 * KiB))
  const known = ids.flatMap(id => outcomes.recent(id) ?? [])
  const bytes = known.reduce((sum, outcome) => sum + (outcome.result?.body.bytes ?? 0), 0)
  expect(bytes).toBeLessThanOrEqual(16 * MiB)
  expect(bytes).toBeGreaterThan(15 * MiB)
  expect(known.at(-1)?.id).toBe('m999')
})

test('an end that is told anew counts once', () => {
  const outcomes = new Outcomes()
  outcomes.settle(ended('other', 60 * KiB))
  for (let round = 0; round < 1000; round++) outcomes.settle(ended('same', 60 * KiB))
  expect(outcomes.recent('other')?.result).toBeDefined()
})

test('a result that is large, or a small part of something large, is left out of what is kept', () => {
  const outcomes = new Outcomes()
  const view = heldBody(Buffer.alloc(MiB).subarray(0, 10), 'text/plain')
  outcomes.settle(ended('large', 65 * KiB))
  outcomes.settle({ ...ended('view', 1), result: { ...ended('view', 1).result, body: view } })
  for (const id of ['large', 'view']) expect(outcomes.recent(id)).toEqual({ id, state: 'delivered', summary: '250 ok' })
})

test('who waits for what is put off until later is told at once; who has the time waits on', async () => {
  const outcomes = new Outcomes()
  const [soon, late, ever] = [
    outcomes.wait('one', undefined, 30),
    outcomes.wait('one', undefined, 300),
    outcomes.wait('one'),
  ]
  expect([outcomes.awaitedUntil('one'), outcomes.awaitedUntil('other')]).toEqual([300, undefined])
  outcomes.postpone('one', 100)
  expect(await soon).toBeUndefined()
  // Whoever asks again meanwhile has no more time than the first.
  expect(await outcomes.wait('one', undefined, 60)).toBeUndefined()
  outcomes.settle(ended('one', 1))
  expect(await Promise.all([late, ever])).toMatchObject([{ state: 'delivered' }, { state: 'delivered' }])
  expect(outcomes.awaitedUntil('one')).toBeUndefined()
})
