import { afterEach, beforeEach, expect, test } from 'vitest'
import { MINUTE, SECOND } from '../../kernel/time.ts'
import { appointment } from '../sync/sides-world.ts'
import { GroupwareWorld, organizationSettings } from './groupware-world.ts'

const people = ['ada@contoso.com', 'ben@contoso.com', 'eve@contoso.com']
let world: GroupwareWorld

beforeEach(async () => {
  world = new GroupwareWorld()
  for (const person of people) {
    const { mailbox } = world.addPerson(person)
    for (let count = 0; count < 15; count += 1) mailbox.add(appointment({ subject: `item ${count}` }))
  }
  const groupware = await world.start()
  await groupware.createOrganization('contoso', organizationSettings)
  await groupware.addList('contoso', people.join('\n'), false)
  await groupware.startJob('contoso', 'activate', 'all')
  await world.pass(2 * MINUTE)
})
afterEach(async () => {
  await world.groupware.close()
})

async function empty(person: string): Promise<void> {
  const { held } = world.mailboxes.get(person) ?? {}
  for (const id of held?.keys() ?? []) world.mailboxes.get(person)?.drop(id)
  await world.pass(2 * MINUTE)
}

const counts = () => people.map(person => [world.mailboxes.get(person)?.held.size, world.crms.get(person)?.held.size])

test('an administrator sees what was deleted, and has it created anew', async () => {
  const { groupware } = world
  await empty('ada@contoso.com')
  const first = await groupware.held('ada@contoso.com', { limit: 10 })
  expect(first.counts).toEqual({ appointment: 15 })
  expect(first.items[0]).toMatchObject({ kind: 'appointment', deletedOn: 'exchange', isGone: false })
  const second = await groupware.held('ada@contoso.com', { after: first.next, limit: 10 })
  expect(second.next).toBeUndefined()
  expect(new Set([...first.items, ...second.items].map(({ title }) => title)).size).toBe(15)
  expect((await groupware.held('ada@contoso.com', { kind: 'task', limit: 10 })).counts).toEqual({})

  expect(await groupware.decideHeld('ada@contoso.com', 'restore', 'task')).toBe(0)
  expect(await groupware.decideHeld('ada@contoso.com', 'restore')).toBe(15)
  await world.pass(2 * MINUTE)
  expect(counts()[0]).toEqual([15, 15])
  expect(groupware.progressOf('ada@contoso.com').held).toEqual({})
  expect((await groupware.held('ada@contoso.com', { limit: 10 })).items).toEqual([])
  const log = groupware.logOf({ mailbox: 'ada@contoso.com', limit: 100 })
  expect(log.map(line => ('text' in line ? line.text : ''))).toContain(
    'A person had 15 items restored whose deletion the brake held back.',
  )
})

test('one word is enough for all mailboxes of an organization; those where nothing waits are left alone', async () => {
  const { groupware } = world
  await empty('ada@contoso.com')
  await empty('eve@contoso.com')
  const job = await groupware.startJob('contoso', 'restore-held', 'all')
  expect(job.total).toBe(2)
  await world.pass(10 * SECOND)
  expect((await groupware.jobEnded(job.id)).failedCount).toBe(0)
  await world.pass(2 * MINUTE)
  expect(counts()).toEqual([
    [15, 15],
    [15, 15],
    [15, 15],
  ])
  await empty('ben@contoso.com')
  const meant = await groupware.startJob('contoso', 'release-brake', 'all')
  expect(meant.total).toBe(1)
  await world.pass(2 * MINUTE)
  expect(counts()[1]).toEqual([0, 0])
})
