import { KiB, MiB } from './size.ts'
import { MINUTE } from './time.ts'

/** Limits of the hub, each with the name under which isthmus.yaml may raise it (`limits: { messageBytes: 200MiB }`). */
export const defaultLimits = {
  /** The largest body that a sender may hand over. */
  messageBytes: 150 * MiB,
  /** All headers and attributes of one message together. */
  headerBytes: 256 * KiB,
  /** The largest body that an expression, a map or a validate step reads into memory. */
  parseBytes: 16 * MiB,
  /** Bodies above this lie in files beside the database instead of in it. */
  inlineBytes: 256 * KiB,
  /** Deliveries of one flow that wait; above it the sender is asked to come back later. */
  queuedPerFlow: 100_000,
  /** Deliveries that run at the same time in one hub; each flow has a share of them (engine/fair-places.ts). */
  runningDeliveries: 128,
  /** The longest one step or receiver may take; above the 10 minutes that RFC 5321 gives a server for its answer. */
  stepMs: 15 * MINUTE,
  /** The largest result that is kept for a caller who asks again. */
  keptResultBytes: 4 * MiB,
  /** Parts that one split may make. */
  splitParts: 100_000,
} as const

export type Limits = { readonly [K in keyof typeof defaultLimits]: number }
