import { isIPv6 } from 'node:net'
import type { Clock } from '../../kernel/time.ts'
import { guardLimits } from './guard-limits.ts'

interface Failures {
  count: number
  readonly from: number
}

/** Counts refused credentials by where they came from. It slows down guessing and never locks a client. */
export class FailureLimit {
  readonly #clock: Pick<Clock, 'now'>
  readonly #failures = new Map<string, Failures>()

  constructor(clock: Pick<Clock, 'now'>) {
    this.#clock = clock
  }

  /** Counts one more; when it is too many, how long to wait and whether it is the first of these. */
  note(
    address: string,
    clientId: string | undefined,
  ): { readonly waitMs: number; readonly isFirst: boolean } | undefined {
    const network = networkOf(address)
    const { failuresPerAddress, failuresPerClient } = guardLimits
    const ofAddress = this.#count(network, failuresPerAddress)
    // What is unknown is one client, so that made-up names earn nothing.
    const ofClient = this.#count(`${network} ${clientId ?? ''}`, failuresPerClient)
    return ofAddress ?? ofClient
  }

  #count(key: string, max: number): { readonly waitMs: number; readonly isFirst: boolean } | undefined {
    const now = this.#clock.now()
    const before = this.#failures.get(key)
    const isFresh = before && now - before.from < guardLimits.failuresWithinMs
    const failures = { count: (isFresh ? before.count : 0) + 1, from: isFresh ? before.from : now }
    this.#failures.delete(key)
    this.#failures.set(key, failures)
    const oldest = this.#failures.keys().next()
    // Two entries an address.
    if (this.#failures.size > 2 * guardLimits.addressesRemembered && !oldest.done) this.#failures.delete(oldest.value)
    if (failures.count <= max) return undefined
    return { waitMs: failures.from + guardLimits.failuresWithinMs - now, isFirst: failures.count === max + 1 }
  }
}

/** Who has one address of IPv6 has a /64 of them. */
export function networkOf(address: string): string {
  if (!isIPv6(address) || address.startsWith('::ffff:')) return address
  const [before = [], after = []] = address.split('::').map(part => part.split(':').filter(group => group !== ''))
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => '0')
  return [...before, ...zeros, ...after].slice(0, 4).join(':')
}
