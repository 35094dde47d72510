import { expect, test } from 'vitest'
import { engineErrors } from '../engine/errors.ts'
import { readXiEnvelope } from '../protocols/xi/read-envelope.ts'
import { xmlErrors } from '../protocols/xml/errors.ts'
import { refuse } from './xi-answer.ts'
import { xiSenderErrors } from './xi-errors.ts'

const faultOf = (error: Parameters<typeof refuse>[0]) => {
  const { status, headers, body } = refuse(error)
  return { status, headers, fault: readXiEnvelope(Buffer.from(body as string)).fault }
}

test('a queue that is full lets the sender come back later, by itself', () => {
  const full = engineErrors.QUEUE_FULL({ flow: 'credit', queued: 5 }, { retryAfterMs: 1500 })
  expect(faultOf(full)).toMatchObject({
    status: 503,
    headers: { 'retry-after': '2' },
    fault: { code: 'SOAP:Server', error: { category: 'XIServer', code: 'ENGINE_QUEUE_FULL', retry: 'A' } },
  })
})

test('what is wrong with a message waits for a person', () => {
  const malformed = xmlErrors.MALFORMED({ line: 3, column: 7, text: 'unclosed tag: b' })
  expect(faultOf(malformed)).toMatchObject({
    status: 500,
    fault: { code: 'SOAP:Client', error: { category: 'XIProtocol', area: 'ISTHMUS', retry: 'M' } },
  })
})

test('words that XML cannot hold are told as far as they can', () => {
  const { fault } = faultOf(xiSenderErrors.REJECTED({ id: '1', summary: 'a\0b\uD800c <x> & \u{1F600}' }))
  expect(fault?.text).toBe('a?b?c <x> & \u{1F600}')
  expect(fault?.error?.category).toBe('Application')
})

test('a long error is cut between letters, never inside one', () => {
  // However many letters stand before them, the cut falls behind or before a whole one.
  for (const before of ['', 'a']) {
    const { fault } = faultOf(xiSenderErrors.REJECTED({ id: '1', summary: before + '\u{1F600}'.repeat(1500) }))
    expect(fault?.text).toMatch(/\u{1F600}$/u)
  }
})
