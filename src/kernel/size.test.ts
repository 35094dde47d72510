import { expect, test } from 'vitest'
import { formatSize, KiB, MiB, parseSize } from './size.ts'

test.each([
  ['512B', 512],
  ['64KiB', 64 * KiB],
  ['50MiB', 50 * MiB],
  ['1.5MiB', 1.5 * MiB],
  ['10MB', 10_000_000],
  ['1 GiB', 1024 * MiB],
])('%s is %d bytes', (text, bytes) => {
  expect(parseSize(text)).toBe(bytes)
})

test.each(['', '50', 'MiB', '50mb', '-1B', '1e6B'])('"%s" is not a size', text => {
  expect(() => parseSize(text)).toThrow(expect.objectContaining({ code: 'SIZE_NOT_A_SIZE' }))
})

test('sizes are written with the largest unit that fits', () => {
  expect([0, 512, 64 * KiB, 50 * MiB, 1536 * MiB].map(formatSize)).toEqual(['0B', '512B', '64KiB', '50MiB', '1.5GiB'])
})
