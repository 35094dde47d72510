import fc from 'fast-check'
import { expect, test } from 'vitest'
import { MiB } from '../../kernel/size.ts'
import { imapLimits } from './limits.ts'
import { LiteralStream } from './literal-stream.ts'

const { pieceBytes, streamBytes } = imapLimits

/** A socket that a stream may hold; `chunk` gives octets in memory of their own, as sockets do. */
function makeFlow(ownsChunks: boolean) {
  return {
    ownsChunks,
    holds: 0,
    hold() {
      this.holds++
    },
    release() {
      this.holds--
    },
  }
}

const chunkOf = (octets: Uint8Array) => Buffer.from(Uint8Array.from(octets).buffer)

/** What a reader gets who copies each piece before it asks for the next. */
async function read(stream: LiteralStream): Promise<Buffer> {
  const pieces: Uint8Array[] = []
  for await (const piece of stream) pieces.push(Uint8Array.from(piece))
  return Buffer.concat(pieces)
}

test('octets come out as they went in, however they were cut and whoever is faster', async () => {
  const cuts = fc.array(fc.integer({ min: 1, max: 3 * pieceBytes }), { minLength: 1, maxLength: 20 })
  await fc.assert(
    fc.asyncProperty(cuts, fc.boolean(), fc.boolean(), async (sizes, ownsChunks, isReaderFirst) => {
      const octets = Buffer.from(Array.from({ length: 251 }, (_unused, index) => index))
      const whole = Buffer.alloc(
        sizes.reduce((sum, size) => sum + size, 0),
        octets,
      )
      const stream = new LiteralStream(whole.length, makeFlow(ownsChunks))
      const reading = isReaderFirst ? read(stream) : undefined
      let from = 0
      for (const size of sizes) {
        stream.push(chunkOf(whole.subarray(from, from + size)))
        from += size
        if (isReaderFirst) await Promise.resolve()
      }
      stream.end()
      expect((await (reading ?? read(stream))).equals(whole)).toBe(true)
    }),
    { numRuns: 50 },
  )
})

test('a body of 16 MiB passes through less than one', async () => {
  const flow = makeFlow(true)
  const stream = new LiteralStream(16 * MiB, flow)
  const memories = new Set<unknown>()
  const reading = (async () => {
    for await (const piece of stream) memories.add(piece.buffer)
  })()
  for (let pushed = 0; pushed < 16 * MiB; pushed += 16_384) {
    stream.push(chunkOf(Buffer.alloc(16_384)))
    // The socket waits as long as it is held.
    while (flow.holds > 0) await new Promise(resolve => setImmediate(resolve))
  }
  stream.end()
  await reading
  expect(memories.size * pieceBytes).toBeLessThan(MiB)
  expect(flow.holds).toBe(0)
})

test('a reader that is slow holds the socket, and one that leaves lets it go', async () => {
  const flow = makeFlow(true)
  const stream = new LiteralStream(2 * MiB, flow)
  for (let pushed = 0; pushed <= streamBytes; pushed += pieceBytes) stream.push(chunkOf(Buffer.alloc(pieceBytes)))
  expect(flow.holds).toBe(1)
  for await (const _piece of stream) break
  expect(flow.holds).toBe(0)
})

test('memory of a chunk is given back only where the chunk is all of it and nobody else has it', () => {
  const give = (chunk: Buffer, ownsChunks: boolean) => {
    new LiteralStream(MiB, makeFlow(ownsChunks)).push(chunk)
    return chunk.length
  }
  expect(give(chunkOf(Buffer.alloc(1000)), true)).toBe(0)
  expect(give(chunkOf(Buffer.alloc(1000)), false)).toBe(1000)
  expect(give(chunkOf(Buffer.alloc(1000)).subarray(0, 999), true)).toBe(999)
  expect(give(chunkOf(Buffer.alloc(1000)).subarray(1), true)).toBe(999)
})

test('a reader gets what came whole, then the error', async () => {
  const stream = new LiteralStream(MiB, makeFlow(true))
  stream.push(chunkOf(Buffer.alloc(pieceBytes, 'x')))
  stream.fail(new Error('cut'))
  let seenBytes = 0
  const reading = (async () => {
    for await (const piece of stream) seenBytes += piece.length
  })()
  await expect(reading).rejects.toThrow('cut')
  expect(seenBytes).toBe(pieceBytes)
})
