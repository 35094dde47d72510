import { expect, test } from 'vitest'
import { hubErrors } from '../kernel/error.ts'
import { HOUR, MINUTE } from '../kernel/time.ts'
import { SimulatedClock } from '../testing/simulated-clock.ts'
import { makeTokenCache } from './token-cache.ts'

test('a server that failed is asked again after the same pause, also where the clock is set back by an hour', async () => {
  const clock = new SimulatedClock()
  let isDown = true
  const cache = makeTokenCache({
    clock,
    random: () => 0,
    fetchToken: async () => {
      if (isDown) throw hubErrors.UNEXPECTED({ text: 'no route' })
      return { value: 'token', sentAt: clock.now(), expiresInMs: HOUR }
    },
    onBackgroundFailure: () => {},
  })
  await expect(cache.token()).rejects.toThrow('no route')
  clock.set(clock.now() - HOUR)
  await expect(cache.token()).rejects.toThrow('no route')
  isDown = false
  await clock.advance(MINUTE)
  expect(await cache.token()).toMatchObject({ value: 'token' })
})
