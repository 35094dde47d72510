import { Duplex } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import { beforeEach, expect, test } from 'vitest'
import { type Splice, splice } from './splice.ts'

/** One side of a splice: what it hears, and what was written to it. */
class Side extends Duplex {
  readonly written: string[] = []
  /** Held back while true: it takes nothing more. */
  isFull = false

  constructor() {
    super({ allowHalfOpen: true, writableHighWaterMark: 4 })
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.written.push(chunk.toString())
    if (!this.isFull) done()
  }
}

let near: Side
let far: Side
let ends: Splice
let isAnswerDue: boolean
const heard: string[] = []

beforeEach(() => {
  heard.length = 0
  near = new Side()
  far = new Side()
  isAnswerDue = true
  const watch = {
    asked: () => {},
    answered: (octets: Uint8Array) => {
      heard.push(octets.toString())
    },
    get isAnswerDue() {
      return isAnswerDue
    },
  }
  ends = splice({ near, far, watch, resetNear: () => near.destroy(), onEnd: () => {} })
})
test('what is still read of a hub that is gone reaches nobody and does not count', async () => {
  near.push('a mail')
  await turn()
  near.emit('aborted')
  near.emit('data', Buffer.from('half a comm'))
  expect([far.written, ends.upBytes(), far.destroyed]).toEqual([['a mail'], 6, false])
})

test('a target that waits for the hub to read is heard when the hub is gone', async () => {
  near.isFull = true
  far.push('250-first line\r\n')
  far.push('250-second line\r\n')
  await turn()
  expect([near.written.length, far.isPaused()]).toEqual([1, true])
  near.emit('aborted')
  far.push('250 last line\r\n')
  await turn()
  expect(heard.join('')).toContain('250 last line')
})

test('a target that ends instead of its answer is left', async () => {
  near.emit('aborted')
  expect([ends.stayedSince() !== undefined, far.destroyed]).toEqual([true, false])
  far.push(null)
  await turn()
  await turn()
  expect([ends.stayedSince(), far.destroyed]).toEqual([undefined, true])
})

test('nobody stays with one that owes no answer', () => {
  isAnswerDue = false
  near.emit('aborted')
  expect(far.destroyed).toBe(true)
})
