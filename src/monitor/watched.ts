import type { Engine, FlowStatus } from '../engine/control.ts'
import type { LoadedFlow } from '../flow/document.ts'
import type { JsonObject } from '../kernel/json.ts'

export type { EngineEvent as WatchedEvent, LinkStatus as WatchedLink } from '../engine/control.ts'
export type { Outcome as ProbeEnd } from '../flow/adapter.ts'
export type { StoredError as WatchedError } from '../store/port.ts'

/** What the monitor looks at in a flow. */
export type WatchedFlow = Pick<LoadedFlow, 'name' | 'owner' | 'alert' | 'keep' | 'expect'>

export type WatchedStatus = Pick<FlowStatus, 'state' | 'startedAt' | 'links'> & { readonly flow: WatchedFlow }

/** What the monitor sees of the engine: its events, its flows and their links. */
export interface Watched extends Pick<Engine, 'probe' | 'on'> {
  flows(): readonly WatchedStatus[]
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
