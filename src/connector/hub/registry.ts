import { KiB } from '../../kernel/size.ts'
import type { Clock } from '../../kernel/time.ts'
import { hubLimits } from './limits.ts'
import type { Tunnel } from './tunnel.ts'

/** So many waiting bytes weigh as much as one open stream. */
const bytesPerStream = 64 * KiB
const suspectWeight = 1_000_000
/** Processes of one connector that are remembered as replaced. */
const replacedMax = 16

/** The tunnels to this node, and which of them takes the next stream. */
export class TunnelRegistry {
  readonly #tunnels = new Set<Tunnel>()
  readonly #waiting = new Set<(location: string) => void>()
  /** By connector: processes whose tunnels were cut for those of a newer one. */
  readonly #replaced = new Map<string, readonly string[]>()

  /**
   * The tunnel of a process that has taken the place of this one's, where both live: two programs with one identity
   * (a machine or a data folder that was copied). They would cut each other's connections for ever.
   */
  replacementOf({ owner: { connector }, hello: { run } }: Tunnel): Tunnel | undefined {
    if (!this.#replaced.get(connector)?.includes(run)) return undefined
    return this.ofConnector(connector).find(other => other.hello.run !== run)
  }

  /** Takes a tunnel in; those of an earlier process of the same connector are cut, since it cannot live any more. */
  add(tunnel: Tunnel): void {
    const { connector } = tunnel.owner
    const earlier = this.ofConnector(connector)
    for (const other of earlier) {
      if (other.hello.run === tunnel.hello.run) continue
      const before = this.#replaced.get(connector) ?? []
      const runs = new Set([...before, other.hello.run])
      runs.delete(tunnel.hello.run)
      this.#replaced.set(connector, [...runs].slice(-replacedMax))
      other.destroy('the connector was started anew')
    }
    if (earlier.length >= hubLimits.tunnelsPerConnector) {
      const reason = `more than ${hubLimits.tunnelsPerConnector} tunnels of one connector`
      // Each change of its list retires the tunnels of a connector, and their last streams may stay for days.
      const retired = earlier.find(({ isEnding }) => isEnding)
      if (!retired) {
        tunnel.destroy(reason)
        return
      }
      retired.destroy(reason)
    }
    this.#tunnels.add(tunnel)
    for (const tell of this.#waiting) tell(tunnel.owner.location)
    void tunnel.closed().then(() => this.#tunnels.delete(tunnel))
  }

  /** Resolves with true when a tunnel of the location came in, with false when time or the signal ended the wait. */
  awaitTunnel(location: string, clock: Pick<Clock, 'after'>, waitMs: number, signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return Promise.resolve(false)
    return new Promise(resolve => {
      const end = (hasCome: boolean) => {
        this.#waiting.delete(tell)
        cancel()
        signal.removeEventListener('abort', onAbort)
        resolve(hasCome)
      }
      const tell = (of: string) => of === location && end(true)
      const onAbort = () => end(false)
      const cancel = clock.after(waitMs, () => end(false))
      this.#waiting.add(tell)
      signal.addEventListener('abort', onAbort, { once: true })
    })
  }

  all(): readonly Tunnel[] {
    return [...this.#tunnels]
  }

  ofConnector(connector: string): readonly Tunnel[] {
    return this.all().filter(tunnel => tunnel.isAlive && tunnel.owner.connector === connector)
  }

  /** A tunnel for a question to a connector: one that has room and answers, where there is a choice. */
  bestOf(connector: string): Tunnel | undefined {
    const standing = this.ofConnector(connector).filter(({ isEnding }) => !isEnding)
    return standing.find(({ isUsable, isSuspect }) => isUsable && !isSuspect) ?? standing[0]
  }

  ofLocation(location: string): readonly Tunnel[] {
    return this.all().filter(tunnel => tunnel.isAlive && tunnel.owner.location === location)
  }

  /**
   * Tunnels that may carry a stream to a virtual host:port, the best first: of active connectors, or of shadows while
   * no active one is there; those that list it before those that do not (their list may be newer than what we know of
   * it); the least loaded first, and of each connector its best one before the second of any.
   */
  candidates(location: string, address: string): readonly Tunnel[] {
    // An active one that has become a shadow stays with its last streams as it was.
    const there = this.ofLocation(location).filter(({ isEnding }) => !isEnding)
    const active = there.filter(tunnel => tunnel.hello.mode === 'active')
    const usable = (active.length > 0 ? active : there).filter(tunnel => tunnel.isUsable)
    const ranked = usable.toSorted((a, b) => weightOf(a) - weightOf(b))
    const seen = new Map<string, number>()
    const rounds = ranked.map(tunnel => {
      const round = seen.get(tunnel.owner.connector) ?? 0
      seen.set(tunnel.owner.connector, round + 1)
      return { tunnel, round, lists: tunnel.lists(address) }
    })
    return rounds
      .toSorted(
        (a, b) => Number(b.lists) - Number(a.lists) || a.round - b.round || weightOf(a.tunnel) - weightOf(b.tunnel),
      )
      .map(({ tunnel }) => tunnel)
  }
}

function weightOf(tunnel: Tunnel): number {
  const load = tunnel.openCount + tunnel.load.waitingBytes / bytesPerStream
  return tunnel.isSuspect ? load + suspectWeight : load
}
