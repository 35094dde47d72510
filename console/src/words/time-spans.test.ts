import { expect, test } from 'vitest'
import { boundsOf, ownSpan } from './time-spans.ts'

const now = Date.parse('2026-11-21T02:00:00.000Z')

test.each([
  ['no choice', { within: '', from: '2026-11-21T02:00', to: '' }, {}],
  ['the last hour', { within: '1h', from: '', to: '' }, { from: '2026-11-21T01:00:00.000Z' }],
  ['something that is no span', { within: '3w', from: '', to: '' }, {}],
  ['nothing filled in yet', { within: ownSpan, from: '', to: 'soon' }, { from: undefined, to: undefined }],
])('%s', (_what, choice, bounds) => {
  expect(boundsOf(choice, now)).toEqual(bounds)
})

test('times of one’s own are those of this place', () => {
  const { from, to } = boundsOf({ within: ownSpan, from: '2026-11-21T02:00', to: '2026-11-21T03:30' }, now)
  expect([from, to]).toEqual([new Date(2026, 10, 21, 2).toISOString(), new Date(2026, 10, 21, 3, 30).toISOString()])
})
