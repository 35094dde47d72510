import { afterEach, expect, test } from 'vitest'
import { hubErrors } from '../kernel/error.ts'
import { DAY, MINUTE } from '../kernel/time.ts'
import { type EngineWorld, engineWorld } from './engine-world.ts'

let it: EngineWorld
afterEach(() => it.close())

test('what waited for days behind another of its key has all its tries, not one', async () => {
  const down = () => Promise.reject(hubErrors.UNEXPECTED({ text: '451 down' }))
  it = await engineWorld({ orderBy: 'key', receivers: [down] })
  const first = await it.accept('1', { headers: { key: 'customer 7' } })
  const second = await it.accept('2', { headers: { key: 'customer 7' } })
  await it.advance(3 * DAY)
  expect(it.ended()).toMatchObject([{ delivery: first.id, state: 'set-aside' }])
  let busyTimes = 1
  it.setActs(message => {
    if (message.id === second.id && busyTimes-- > 0) throw hubErrors.UNEXPECTED({ text: '451 busy' })
    return { summary: '250 ok' }
  })
  await it.engine().replay(first.id, 'an operator')
  await it.advance(MINUTE)
  expect(it.ended().slice(1)).toMatchObject([
    { delivery: first.id, state: 'delivered' },
    { delivery: second.id, state: 'delivered' },
  ])
})

test('the time of all tries runs from the first one, over a restart as well', async () => {
  it = await engineWorld({ orderBy: 'key', receivers: [() => Promise.reject(hubErrors.UNEXPECTED({ text: 'down' }))] })
  const { id } = await it.accept('1')
  await it.engine().idle()
  await it.advance(DAY)
  await it.crash()
  await it.advance(DAY)
  expect(it.ended()).toMatchObject([{ delivery: id, state: 'set-aside' }])
})
