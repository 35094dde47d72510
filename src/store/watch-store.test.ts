import { expect, test } from 'vitest'
import { MINUTE } from '../kernel/time.ts'
import { SimulatedClock } from '../testing/simulated-clock.ts'
import { storeErrors } from './errors.ts'
import type { Store } from './port.ts'
import { watchStore } from './watch-store.ts'

/** A store of which nothing else is asked. */
const storeOf = (write: unknown, writeBody?: unknown) =>
  ({
    write,
    bodies: { write: writeBody },
    accept: async () => {
      throw new Error('unused')
    },
  }) as unknown as Store

const settle = () => new Promise<void>(resolve => setImmediate(resolve))

test('a store that is full for a while is known as that and not lost; one that takes nothing more is told once', async () => {
  const clock = new SimulatedClock()
  const answers = [storeErrors.FULL({ text: 'ENOSPC' }), undefined, storeErrors.NOT_DURABLE({ text: 'EIO' })]
  const lost: string[] = []
  const watch = watchStore(
    storeOf(async () => {
      const error = answers.shift()
      if (error) throw error
      return 1
    }),
    clock,
    error => lost.push(error.code),
  )
  const begun = clock.now()
  await clock.advance(5_000, settle)
  expect(watch.failure()).toMatchObject({ since: begun + 5_000, error: { code: 'STORE_FULL' }, isPartial: false })
  await clock.advance(5_000, settle)
  expect([watch.failure(), ...lost]).toEqual([undefined])
  await clock.advance(60_000, settle)
  expect(lost).toEqual(['STORE_NOT_DURABLE'])
})

test.each([storeErrors.FULL, storeErrors.DATABASE_REFUSES])(
  'a store that refuses messages while small things can be written is told of, until it has been quiet for a while',
  async refused => {
    const clock = new SimulatedClock()
    let isFull = true
    const write = async () => {
      if (isFull) throw refused({ text: 'ENOSPC' })
      return { bytes: 1, type: 'a/b', sha256: undefined, inline: undefined }
    }
    const store = storeOf(async () => 1, write)
    const watch = watchStore(store, clock, () => {})
    const take = () => watch.store.bodies.write(new Uint8Array(), { type: 'a/b', bytesMax: 1, hash: false })
    const begun = clock.now()
    await expect(take()).rejects.toMatchObject({ code: refused.code })
    await clock.advance(5 * MINUTE, settle)
    await expect(take()).rejects.toMatchObject({ code: refused.code })
    await clock.advance(9 * MINUTE, settle)
    expect(watch.failure()).toMatchObject({ since: begun, error: { code: refused.code }, isPartial: true })
    isFull = false
    await take()
    // A clock that is set back makes it no longer.
    clock.set(clock.now() - 60 * MINUTE)
    await clock.advance(MINUTE, settle)
    expect(watch.failure()).toBeUndefined()
    await expect(watch.store.accept(undefined as never)).rejects.toThrow('unused')
    expect(watch.failure()).toBeUndefined()
    watch.end()
  },
)
