import { afterEach, describe, expect, test, vi } from 'vitest'
import type { Receipt } from '../flow/adapter.ts'
import { hubErrors } from '../kernel/error.ts'
import { DAY, HOUR, MINUTE, SECOND } from '../kernel/time.ts'
import { type Act, type EngineWorld, engineWorld } from './engine-world.ts'

let it: EngineWorld
afterEach(() => it.close())

const busy = () => Promise.reject(hubErrors.UNEXPECTED({ text: '451 busy' }))

describe('a machine whose clock is set back', () => {
  test.each([HOUR, 400 * DAY])('by %d ms: what waits for its next try waits no longer for it', async byMs => {
    it = await engineWorld({ orderBy: 'key', receivers: [busy] })
    for (const key of ['a', 'a', 'b']) await it.accept('order', { headers: { key } })
    await it.engine().idle()
    expect(it.failed()).toHaveLength(2)
    it.setActs(() => ({ summary: '250 ok' }))
    it.clock.set(it.clock.now() - byMs)
    await it.advance(2 * MINUTE)
    expect(it.ended().map(({ state }) => state)).toEqual(['delivered', 'delivered', 'delivered'])
    // The sum of the histogram is a counter: one that falls looks like a hub that was started anew.
    expect(it.ended().every(({ tookMs }) => tookMs >= 0)).toBe(true)
  })

  test('does not try for longer than the flow says', async () => {
    it = await engineWorld({ receivers: [busy] })
    await it.accept('order')
    await it.engine().idle()
    it.clock.set(it.clock.now() - 400 * DAY)
    await it.advance(3 * DAY)
    expect(it.ended()).toMatchObject([{ state: 'set-aside' }])
  })
})

test('a machine whose clock is set forward, or that stood still, takes no time from what is under way', async () => {
  let answer: ((receipt: Receipt) => void) | undefined
  const taking: Act = (_message, { signal }) =>
    new Promise((resolve, reject) => {
      answer = resolve
      signal.addEventListener('abort', () => reject(signal.reason))
    })
  it = await engineWorld({ receivers: [taking] })
  const { id } = await it.accept('order')
  await vi.waitFor(() => expect(answer).toBeDefined())
  await it.clock.advance(SECOND)
  it.clock.set(it.clock.now() + 5 * HOUR)
  await it.clock.advance(5 * SECOND)
  answer?.({ summary: '250 ok' })
  expect(await it.outcome(id)).toMatchObject({ state: 'delivered' })
})
