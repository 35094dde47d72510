import type { HubError } from '../kernel/error.ts'
import type { JsonObject } from '../kernel/json.ts'

/**
 * What the monitor sees of the engine: its events, its flows and their links. The engine fits these shapes; they stand
 * here because the monitor may not know the engine.
 */
export interface Watched {
  flows(): readonly WatchedStatus[]
  /** Sends a message of the hub's own through the whole way; undefined when its end does not come within the time. */
  probe(flow: string, withinMs: number): Promise<ProbeEnd | undefined>
  on(listener: (event: WatchedEvent) => void): () => void
}

export interface WatchedStatus {
  readonly flow: WatchedFlow
  readonly state: 'starting' | 'running' | 'stopping'
  readonly startedAt: number
  readonly links: readonly WatchedLink[]
}

export interface WatchedFlow {
  readonly name: string
  readonly owner: string | undefined
  /** Names of alert channels; empty: the default ones. */
  readonly alert: readonly string[]
  readonly keep: { readonly deliveredMs: number; readonly setAsideMs: number }
  readonly expect: {
    readonly quietMs: number | undefined
    readonly probe: { readonly everyMs: number; readonly withinMs: number } | undefined
  }
}

export interface WatchedLink {
  readonly link: string
  readonly state: 'starting' | 'up' | 'down'
  readonly since: number
  readonly detail: string
  readonly error: WatchedError | undefined
}

export interface WatchedError {
  readonly code: string
  readonly side: string
  readonly message: string
  readonly next: string
}

export interface ProbeEnd {
  readonly id: string
  readonly state: 'delivered' | 'dropped' | 'rejected' | 'set-aside' | 'skipped'
  readonly summary: string
  readonly error?: WatchedError
}

/** What the monitor sees of a credential. */
export interface WatchedCredential {
  readonly name: string
  /** Without secrets; a certificate (PEM) stands here under its own name. */
  readonly settings: JsonObject
  readonly status: {
    readonly state: 'ready' | 'needs-authorisation' | 'consent-missing' | 'refused'
    /** What went wrong the last time. */
    readonly error: { readonly message: string; readonly next: string } | undefined
  }
}

interface Happened {
  readonly at: number
  readonly flow: string
}

export type WatchedEvent =
  | (Happened & { readonly type: 'flow.started' | 'flow.stopped' })
  | (Happened & { readonly type: 'link.up'; readonly link: string; readonly detail: string })
  | (Happened & { readonly type: 'link.down' | 'link.trouble'; readonly link: string; readonly error: HubError })
  | (Happened & {
      readonly type: 'delivery.accepted'
      readonly delivery: string
      readonly bytes: number
      readonly isProbe: boolean
    })
  | (Happened & { readonly type: 'delivery.refused-duplicate'; readonly delivery: string })
  | (Happened & {
      readonly type: 'delivery.failed'
      readonly delivery: string
      readonly attempt: number
      readonly error: HubError
      readonly dueAt: number
    })
  | (Happened & {
      readonly type: 'delivery.ended'
      readonly delivery: string
      readonly state: ProbeEnd['state']
      readonly summary: string
      readonly error: HubError | undefined
      readonly tookMs: number
      readonly isProbe: boolean
    })
