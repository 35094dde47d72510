import type { Duplex } from 'node:stream'
import type { Log } from '../../kernel/log.ts'
import type { Connect } from '../../kernel/socket.ts'
import type { Clock } from '../../kernel/time.ts'
import type { CheckAnswer, VirtualHostStatus } from '../wire.ts'
import type { VirtualHost } from './connector-config.ts'

/**
 * The internal servers behind the virtual hosts: which of them takes the next stream. Addresses of virtual hosts are
 * `host:port` in lower case, as the configuration writes them; whoever calls has checked that they are on the list.
 */
export interface TargetPool {
  /**
   * A connection to one of the targets, TLS included where the virtual host asks for it, ready to carry bytes in both
   * directions; what a check of the greeting read is put back. Tries the next target when one does not answer.
   * Throws CONNECTOR_NO_TARGET (502), CONNECTOR_NONE_HEALTHY (503), CONNECTOR_TARGETS_FULL (429); never takes longer
   * than `timeoutMs`, and nothing stays open when `signal` aborts first.
   */
  open(virtualHost: string, options: OpenOptions): Promise<OpenedTarget>
  /** In the order of the configuration. */
  statuses(): readonly VirtualHostStatus[]
  /** Takes a target out of the choice (open streams go on), or back in. Throws CONNECTOR_NOT_ALLOWED, CONNECTOR_TARGET_UNKNOWN. */
  drain(virtualHost: string, target: string, drained: boolean): void
  /** Goes the way to each target now, as far as a health probe does. Opens nothing that stays open. */
  check(virtualHost: string, signal: AbortSignal): Promise<CheckAnswer>
  /** A new list is in force at once; targets that are still on it keep health, load and drain. */
  apply(virtualHosts: readonly VirtualHost[]): void
  /** Ends the probes. Open sockets belong to whoever opened them. */
  close(): Promise<void>
}

export interface OpenOptions {
  readonly signal: AbortSignal
  readonly timeoutMs: number
}

/**
 * The socket is the caller's. Its 'close' ends the stream in the balancer's books: `destroy(error)` by the target's
 * side (reset, timeout) counts as a failure of the target; the caller destroys it without an error when the hub's
 * side went away.
 */
export interface OpenedTarget {
  readonly socket: Duplex
  /** Internal host:port. */
  readonly target: string
  /** Tells the balancer's books what an HTTP server answered. True when it could not do it, and another one may. */
  answered(status: number): boolean
  /** Tells the balancer's books that the hub's side went away, where the socket stays open for an answer after that. */
  hubLeft?: (() => void) | undefined
}

/** How a pool is made; src/connector/balance has the one that balances. */
export type CreateTargetPool = (parts: {
  readonly virtualHosts: readonly VirtualHost[]
  readonly connect: Connect
  readonly clock: Clock
  readonly log: Log
}) => TargetPool
