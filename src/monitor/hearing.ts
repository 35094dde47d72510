import { z } from 'zod'
import { type Clock, MINUTE } from '../kernel/time.ts'
import type { Records } from '../store/port.ts'
import type { Watched } from './watched.ts'

const area = 'hearing'
const writeEveryMs = MINUTE
// A gap up to this long is a restart of the hub, over which silence goes on; a longer one is a flow that was stopped.
const restartMs = 15 * MINUTE

const recordSchema = z.object({ since: z.number(), seenAt: z.number(), heardAt: z.number().optional() })
type Hearing = z.output<typeof recordSchema>

/** Remembers since when each flow is listened to and when it last heard a message, over restarts of the hub. */
export class Hearings {
  readonly #store: Pick<Records, 'read' | 'write'>
  readonly #clock: Clock
  readonly #hearings = new Map<string, Hearing>()
  readonly #writtenAt = new Map<string, number>()
  readonly #heardNow = new Map<string, number>()
  readonly #end: () => void

  constructor(engine: Watched, store: Pick<Records, 'read' | 'write'>, clock: Clock) {
    this.#store = store
    this.#clock = clock
    this.#end = engine.on(event => {
      if (event.type === 'delivery.accepted' && !event.isProbe) this.#heardNow.set(event.flow, event.at)
    })
  }

  /** When silence of this flow began. `lastAcceptedAt` is what the store knows of. */
  async silentSince(flow: string, lastAcceptedAt: number | undefined): Promise<number> {
    const now = this.#clock.now()
    const known = this.#hearings.get(flow) ?? (await this.#read(flow))
    // What is ahead of now was written by a clock that has been set back since, and must not pass for a voice till then.
    const before = known && known.seenAt <= now ? known : undefined
    const isNew = !before || now - before.seenAt > restartMs
    const heard = [before?.heardAt, lastAcceptedAt, this.#heardNow.get(flow)]
    const heardAt = newest(heard.filter(time => time !== undefined).filter(time => time <= now))
    const hearing = { since: isNew ? now : before.since, seenAt: now, ...(heardAt !== undefined && { heardAt }) }
    this.#hearings.set(flow, hearing)
    const isDue = now - (this.#writtenAt.get(flow) ?? 0) >= writeEveryMs || heardAt !== before?.heardAt
    if (isNew || isDue) {
      await this.#store.write(area, flow, hearing)
      this.#writtenAt.set(flow, now)
    }
    return Math.max(hearing.since, heardAt ?? 0)
  }

  /** Forgets flows that do not run; their record stays, so that a start soon after goes on with it. */
  keepOnly(flows: ReadonlySet<string>): void {
    for (const flow of this.#hearings.keys()) if (!flows.has(flow)) this.#hearings.delete(flow)
  }

  close(): void {
    this.#end()
  }

  async #read(flow: string): Promise<Hearing | undefined> {
    const record = await this.#store.read(area, flow)
    const parsed = recordSchema.safeParse(record?.value)
    return parsed.success ? parsed.data : undefined
  }
}

function newest(times: readonly number[]): number | undefined {
  return times.length === 0 ? undefined : Math.max(...times)
}
