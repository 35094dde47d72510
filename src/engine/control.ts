import type { Outcome, Waiting } from '../flow/adapter.ts'
import type { LoadedFlow } from '../flow/document.ts'
import type { HubError } from '../kernel/error.ts'
import type { CheckResult } from '../kernel/socket.ts'
import type { StoredError } from '../store/port.ts'

/** What the rest of the hub (API, CLI, monitor) can ask of the engine. */
export interface Engine {
  /** Opens receivers, steps and sender of a flow and lets it run; a flow of that name that runs is replaced. */
  start(flow: LoadedFlow): Promise<void>
  /** Stops taking in and delivering; running attempts may end within a grace time. Deliveries stay queued. */
  stop(name: string): Promise<void>
  flows(): readonly FlowStatus[]
  /** Proves every link of a flow (sender and receivers) now. */
  check(name: string): Promise<readonly LinkCheck[]>
  /** Sends a message of the hub's own through the whole way; resolves with its end, or undefined after `withinMs`. */
  probe(name: string, withinMs: number): Promise<Outcome | undefined>
  /**
   * A set-aside delivery is queued again in its old place and is set aside no more; one that ended otherwise keeps its
   * end and is accepted anew, as a delivery that names it and is found by its id. Returns the id that now travels. `only`:
   * throws STORE_NOT_SET_ASIDE for any other, also when somebody else was quicker.
   */
  replay(id: string, who: string, only?: 'set-aside'): Promise<string>
  /** Queues a set-aside delivery with another body or headers; the original is kept. */
  repair(
    id: string,
    change: {
      readonly headers?: Readonly<Record<string, string>>
      readonly body?: Uint8Array | AsyncIterable<Uint8Array>
    },
    who: string,
  ): Promise<void>
  /**
   * Set-aside deliveries of a flow, none of them a probe, are queued again in their old places, all of them or none; one
   * that is set aside no more is left out. Returns how many travel now.
   */
  replayAll(flow: string, ids: readonly string[], who: string): Promise<number>
  /** Ends a delivery by hand so that its successors go on. */
  skip(id: string, reason: string, who: string): Promise<void>
  /** The same with set-aside deliveries, all of them or none; one that is set aside no more is left out. Returns how many. */
  skipAll(ids: readonly string[], reason: string, who: string): Promise<number>
  /**
   * Tries at once what awaits a change (a credential was changed), with `every` all that waits for its next try, and links
   * that wait. Returns how many deliveries.
   */
  wake(flow?: string, every?: boolean): Promise<number>
  /** Events as they happen; the returned function ends the subscription. */
  on(listener: (event: EngineEvent) => void): () => void
  /** Resolves when nothing runs and nothing is due now. */
  idle(): Promise<void>
  /** Attempts that run may take so long to end. */
  close(graceMs?: number): Promise<void>
}

export interface LinkStatus {
  /** `orders@contoso.com`, `to[0]`. */
  readonly link: string
  readonly state: 'starting' | 'up' | 'down'
  readonly since: number
  readonly detail: string
  readonly error: StoredError | undefined
  /** What stays undone although the link works, and since when. */
  readonly stuck?: { readonly since: number; readonly error: StoredError } | undefined
  /** What its receiver holds back now. */
  readonly waiting?: Waiting | undefined
}

export interface FlowStatus {
  readonly flow: LoadedFlow
  readonly state: 'starting' | 'running' | 'stopping'
  readonly startedAt: number
  readonly links: readonly LinkStatus[]
  /** Attempts that run right now. */
  readonly running: number
}

export interface LinkCheck {
  readonly link: string
  readonly result: CheckResult
  readonly tookMs: number
}

export type EngineEvent =
  | {
      readonly type: 'flow.started'
      readonly at: number
      readonly flow: string
      readonly revision: string
      /** Deliveries that were waiting already. */
      readonly waiting: number
    }
  | { readonly type: 'flow.stopped'; readonly at: number; readonly flow: string }
  | {
      readonly type: 'link.up'
      readonly at: number
      readonly flow: string
      readonly link: string
      readonly detail: string
    }
  | {
      readonly type: 'link.down' | 'link.trouble'
      readonly at: number
      readonly flow: string
      readonly link: string
      readonly error: HubError
    }
  | {
      readonly type: 'delivery.accepted'
      readonly at: number
      readonly flow: string
      readonly delivery: string
      readonly bytes: number
      readonly isProbe: boolean
    }
  | {
      readonly type: 'delivery.refused-duplicate'
      readonly at: number
      readonly flow: string
      readonly delivery: string
    }
  | {
      readonly type: 'delivery.failed'
      readonly at: number
      readonly flow: string
      readonly delivery: string
      readonly attempt: number
      readonly error: HubError
      readonly dueAt: number
      readonly isProbe: boolean
    }
  | {
      readonly type: 'delivery.ended'
      readonly at: number
      readonly flow: string
      readonly delivery: string
      readonly state: Outcome['state']
      readonly summary: string
      readonly error: HubError | undefined
      readonly tookMs: number
      readonly isProbe: boolean
    }
