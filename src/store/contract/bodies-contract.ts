import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import type { StoredBody } from '../port.ts'
import {
  accept,
  claimOne,
  delivered,
  newDelivery,
  type OpenWorld,
  readAll,
  setAside,
  startedAt,
  textBody,
} from './store-world.ts'

const options = { type: 'message/rfc822', bytesMax: 1_000_000, hash: false }
const inlineBytes = 1000

/** Small bodies in rows, large ones in the body store. */
export function describeBodies(open: OpenWorld): void {
  describe('bodies', () => {
    test('a small body stays inline, hashed when asked', async () => {
      const world = await open({ inlineBytes })
      const content = Buffer.alloc(inlineBytes, 'x')
      const body = await world.store.bodies.write(content, options)
      expect(body).toEqual({ bytes: inlineBytes, type: 'message/rfc822', sha256: undefined, inline: content })
      expect((await world.store.bodies.write(chunks(content, 7), { ...options, hash: true })).sha256).toBe(
        sha256(content),
      )
      expect(await readAll(world.store.bodies.read(body))).toEqual(content)
      const empty = await world.store.bodies.write(chunks(Buffer.alloc(0), 7), options)
      expect({ ...empty, inline: empty.inline?.length }).toEqual({
        ...options,
        bytesMax: undefined,
        hash: undefined,
        bytes: 0,
        inline: 0,
      })
      await world.close()
    })

    test.each([5000, 12_000, 60_000, 262_144])(
      'an inline body of %i bytes is there inline after a crash',
      async bytes => {
        const world = await open({ inlineBytes: 262_144 })
        const content = randomBytes(bytes)
        const body = await world.store.bodies.write(chunks(content, 4096), { ...options, hash: true })
        expect(body).toEqual({ bytes, type: 'message/rfc822', sha256: sha256(content), inline: content })
        const id = await accept(world.store, { body })
        await world.crash()
        await world.store.bodies.collect()
        const detail = await world.store.get(id)
        expect(asBuffer(detail?.body)).toEqual(body)
        // Replayed with the bytes as they were read, of which the first delivery then goes.
        await world.store.finish(await claimOne(world.store), delivered())
        if (detail) await accept(world.store, { body: detail.body, replayOf: id })
        const everything = { flow: 'orders', deliveredBefore: Infinity, setAsideBefore: Infinity, max: 100 }
        expect(await world.store.purge(everything)).toBe(1)
        await world.store.bodies.collect()
        await world.crash()
        expect(asBuffer((await claimOne(world.store)).body)).toEqual(body)
        await world.close()
      },
    )

    test.each([1001, 65_536, 999_999])(
      'a body of %i bytes streams to the body store and back, over a crash',
      async bytes => {
        const world = await open({ inlineBytes })
        const content = randomBytes(bytes)
        const body = await world.store.bodies.write(chunks(content, 4096), options)
        expect(body).toEqual({ bytes, type: 'message/rfc822', sha256: sha256(content), inline: undefined })
        await accept(world.store, { body })
        await world.crash()
        await world.store.bodies.collect()
        const claimed = await claimOne(world.store)
        expect(claimed.body).toEqual(body)
        expect(await readAll(world.store.bodies.read(claimed.body))).toEqual(content)
        expect(await readAll(world.store.bodies.read(claimed.body))).toEqual(content)
        const lent = new Uint8Array(1000)
        expect(await readAll(copies(world.store.bodies.read(claimed.body, lent)))).toEqual(content)
        await world.close()
      },
    )

    test.each([500, 5000])('a body of %i bytes may come in memory that is used again and again', async bytes => {
      const world = await open({ inlineBytes })
      const content = randomBytes(bytes)
      const body = await world.store.bodies.write(inOneMemory(content, 64), { ...options, hash: true })
      expect(body.sha256).toBe(sha256(content))
      expect(body.inline ?? (await readAll(world.store.bodies.read(body)))).toEqual(content)
      await world.close()
    })

    test('a body above its limit is refused and leaves nothing', async () => {
      const world = await open({ inlineBytes })
      let read = 0
      const endless = async function* () {
        for (;;) {
          read += 1
          yield Buffer.alloc(10_000)
        }
      }
      await expect(world.store.bodies.write(endless(), { ...options, bytesMax: 50_000 })).rejects.toMatchObject({
        code: 'BODY_TOO_LARGE',
        fields: { bytesMax: 50_000 },
      })
      expect(read).toBe(6)
      await expect(
        world.store.bodies.write(Buffer.alloc(50_001), { ...options, bytesMax: 50_000 }),
      ).rejects.toMatchObject({
        code: 'BODY_TOO_LARGE',
      })
      await world.reopen()
      expect(await world.store.bodies.collect()).toBe(0)
      await world.close()
    })

    test.each([10, 50_000])('a stream that breaks after %i bytes leaves nothing', async bytes => {
      const world = await open({ inlineBytes })
      const broken = async function* () {
        yield Buffer.alloc(bytes)
        throw new Error('connection reset')
      }
      await expect(world.store.bodies.write(broken(), options)).rejects.toThrow('connection reset')
      await world.reopen()
      expect(await world.store.bodies.collect()).toBe(0)
      await world.close()
    })

    test('a body waits for its delivery; what nothing needs any more is collected', async () => {
      const world = await open({ inlineBytes })
      const content = randomBytes(5000)
      const [one, other] = await Promise.all([1, 2].map(() => world.store.bodies.write(content, options)))
      if (!one || !other) throw new Error('both bodies were expected')
      expect(other).toEqual(one)
      expect(await world.store.bodies.collect()).toBe(0)

      // Two deliveries share the bytes; the first one ends and goes before the second is even accepted.
      await accept(world.store, { body: one })
      await world.store.finish(await claimOne(world.store), delivered())
      expect(await world.store.bodies.collect()).toBe(0)
      const everything = { flow: 'orders', deliveredBefore: Infinity, setAsideBefore: Infinity, max: 100 }
      expect(await world.store.purge(everything)).toBe(1)
      expect(await world.store.bodies.collect()).toBe(0)
      const second = await accept(world.store, { body: other })
      expect(await world.store.bodies.collect()).toBe(0)
      expect(await readAll(world.store.bodies.read(other))).toEqual(content)

      await world.store.skip(second, startedAt, 'no')
      await world.store.purge(everything)
      expect(await world.store.bodies.collect()).toBe(1)
      await expect(readAll(world.store.bodies.read(other))).rejects.toMatchObject({ code: 'STORE_BODY_MISSING' })
      await world.close()
    })

    test('a body that was left by a crash or by a duplicate is collected', async () => {
      const world = await open({ inlineBytes })
      await world.store.bodies.write(randomBytes(5000), options)
      await world.crash()
      expect(await world.store.bodies.collect()).toBe(1)
      await accept(world.store, { keys: ['k'] })
      const late = await world.store.bodies.write(randomBytes(5000), options)
      expect(await world.store.accept(newDelivery({ keys: ['k'], body: late }))).toMatchObject({ duplicate: true })
      expect(await world.store.bodies.collect()).toBe(1)
      await world.close()
    })

    test('a repair keeps the original body in the body store, too', async () => {
      const world = await open({ inlineBytes })
      const [old, replaced] = [randomBytes(3000), randomBytes(4000)]
      const id = await accept(world.store, { body: await world.store.bodies.write(old, options) })
      await world.store.finish(await claimOne(world.store), setAside())
      const body = await world.store.bodies.write(replaced, options)
      await world.store.requeue(id, { now: startedAt, forgetIntents: false, body })
      expect(await world.store.bodies.collect()).toBe(0)
      const detail = await world.store.get(id)
      expect(await readAll(world.store.bodies.read(detail?.body ?? textBody('')))).toEqual(replaced)
      expect(await readAll(world.store.bodies.read(detail?.original?.body ?? textBody('')))).toEqual(old)
      await world.close()
    })
  })
}

async function* chunks(content: Uint8Array, bytes: number): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < content.length; offset += bytes) yield content.subarray(offset, offset + bytes)
}

async function* inOneMemory(content: Uint8Array, bytes: number): AsyncGenerator<Uint8Array> {
  const memory = Buffer.alloc(bytes)
  for await (const chunk of chunks(content, bytes)) {
    memory.set(chunk)
    yield memory.subarray(0, chunk.length)
    memory.fill('!')
  }
}

async function* copies(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) yield Uint8Array.from(chunk)
}

/** Whichever kind of byte array a store gives back. */
function asBuffer(body: StoredBody | undefined): StoredBody | undefined {
  return body?.inline ? { ...body, inline: Buffer.from(body.inline) } : body
}

function sha256(content: Uint8Array): string {
  return createHash('sha256').update(content).digest('hex')
}

// The same bytes in every run, and no two calls alike.
let seed = 1
function randomBytes(bytes: number): Buffer {
  const content = Buffer.alloc(bytes)
  for (let index = 0; index < bytes; index += 1) {
    seed = (seed * 48_271) % 2_147_483_647
    content[index] = seed & 0xff
  }
  return content
}
