import net from 'node:net'
import type { Duplex } from 'node:stream'
import tls from 'node:tls'

/** Two ends as one way: `near` towards the hub, `far` towards the target. */
export interface Splice {
  /** Bytes from the hub to the target, and back. */
  readonly upBytes: () => number
  readonly downBytes: () => number
  /** Bytes read from one side that the other has not taken yet. */
  readonly bytesInFlight: () => number
  /** performance.now() of the last byte in either direction. */
  readonly lastByteAt: () => number
  /** Resets both sides. */
  cut(because?: 'cut' | 'shed'): void
}

export interface SpliceEnds {
  readonly near: Duplex
  /** What `near` stands on, where it is not the stream of the tunnel itself: its buffers count too. */
  readonly below?: Duplex
  readonly far: Duplex
  /** True when the hub reset the stream: node shows that as an orderly end first. */
  isReset?(): boolean
  /** The hub sees a reset. */
  resetNear(because: SpliceEnd): void
  /** Once, when both sides are over. */
  onEnd(how: SpliceEnd): void
}

/** `shed`: too many bytes waited. */
export type SpliceEnd = 'done' | 'target reset' | 'hub reset' | 'cut' | 'shed'

/** Moves bytes both ways with backpressure. Each side may end its half alone; a reset of one resets the other. */
export function splice({ near, below = near, far, isReset = () => false, resetNear, onEnd }: SpliceEnds): Splice {
  const up = { bytes: 0 }
  const down = { bytes: 0 }
  let lastByteAt = performance.now()
  let how: SpliceEnd = 'done'
  let openSides = 2

  // Sockets end their own half when the other side ends its (node's default); here each half ends by itself.
  far.allowHalfOpen = true
  move(near, far, up)
  move(far, near, down)

  far.on('error', () => fail('target reset'))
  near.on('error', () => fail('hub reset'))
  far.once('close', () => {
    if (!far.readableEnded || !far.writableFinished) fail('target reset')
    sideIsOver()
  })
  // At once, and not only when the target has taken what came before.
  below.once('aborted', () => fail('hub reset'))
  near.once('close', () => {
    if (isReset() || !near.readableEnded || !near.writableFinished) fail('hub reset')
    sideIsOver()
  })

  function move(from: Duplex, to: Duplex, count: { bytes: number }): void {
    from.on('data', (chunk: Buffer) => {
      count.bytes += chunk.length
      lastByteAt = performance.now()
      if (to.destroyed || to.writableEnded || to.write(chunk)) return
      from.pause()
      to.once('drain', () => {
        lastByteAt = performance.now()
        from.resume()
      })
    })
    from.once('end', () => {
      // node's hub sends an orderly end right before each reset; only when the reset stays out the end is meant.
      if (from === near) setImmediate(endFar)
      else if (!to.destroyed) to.end()
    })
  }

  function endFar(): void {
    if (isReset()) fail('hub reset')
    else if (!far.destroyed) far.end()
  }

  function fail(because: SpliceEnd): void {
    if (how !== 'done') return
    how = because
    if (!near.destroyed || !below.destroyed) resetNear(because)
    if (!far.destroyed) resetSocket(far)
  }

  function sideIsOver(): void {
    openSides--
    if (openSides === 0) onEnd(how)
  }

  return {
    upBytes: () => up.bytes,
    downBytes: () => down.bytes,
    bytesInFlight: () => heldBy(near) + heldBy(far) + (below === near ? 0 : heldBy(below)),
    lastByteAt: () => lastByteAt,
    cut: (because = 'cut') => fail(because),
  }
}

function heldBy(socket: Duplex): number {
  return socket.readableLength + socket.writableLength
}

/** Ends a connection so that the other side sees a reset and not an orderly end. */
function resetSocket(socket: Duplex): void {
  const isPlain = socket instanceof net.Socket && !(socket instanceof tls.TLSSocket)
  // A socket whose end is under way takes no reset (libuv).
  const isEnding = socket.writableEnded && !socket.writableFinished
  if (isPlain && !isEnding) socket.resetAndDestroy()
  else socket.destroy()
}
