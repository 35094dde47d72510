import fc from 'fast-check'
import { afterEach, expect, test } from 'vitest'
import { readBody } from '../kernel/body.ts'
import { defineErrors } from '../kernel/error.ts'
import type { Message } from '../kernel/message.ts'
import { MINUTE } from '../kernel/time.ts'
import { type Act, type EngineWorld, engineWorld } from './engine-world.ts'
import { compareRanks } from './newest-delivered.ts'

const crm = defineErrors('STOCK', {
  BUSY: { side: 'receiver', retry: 'soon', means: 'Come back later.', next: 'Nothing.' },
  REFUSED: { side: 'receiver', retry: 'never', means: 'No.', next: 'Correct it.' },
})

let it: EngineWorld
afterEach(() => it.close())

const applied: string[] = []
const apply: Act = async message => {
  applied.push(await textOf(message))
  return { summary: 'ok' }
}
const textOf = async (message: Message) => Buffer.from(await readBody(message.body, 1e6, 'test')).toString()

async function world(receiver: Act = apply): Promise<void> {
  applied.length = 0
  it = await engineWorld({ receivers: [receiver], orderBy: 'object', onlyNewer: 'number' })
}

const send = (object: string, number: string) => it.accept(`${object} ${number}`, { headers: { object, number } })

test('what is older than the last delivered one is skipped, with words', async () => {
  await world()
  await send('MATMAS/1', '0000000000000012')
  const late = await send('MATMAS/1', '0000000000000009')
  await send('MATMAS/2', '0000000000000005')
  await it.engine().idle()
  expect(applied.toSorted()).toEqual(['MATMAS/1 0000000000000012', 'MATMAS/2 0000000000000005'])
  expect(await it.outcome(late.id)).toMatchObject({
    state: 'skipped',
    summary: 'superseded: 0000000000000012 of MATMAS/1 was delivered before, and this one is 0000000000000009',
  })
})

test('it is remembered over a restart, and a repeat of the last one is not older', async () => {
  await world()
  await send('a', '7')
  await it.engine().idle()
  await it.crash()
  await send('a', '6')
  await send('a', '07')
  await send('a', '8')
  await it.engine().idle()
  expect(applied).toEqual(['a 7', 'a 07', 'a 8'])
})

test('one that is set aside was not delivered: after it is skipped an older one goes', async () => {
  await world(async (message, effect) => {
    if ((await textOf(message)) === 'a 9') throw crm.REFUSED()
    return apply(message, effect)
  })
  const refused = await send('a', '9')
  await send('a', '4')
  await it.engine().idle()
  expect(applied).toEqual([])
  await it.engine().skip(refused.id, 'wrong', 'operator')
  await it.engine().idle()
  expect(applied).toEqual(['a 4'])
})

test('while a newer one is tried again nothing passes it', async () => {
  let failures = 2
  await world(async (message, effect) => {
    if (failures-- > 0) throw crm.BUSY()
    return apply(message, effect)
  })
  await send('a', '5')
  await send('a', '3')
  await it.engine().idle()
  await it.advance(10 * MINUTE)
  expect(applied).toEqual(['a 5'])
})

test('messages without a number or without an order key are not compared', async () => {
  await world()
  await send('a', '5')
  await send('a', '')
  await send('', '1')
  await it.engine().idle()
  expect(applied.toSorted()).toEqual([' 1', 'a ', 'a 5'])
})

test('numbers are compared by their value', () => {
  fc.assert(
    fc.property(
      fc.bigInt({ min: 0n, max: 10n ** 20n }),
      fc.bigInt({ min: 0n, max: 10n ** 20n }),
      fc.nat(5),
      (a, b, zeros) => {
        const sign = Math.sign(compareRanks('0'.repeat(zeros) + a, String(b)))
        expect(sign).toBe(a < b ? -1 : a > b ? 1 : 0)
      },
    ),
  )
  expect(compareRanks('2024-01-02', '2024-01-10')).toBeLessThan(0)
})
