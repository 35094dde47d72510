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
  /** performance.now() since when the hub is gone and the target only stays for its answer; undefined: it does not. */
  readonly stayedSince: () => number | undefined
  /** As if the hub were gone: nothing more of it reaches the target. */
  leave(): void
  /** Resets both sides. */
  cut(because?: 'cut' | 'shed'): void
}

export interface SpliceEnds {
  readonly near: Duplex
  /** What `near` stands on, where it is not the stream of the tunnel itself: its buffers count too. */
  readonly below?: Duplex
  readonly far: Duplex
  /** Who follows what passes by. While an answer is due the target may give it, also when the hub is gone. */
  readonly watch?: DialogueWatch | undefined
  /** True when the hub reset the stream: node shows that as an orderly end first. */
  isReset?(): boolean
  /** The hub is gone, and the target stays for its answer. */
  onStay?: (() => void) | undefined
  /** The hub sees a reset. */
  resetNear(because: SpliceEnd): void
  /** Once, when both sides are over. */
  onEnd(how: SpliceEnd): void
}

export interface DialogueWatch {
  /** Octets for the target, and of it. */
  asked(octets: Uint8Array): void
  answered(octets: Uint8Array): void
  readonly isAnswerDue: boolean
}

/** `shed`: too many bytes waited. */
export type SpliceEnd = 'done' | 'target reset' | 'hub reset' | 'cut' | 'shed'

/** Moves bytes both ways with backpressure. Each side may end its half alone; a reset of one resets the other. */
export function splice(ends: SpliceEnds): Splice {
  const { near, below = near, far, watch, isReset = () => false, onStay, resetNear, onEnd } = ends
  const up = { bytes: 0 }
  const down = { bytes: 0 }
  let lastByteAt = performance.now()
  let how: SpliceEnd = 'done'
  let openSides = 2
  let stayedSince: number | undefined

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
      // What is still read of a hub that is gone would make half a command or mail of it.
      if (from === near && how !== 'done') return
      count.bytes += chunk.length
      lastByteAt = performance.now()
      if (from === near) watch?.asked(chunk)
      else watch?.answered(chunk)
      if (stayedSince !== undefined) {
        if (!watch?.isAnswerDue) resetSocket(far)
        return
      }
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
      else if (stayedSince !== undefined) resetSocket(far)
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
    if (far.destroyed) return
    if (because === 'hub reset' && watch?.isAnswerDue && !far.readableEnded) {
      stayedSince = performance.now()
      onStay?.()
      // It may have waited for the hub to read.
      far.resume()
    } else resetSocket(far)
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
    stayedSince: () => (far.destroyed ? undefined : stayedSince),
    leave: () => fail('hub reset'),
    cut(because = 'cut') {
      if (stayedSince === undefined) fail(because)
      else if (!far.destroyed) resetSocket(far)
    },
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
