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

describe('time in which nothing could be tried does not count towards that of the flow', () => {
  const lastTwoDays = async () => {
    await it.advance(DAY)
    expect(it.ended()).toEqual([])
    await it.advance(DAY + 2 * HOUR)
    expect(it.ended()).toMatchObject([{ state: 'set-aside' }])
  }

  const passUnseen = () => it.clock.set(it.clock.now() + 3 * DAY)

  test('on a machine that slept, or whose clock was set forward', async () => {
    it = await engineWorld({ receivers: [busy] })
    await it.accept('order')
    await it.advance(10 * MINUTE)
    passUnseen()
    await lastTwoDays()
  })

  test('nor in the midst of the first try', async () => {
    const answer = Promise.withResolvers<never>()
    it = await engineWorld({ receivers: [() => answer.promise] })
    await it.accept('order')
    await vi.waitFor(() => expect(it.engine().flows()[0]?.running).toBe(1))
    passUnseen()
    it.setActs(busy)
    answer.reject(hubErrors.UNEXPECTED({ text: '451 busy' }))
    await lastTwoDays()
  })

  test.each(['soon', 'after-change'] as const)('in a flow that is stopped (%s)', async retry => {
    const refused = () => Promise.reject(hubErrors.UNEXPECTED({ text: '451 busy' }, { retry }))
    it = await engineWorld({ receivers: [refused] })
    await it.accept('order')
    await it.advance(10 * MINUTE)
    await it.engine().stop('orders')
    await it.clock.advance(3 * DAY)
    await it.engine().start(it.flow)
    await it.engine().idle()
    await lastTwoDays()
  })

  test('while no hub runs', async () => {
    it = await engineWorld({ receivers: [busy] })
    await it.accept('order')
    await it.advance(10 * MINUTE)
    await it.crash(passUnseen)
    await it.engine().idle()
    await lastTwoDays()
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
