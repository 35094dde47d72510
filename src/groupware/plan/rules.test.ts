import { describe, expect, test } from 'vitest'
import { DAY } from '../../kernel/time.ts'
import { appointment } from '../sync/sides-world.ts'
import { brakesDeletions } from './brake.ts'
import type { Item, Mail } from './items.ts'
import { defaultRules, type SkipReason, skipReason, skipWords, winnerOf } from './rules.ts'

const now = Date.parse('2026-11-23T12:00:00Z')
const context = {
  rules: { ...defaultRules, blocked: ['spam.example', 'boss@y.example', 'boss@x.example'], ownDomains: ['x.example'] },
  now,
  person: { mailbox: 'a@x.example', owner: 'a@x.example' },
}

const mail = (fields: Partial<Mail> = {}): Mail => ({
  kind: 'mail',
  subject: 'Order',
  from: { address: 'customer@c.example', name: 'C' },
  to: [{ address: 'a@x.example', name: 'A' }],
  cc: [],
  sentAt: '2026-11-22T08:00:00Z',
  direction: 'in',
  messageId: '<1@c.example>',
  body: { type: 'text', content: 'Please send ten.' },
  importance: 'normal',
  sensitivity: 'normal',
  categories: [defaultRules.markCategory],
  attachments: [],
  nature: 'letter',
  ...fields,
})
const to = (...addresses: string[]) => addresses.map(address => ({ address, name: '' }))
const invited = (...addresses: string[]) =>
  addresses.map(address => ({ address, name: '', role: 'required', response: 'none' }) as const)

const invitation = (from: string, ...addresses: string[]) =>
  appointment({ organizer: { address: from, name: '' }, attendees: invited(...addresses) })

describe('what comes over from a mailbox', () => {
  test.each<[string, Item, SkipReason | undefined]>([
    ['a marked mail of a customer', mail(), undefined],
    ['a mail without the category', mail({ categories: ['red'] }), 'not-marked'],
    ['a private mail', mail({ sensitivity: 'private' }), 'private'],
    ['a confidential appointment', appointment({ sensitivity: 'confidential' }), 'private'],
    ['a bounce', mail({ nature: 'service' }), 'service-mail'],
    ['a mail among colleagues', mail({ from: { address: 'b@x.example', name: '' } }), 'blocked'],
    ['a mail of a blocked domain to us', mail({ from: { address: 'a@spam.example', name: '' } }), 'blocked'],
    ['a mail of a blocked domain to a customer, too', mail({ to: to('a@spam.example', 'c@c.example') }), undefined],
    ['a domain that only ends alike', mail({ from: { address: 'a@nospam.example', name: '' } }), undefined],
    ['an old mail', mail({ sentAt: '2026-09-01T00:00:00Z' }), 'outside-window'],
    ['a meeting with blocked people alone', appointment({ attendees: invited('boss@y.example') }), 'blocked'],
    ['an invitation of somebody blocked', invitation('news@spam.example', 'a@x.example'), 'blocked'],
    ['one that goes to colleagues, too', invitation('news@spam.example', 'a@x.example', 'b@x.example'), 'blocked'],
    ['one that goes to a customer, too', invitation('news@spam.example', 'a@x.example', 'c@c.example'), undefined],
    ['an invitation of a customer', invitation('c@c.example', 'a@x.example', 'news@spam.example'), undefined],
    ['a meeting with a colleague who is blocked', appointment({ attendees: invited('boss@x.example') }), 'blocked'],
    ['one with other colleagues, too', appointment({ attendees: invited('boss@x.example', 'b@x.example') }), undefined],
    ['a meeting among colleagues', appointment({ attendees: invited('b@x.example') }), undefined],
    ['an appointment of nobody but oneself', appointment(), undefined],
    ['a cancelled meeting', appointment({ isCancelled: true }), 'cancelled'],
    [
      'an old appointment',
      appointment({ start: '2026-01-01T08:00:00Z', end: '2026-01-01T09:00:00Z' }),
      'outside-window',
    ],
    ['an old series that goes on', series(null), undefined],
    ['an old series that ended', series('2026-02-01'), 'outside-window'],
    ['an old series whose number of occurrences is over', series(null, 4), 'outside-window'],
    ['an old series whose number of occurrences is not over', series(null, 400), undefined],
  ])('%s', (_what, item, reason) => {
    expect(skipReason('exchange', { item, folder: null }, context)).toBe(reason)
  })

  test('whose mailbox it is does not count beside who is blocked, whether or not the company is named', () => {
    const rules = { ...context.rules, ownDomains: [] }
    const reason = (item: Item) => skipReason('exchange', { item, folder: null }, { ...context, rules })
    expect(reason(invitation('news@spam.example', 'a@x.example'))).toBe('blocked')
    expect(reason(mail({ from: { address: 'a@spam.example', name: '' } }))).toBe('blocked')
    expect(reason(invitation('news@spam.example', 'a@x.example', 'c@c.example'))).toBeUndefined()
    // A note to oneself.
    expect(reason(mail({ from: { address: 'a@x.example', name: '' } }))).toBeUndefined()
  })

  test('only from the folder that is named', () => {
    const kinds = { ...defaultRules.kinds, contact: { ...defaultRules.kinds.contact, onlyFolder: 'SAP Contacts' } }
    const rules = { ...defaultRules, kinds }
    const contact = { kind: 'contact', emails: [], categories: [], sensitivity: 'normal' } as unknown as Item
    expect(skipReason('exchange', { item: contact, folder: 'Contacts' }, { ...context, rules })).toBe('other-folder')
    expect(skipReason('exchange', { item: contact, folder: 'SAP Contacts' }, { ...context, rules })).toBeUndefined()
  })

  test('nothing of a kind that is off, and only what goes the right way', () => {
    const kinds = (direction: 'off' | 'to-exchange' | 'to-crm') => ({
      ...defaultRules,
      kinds: { ...defaultRules.kinds, appointment: { ...defaultRules.kinds.appointment, direction } },
    })
    const found = { item: appointment(), folder: null }
    expect(skipReason('exchange', found, { ...context, rules: kinds('off') })).toBe('kind-off')
    expect(skipReason('exchange', found, { ...context, rules: kinds('to-exchange') })).toBe('wrong-direction')
    expect(skipReason('crm', found, { ...context, rules: kinds('to-exchange') })).toBeUndefined()
    expect(skipReason('crm', found, { ...context, rules: kinds('to-crm') })).toBe('wrong-direction')
  })

  test('each reason has its sentence', () => {
    for (const words of Object.values(skipWords)) expect(words).toMatch(/^[A-Z].*\.$/)
  })
})

test.each([
  ['newest', 2, 1, 'exchange'],
  ['newest', 1, 2, 'crm'],
  ['newest', 1, 1, 'crm'],
  ['newest', null, null, 'crm'],
  ['newest', 5, null, 'crm'],
  ['exchange', 1, 2, 'exchange'],
  ['crm', 2, 1, 'crm'],
] as const)('rule %s: changed at %s in Exchange and %s in the CRM, %s wins', (rule, exchange, crm, winner) => {
  expect(winnerOf(rule, { modifiedAt: exchange }, { modifiedAt: crm })).toBe(winner)
})

test.each([
  [10, 12, false],
  [11, 12, true],
  [50, 1000, false],
  [201, 1000, true],
])('%s deletions of %s links: braked %s', (deletions, links, isBraked) => {
  expect(brakesDeletions(defaultRules.brake, { deletions, links })).toBe(isBraked)
})

function series(lastDay: string | null, count: number | null = null) {
  const start = now - 300 * DAY
  return appointment({
    start: new Date(start).toISOString().replace('.000', ''),
    end: new Date(start + 3_600_000).toISOString().replace('.000', ''),
    recurrence: {
      unit: 'week',
      interval: 1,
      days: ['monday'],
      which: null,
      dayOfMonth: null,
      month: null,
      firstDay: '2026-01-26',
      lastDay,
      count,
    },
  })
}
