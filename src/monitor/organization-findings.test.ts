import { expect, test } from 'vitest'
import { MINUTE } from '../kernel/time.ts'
import { findGroupware, findOrganization } from './organization-findings.ts'
import type { WatchedOrganization } from './watched.ts'

const now = Date.UTC(2026, 10, 21)
const well: WatchedOrganization = {
  name: 'contoso',
  counts: { active: 10, error: 0 },
  account: { isRefused: false, trouble: undefined },
  totals: { itemsIn: 1, itemsOut: 2, conflicts: 0, refused: 0, held: 0 },
  inError: undefined,
}
const troublesOf = (change: Partial<WatchedOrganization>) =>
  findOrganization({ ...well, ...change }, now).flatMap(({ trouble }) => trouble ?? [])

test('an organization that is well raises nothing', () => {
  expect(troublesOf({})).toEqual([])
})

test('an account that is refused is told at once, one that is busy after a while', () => {
  const trouble = { since: now - 5 * MINUTE, message: 'It is refused.', next: 'Enter its password.' }
  const told = { what: expect.stringContaining('contoso has been synced for 5m: It is refused.'), next: trouble.next }
  expect(troublesOf({ account: { isRefused: true, trouble } })).toMatchObject([told])
  expect(troublesOf({ account: { isRefused: false, trouble } })).toEqual([])
  const longer = { ...trouble, since: now - 15 * MINUTE }
  expect(troublesOf({ account: { isRefused: false, trouble: longer } })).toHaveLength(1)
})

test('mailboxes in error are one alert, which names the first', () => {
  const inError = { mailbox: 'ada@contoso.com', since: now, message: 'No rights.', next: 'Give them.' }
  expect(troublesOf({ counts: { error: 3 }, inError })).toMatchObject([
    {
      what: '3 mailboxes of organization contoso cannot be synced, first ada@contoso.com: No rights.',
      command: 'isthmus mailbox list --organization contoso --state error',
    },
  ])
})

test('deletions that wait are told until a person has decided', () => {
  expect(troublesOf({ totals: { ...well.totals, held: 30 } })).toMatchObject([
    { what: expect.stringMatching(/^30 deletions in organization contoso wait/) },
  ])
})

test('a sync that could not be opened is told with the reason', () => {
  const error = { message: 'A record cannot be read.', next: 'Restore it.' }
  expect(findGroupware({ since: now, error }).trouble).toMatchObject({
    what: 'The groupware sync could not be opened, so no mailbox is synced: A record cannot be read.',
    next: 'Restore it.',
  })
  expect(findGroupware(undefined).trouble).toBeUndefined()
})
