import { expect, test } from 'vitest'
import { DAY } from '../../kernel/time.ts'
import type { Scope } from '../drivers.ts'
import { type Admission, admissionOf, changeOfAdmission, isSameAdmission } from './admission.ts'
import { defaultRules } from './rules.ts'

const usual: Admission = {
  direction: 'both',
  onlyCategory: null,
  onlyFolder: null,
  pastMs: 30 * DAY,
  futureMs: 28 * DAY,
  lists: 'a',
  markCategory: 'CRM',
  series: 's',
  extent: '',
  owner: 'ada@contoso.com',
  listedTo: '2026-12-21T00:00:00Z',
}
const nothing = { lists: false, compares: false, formerMark: undefined }
const lists = { ...nothing, lists: true }
const all = { lists: true, compares: true, formerMark: undefined }

test.each<[string, Partial<Admission>, Partial<Admission>, object]>([
  ['nothing', {}, {}, nothing],
  ['one way becomes both ways', { direction: 'to-crm' }, {}, all],
  ['the other way', { direction: 'to-crm' }, { direction: 'to-exchange' }, all],
  ['both ways become one', {}, { direction: 'to-crm' }, nothing],
  ['a category is asked for no longer', { onlyCategory: 'Yes' }, {}, lists],
  ['another category is asked for', { onlyCategory: 'Yes' }, { onlyCategory: 'Ja' }, lists],
  ['a category is asked for now', {}, { onlyCategory: 'Yes' }, nothing],
  ['a folder is asked for no longer', { onlyFolder: 'CRM' }, {}, lists],
  ['a longer past', {}, { pastMs: 60 * DAY }, lists],
  ['a past without end', {}, { pastMs: null }, lists],
  ['a shorter past', {}, { pastMs: 10 * DAY }, nothing],
  ['a past that ends now', { pastMs: null }, {}, nothing],
  ['a longer future', {}, { futureMs: 90 * DAY }, lists],
  ['a shorter future', {}, { futureMs: 7 * DAY, listedTo: '2026-12-01T00:00:00Z' }, nothing],
  ['another block list', {}, { lists: 'b' }, lists],
  ['another employee', {}, { owner: 'ada.byron@contoso.com' }, lists],
  ['another category of the hub', {}, { markCategory: 'SAP' }, { ...nothing, compares: true, formerMark: 'CRM' }],
  ['series in another form', {}, { series: 't' }, { ...nothing, compares: true }],
  ['a few days later', {}, { listedTo: '2026-12-27T00:00:00Z' }, nothing],
  ['more than a week later', {}, { listedTo: '2026-12-29T00:00:00Z' }, lists],
  ['a short future, two days later', { futureMs: DAY }, { futureMs: DAY, listedTo: '2026-12-23T00:00:00Z' }, lists],
  ['much later, without an end', { futureMs: null, listedTo: null }, { futureMs: null, listedTo: null }, nothing],
])('%s', (_, before, now, expected) => {
  expect(changeOfAdmission({ ...usual, ...before }, { ...usual, ...now })).toEqual(expected)
})

test('where nothing was written down yet, nothing is asked for', () => {
  expect(changeOfAdmission(undefined, usual)).toEqual(nothing)
})

test('rules that do not decide who comes in change nothing, and neither does the next day', () => {
  const scope: Scope = {
    organization: 'x',
    mailbox: 'a@x.example',
    owner: 'a@x.example',
    kind: 'appointment',
    folders: [],
    from: null,
    to: '2026-12-21T00:00:00Z',
  }
  const kinds = { ...defaultRules.kinds, appointment: { ...defaultRules.kinds.appointment, conflict: 'crm' as const } }
  const one = admissionOf(defaultRules, scope)
  const other = admissionOf({ ...defaultRules, kinds, brake: { freeCount: 1, share: 0 } }, scope)
  expect(isSameAdmission(one, { ...other, listedTo: '2026-12-22T00:00:00Z' })).toBe(true)
  expect(isSameAdmission(one, { ...other, direction: 'to-crm' })).toBe(false)
})
