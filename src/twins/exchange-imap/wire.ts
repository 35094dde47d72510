import type { Socket } from 'node:net'
import { KiB } from '../../kernel/size.ts'
import type { Clock } from '../../kernel/time.ts'

/** The writing side of a connection: gathers small pieces, writes them together, waits when the client reads slowly. */
export interface Wire {
  /** Adds text and CR LF. */
  line(text: string): void
  /** Adds octets as they are. */
  octets(content: Uint8Array | string): void
  /** Writes what was gathered when it is much, and waits until the client has taken most of it. */
  flushWhenLarge(): Promise<void>
  flush(): Promise<void>
  /** Writes what was gathered, then ends the connection without a word. */
  cut(): Promise<void>
}

const largeBytes = 256 * KiB
// Small steps make a slow line out of a number of octets per second.
const trickleMs = 50

export function makeWire(socket: Socket, clock: Clock, bytesPerSecond: () => number | undefined): Wire {
  let gathered: Buffer[] = []
  let gatheredBytes = 0
  // One write after the other, also when IDLE tells something while an answer is under way.
  let turn: Promise<void> = Promise.resolve()

  async function write(chunks: readonly Buffer[]): Promise<void> {
    const speed = bytesPerSecond()
    if (speed !== undefined) return trickle(Buffer.concat(chunks), speed)
    socket.cork()
    for (const chunk of chunks) socket.write(chunk)
    socket.uncork()
    if (socket.writableNeedDrain) await drained(socket)
  }

  async function trickle(content: Buffer, speed: number): Promise<void> {
    const stepBytes = Math.max(1, Math.round((speed * trickleMs) / 1000))
    for (let at = 0; at < content.length && !socket.destroyed; at += stepBytes) {
      if (!socket.write(content.subarray(at, at + stepBytes))) await drained(socket)
      await clock.sleep((stepBytes * 1000) / speed)
    }
  }

  const wire: Wire = {
    line: text => wire.octets(`${text}\r\n`),
    octets(content) {
      const octets =
        typeof content === 'string'
          ? Buffer.from(content, 'latin1')
          : Buffer.from(content.buffer, content.byteOffset, content.length)
      gathered.push(octets)
      gatheredBytes += octets.length
    },
    async flushWhenLarge() {
      if (gatheredBytes >= largeBytes) await wire.flush()
    },
    flush() {
      const chunks = gathered
      gathered = []
      gatheredBytes = 0
      turn = turn.then(() => write(chunks))
      return turn
    },
    async cut() {
      await wire.flush()
      // The callback of an empty write comes when everything before it has left the process.
      await new Promise<void>(resolve => socket.write(Buffer.alloc(0), () => resolve()))
      socket.destroy()
    },
  }
  return wire
}

function drained(socket: Socket): Promise<void> {
  return new Promise(resolve => {
    if (socket.destroyed) return resolve()
    const done = () => {
      socket.off('drain', done)
      socket.off('close', done)
      resolve()
    }
    socket.on('drain', done)
    socket.on('close', done)
  })
}
