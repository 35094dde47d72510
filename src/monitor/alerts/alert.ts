import { z } from 'zod'

const alertKinds = [
  'store',
  'quiet',
  'probe',
  'link-down',
  'link-stuck',
  'set-aside',
  'queue-age',
  'credential',
  'certificate',
  'flow-failed',
  'flow-gone',
  'service-key',
  'location',
  'connector',
  'organization',
  'mailboxes',
  'held-deletions',
] as const
export type AlertKind = (typeof alertKinds)[number]

/** What is wrong, in the words in which it is told. */
export interface AlertText {
  /** One sentence that says what happened. */
  readonly what: string
  /** Whose turn it is: the mail server, the person who signs in, … */
  readonly turn: string
  readonly next: string
  /** A command that shows more or does the next step. */
  readonly command: string
}

/** An alert as it is stored, shown and told. Times are milliseconds since 1970 UTC. */
export interface Alert extends AlertText {
  /** `link-down:mail-o365-to-s4:orders@contoso.com`; the same for the same trouble at another time. */
  readonly id: string
  readonly kind: AlertKind
  readonly flow?: string | undefined
  readonly state: 'open' | 'resolved'
  /** When the trouble itself began, which is before the alert. */
  readonly since: number
  readonly raisedAt: number
  readonly resolvedAt?: number | undefined
  readonly acknowledged?: { readonly by: string; readonly at: number } | undefined
  /** Newest times at which it was raised, oldest first; they show flapping. */
  readonly raises: readonly number[]
  readonly isFlapping: boolean
  /** Channels that this alert is told through. */
  readonly channels: readonly string[]
  /** Channels that do not know the present state yet. */
  readonly untold: readonly string[]
}

/** What is read back from the store: the record may have been written by another version. */
export const alertSchema = z.object({
  id: z.string(),
  kind: z.enum(alertKinds),
  flow: z.string().optional(),
  state: z.enum(['open', 'resolved']),
  what: z.string(),
  turn: z.string(),
  next: z.string(),
  command: z.string(),
  since: z.number(),
  raisedAt: z.number(),
  resolvedAt: z.number().optional(),
  acknowledged: z.object({ by: z.string(), at: z.number() }).optional(),
  raises: z.array(z.number()),
  isFlapping: z.boolean(),
  channels: z.array(z.string()),
  untold: z.array(z.string()),
})

/** A way by which people are told. `send` throws a HubError when it did not get through. */
export interface AlertChannel {
  readonly name: string
  send(alert: Alert): Promise<void>
}
