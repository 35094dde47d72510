import { afterEach, expect, test } from 'vitest'
import { heldBody } from '../kernel/body.ts'
import { KiB } from '../kernel/size.ts'
import { type EngineWorld, engineWorld } from './engine-world.ts'

let it: EngineWorld
afterEach(() => it.close())

const asks = { asks: true } as const
const upper = (text: string) => heldBody(text.toUpperCase(), 'text/loud')

/** A flow that answers with the body in capital letters, `times` as long. */
async function world({ times = 1, limits = {} } = {}): Promise<void> {
  it = await engineWorld({
    keepsResult: true,
    limits,
    steps: [
      message => {
        const text = Buffer.from(message.body.held ?? []).toString()
        const attributes = { ...message.attributes, fault: 'F1' }
        return { next: { ...message, attributes, body: upper(text.repeat(times)) } }
      },
    ],
  })
}

const resultOf = async (id: string) => {
  const outcome = await it.outcome(id)
  return outcome?.result && [outcome.result.body.type, Buffer.from(outcome.result.body.held ?? []).toString()]
}

test('a result is there for who asks again, also in another process', async () => {
  await world()
  const { id } = await it.accept('price', { attributes: asks, sourceKey: 'q-1' })
  expect(await resultOf(id)).toEqual(['text/loud', 'PRICE'])
  await it.engine().idle()
  await it.crash()
  expect(await it.accept('price', { attributes: asks, sourceKey: 'q-1' })).toEqual({ id, duplicate: true })
  expect(await resultOf(id)).toEqual(['text/loud', 'PRICE'])
  expect((await it.outcome(id))?.result?.attributes).toEqual({ asks: true, fault: 'F1' })
})

test('it is kept with the delivery, as a receipt of its own, and goes with it', async () => {
  await world()
  const { id } = await it.accept('price', { attributes: asks })
  await it.outcome(id)
  await it.engine().idle()
  const row = await it.store().get(id)
  expect(row?.receipts.map(({ effect, summary }) => [effect, summary])).toEqual([
    ['to[0]', '250 ok'],
    ['result', 'the result, kept for whoever asks again (5 bytes)'],
  ])
  const before = it.clock.now() + 1
  await it.store().purge({ flow: 'orders', deliveredBefore: before, setAsideBefore: before, max: 10 })
  await it.crash()
  await expect(it.outcome(id)).rejects.toMatchObject({ code: 'STORE_NOT_FOUND' })
})

test('what nobody waits for is not kept', async () => {
  await world()
  const { id } = await it.accept('order')
  await it.outcome(id)
  await it.engine().idle()
  await it.crash()
  expect(await it.outcome(id)).toMatchObject({ state: 'delivered', summary: '250 ok' })
  expect(await resultOf(id)).toBeUndefined()
})

test('a large one is asked of the store, not held in memory; one beyond the limit is given once', async () => {
  await world({ times: 100 * KiB })
  const { id } = await it.accept('x', { attributes: asks })
  await it.outcome(id)
  await it.engine().idle()
  expect((await resultOf(id))?.[1]).toHaveLength(100 * KiB)
  await it.close()

  await world({ times: 100 * KiB, limits: { keptResultBytes: 64 * KiB } })
  const { id: beyond } = await it.accept('x', { attributes: asks })
  expect((await resultOf(beyond))?.[1]).toHaveLength(100 * KiB)
  await it.engine().idle()
  expect(await it.outcome(beyond)).toMatchObject({ state: 'delivered' })
  expect(await resultOf(beyond)).toBeUndefined()
})
