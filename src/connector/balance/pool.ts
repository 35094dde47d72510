import { steadyClock } from '../../kernel/time.ts'
import type { VirtualHost } from '../agent/connector-config.ts'
import { connectorErrors } from '../agent/errors.ts'
import type { CreateTargetPool, TargetPool } from '../agent/targets.ts'
import { BalancedHost } from './balanced-host.ts'
import type { Random } from './choose.ts'
import type { ProberParts } from './prober.ts'

/** The pool that balances: health, load and response time decide which target takes a stream. */
export const createTargetPool = (
  { virtualHosts, clock, ...parts }: Parameters<CreateTargetPool>[0],
  random: Random = Math.random,
): TargetPool => new BalancingPool(virtualHosts, { ...parts, clock: steadyClock(clock), calendar: clock, random })

class BalancingPool implements TargetPool {
  readonly #parts: ProberParts
  /** In the order of the configuration. */
  #hosts = new Map<string, BalancedHost>()
  #leaving: Promise<void>[] = []

  constructor(virtualHosts: readonly VirtualHost[], parts: ProberParts) {
    this.#parts = parts
    this.apply(virtualHosts)
  }

  async open(...[virtualHost, options]: Parameters<TargetPool['open']>) {
    return this.#host(virtualHost).open(options)
  }

  statuses() {
    return [...this.#hosts.values()].map(host => host.status())
  }

  drain(...[virtualHost, target, drained]: Parameters<TargetPool['drain']>) {
    this.#host(virtualHost).drain(target, drained)
  }

  async check(...[virtualHost, signal]: Parameters<TargetPool['check']>) {
    return this.#host(virtualHost).check(signal)
  }

  apply(virtualHosts: readonly VirtualHost[]) {
    const before = this.#hosts
    this.#hosts = new Map(
      virtualHosts.map(setting => {
        const known = before.get(setting.address)
        before.delete(setting.address)
        known?.apply(setting)
        return [setting.address, known ?? new BalancedHost(setting, this.#parts)]
      }),
    )
    this.#leaving = [...before.values()].map(host => host.close())
  }

  async close() {
    await Promise.all([...this.#leaving, ...[...this.#hosts.values()].map(host => host.close())])
  }

  #host(virtualHost: string): BalancedHost {
    const host = this.#hosts.get(virtualHost.toLowerCase())
    if (!host) throw connectorErrors.NOT_ALLOWED({ virtualHost })
    return host
  }
}
