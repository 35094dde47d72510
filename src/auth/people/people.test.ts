import { expect, test } from 'vitest'
import type { Json } from '../../kernel/json.ts'
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

test('who was kept before times of passwords were noted has the one of the beginning', async () => {
  const records = new MemoryRecords()
  const people = await openPeople({ records, clock: systemClock })
  const { createdAt } = await people.create({ name: 'anna', roles: [], password })
  const [stored] = await records.list('person')
  const { passwordAt: _, ...older } = (stored?.value ?? {}) as Record<string, Json>
  await records.write('person', 'anna', older)
  expect((await openPeople({ records, clock: systemClock })).find('anna')).toMatchObject({ passwordAt: createdAt })
})

test('of changes at the same time each leaves what the others changed', async () => {
  const records = new MemoryRecords()
  const people = await openPeople({ records, clock: systemClock })
  for (const name of ['anna', 'bert']) await people.create({ name, roles: ['Orders', 'Costs'], password })
  await Promise.all([
    people.update('anna', { disabled: true }),
    people.update('anna', { email: 'anna@contoso.com' }),
    people.takeRole('Orders'),
    people.update('bert', { displayName: 'Bert' }),
  ])
  const expected = [
    { name: 'anna', disabledAt: expect.any(Number), email: 'anna@contoso.com', roles: ['Costs'] },
    { name: 'bert', displayName: 'Bert', roles: ['Costs'] },
  ]
  expect(people.list()).toMatchObject(expected)
  expect((await openPeople({ records, clock: systemClock })).list()).toMatchObject(expected)
})
