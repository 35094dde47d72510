import { asHubError } from '../kernel/error.ts'
import { type Clock, steadyClock } from '../kernel/time.ts'
import type { ProbeResult } from './findings.ts'
import type { Watched, WatchedStatus } from './watched.ts'

/** Sends probes of flows when they are due, and remembers how the last one of each ended. */
export class Probes {
  readonly #engine: Watched
  readonly #clock: Clock
  /** For when the next one is due. */
  readonly #steady: Clock
  readonly #dueAt = new Map<string, number>()
  readonly #underWay = new Map<string, Promise<void>>()
  readonly #results = new Map<string, ProbeResult>()

  constructor(engine: Watched, clock: Clock) {
    this.#engine = engine
    this.#clock = clock
    this.#steady = steadyClock(clock)
  }

  /** How the last probe of the flow ended; undefined before the first has. */
  result(flow: string): ProbeResult | undefined {
    return this.#results.get(flow)
  }

  /** Sends a probe when one is due and none is under way; does not wait for its end. */
  sendIfDue({ flow, links, state }: WatchedStatus): void {
    const { probe } = flow.expect
    if (!probe || state !== 'running' || this.#underWay.has(flow.name)) return
    const now = this.#steady.now()
    if (now < (this.#dueAt.get(flow.name) ?? 0)) return
    // The first probe waits until the sender had a chance to connect: a link that is starting is no news.
    const isFirst = !this.#dueAt.has(flow.name)
    if (isFirst && links.length > 0 && links.every(link => link.state === 'starting')) return
    this.#dueAt.set(flow.name, now + probe.everyMs)
    const sent = this.#send(flow.name, probe.withinMs, this.#clock.now()).finally(() =>
      this.#underWay.delete(flow.name),
    )
    this.#underWay.set(flow.name, sent)
  }

  /** Forgets flows that do not run any more. */
  keepOnly(flows: ReadonlySet<string>): void {
    for (const map of [this.#dueAt, this.#results])
      for (const flow of map.keys()) if (!flows.has(flow)) map.delete(flow)
  }

  /** Resolves when no probe is under way. */
  async settled(): Promise<void> {
    await Promise.all(this.#underWay.values())
  }

  async #send(flow: string, withinMs: number, sentAt: number): Promise<void> {
    const before = this.#results.get(flow)
    const since = before && before.end?.state !== 'delivered' ? before.since : sentAt
    try {
      const end = await this.#engine.probe(flow, withinMs)
      this.#results.set(flow, { since, withinMs, end, error: undefined })
    } catch (thrown) {
      // A probe that cannot be sent is a finding like one that does not arrive.
      this.#results.set(flow, { since, withinMs, end: undefined, error: asHubError(thrown) })
    }
  }
}
