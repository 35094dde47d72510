import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import fc from 'fast-check'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { systemClock } from '../../kernel/time.ts'
import { schemaV1 } from './schema-v1.ts'
import { type Piece, SegmentBook } from './segment-book.ts'
import { listSegments, readPieces, segmentFile } from './segment-file.ts'
import { type SegmentHandle, SegmentWriter } from './segment-writer.ts'

let folder: string
let database: DatabaseSync
let calls: string[]
/** Bytes that one `writev` takes at most. */
let appetite: number

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'isthmus-writer-'))
  database = new DatabaseSync(':memory:')
  database.exec(schemaV1)
  calls = []
  appetite = Infinity
})

afterEach(() => {
  database.close()
  rmSync(folder, { recursive: true })
})

function makeWriter(limits: { readonly segmentBytes?: number; readonly segmentGroupBytes?: number } = {}) {
  const book = new SegmentBook(database, listSegments(folder))
  const writer = new SegmentWriter({
    folder,
    book,
    limits: { segmentBytes: 1_000_000, segmentGroupBytes: 1_000_000, ...limits },
    clock: systemClock,
    create: async file => listeningTo(await open(file, 'wx')),
  })
  return { book, writer }
}

function listeningTo(handle: Awaited<ReturnType<typeof open>>): SegmentHandle {
  return {
    async writev(chunks, position) {
      const whole = Buffer.concat(chunks)
      const { bytesWritten } = await handle.write(whole, 0, Math.min(whole.length, appetite), position)
      calls.push(`write ${bytesWritten}`)
      return { bytesWritten }
    },
    async datasync() {
      calls.push('flush')
      await handle.datasync()
    },
    truncate: bytes => handle.truncate(bytes),
    close: () => handle.close(),
  }
}

test('bodies asked for while a write is under way go together into the next: one write, one flush', async () => {
  const { writer } = makeWriter()
  const first = writer.append(Buffer.alloc(10, 'a'))
  const second = writer.append(Buffer.alloc(20, 'b'))
  await first
  await Promise.all([second, ...[30, 40, 50].map(bytes => writer.append(Buffer.alloc(bytes, 'c')))])
  expect(calls).toEqual(['write 30', 'flush', 'write 120', 'flush'])
  await writer.close()
})

test('a group has its limit, a segment too, and a body is never cut in two', async () => {
  const { writer, book } = makeWriter({ segmentBytes: 250, segmentGroupBytes: 100 })
  const pieces = await Promise.all(Array.from({ length: 6 }, () => writer.append(Buffer.alloc(60, 'x'))))
  await writer.append(Buffer.alloc(5000, 'y'))
  expect(calls.filter(call => call !== 'flush')).toEqual([...Array.from({ length: 6 }, () => 'write 60'), 'write 5000'])
  expect(new Set(pieces.map(piece => piece.segment)).size).toBe(2)
  expect(book.all().map(({ isOpen, holdCount, fileBytes }) => [isOpen, holdCount, fileBytes])).toEqual([
    [false, 5, 300],
    [true, 2, 5060],
  ])
  await writer.close()
})

test('numbers rise although the clock stands still', async () => {
  const { writer, book } = makeWriter({ segmentBytes: 1 })
  for (let count = 0; count < 5; count += 1) await writer.append(Buffer.of(1))
  const numbers = book.all().map(segment => segment.number)
  expect(numbers.toSorted((one, other) => one - other)).toEqual(numbers)
  expect(readdirSync(folder)).toHaveLength(5)
  await writer.close()
})

test('whatever is appended is read back, however few bytes the disk takes at a time', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.uint8Array({ maxLength: 200 }), { minLength: 1, maxLength: 12 }),
      fc.integer({ min: 1, max: 150 }),
      async (contents, bytesAtOnce) => {
        appetite = bytesAtOnce
        const { writer } = makeWriter({ segmentBytes: 400, segmentGroupBytes: 300 })
        const pieces = await Promise.all(contents.map(content => writer.append(content)))
        await writer.close()
        const read = await readPieces(folder, pieces)
        expect(read.map(content => content && Uint8Array.from(content))).toEqual(contents)
      },
    ),
    { numRuns: 60 },
  )
})

test('bytes that are not the ones that were written are not handed out', async () => {
  const { writer } = makeWriter()
  const piece = await writer.append(Buffer.from('the very bytes'))
  const neighbour = await writer.append(Buffer.from('others'))
  await writer.close()
  const wrong: readonly [string, Piece][] = [
    ['another place', { ...piece, position: 1 }],
    ['another length', { ...piece, bytes: 5 }],
    ['beyond the end', { ...neighbour, bytes: 500 }],
    ['another checksum', { ...piece, crc32: piece.crc32 ^ 1 }],
    ['another segment', { ...piece, segment: piece.segment + 1 }],
  ]
  const read = await readPieces(folder, [neighbour, ...wrong.map(([, one]) => one), piece])
  expect(read.map(content => content && Buffer.from(content).toString())).toEqual([
    'others',
    ...wrong.map(() => undefined),
    'the very bytes',
  ])
  expect(readFileSync(segmentFile(folder, piece.segment)).toString()).toBe('the very bytesothers')
})
