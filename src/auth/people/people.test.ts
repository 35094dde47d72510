import { expect, test } from 'vitest'
import { systemClock } from '../../kernel/time.ts'
import { MemoryRecords } from '../records-world.ts'
import { openPeople } from './people.ts'

const password = 'correct horse battery'

test('a role is taken from everybody, and who is deleted meanwhile stays deleted', async () => {
  const records = new MemoryRecords()
  const people = await openPeople({ records, clock: systemClock })
  for (const name of ['anna', 'bert', 'cleo']) await people.create({ name, roles: ['Orders', 'Costs'], password })
  expect(people.withRole('Orders')).toEqual(['anna', 'bert', 'cleo'])

  const taking = people.takeRole('Orders')
  // One whose record is being written, and one whose turn is still to come.
  await Promise.all([people.delete('anna'), people.delete('bert')])
  await taking
  const left = [{ name: 'cleo', roles: ['Costs'] }]
  expect(people.list()).toMatchObject(left)
  expect((await openPeople({ records, clock: systemClock })).list()).toMatchObject(left)
})
