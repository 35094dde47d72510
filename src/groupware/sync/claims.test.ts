import { expect, test } from 'vitest'
import { HubError } from '../../kernel/error.ts'
import { SECOND } from '../../kernel/time.ts'
import { syncLimits } from './context.ts'
import { only, Pair, titles } from './pair-world.ts'
import { appointment } from './sides-world.ts'

const lost = new HubError('WORLD_UNKNOWN', {
  side: 'receiver',
  retry: 'soon',
  isOutcomeUnknown: true,
  means: 'The answer was lost.',
  next: 'Nothing; it is looked for.',
})

/** Two mailboxes with the same meeting, which each has under its own id. */
function colleagues(): readonly [Pair, Pair] {
  const first = new Pair()
  const second = new Pair('appointment', first)
  for (const { mailbox } of [first, second]) mailbox.add(appointment({ subject: 'All hands' })).uid = 'ALL-HANDS'
  return [first, second]
}

test('a meeting of two mailboxes that are synced at the same time is one in the CRM', async () => {
  const [first, second] = colleagues()
  const reports = await Promise.all([first.round(), second.round()])
  expect(titles(first.crm.held)).toEqual(['All hands'])
  expect(reports.map(({ isPostponed }) => isPostponed)).toEqual([false, true])
  expect([first.told(), second.told()]).toEqual([['created crm'], ['postponed exchange']])

  await second.settle()
  await Promise.all([first.settle(), second.settle()])
  expect(titles(first.crm.held)).toEqual(['All hands'])
  expect(second.told()).toContain('linked exchange')
  expect(await second.store.countLinks(second.scope)).toBe(1)
})

test('a meeting that two mailboxes find again at the same time is led by one of them', async () => {
  const [first, second] = colleagues()
  for (const each of [first, second]) await each.settle()
  for (const { store, scope } of [first, second]) await store.forget(scope)
  await Promise.all([first.round(), second.round()])
  for (const each of [second, first, second]) await each.settle()
  const meeting = only(first.crm.held)
  const links = [
    ...(await first.store.findLinks(first.scope, 'crm', [meeting.id])),
    ...(await second.store.findLinks(second.scope, 'crm', [meeting.id])),
  ]
  expect(links.map(({ role }) => role)).toEqual(['lead', 'follower'])
  // An attendee who deletes it has not cancelled it.
  second.mailbox.drop(only(second.mailbox.held).id)
  await second.settle()
  expect(titles(first.crm.held)).toEqual(['All hands'])
})

test('a meeting that another mailbox finds before it is written down who has created it is led by one of them', async () => {
  const [first, second] = colleagues()
  const { write } = first.store
  first.store.write = async (scope, change) => {
    if (change.putLinks) {
      first.store.write = write
      await second.round()
    }
    await write(scope, change)
  }
  await first.round()
  expect(second.told()).toContain('postponed exchange')
  for (const each of [second, first, second]) await each.settle()
  const { id } = only(first.crm.held)
  const links = await Promise.all([first, second].map(({ store, scope }) => store.findLinks(scope, 'crm', [id])))
  expect(links.flat().map(({ role }) => role)).toEqual(['lead', 'follower'])
})

test('what may still come to be is created by no other mailbox meanwhile', async () => {
  const [first, second] = colleagues()
  const late: (() => void)[] = []
  first.around.delays = (side, write) => side === 'crm' && late.push(write) > 0
  first.around.onRequest = (side, name, when) => {
    if (side === 'crm' && name === 'create' && when === 'after') throw lost
  }
  await expect(first.round()).rejects.toBe(lost)
  Object.assign(first.around, { delays: () => false, onRequest() {} })

  await second.settle()
  expect(titles(first.crm.held)).toEqual([])
  for (const carryOut of late) carryOut()
  first.around.now += 10 * SECOND
  await second.settle()
  await first.settle()
  first.around.now += syncLimits.lateMs
  for (const each of [second, first, second]) await each.settle()
  expect(titles(first.crm.held)).toEqual(['All hands'])
  for (const each of [first, second]) expect(await each.store.countLinks(each.scope)).toBe(1)
})
