import { expect, test } from 'vitest'
import { DAY, MINUTE, SECOND } from '../../kernel/time.ts'
import { edit, only, ownedBy } from '../sync/pair-world.ts'
import { appointment } from '../sync/sides-world.ts'
import { GroupwareWorld, organizationSettings } from './groupware-world.ts'

test('what the CRM tells the mailbox of an attendee reaches the organizer, whose mailbox leads the meeting', async () => {
  const [organizer, attendee] = ['ben@contoso.com', 'ada@contoso.com'] as const
  const world = new GroupwareWorld()
  const ben = world.addPerson(organizer)
  const { mailbox, crm } = world.addPerson(attendee)
  const owners = new Map<string, string>()
  for (const address of [organizer, attendee]) world.crms.set(address, ownedBy(address, crm, owners))
  const meeting = appointment({
    organizer: { address: organizer, name: '' },
    attendees: [{ address: attendee, name: '', role: 'required', response: 'none' }],
  })
  ben.mailbox.add(meeting).uid = mailbox.add(meeting).uid
  const groupware = await world.start()
  await groupware.createOrganization('contoso', { ...organizationSettings, every: '1d' })
  for (const address of [attendee, organizer]) {
    await groupware.addList('contoso', address, false)
    const job = await groupware.startJob('contoso', 'activate', [address])
    await world.pass(MINUTE)
    await groupware.jobEnded(job.id)
  }
  await world.pass(DAY)
  crm.edit(only(crm.held).id, edit({ location: 'Berlin' }))
  groupware.syncNow(attendee)
  await world.pass(10 * SECOND)
  expect(only(ben.mailbox.held).item).toMatchObject({ location: 'Berlin' })
  await groupware.close()
})
