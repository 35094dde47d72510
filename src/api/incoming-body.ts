import type { IncomingMessage, ServerResponse } from 'node:http'
import { bodyErrors } from '../kernel/body.ts'
import type { HubError } from '../kernel/error.ts'
import { flowEndpointErrors } from './flow-endpoint-errors.ts'

/**
 * The body of a request as it comes. Throws BODY_TOO_LARGE past the limit, ENDPOINT_CALLER_LEFT when it never comes to its
 * end.
 */
export async function* readIncoming(
  incoming: IncomingMessage,
  response: ServerResponse,
  bytesMax: number,
): AsyncGenerator<Uint8Array> {
  // RFC 9110 section 10.1.1: whoever speaks HTTP/1.0 would take it for the answer.
  if (incoming.headers.expect !== undefined && incoming.httpVersion !== '1.0') response.writeContinue()
  const stream = new IncomingReader(incoming)
  let bytes = 0
  try {
    for (;;) {
      const chunk = stream.read()
      if (chunk) {
        bytes += chunk.length
        if (bytes > bytesMax) throw tooLarge(bytes, bytesMax)
        yield chunk
      } else if (incoming.complete) {
        break
      } else if (stream.isBroken) {
        throw flowEndpointErrors.CALLER_LEFT({ bytes }, { cause: stream.error })
      } else {
        await stream.change()
      }
    }
  } finally {
    stream.leave()
  }
  // The hub works on the answer now; a silent socket is no idle caller.
  incoming.socket.setTimeout(0)
}

export function tooLarge(bytes: number, bytesMax: number): HubError {
  return bodyErrors.TOO_LARGE({ bytes, bytesMax, purpose: 'messageBytes' })
}

/**
 * Reads a request without the machinery of the async iterator of Node's streams, which costs more than a small request
 * does otherwise. The stream stays open when the reader leaves early, so that an answer can still be written.
 */
class IncomingReader {
  readonly #incoming: IncomingMessage
  #wake = () => {}
  error: Error | undefined

  constructor(incoming: IncomingMessage) {
    this.#incoming = incoming
    for (const event of changes) incoming.on(event, this.#onChange)
    incoming.on('error', this.#onError)
  }

  get isBroken(): boolean {
    return this.error !== undefined || this.#incoming.destroyed
  }

  read(): Buffer | null {
    return this.#incoming.read() as Buffer | null
  }

  /** Resolves when there may be more to read, or never will be. */
  change(): Promise<void> {
    return new Promise(resolve => {
      this.#wake = resolve
    })
  }

  leave(): void {
    for (const event of changes) this.#incoming.off(event, this.#onChange)
    this.#incoming.off('error', this.#onError)
  }

  readonly #onChange = () => this.#wake()
  readonly #onError = (error: Error) => {
    this.error = error
    this.#wake()
  }
}

const changes = ['readable', 'end', 'close'] as const
