import type { Tunnel } from './tunnel.ts'

/** What one location has moved since the start. */
export interface LocationTraffic {
  readonly location: string
  readonly opened: number
  /** Streams that were not opened, by error code. */
  readonly refused: Readonly<Record<string, number>>
  readonly tunnelsLost: number
  readonly sentBytes: number
  readonly receivedBytes: number
}

interface Counts {
  opened: number
  refused: Record<string, number>
  tunnelsLost: number
  sentBytes: number
  receivedBytes: number
}

/** Adds up what tunnels carry; those that are gone count on. */
export class TrafficBook {
  readonly #counts = new Map<string, Counts>()

  opened(location: string): void {
    this.#of(location).opened++
  }

  refused(location: string, code: string): void {
    const { refused } = this.#of(location)
    refused[code] = (refused[code] ?? 0) + 1
  }

  /** Takes over the bytes of a tunnel that is gone. */
  gone(tunnel: Tunnel): void {
    const counts = this.#of(tunnel.owner.location)
    counts.tunnelsLost++
    counts.sentBytes += tunnel.load.sentBytes
    counts.receivedBytes += tunnel.load.receivedBytes
  }

  list(tunnels: readonly Tunnel[]): readonly LocationTraffic[] {
    for (const { owner } of tunnels) this.#of(owner.location)
    return [...this.#counts].map(([location, counts]) => {
      const live = tunnels.filter(({ owner }) => owner.location === location)
      return {
        location,
        ...counts,
        sentBytes: live.reduce((sum, { load }) => sum + load.sentBytes, counts.sentBytes),
        receivedBytes: live.reduce((sum, { load }) => sum + load.receivedBytes, counts.receivedBytes),
      }
    })
  }

  #of(location: string): Counts {
    const known = this.#counts.get(location)
    if (known) return known
    const counts: Counts = { opened: 0, refused: {}, tunnelsLost: 0, sentBytes: 0, receivedBytes: 0 }
    this.#counts.set(location, counts)
    return counts
  }
}
