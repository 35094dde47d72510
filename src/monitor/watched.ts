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

/** What the monitor sees of a location of on-premise connectors. */
export interface WatchedLocation {
  readonly location: string
  readonly enrolled: number
  readonly connected: number
  readonly tunnels: number
  readonly openStreams: number
  /** Since when no connector is connected; undefined while one is. */
  readonly awaySince: number | undefined
}

export interface WatchedConnector {
  readonly id: string
  readonly name: string
  readonly location: string
  readonly state: 'connected' | 'away' | 'revoked'
  readonly certificateEndsAt: number
}

/** What the monitor sees of on-premise connectors. */
export interface WatchedConnectors {
  locations(): readonly WatchedLocation[]
  list(): readonly WatchedConnector[]
  traffic(): readonly {
    readonly location: string
    readonly opened: number
    /** By error code. */
    readonly refused: Readonly<Record<string, number>>
    readonly tunnelsLost: number
    readonly sentBytes: number
    readonly receivedBytes: number
  }[]
  /** Names of the running flows that go through each location. */
  usedBy(): ReadonlyMap<string, readonly string[]>
}

/** Something that could not be opened, and why. */
export interface WatchedFailure {
  readonly since: number
  readonly error: { readonly message: string; readonly next: string }
  readonly isPartial?: boolean
}

/** What the monitor sees of an organization whose mailboxes are synced. */
export interface WatchedOrganization {
  readonly name: string
  /** Mailboxes by state. */
  readonly counts: Readonly<Record<string, number>>
  readonly account: {
    readonly isRefused: boolean
    readonly trouble: { readonly since: number; readonly message: string; readonly next: string } | undefined
  }
  readonly totals: {
    readonly itemsIn: number
    readonly itemsOut: number
    readonly conflicts: number
    readonly refused: number
    readonly held: number
  }
  readonly inError:
    | { readonly mailbox: string; readonly since: number; readonly message: string; readonly next: string }
    | undefined
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
