import { once } from 'node:events'
import http2, { type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2'
import type { TLSSocket } from 'node:tls'
import type { z } from 'zod'
import { asHubError, HubError } from '../../kernel/error.ts'
import { type Clock, SECOND } from '../../kernel/time.ts'
import { type Hello, hello, wireHeaders, wireLimits, wirePaths } from '../wire.ts'
import { locationErrors } from './errors.ts'
import { hubLimits } from './limits.ts'
import { type Liveness, watchLiveness } from './liveness.ts'
import { decodeWords } from './refusal-words.ts'
import type { Load } from './tunnel-stream.ts'

/** Whose certificate a tunnel came in with. */
export interface TunnelOwner {
  readonly connector: string
  readonly location: string
  readonly serial: string
}

export interface TunnelOptions extends TunnelOwner {
  /** A TLS connection whose certificate was checked. */
  readonly socket: TLSSocket
  readonly clock: Clock
}

/** A tunnel of a connector to this node: a TLS connection on which the hub opens HTTP/2 streams. */
export class Tunnel {
  readonly owner: TunnelOwner
  readonly address: string
  readonly connectedAt: number
  readonly certificateEndsAt: number
  readonly load: Load = { waitingBytes: 0, sentBytes: 0, receivedBytes: 0 }
  /** The connector as it described itself last. */
  hello: Hello = { version: '', mode: 'active', run: '', virtualHosts: [] }
  helloAt = 0
  roundTripMs: number | undefined
  openedCount = 0
  readonly #socket: TLSSocket
  readonly #session: ClientHttp2Session
  readonly #clock: Clock
  readonly #liveness: Liveness
  readonly #closed: Promise<void>
  #listed = new Set<string>()
  #openCount = 0
  #isClosing = false
  #reason: string | undefined

  constructor({ socket, clock, ...owner }: TunnelOptions) {
    const { connector, location, serial } = owner
    this.owner = { connector, location, serial }
    this.address = `${socket.remoteAddress ?? ''}:${socket.remotePort ?? 0}`
    this.connectedAt = clock.now()
    this.certificateEndsAt = socket.getPeerX509Certificate()?.validToDate.getTime() ?? 0
    this.#socket = socket
    this.#clock = clock
    this.#session = openSession(socket)
    this.#session.on('error', error => this.#note(error.message))
    this.#session.on('goaway', () => {
      this.#isClosing = true
    })
    this.#session.on('frameError', (_type, code) => this.#note(`a frame could not be sent (${code})`))
    socket.on('error', error => this.#note(error.message))
    // A session whose socket is gone ends by itself only when it next looks at it.
    socket.on('close', () => this.destroy('the connection was closed'))
    this.#closed = new Promise(resolve => this.#session.once('close', () => resolve()))
    this.#liveness = watchLiveness({
      session: this.#session,
      clock,
      isBusy: () => this.#openCount > 0,
      bytesRead: () => socket.bytesRead,
      onRoundTrip: ms => {
        this.roundTripMs = ms
      },
      onDead: reason => this.destroy(reason),
    })
    void this.#closed.then(() => {
      this.#liveness.stop()
      socket.destroy()
    })
  }

  get openCount(): number {
    return this.#openCount
  }

  /** True while new streams may be opened. */
  get isUsable(): boolean {
    return this.isAlive && !this.isEnding && this.#openCount < wireLimits.streams
  }

  /** It takes no new streams and goes when the last one has. */
  get isEnding(): boolean {
    return this.#isClosing || this.#session.closed
  }

  get isAlive(): boolean {
    return !this.#session.destroyed
  }

  /** An answer is overdue. */
  get isSuspect(): boolean {
    return this.#liveness.isSuspect()
  }

  /** Whether the connector, when it was asked last, listed this virtual host:port. */
  lists(address: string): boolean {
    return this.#listed.has(address)
  }

  /** Why the tunnel is gone; undefined while it is not. */
  get reasonOfLoss(): string | undefined {
    if (!this.#session.destroyed) return undefined
    return this.#reason ?? 'the connection was closed'
  }

  /** Resolves when the tunnel is gone. */
  closed(): Promise<void> {
    return this.#closed
  }

  /** A CONNECT to virtual host:port, by a name of its own; its answer is to come. Throws where the session takes none. */
  connect(authority: string, name: string, purpose: string | undefined): ClientHttp2Stream {
    const stream = this.#session.request({
      ':method': 'CONNECT',
      ':authority': authority,
      [wireHeaders.stream]: name,
      ...(purpose !== undefined && { [wireHeaders.purpose]: purpose }),
    })
    this.#openCount++
    stream.once('close', () => {
      this.#openCount--
    })
    this.#liveness.hurry()
    return stream
  }

  /** Asks the connector who it is and what it lists. */
  async greet(): Promise<Hello> {
    this.hello = await this.ask(wirePaths.hello, hello, { timeoutMs: hubLimits.greetingMs })
    this.helloAt = this.#clock.now()
    this.#listed = new Set(this.hello.virtualHosts)
    return this.hello
  }

  /** A control request over the tunnel. Throws LOCATION_CONNECTOR_SILENT, LOCATION_CONNECTOR_REFUSED. */
  async ask<S extends z.ZodType>(
    path: string,
    schema: S,
    {
      body,
      timeoutMs = hubLimits.controlMs,
      signal,
    }: { readonly body?: unknown; readonly timeoutMs?: number; readonly signal?: AbortSignal } = {},
  ): Promise<z.output<S>> {
    const { connector } = this.owner
    try {
      const { status, words, text } = await exchange(this.#session, path, body, { timeoutMs, signal })
      if (status !== 200) throw locationErrors.CONNECTOR_REFUSED({ connector, reason: words || `status ${status}` })
      return schema.parse(JSON.parse(text))
    } catch (thrown) {
      if (thrown instanceof HubError) throw thrown
      const reason = this.reasonOfLoss ?? asHubError(thrown).fields.text
      throw locationErrors.CONNECTOR_SILENT({ connector, reason }, { cause: thrown })
    }
  }

  /** Cuts the tunnel and every stream in it. */
  destroy(reason: string): void {
    this.#note(reason)
    // One that ended in good order still waits for the other side to close the connection.
    if (this.#session.destroyed) {
      this.#socket.destroy()
      return
    }
    // So that the log of the connector says it too.
    this.#session.goaway(http2.constants.NGHTTP2_INTERNAL_ERROR, 0, Buffer.from(reason.slice(0, 500)))
    // With an error: without one every stream would look as if it had come to its end.
    this.#session.destroy(new Error(reason))
    this.#socket.destroy()
  }

  /** Says why this certificate is not taken, and cuts the tunnel. */
  turnAway(reason: string): void {
    this.#isClosing = true
    sayRefusal(this.#session, reason)
    // What was just said goes out only after this turn.
    setImmediate(() => this.destroy(reason))
  }

  /** Takes no new streams; what is open goes on to its end. */
  close(): void {
    this.#isClosing = true
    this.#session.close()
  }

  // The first reason is the cause; what follows are its consequences.
  #note(reason: string): void {
    this.#reason ??= reason
  }
}

/** Says why over the tunnel that will not be one, so that the log of the connector can tell it. */
export function turnAway(socket: TLSSocket, reason: string): void {
  const session = openSession(socket)
  session.on('error', () => {})
  socket.on('error', () => {})
  session.once('connect', () => {
    sayRefusal(session, reason)
  })
  setTimeout(() => {
    session.destroy()
    socket.destroy()
  }, SECOND).unref()
}

function sayRefusal(session: ClientHttp2Session, reason: string): void {
  session.goaway(http2.constants.NGHTTP2_INADEQUATE_SECURITY, 0, Buffer.from(reason.slice(0, 500)))
}

function openSession(socket: TLSSocket): ClientHttp2Session {
  const session = http2.connect('https://connector', {
    createConnection: () => socket,
    settings: { enablePush: false, initialWindowSize: wireLimits.streamWindowBytes },
    peerMaxConcurrentStreams: wireLimits.streams,
    maxSessionMemory: hubLimits.sessionMemoryMb,
  })
  session.once('connect', () => session.setLocalWindowSize(wireLimits.connectionWindowBytes))
  // The connector opens no streams; one that tries breaks the protocol.
  session.on('stream', stream => stream.close(http2.constants.NGHTTP2_REFUSED_STREAM))
  return session
}

async function exchange(
  session: ClientHttp2Session,
  path: string,
  body: unknown,
  { timeoutMs, signal: ended }: { readonly timeoutMs: number; readonly signal: AbortSignal | undefined },
) {
  const text = body === undefined ? undefined : JSON.stringify(body)
  const stream = session.request(
    {
      ':method': text === undefined ? 'GET' : 'POST',
      ':path': path,
      ...(text !== undefined && { 'content-type': 'application/json' }),
    },
    { endStream: text === undefined },
  )
  stream.on('error', () => {})
  const timeout = AbortSignal.timeout(timeoutMs)
  const signal = ended ? AbortSignal.any([timeout, ended]) : timeout
  const onEnd = () => stream.destroy(new Error(timeout.aborted ? `no answer within ${timeoutMs} ms` : 'not waited for'))
  signal.addEventListener('abort', onEnd)
  try {
    if (text !== undefined) stream.end(text)
    const [headers] = (await once(stream, 'response', { signal })) as [http2.IncomingHttpHeaders]
    const chunks: Buffer[] = []
    let bytes = 0
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      bytes += chunk.length
      if (bytes > wireLimits.controlBytes) throw new Error('the answer is too large')
      chunks.push(chunk)
    }
    const words = decodeWords(headers[wireHeaders.text])
    return { status: Number(headers[':status']), words, text: Buffer.concat(chunks).toString('utf8') }
  } finally {
    signal.removeEventListener('abort', onEnd)
    if (!stream.closed) stream.close(http2.constants.NGHTTP2_CANCEL)
  }
}
