import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Body, heldBody } from '../../kernel/body.ts'
import { KiB } from '../../kernel/size.ts'
import { inspectContent } from './content.ts'

/** The same bytes as a body store gives them, in pieces of `size`. */
function streamedBody(octets: Buffer, size: number): Body {
  return {
    bytes: octets.length,
    type: 'message/rfc822',
    held: undefined,
    async *stream() {
      for (let from = 0; from < octets.length; from += size) yield octets.subarray(from, from + size)
    },
  }
}

const isBare = (text: string) => /\r(?!\n)|(?<!\r)\n/.test(text)

test('a bare line end is found wherever it stands, held or streamed in pieces', async () => {
  // Around the sizes of pieces and of the texts that are searched at once.
  const borders = [0, 1, 2, 7, 32 * KiB - 1, 32 * KiB, 64 * KiB - 2, 64 * KiB, 70_000]
  const place = fc
    .constantFrom(...borders)
    .chain(border => fc.integer({ min: Math.max(0, border - 3), max: border + 3 }))
  const odd = fc.array(fc.constantFrom('\r\n', '\r', '\n', 'x', '\0', '\xff'), { maxLength: 4 })
  await fc.assert(
    fc.asyncProperty(place, odd, fc.constantFrom(1, 3, 200, 66_000), async (at, octets, tailLength) => {
      const text = `${'x'.repeat(at)}${octets.join('')}${'y'.repeat(tailLength)}`
      const bytes = Buffer.from(text, 'latin1')
      for (const body of [heldBody(bytes, 'message/rfc822'), streamedBody(bytes, 32 * KiB), streamedBody(bytes, 999)]) {
        const { facts } = await inspectContent(body)
        expect(facts).toEqual({
          hasBareLineEnd: isBare(text),
          hasEightBit: text.includes('\xff'),
          hasNul: text.includes('\0'),
          endsWithLineEnd: false,
        })
      }
    }),
    { numRuns: 300 },
  )
})

test('what stands at the end is told from what stands inside', async () => {
  const facts = async (text: string) =>
    (await inspectContent(heldBody(Buffer.from(text, 'latin1'), 'text/plain'))).facts
  expect(await facts('')).toMatchObject({ hasBareLineEnd: false, endsWithLineEnd: false })
  expect(await facts('a\r\n')).toMatchObject({ hasBareLineEnd: false, endsWithLineEnd: true })
  expect(await facts('a\r')).toMatchObject({ hasBareLineEnd: true, endsWithLineEnd: false })
  expect(await facts('a\n')).toMatchObject({ hasBareLineEnd: true, endsWithLineEnd: true })
})
