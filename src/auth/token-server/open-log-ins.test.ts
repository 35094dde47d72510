import { expect, test } from 'vitest'
import { MINUTE } from '../../kernel/time.ts'
import { SimulatedClock } from '../../testing/simulated-clock.ts'
import { MemoryRecords } from '../records-world.ts'
import { DeniedTokens } from './denied-tokens.ts'
import { openStateStore } from './state-store.ts'
import { tokenLimits } from './token-limits.ts'

test('whoever begins ten thousand log-ins keeps nobody out, nor pushes out those of others, over a restart too', async () => {
  const records = new MemoryRecords()
  const clock = new SimulatedClock()
  const denied = await DeniedTokens.open(records, clock)
  let address = '198.51.100.7'
  const open = () => openStateStore({ records, clock, denied, callerAddress: () => address })
  const store = await open()
  const logIns = store.shelf('Interaction')
  const begin = (id: string) => logIns.upsert(id, { id }, 600)
  await begin('of anna')
  address = '2001:db8:0:1::1'
  for (let count = 0; count < tokenLimits.openInteractions + 50; count++) {
    if (count % 2 === 0) address = `2001:db8:0:1::${count.toString(16).slice(-4)}`
    await begin(`flood ${count}`)
  }
  address = '198.51.100.8'
  await begin('of ben')
  // To go on with one is not to begin another.
  await begin('of ben')
  const isOpen = async (id: string) => (await logIns.find(id)) !== undefined
  expect(await Promise.all(['of anna', 'of ben', 'flood 51', 'flood 52'].map(isOpen))).toEqual([
    true,
    true,
    false,
    true,
  ])
  expect((await records.list('token-state')).length).toBe(tokenLimits.openInteractions)

  const again = await open()
  address = '198.51.100.9'
  await again.shelf('Interaction').upsert('of carl', {}, 600)
  expect(await again.shelf('Interaction').find('of carl')).toBeDefined()
  expect((await records.list('token-state')).length).toBe(tokenLimits.openInteractions)
  await clock.advance(11 * MINUTE)
  expect(await again.purge()).toBe(tokenLimits.openInteractions)
})
