import { afterEach, beforeEach, expect, test } from 'vitest'
import { MINUTE } from '../../kernel/time.ts'
import { appointment } from '../sync/sides-world.ts'
import { GroupwareWorld, organizationSettings } from './groupware-world.ts'

let world: GroupwareWorld

beforeEach(async () => {
  world = new GroupwareWorld()
  for (const person of ['ada@contoso.com', 'ben@contoso.com']) {
    const attendees = [{ address: 'x@news.example', name: '', role: 'required', response: 'none' }] as const
    world.addPerson(person).mailbox.add(appointment({ subject: 'news', attendees }))
    world.mailboxes.get(person)?.add(appointment({ subject: 'visit' }))
  }
  const groupware = await world.start()
  await groupware.writeProfile('sales', { rules: { blocked: ['news.example'] } })
  await groupware.createOrganization('contoso', { ...organizationSettings, profile: 'sales', every: '12h' })
  await groupware.addList('contoso', 'ada@contoso.com\nben@contoso.com', false)
  await groupware.startJob('contoso', 'activate', 'all')
  await world.pass(5 * MINUTE)
})
afterEach(async () => {
  await world.groupware.close()
})

const inCrm = (person: string) =>
  [...(world.crms.get(person)?.held.values() ?? [])]
    .map(({ item }) => ('subject' in item ? item.subject : ''))
    .toSorted()

test('a profile that is saved counts for all its mailboxes within minutes, however seldom they are asked', async () => {
  expect(inCrm('ada@contoso.com')).toEqual(['visit'])
  await world.groupware.writeProfile('sales', { rules: {} })
  await world.pass(5 * MINUTE)
  expect(inCrm('ada@contoso.com')).toEqual(['news', 'visit'])
  expect(inCrm('ben@contoso.com')).toEqual(['news', 'visit'])
  expect(world.mailboxes.get('ada@contoso.com')?.held.size).toBe(2)
})

test('so do the settings of one user, and another profile of the organization', async () => {
  const { groupware } = world
  await groupware.putMailbox('contoso', { address: 'ada@contoso.com' }, { appointment: { direction: 'off' } })
  world.mailboxes.get('ada@contoso.com')?.add(appointment({ subject: 'later' }))
  await world.pass(5 * MINUTE)
  expect(inCrm('ada@contoso.com')).toEqual(['visit'])
  await groupware.putMailbox('contoso', { address: 'ada@contoso.com' }, {})
  await world.pass(5 * MINUTE)
  expect(inCrm('ada@contoso.com')).toEqual(['later', 'visit'])
  await groupware.updateOrganization('contoso', { ...organizationSettings, profile: 'default', every: '12h' })
  await world.pass(5 * MINUTE)
  expect(inCrm('ben@contoso.com')).toEqual(['news', 'visit'])
})

test('visits that are switched on have every mailbox asked within minutes, behind new drivers', async () => {
  const { groupware, opened } = world
  world.mailboxes.get('ada@contoso.com')?.add(appointment({ subject: 'later' }))
  const crm = { ...organizationSettings.crm, visits: 'owner' }
  await groupware.updateOrganization('contoso', { ...organizationSettings, crm, profile: 'sales', every: '12h' })
  expect(groupware.organization('contoso').crm.visits).toBe('owner')
  await world.pass(5 * MINUTE)
  expect(inCrm('ada@contoso.com')).toEqual(['later', 'visit'])
  expect(world.opened).toBe(opened + 1)
})

test('another category of the hub needs no save of the organization; other rules open no new drivers', async () => {
  const { groupware } = world
  const { opened } = world
  await groupware.writeProfile('sales', { rules: { blocked: ['other.example'] } })
  await world.pass(5 * MINUTE)
  expect(world.opened).toBe(opened)
  await groupware.writeProfile('sales', { rules: { markCategory: 'Cloud' } })
  await world.pass(5 * MINUTE)
  expect(world.opened).toBe(opened + 1)
})
