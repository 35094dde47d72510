import { expect, test } from 'vitest'
import { SimulatedClock } from '../testing/simulated-clock.ts'
import { storeErrors } from './errors.ts'
import { watchStore } from './watch-store.ts'

const settle = () => new Promise<void>(resolve => setImmediate(resolve))

test('a store that is full for a while is known as that and not lost; one that takes nothing more is told once', async () => {
  const clock = new SimulatedClock()
  const answers = [storeErrors.FULL({ text: 'ENOSPC' }), undefined, storeErrors.NOT_DURABLE({ text: 'EIO' })]
  const lost: string[] = []
  const watch = watchStore(
    {
      async write() {
        const error = answers.shift()
        if (error) throw error
        return 1
      },
    },
    clock,
    error => lost.push(error.code),
  )
  const begun = clock.now()
  await clock.advance(5_000, settle)
  expect(watch.failure()).toMatchObject({ since: begun + 5_000, error: { code: 'STORE_FULL' } })
  await clock.advance(5_000, settle)
  expect([watch.failure(), ...lost]).toEqual([undefined])
  await clock.advance(60_000, settle)
  expect(lost).toEqual(['STORE_NOT_DURABLE'])
})
