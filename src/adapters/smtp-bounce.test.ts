import { expect, test } from 'vitest'
import { heldBody } from '../kernel/body.ts'
import type { Message } from '../kernel/message.ts'
import { writeBounce } from './smtp-bounce.ts'

const message: Message = {
  id: 'm1',
  acceptedAt: 0,
  headers: {},
  attributes: { subject: 'An order', messageId: '<order-1@contoso.example>' },
  body: heldBody('', 'message/rfc822'),
}

function bounceOf(...replies: readonly string[]): string {
  const refused = replies.map((reply, index) => ({ recipient: `person${index}@s4.example`, reply }))
  const header = Buffer.from('Subject: An order\r\n\r\n')
  const facts = { message, sender: 'anna@contoso.example', refused, header, server: 's4.example:25', now: 0 }
  return writeBounce({ ...facts, reporter: 'hub.example', from: undefined }).toString()
}

test.each([
  ['550 5.1.1 no such user', '5.1.1'],
  ['554 no such user', '5.0.0'],
  ['550 Blocked, your host 195.5.1.1 is listed', '5.0.0'],
  ['550 5.1.1.1 is no status', '5.0.0'],
  ['The server refused 1 of the recipients, so nobody got the mail: b@s4.example (550 5.7.1)', '5.7.1'],
])('"%s" has the status %s', (reply, status) => {
  expect(bounceOf(reply)).toContain(`\r\nStatus: ${status}\r\n`)
})

test('an answer of any length, in any language, makes no line that mail servers refuse', () => {
  const text = bounceOf(
    `550 5.7.1 ${'Сообщение отклонено '.repeat(30)}`,
    `550 5.6.0 ${'🚫'.repeat(300)}`,
    'x '.repeat(9_000),
  )
  expect(Math.max(...text.split('\r\n').map(line => Buffer.byteLength(line)))).toBeLessThanOrEqual(998)
  const [diagnosis = ''] = /(?<=^Diagnostic-Code: smtp; ).*\r\n(?: .*\r\n)*/m.exec(text) ?? []
  expect(diagnosis.replaceAll(/\r\n(?= )/g, '').trim()).toBe(
    `550 5.7.1 ${'Сообщение отклонено '.repeat(30)}`.slice(0, 600).trim(),
  )
  expect(text.length).toBeLessThan(6_000)
})
