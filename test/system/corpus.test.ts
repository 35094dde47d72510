import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MiB } from '../../src/kernel/size.ts'
import { afterData, survivesData } from '../corpus/after-data.ts'
import { hostileMails } from '../corpus/hostile-mails.ts'
import { largeMail } from '../corpus/large-mail.ts'
import { lineForms } from '../corpus/line-forms.ts'
import { randomMails, usualSizes } from '../corpus/random-mails.ts'
import { corpusSeed } from '../corpus/seeded-random.ts'

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1')

function digest(parts: Iterable<Uint8Array>): string {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest('hex')
}

describe('hostile mails', () => {
  const mails = hostileMails()
  const byName = new Map(mails.map(mail => [mail.name, mail]))
  const bytesOf = (name: string) => text(byName.get(name)?.bytes ?? new Uint8Array())

  test('have names of their own and are the same at every call', () => {
    expect(byName.size).toBe(mails.length)
    expect(mails.length).toBeGreaterThan(150)
    expect(digest(mails.map(mail => mail.bytes))).toBe(digest(hostileMails().map(mail => mail.bytes)))
  })

  test('hold the eighteen line forms', () => {
    expect(lineForms()).toHaveLength(18)
    expect(bytesOf('smuggle-lf-dot-lf')).toContain('\n.\nMAIL FROM:')
    expect(bytesOf('smuggle-crlf-dot-lf')).toContain('\r\n.\nMAIL FROM:')
    expect(bytesOf('smuggle-lf-dot-crlf')).toContain('order.\n.\r\nMAIL FROM:')
    expect(bytesOf('smuggle-cr-dot-cr')).toContain('\r.\rMAIL FROM:')
    expect(bytesOf('nul')).toContain('\0')
    expect(bytesOf('empty')).toBe('')
    expect(bytesOf('only-crlf')).toBe('\r\n')
    expect(bytesOf('no-final-line-end')).not.toMatch(/[\r\n]$/)
    expect(bytesOf('ends-with-cr')).toMatch(/\r$/)
    expect(bytesOf('ends-with-lf')).toMatch(/[^\r]\n$/)
    expect(
      Math.max(
        ...bytesOf('line-of-20000')
          .split('\r\n')
          .map(line => line.length),
      ),
    ).toBe(20_000)
  })

  test('are as deep, as many and as large as their names say', () => {
    expect(bytesOf('depth-200').match(/multipart\/mixed/g)).toHaveLength(201)
    expect(bytesOf('parts-2000').match(/^--b\r$/gm)).toHaveLength(2_000)
    expect(bytesOf('received-51').match(/^Received:/gm)).toHaveLength(51)
    expect(bytesOf('headers-5000').match(/^X-Number-/gm)).toHaveLength(5_000)
    for (const mail of mails.filter(({ name }) => name.startsWith('size-'))) {
      expect(mail.name).toBe(`size-${mail.bytes.length}`)
      expect(survivesData(mail.bytes)).toBe(true)
    }
  })

  test('tell loops apart from what only looks like one', () => {
    const caught = mails.filter(mail => mail.expectation === 'set-aside').map(mail => mail.name)
    expect(caught).toEqual(['received-51', 'received-500', 'x-loop-own', 'delivered-to-own', 'from-own-domain'])
    expect(byName.get('received-in-body')?.expectation).toBe('as-is')
    expect(mails.filter(mail => mail.isAutomatic).map(mail => mail.name)).toContain('bounce')
    expect(byName.get('auto-submitted-no')?.isAutomatic).toBe(false)
  })
})

describe('random mails', () => {
  test('are the same on every machine for the published seed', () => {
    const parts = () => [...randomMails(corpusSeed, 50)].map(mail => mail.bytes)
    expect(digest(parts())).toBe('832a0fa751badbb7898eb011f9e61d19433df5a3f3278c0501b36c6101f9d64f')
    expect(digest(parts())).not.toBe(digest([...randomMails(corpusSeed + 1, 50)].map(mail => mail.bytes)))
  })

  test('have sizes that are log-uniform, and ids of their own', () => {
    const mails = [...randomMails(corpusSeed, 2_000)]
    const sizes = mails.map(mail => mail.bytes.length).toSorted((a, b) => a - b)
    expect(sizes[0]).toBeGreaterThanOrEqual(usualSizes.bytesMin)
    expect(sizes.at(-1)).toBeLessThanOrEqual(usualSizes.bytesMax)
    // The middle of a log-uniform distribution is the geometric mean of its ends: 31.6 KiB.
    expect(sizes[1_000]).toBeGreaterThan(28 * 1024)
    expect(sizes[1_000]).toBeLessThan(36 * 1024)
    const ids = new Set(mails.map(mail => /^Message-ID: (.*)\r$/m.exec(text(mail.bytes))?.[1]))
    expect(ids.size).toBe(2_000)
  })

  test('have any size that is asked for, exactly, and DATA carries them unchanged', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1_200, max: 5_000 }), fc.integer(), (sizeBytes, seed) => {
        const [mail] = randomMails(seed, 1, { bytesMin: sizeBytes, bytesMax: sizeBytes })
        // One octet too few for a line end cannot be filled.
        expect(sizeBytes - (mail?.bytes.length ?? 0)).toBeLessThanOrEqual(1)
        expect(survivesData(mail?.bytes ?? new Uint8Array())).toBe(true)
      }),
      { numRuns: 25 },
    )
  })
})

describe('large mails', () => {
  test.each([1_000, 62_400, 62_665, 62_666, 62_667, 62_668, 200_000, 50 * MiB])('of %i octets', sizeBytes => {
    let seenBytes = 0
    let last: Uint8Array = new Uint8Array()
    for (const chunk of largeMail(sizeBytes, corpusSeed).chunks()) {
      seenBytes += chunk.length
      last = chunk
    }
    expect(seenBytes).toBe(sizeBytes)
    expect(text(last)).toMatch(/\r\n$/)
  })

  test('are the same at every reading', () => {
    const mail = largeMail(300_000, 7)
    expect(digest(mail.chunks())).toBe(digest(mail.chunks()))
    expect(digest(mail.chunks())).not.toBe(digest(largeMail(300_000, 8).chunks()))
  })
})

describe('what DATA makes of a mail', () => {
  test.each([
    ['a\nb\rc', 'a\r\nb\r\nc\r\n'],
    ['a\r\r\nb\n\r', 'a\r\n\r\nb\r\n\r\n'],
    ['', ''],
    ['\n', '\r\n'],
    ['a\r\n.\r\n', 'a\r\n.\r\n'],
  ])('%j becomes %j', (before, after) => {
    expect(text(afterData(Buffer.from(before, 'latin1')))).toBe(after)
  })

  test('a second time changes nothing', () => {
    fc.assert(
      fc.property(fc.uint8Array(), bytes => {
        const once = afterData(bytes)
        expect(afterData(once)).toEqual(once)
      }),
    )
  })
})
