import { expect, test } from 'vitest'
import { localTimeAt } from '../protocols/time-zone/local-time.ts'
import { readBirthday, writeBirthday } from './birthday.ts'

test.each([
  ['by Exchange and the hub', writeBirthday('1980-05-04')],
  ['by Outlook in Berlin, in summer', '1980-05-03T22:00:00Z'],
  ['by Outlook in Tokyo', '1980-05-03T15:00:00Z'],
  ['by Outlook in Los Angeles', '1980-05-04T07:00:00Z'],
  ['at midnight of UTC', '1980-05-04T00:00:00Z'],
  ['with an offset', '1980-05-04T00:00:00+02:00'],
])('a birthday that was written %s is that day', (_who, text) => {
  expect(readBirthday(text)).toBe('1980-05-04')
})

test('a birthday that is written is the same day nearly everywhere, and none is none', () => {
  for (const zone of ['America/Los_Angeles', 'Europe/Berlin', 'Asia/Tokyo', 'Pacific/Auckland']) {
    expect(localTimeAt(Date.parse(writeBirthday('1980-05-04')), zone).slice(0, 10)).toBe('1980-05-04')
  }
  expect(readBirthday('')).toBeNull()
})
