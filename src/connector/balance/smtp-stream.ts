import { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import type { SmtpWatch } from './smtp-watch.ts'

/** A connection to a mail server whose greeting was read: gives it back first, then passes everything on, watched. */
export class SmtpStream extends Duplex {
  readonly #socket: Duplex
  readonly #watch: SmtpWatch

  /** `socket` is paused, and nobody else listens to it. */
  constructor(socket: Duplex, greeting: Uint8Array, watch: SmtpWatch) {
    super({ allowHalfOpen: false })
    this.#socket = socket
    this.#watch = watch
    // A connection that breaks while nobody listens must not end the process; 'close' tells whoever holds it.
    this.on('error', () => {})
    // Each half ends when this stream's half does.
    socket.allowHalfOpen = true
    this.push(greeting)
    socket.on('data', (chunk: Buffer) => {
      watch.answered(chunk)
      if (!this.push(chunk)) socket.pause()
    })
    socket.on('end', () => {
      watch.closed()
      this.push(null)
    })
    socket.on('error', error => {
      watch.broke(error.message)
      this.destroy(error)
    })
    socket.on('close', () => {
      watch.closed()
      // What was read already still goes to the other side; its end closes this one.
      if (!socket.readableEnded) this.destroy()
    })
    if (socket.destroyed) this.destroy()
  }

  /** The client is gone, and this only stays for an answer. */
  hubLeft(): void {
    this.#watch.hubLeft()
  }

  override _read(): void {
    this.#socket.resume()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#watch.asked(chunk)
    this.#socket.write(chunk, done)
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#socket.end(() => done())
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#watch.left()
    // Half a mail must not look like an orderly end.
    if (this.#socket instanceof Socket && !this.#socket.writableFinished && !this.#socket.destroyed)
      this.#socket.resetAndDestroy()
    else this.#socket.destroy()
    done(error)
  }
}
