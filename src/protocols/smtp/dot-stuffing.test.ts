import fc from 'fast-check'
import { expect, test } from 'vitest'
import { heldBody } from '../../kernel/body.ts'
import { inspectContent } from './content.ts'
import { DotStuffer } from './dot-stuffing.ts'

const odd = fc
  .array(fc.constantFrom('\r', '\n', '\r\n', '.', 'a', '\r\n.', '\n.\n', '\r.\r', '\0', 'ü'), { maxLength: 40 })
  .map(parts => Buffer.from(parts.join('')))

function send(octets: Uint8Array, size: number, repairLineEnds: boolean): string {
  const stuffer = new DotStuffer({ repairLineEnds })
  const out: Uint8Array[] = []
  for (let from = 0; from < octets.length; from += size) out.push(...stuffer.stuff(octets.subarray(from, from + size)))
  return Buffer.concat([...out, stuffer.end()]).toString('latin1')
}

/** What a server makes of it: everything up to CRLF.CRLF, dots taken away at line starts. */
function receive(wire: string): string {
  const end = `\r\n${wire}`.indexOf('\r\n.\r\n')
  expect(end).toBe(wire.length - 3)
  return wire.slice(0, -3).replace(/(^|\r\n)\./g, '$1')
}

test('a server gets what was there, with CRLF for every line end, however the chunks fall', () => {
  fc.assert(
    fc.property(odd, fc.integer({ min: 1, max: 9 }), (octets, size) => {
      const text = octets.toString('latin1').replace(/\r\n|\r|\n/g, '\r\n')
      const received = receive(send(octets, size, true))
      expect(received).toBe(text === '' || text.endsWith('\r\n') ? text : `${text}\r\n`)
    }),
  )
})

test('a mail with proper line ends is not touched, but for the last one', () => {
  fc.assert(
    fc.property(odd, fc.integer({ min: 1, max: 9 }), (octets, size) => {
      const text = octets.toString('latin1').replace(/\r\n|\r|\n/g, '\r\n')
      const received = receive(send(Buffer.from(text, 'latin1'), size, false))
      expect(received).toBe(text === '' || text.endsWith('\r\n') ? text : `${text}\r\n`)
    }),
  )
})

test('a mail of lines with dots alone goes in few parts', () => {
  const lines = '.\r\n..\r\na\r\n'.repeat(20_000)
  for (const text of [lines, `a\r\n${lines}.`, `${lines}\r\n`, '.\r\n'.repeat(65)]) {
    const stuffer = new DotStuffer({ repairLineEnds: false })
    const parts = stuffer.stuff(Buffer.from(text))
    expect(parts.length).toBeLessThan(100)
    const received = receive(Buffer.concat([...parts, stuffer.end()]).toString('latin1'))
    expect(received === text || received === `${text}\r\n`).toBe(true)
  }
})

test('what is said about a mail is the same whole and in chunks', async () => {
  await fc.assert(
    fc.asyncProperty(odd, fc.integer({ min: 1, max: 9 }), async (octets, size) => {
      const chunked = await inspectContent({
        bytes: octets.length,
        type: 'message/rfc822',
        held: undefined,
        async *stream() {
          for (let from = 0; from < octets.length; from += size) yield octets.subarray(from, from + size)
        },
      })
      const text = octets.toString('latin1')
      const facts = {
        hasEightBit: text.includes('ü') || /[\x80-\xff]/.test(text),
        hasBareLineEnd: /\r(?!\n)|(?<!\r)\n/.test(text),
        hasNul: text.includes('\0'),
        endsWithLineEnd: text.endsWith('\n'),
      }
      expect(chunked.facts).toEqual(facts)
      expect((await inspectContent(heldBody(octets, 'message/rfc822'))).facts).toEqual(facts)
    }),
  )
})
