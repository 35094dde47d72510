import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { readMailHeader } from './header.ts'
import { readMailFacts, readMessageId } from './mail-facts.ts'

function facts(...lines: string[]) {
  return readMailFacts(readMailHeader(Buffer.from(`${lines.join('\r\n')}\r\n\r\n`)))
}

test('an order mail', () => {
  expect(
    facts(
      'Return-Path: <bounce@customer.example>',
      'Delivered-To: orders@contoso.com',
      'Received: from a',
      'Received: from b',
      'From: "=?utf-8?Q?J=C3=BCrgen?=" <j@customer.example>',
      'To: Orders <Orders@contoso.com>, sales@contoso.com',
      'Cc: boss@customer.example',
      'Subject: =?utf-8?Q?Auftr=C3=A4ge?=',
      'Message-ID: <1@customer.example>',
      'Date: Mon, 5 Jan 2026 10:00:00 +0100 (CET)',
    ),
  ).toEqual({
    from: 'j@customer.example',
    to: ['orders@contoso.com', 'sales@contoso.com', 'boss@customer.example'],
    cc: ['boss@customer.example'],
    subject: 'Aufträge',
    messageId: '<1@customer.example>',
    date: '2026-01-05T09:00:00.000Z',
    returnPath: 'bounce@customer.example',
    receivedCount: 2,
    isAutomatic: false,
  })
})

test('a mail that says nothing', () => {
  const nothing = { from: '', to: [], cc: [], subject: '', messageId: '', date: '', returnPath: '', receivedCount: 0 }
  expect(facts('X: y')).toEqual({ ...nothing, isAutomatic: false })
  expect(facts('From: account)@silly.test(his host)>', 'To: ;', 'Date: soon', 'Message-ID:').from).toBe('')
})

test('all recipients of a mail are known, up to more than it is ever sent to', () => {
  const to = Array.from(
    { length: 1_500 },
    (_unused, index) => `"Somebody of the team ${index}" <u${index}@contoso.com>`,
  )
  expect(facts(`To: ${to.join(',\r\n ')}`).to).toHaveLength(1_500)
})

test('the sender stands in for a From that is none', () => {
  expect(facts('From: nobody', 'Sender: a@b.example').from).toBe('a@b.example')
})

test.each([
  ['Auto-Submitted: auto-replied', true],
  ['Auto-Submitted: auto-generated; x=y', true],
  ['Auto-Submitted: no', false],
  ['Return-Path: <>', true],
  ['Return-Path: < >', true],
  ['Precedence: bulk', true],
  ['Precedence: auto_reply', true],
  ['Precedence: list', false],
  ['Content-Type: multipart/report; report-type=delivery-status', true],
  ['Content-Type: multipart/mixed', false],
])('%s: automatic is %s', (line, isAutomatic) => {
  expect(facts('From: a@b.example', line).isAutomatic).toBe(isAutomatic)
})

describe('a date is the same on a machine in New York', () => {
  beforeEach(() => void vi.stubEnv('TZ', 'America/New_York'))
  afterEach(() => void vi.unstubAllEnvs())

  test.each([
    ['Sat, 21 Nov 2026 08:00:00 +0100', '2026-11-21T07:00:00.000Z'],
    ['Sat, 21 Nov 2026 08:00:00 +0100 CET', '2026-11-21T07:00:00.000Z'],
    ['Sat, 21 Nov 2026 08:00:00 EST', '2026-11-21T13:00:00.000Z'],
    ['Sat, 21 Nov 2026 08:00:00 Z', '2026-11-21T08:00:00.000Z'],
    ['2026-11-21T08:00:00+01:00', '2026-11-21T07:00:00.000Z'],
    // RFC 5322 section 4.3: a zone that is missing, or that nobody knows, says nothing.
    ['Sat, 21 Nov 2026 08:00:00', '2026-11-21T08:00:00.000Z'],
    ['Sat, 21 Nov 2026 08:00', '2026-11-21T08:00:00.000Z'],
    ['Sat, 21 Nov 2026 08:00:00 CET', '2026-11-21T08:00:00.000Z'],
    ['Sat, 21 Nov 2026 08:00:00 PM', '2026-11-21T20:00:00.000Z'],
    ['Sat Nov 21 08:00:00 2026', '2026-11-21T08:00:00.000Z'],
    ['2026-11-21T08:00:00', '2026-11-21T08:00:00.000Z'],
    ['Thu, 99 Foo 99999 25:61:61 +9999', ''],
    ['soon', ''],
    ['Sat, 21 Nov 2026 08:00:00 +01:00', '2026-11-21T07:00:00.000Z'],
    ['Sat, 21 Nov 2026 08:00 -05:30', '2026-11-21T13:30:00.000Z'],
    ['Sat, 21 Nov 2026 08:00:00 GMT+01:00', '2026-11-21T07:00:00.000Z'],
    ['Sat, 21 Nov 2026 08:00:00 UTC-0500', '2026-11-21T13:00:00.000Z'],
    ['Sat, 21 Nov 2026 08:00:00 GMT+0100 (CET)', '2026-11-21T07:00:00.000Z'],
    ['Sat, 21 Nov 2026 10.00.00 +0100', '2026-11-21T09:00:00.000Z'],
    ['Sat, 21 Nov 2026 10.00', '2026-11-21T10:00:00.000Z'],
    ['Sat, 21 Nov 2026 8:0:0', '2026-11-21T08:00:00.000Z'],
    ['2026-11-21 08:00:00', '2026-11-21T08:00:00.000Z'],
    ['2026-11-21 08:00', '2026-11-21T08:00:00.000Z'],
    ['2026-11-21 08:00:00+01:00', '2026-11-21T07:00:00.000Z'],
  ])('%s', (date, expected) => {
    expect(facts(`Date: ${date}`).date).toBe(expected)
  })

  test('one of 100,000 blanks is none, and takes no time', () => {
    const date = `Sat, 21 Nov 2026 08:00:00${' '.repeat(100_000)}!`
    const began = performance.now()
    expect(facts(`Date: ${date}`).date).toBe('')
    // Read letter by letter over and over it took 20 seconds.
    expect(performance.now() - began).toBeLessThan(5_000)
  })
})

test.each([
  ['<a@b>', '<a@b>'],
  ['  <a@b>  (added)', '<a@b>'],
  ['a@b', '<a@b>'],
  ['<a b@c>', ''],
  ['<>', ''],
  ['two words', ''],
  [`<${'a'.repeat(2_000)}@b>`, ''],
])('Message-ID %s is %s', (value, id) => {
  expect(readMessageId(value)).toBe(id)
})
