import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MailWatch, mailWatchLimits } from './mail-watch.ts'

/** One side of a dialogue, in its order: `<` of the server, `>` of the client. */
type Words = readonly (readonly ['<' | '>', string])[]

const greeted: Words = [
  ['<', '220-s4\r\n220 SAPconnect\r\n'],
  ['>', 'EHLO hub\r\n'],
  ['<', '250-s4\r\n250-PIPELINING\r\n250 CHUNKING\r\n'],
]
const envelope: Words = [
  ['>', 'MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRCPT TO:<e@f>\r\nDATA\r\n'],
  ['<', '250 ok\r\n250 ok\r\n550 no such user\r\n354 go on\r\n'],
]

function watched(...parts: Words): MailWatch {
  const watch = new MailWatch()
  tell(watch, parts)
  return watch
}

/** The answer to the mail with so many octets before it. */
function answerTo(watch: MailWatch, at: number): string | undefined {
  return watch.answers().find(each => each.at === at)?.answer
}

function tell(watch: MailWatch, parts: Words): void {
  for (const [side, text] of parts) {
    if (side === '<') watch.answered(Buffer.from(text))
    else watch.asked(Buffer.from(text))
  }
}

describe('the answer to a mail is due', () => {
  test('from its final dot to the last line of the reply', () => {
    const before = [...greeted, ...envelope]
    expect(watched(...before).isAnswerDue).toBe(false)
    expect(watched(...before, ['>', 'A: b\r\n\r\n..\r\n. no end\r\n.']).isAnswerDue).toBe(false)
    const whole: Words = [...before, ['>', 'A: b\r\n\r\ntext\r\n.\r\n']]
    expect(watched(...whole).isAnswerDue).toBe(true)
    expect(watched(...whole, ['<', '250-first']).isAnswerDue).toBe(true)
    expect(watched(...whole, ['<', '250-first\r\n250 queu']).isAnswerDue).toBe(true)
    expect(watched(...whole, ['<', '250-first\r\n250 queued\r\n']).isAnswerDue).toBe(false)
    expect(watched(...whole, ['<', '451 later\r\n']).isAnswerDue).toBe(false)
  })

  test('also of one without a line, and of each on a connection', () => {
    const first: Words = [...greeted, ...envelope, ['>', '.\r\n']]
    expect(watched(...first).isAnswerDue).toBe(true)
    const second: Words = [...first, ['<', '250 ok\r\n'], ...envelope, ['>', 'A: b\r\n\r\ntext\r\n.\r\n']]
    expect(watched(...second).isAnswerDue).toBe(true)
    expect(watched(...second, ['<', '250 ok\r\n']).isAnswerDue).toBe(false)
  })

  test('also of an empty one behind one whose end came in pieces', () => {
    const pieces: Words = [...greeted, ...envelope, ['>', 'A: b\r\n\r\ntext'], ['>', '\r\n.\r\n'], ['<', '250 ok\r\n']]
    expect(watched(...pieces, ...envelope, ['>', '.\r\n']).isAnswerDue).toBe(true)
  })

  test('before those to the commands that follow it in one group', () => {
    const group: Words = [
      ...greeted,
      ...envelope,
      ['>', 'A: b\r\n\r\n.\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n'],
    ]
    expect(watched(...group).isAnswerDue).toBe(true)
    expect(watched(...group, ['<', '250 queued\r\n']).isAnswerDue).toBe(false)
    const next: Words = [...group, ['<', '250 queued\r\n250 ok\r\n250 ok\r\n354 go on\r\n'], ['>', 'C: d\r\n.\r\n']]
    expect(watched(...next).isAnswerDue).toBe(true)
  })

  test('from the last octet of the last chunk', () => {
    const chunked: Words = [
      ...greeted,
      ['>', 'MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n'],
      ['<', '250 ok\r\n250 ok\r\n'],
      ['>', 'BDAT 6\r\nA: b\r\n'],
      ['<', '250 6 octets\r\n'],
    ]
    expect(watched(...chunked).isAnswerDue).toBe(false)
    expect(watched(...chunked, ['>', 'bdat 7 last\r\n\r\n.\r\n.']).isAnswerDue).toBe(false)
    expect(watched(...chunked, ['>', 'BDAT 7 LAST\r\n\r\n.\r\n.\r']).isAnswerDue).toBe(true)
    expect(watched(...chunked, ['>', 'BDAT 0 LAST\r\n']).isAnswerDue).toBe(true)
    expect(watched(...chunked, ['>', 'BDAT 0 LAST\r\n'], ['<', '250 ok\r\n']).isAnswerDue).toBe(false)
  })

  test('never as far as anybody can see behind STARTTLS', () => {
    const hidden = watched(
      ...greeted,
      ['>', 'STARTTLS\r\n'],
      ['<', '220 go on\r\n'],
      ['<', '\n354 \n'],
      ['>', '\r\n.\r\n'],
    )
    expect([hidden.isAnswerDue, hidden.answers()[0]]).toEqual([false, undefined])
    const refused = watched(...greeted, ['>', 'STARTTLS\r\n'], ['<', '454 no\r\n'], ...envelope, ['>', 'A: b\r\n.\r\n'])
    expect(refused.isAnswerDue).toBe(true)
  })

  test('not when the server would not hear the rest of it: then that is the answer, unless it says yes', () => {
    const half: Words = [...greeted, ...envelope, ['>', 'A: b\r\n\r\nmuch']]
    const refused = watched(...half, ['<', '552 too large\r\n'], ['>', ' more\r\n.\r\n'])
    expect([refused.isAnswerDue, answerTo(refused, at(greeted))]).toEqual([false, '552 too large\r\n'])
    const odd = watched(...half, ['<', '250 queued\r\n'], ['>', ' more\r\n.\r\n'])
    expect([odd.isAnswerDue, answerTo(odd, at(greeted))]).toEqual([false, ''])
  })

  test('in whatever pieces the octets come', () => {
    const dialogue: Words = [
      ...greeted,
      ...envelope,
      ['>', 'A: b\r\n\r\n.\r.\n\r\n..\r\n\r\n.\r\nRSET\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n'],
      ['<', '250 queued\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 go on\r\n'],
      ['>', 'C: d\r\n\r\nlast\r\n.\r\nMAIL FROM:<a@b>\r\nBDAT 9 LAST\r\n\r\n.\r\n.\r\n.'],
      ['<', '250 queued\r\n250 ok\r\n'],
    ]
    const asked = dialogue.flatMap(([side, text]) => (side === '>' ? [text] : [])).join('')
    const mails = Array.from(asked.matchAll(/MAIL/g), ({ index }) => index)
    const expected: boolean[] = []
    for (let count = 0; count <= dialogue.length; count++)
      expected.push(watched(...dialogue.slice(0, count)).isAnswerDue)
    expect(expected).toEqual([...Array<boolean>(6).fill(false), true, false, true, true])
    fc.assert(
      fc.property(fc.infiniteStream(fc.integer({ min: 1, max: 12 })), sizes => {
        const watch = new MailWatch()
        for (const [index, [side, text]] of dialogue.entries()) {
          const octets = Buffer.from(text)
          for (let at = 0; at < octets.length; ) {
            const size = sizes.next().value ?? 1
            const piece = octets.subarray(at, at + size)
            if (side === '<') watch.answered(piece)
            else watch.asked(piece)
            at += size
          }
          expect(watch.isAnswerDue).toBe(expected[index + 1])
        }
        const [first = 0, second] = mails
        expect(mails.map(at => String(answerTo(watch, at)))).toEqual(['250 queued\r\n', '250 queued\r\n', 'undefined'])
        expect([first + 1, (second ?? 0) - 1, 0].map(at => answerTo(watch, at))).toEqual([
          undefined,
          undefined,
          undefined,
        ])
      }),
    )
  })
})

const at = (parts: Words) => parts.reduce((sum, [side, text]) => (side === '>' ? sum + text.length : sum), 0)

describe('the answer to a mail is kept', () => {
  test('whole, by the place of its command MAIL, and no other is taken for it', () => {
    const second: Words = [...greeted, ...envelope, ['>', 'A: b\r\n\r\n.\r\n'], ['<', '250-queued\r\n250 as 1\r\n']]
    const refused: Words = [...second, ['>', 'MAIL FROM:<a@b>\r\nDATA\r\n'], ['<', '250 ok\r\n503 whom?\r\n']]
    const third: Words = [...refused, ...envelope, ['>', '.\r\n'], ['<', '451 later\r\n']]
    const watch = watched(...third)
    expect(String(answerTo(watch, at(greeted)))).toBe('250-queued\r\n250 as 1\r\n')
    expect(answerTo(watch, at(second))).toBeUndefined()
    expect(String(answerTo(watch, at(refused)))).toBe('451 later\r\n')
  })

  test('up to a length, and of so many mails', () => {
    const watch = watched(...greeted)
    const one: Words = [...envelope, ['>', '.\r\n'], ['<', `250 ${'x'.repeat(mailWatchLimits.answerLetters)}\r\n`]]
    const places = Array.from(
      { length: mailWatchLimits.answers + 1 },
      (_unused, count) => at(greeted) + count * at(one),
    )
    for (const _place of places) tell(watch, one)
    expect(places.map(place => answerTo(watch, place)?.length)).toEqual([
      undefined,
      ...Array<number>(mailWatchLimits.answers).fill(mailWatchLimits.answerLetters),
    ])
  })
})
