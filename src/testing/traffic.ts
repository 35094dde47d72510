import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Connect, ConnectRequest, TlsWish } from '../kernel/socket.ts'

/** Real time without a byte after which sockets on this machine are taken to have said all they had to say. */
const quietMs = 3
/** Looks at the sockets after that, each behind a turn of the event loop: a busy machine runs its timers first. */
const looksNeeded = 3

/** Sees what goes over the hub's connections and into its store, so that a simulation knows when work is at rest. */
export class Traffic {
  readonly connect: Connect
  readonly #anchor: TlsWish
  readonly #sockets = new Set<Socket>()
  #underWay = 0
  #past = 0

  /** `trust`: PEM of an authority that counts where the flow names none, as that of the twins. */
  constructor(connect: Connect, trust: string | undefined) {
    this.#anchor = trust === undefined ? {} : { ca: trust }
    const withTrust = (request: ConnectRequest) =>
      request.tls ? { ...request, tls: { ...this.#anchor, ...request.tls } } : request
    this.connect = Object.assign((request: ConnectRequest) => this.#watch(connect(withTrust(request))), {
      upgrade: (socket: Duplex, request: ConnectRequest & { readonly tls: TlsWish }) =>
        this.#watch(connect.upgrade(socket, { ...request, tls: { ...this.#anchor, ...request.tls } })),
    })
  }

  /** Grows with everything that happens on a connection. */
  get count(): number {
    let count = this.#past
    for (const socket of this.#sockets) count += socket.bytesRead + socket.bytesWritten
    return count
  }

  /** True while a connection is being opened or the store has something to do. */
  get isBusy(): boolean {
    return this.#underWay > 0
  }

  /** The same store, or part of one, whose promises count as work under way. */
  watchStore<S extends object>(store: S): S {
    return new Proxy(store, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name, target)
        if (typeof value === 'object' && value !== null) return this.watchStore(value)
        if (typeof value !== 'function') return value
        return (...given: unknown[]): unknown => {
          const answer: unknown = Reflect.apply(value, target, given)
          return answer instanceof Promise ? this.#during(answer) : answer
        }
      },
    })
  }

  /** Resolves when nothing has been opened, stored, sent or received for a moment. */
  async quiet(): Promise<void> {
    let seen = this.count
    for (let looks = 0; looks < looksNeeded; looks++) {
      await pause(looks === 0 ? quietMs : 0)
      await turn()
      if (this.count === seen && !this.isBusy) continue
      seen = this.count
      looks = -1
    }
  }

  async #watch(opening: Promise<Duplex>): Promise<Duplex> {
    this.#past++
    const socket = await this.#during(opening)
    if (!(socket instanceof Socket)) return socket
    this.#sockets.add(socket)
    socket.once('close', () => {
      this.#sockets.delete(socket)
      this.#past += socket.bytesRead + socket.bytesWritten + 1
    })
    return socket
  }

  async #during<T>(work: Promise<T>): Promise<T> {
    this.#underWay++
    try {
      return await work
    } finally {
      this.#underWay--
    }
  }
}

/** One turn of the event loop, in which sockets are read. */
export function turn(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}

export function pause(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms))
}
