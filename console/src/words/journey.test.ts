import { expect, test } from 'vitest'
import type { MessageDetail } from '../api/types.ts'
import { planJourney, titleOf } from './journey.ts'

const error = { code: 'SMTP_REFUSED', side: 'receiver', message: 'The server refused.', next: 'Correct the address.' }

function detail(more: Partial<MessageDetail>): MessageDetail {
  return {
    id: '0SA22EY2800',
    flow: 'orders',
    state: 'delivered',
    acceptedAt: '2026-11-21T02:00:00.000Z',
    at: '2026-11-21T02:00:09.000Z',
    attempts: 1,
    bytes: 10,
    awaitsChange: false,
    isProbe: false,
    headers: {},
    attributes: {},
    body: { bytes: 10, type: 'text/plain' },
    terms: [],
    replays: [],
    receipts: [],
    failures: [],
    ...more,
  }
}

const titles = (message: MessageDetail) => planJourney(message).map(({ title, tone }) => `${tone}: ${title}`)

test('a message that failed once and was delivered then tells both, in their order, with the receipt', () => {
  const message = detail({
    failures: [{ attempt: 1, at: '2026-11-21T02:00:01.000Z', error }],
    receipts: [
      {
        effect: 'to[0]',
        state: 'done',
        at: '2026-11-21T02:00:05.000Z',
        summary: '250 Ok',
        fields: { docnum: '0000004711' },
      },
    ],
  })
  expect(titles(message)).toEqual([
    'good: Accepted and kept',
    'bad: Attempt 1 failed',
    'good: Receipt of to[0]',
    'good: Delivered',
  ])
  const [, failed, receipt] = planJourney(message)
  expect(failed?.error).toEqual(error)
  expect(receipt).toMatchObject({ text: '250 Ok', facts: [['docnum', '0000004711']] })
})

test.each<[string, Partial<MessageDetail>, string]>([
  ['set aside', { state: 'set-aside' }, 'bad: Set aside: it had its chances and waits for a person'],
  ['skipped', { state: 'skipped' }, 'odd: Skipped by a person'],
  ['waiting for its next attempt', { state: 'queued', attempts: 2 }, 'plain: The next attempt is due'],
  ['new', { state: 'queued', attempts: 0 }, 'plain: On its way'],
  ['held', { state: 'queued', heldBy: '0SA22EY2700', orderKey: 'C-1' }, 'odd: Held by another message'],
  ['waiting for a change', { state: 'queued', awaitsChange: true }, 'odd: Waits for a change'],
])('a message that is %s ends so', (_how, more, end) => {
  expect(titles(detail(more)).at(-1)).toBe(end)
})

test('what was repaired is told as it came in', () => {
  const message = detail({ original: { headers: {}, body: { bytes: 2048, type: 'message/rfc822' } } })
  expect(planJourney(message)[0]?.text).toBe('2.0 KiB of message/rfc822')
})

test.each([
  ['the subject of a mail', { attributes: { subject: 'Order 1' }, terms: ['a@b'] }, 'Order 1'],
  ['the first word it is found by', { attributes: { subject: ' ' }, terms: ['a@b'] }, 'a@b'],
  ['its id', { attributes: null, terms: [] }, 'Message 0SA22EY2800'],
])('it is called by %s', (_what, more, title) => {
  expect(titleOf(detail(more))).toBe(title)
})
