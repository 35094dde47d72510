import { type ClientHttp2Stream, constants } from 'node:http2'
import { Duplex } from 'node:stream'
import type { Trace } from '../../kernel/socket.ts'
import { locationErrors } from './errors.ts'

/** Where a stream goes, as errors name it. */
export interface StreamTarget {
  readonly via: string
  readonly host: string
  readonly port: number
}

/** What a stream moves; the tunnel that carries it adds it up. */
export interface Load {
  /** Bytes that were handed over and are not on their way yet. */
  waitingBytes: number
  sentBytes: number
  receivedBytes: number
}

type Written = (error?: Error | null) => void

const resetReasons = new Map<number, string>([
  [constants.NGHTTP2_NO_ERROR, 'it was cut off'],
  [constants.NGHTTP2_INTERNAL_ERROR, 'it was reset over there'],
  [constants.NGHTTP2_CANCEL, 'the connector closed it'],
  [constants.NGHTTP2_CONNECT_ERROR, 'the server reset it'],
  [constants.NGHTTP2_ENHANCE_YOUR_CALM, 'the connector shed it, since too many bytes wait there'],
  [constants.NGHTTP2_REFUSED_STREAM, 'the connector takes no further streams'],
])

/**
 * One connection through a tunnel, as a socket: half-close as `net` does it, backpressure both ways, a reset of the
 * other side as an error. While it is being opened it may move from one tunnel to the next: what was written so far is
 * kept, and written again.
 */
export class TunnelStream extends Duplex {
  /** Set when it is open. */
  trace: Trace | undefined
  readonly #target: StreamTarget
  #carrier: ClientHttp2Stream | undefined
  #load: Load | undefined
  #waitingBytes = 0
  #reasonOfLoss: (() => Error | undefined) | undefined
  #isOpen = false
  /** Written before the other side took the connection. */
  #early: { readonly chunks: readonly Buffer[]; readonly written: Written } | undefined
  #earlyEnd: Written | undefined

  constructor(target: StreamTarget) {
    super({ allowHalfOpen: false })
    this.#target = target
  }

  /** Sends what was written so far on this carrier, whose answer is still to come. */
  tryOn(carrier: ClientHttp2Stream): void {
    this.#carrier = carrier
    if (this.#early) carrier.write(Buffer.concat(this.#early.chunks))
  }

  /** The connector took the connection: from here on the stream belongs to this carrier. */
  opened(load: Load, reasonOfLoss: () => Error | undefined, trace: Trace): void {
    const carrier = this.#carrier
    if (!carrier) throw new Error('a stream without a carrier cannot be open')
    this.#load = load
    this.#reasonOfLoss = reasonOfLoss
    this.trace = trace
    this.#isOpen = true
    carrier.on('data', (chunk: Buffer) => {
      load.receivedBytes += chunk.length
      if (!this.push(chunk)) carrier.pause()
    })
    carrier.on('end', () => {
      // node ends a stream that is cut as well; only one without a code came to its end.
      const isCut = carrier.rstCode !== constants.NGHTTP2_NO_ERROR || carrier.aborted || reasonOfLoss()
      if (isCut) this.destroy(this.#lossOf(carrier))
      else this.push(null)
    })
    carrier.on('error', () => {
      // 'close' follows and says the same.
    })
    carrier.on('close', () => {
      // What was not written by now is not waiting any more.
      load.waitingBytes -= this.#waitingBytes
      this.#waitingBytes = 0
      const isWhole = this.readableEnded || carrier.readableEnded
      if (!isWhole || carrier.rstCode !== constants.NGHTTP2_NO_ERROR) this.destroy(this.#lossOf(carrier))
    })
    const early = this.#early
    this.#early = undefined
    if (early) {
      load.sentBytes += early.chunks.reduce((sum, chunk) => sum + chunk.length, 0)
      early.written()
    }
    const end = this.#earlyEnd
    this.#earlyEnd = undefined
    if (end) carrier.end(end)
  }

  override _read(): void {
    if (this.#isOpen) this.#carrier?.resume()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, written: Written): void {
    this.#send([chunk], written)
  }

  override _writev(entries: { readonly chunk: Buffer }[], written: Written): void {
    const chunks = entries.map(({ chunk }) => chunk)
    this.#send(chunks, written)
  }

  override _final(ended: Written): void {
    if (this.#isOpen) this.#carrier?.end(ended)
    else this.#earlyEnd = ended
  }

  override _destroy(error: Error | null, done: Written): void {
    const carrier = this.#carrier
    const isWhole = error === null && this.readableEnded && this.writableFinished
    if (carrier && !isWhole) cut(carrier)
    const waiting = [this.#early?.written, this.#earlyEnd]
    this.#early = undefined
    this.#earlyEnd = undefined
    done(error)
    // After 'error': whoever writes shall hear why, before hearing that the write came to nothing.
    setImmediate(() => {
      for (const written of waiting) written?.(error)
    })
  }

  #send(chunks: readonly Buffer[], written: Written): void {
    const carrier = this.#carrier
    const load = this.#load
    if (!carrier || !load) {
      // Not open yet: it goes out at once, but counts as written only when the connection stands.
      this.#early = { chunks, written }
      carrier?.write(Buffer.concat(chunks))
      return
    }
    const bytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0)
    load.waitingBytes += bytes
    this.#waitingBytes += bytes
    carrier.cork()
    for (const [index, chunk] of chunks.entries()) {
      if (index < chunks.length - 1) carrier.write(chunk)
      else {
        carrier.write(chunk, error => {
          const stillWaiting = Math.min(bytes, this.#waitingBytes)
          this.#waitingBytes -= stillWaiting
          load.waitingBytes -= stillWaiting
          if (!error) load.sentBytes += bytes
          written(error ? this.#lossOf(carrier) : null)
        })
      }
    }
    carrier.uncork()
  }

  #lossOf(carrier: ClientHttp2Stream): Error {
    const code = carrier.rstCode
    const reason = resetReasons.get(code) ?? `HTTP/2 code ${code}`
    return this.#reasonOfLoss?.() ?? locationErrors.STREAM_RESET({ ...this.#target, reason })
  }
}

/**
 * Resets a stream. Not with `close(code)`: node sends the end of the stream before it, so that the half of a message
 * looks like a whole one over there.
 */
export function cut(carrier: ClientHttp2Stream): void {
  carrier.destroy(new Error('cut'))
}
