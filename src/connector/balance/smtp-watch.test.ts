import { beforeEach, describe, expect, test } from 'vitest'
import { SmtpWatch } from './smtp-watch.ts'

let now: number
let told: string[]
let watch: SmtpWatch

beforeEach(() => {
  now = 0
  told = []
  const report = {
    answered: () => {},
    served: () => void told.push('served'),
    failed: (why: string) => void told.push(why),
  }
  watch = new SmtpWatch(report, () => now)
  watch.asked(Buffer.from('DATA\r\n'))
  watch.answered(Buffer.from('354 go on\r\n'))
  watch.asked(Buffer.from('five pumps\r\n.\r\n'))
})

describe('a server that is left with the answer to a mail due', () => {
  test('has failed when it was silent for long, and that is told once', () => {
    now = 11_000
    watch.hubLeft()
    expect(told).toEqual(['it was silent for 11 s'])
    watch.answered(Buffer.from('250 queued\r\n'))
    watch.left()
    expect(told).toHaveLength(1)
  })

  test('is judged by what it does after that when the hub left early', () => {
    now = 2000
    watch.hubLeft()
    expect(told).toEqual([])
    watch.answered(Buffer.from('250 queued\r\n'))
    expect(told).toEqual(['served'])
  })

  test.each([
    ['it broke the connection: ECONNRESET', () => watch.broke('ECONNRESET')],
    ['it closed the connection instead of an answer', () => watch.closed()],
    ['it was silent for 600 s', () => watch.left()],
  ])('%s', (why, end) => {
    watch.hubLeft()
    now = 600_000
    end()
    expect(told).toEqual([why])
  })

  test('and of one that the connector leaves together with the hub nothing is said', () => {
    now = 2000
    watch.left()
    watch.closed()
    expect(told).toEqual([])
  })
})
