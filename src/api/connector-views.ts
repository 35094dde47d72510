import { z } from 'zod'

const time = z.string().meta({ format: 'date-time' })

const tunnelView = z.object({
  address: z.string().meta({ description: 'Where the tunnel comes from.' }),
  connectedAt: time,
  openStreams: z.number(),
  opened: z.number(),
  sentBytes: z.number(),
  receivedBytes: z.number(),
  roundTripMs: z.number().optional(),
})

export const connectorView = z.object({
  id: z.string(),
  location: z.string(),
  name: z.string(),
  state: z.enum(['connected', 'away', 'revoked']),
  version: z.string().optional(),
  mode: z.enum(['active', 'shadow']).optional(),
  enrolledAt: time,
  connectedAt: time.optional(),
  lastSeenAt: time.optional(),
  certificateEndsAt: time,
  openStreams: z.number(),
  roundTripMs: z.number().optional(),
  tunnels: z.array(tunnelView).meta({ description: 'To this node of the hub.' }),
  virtualHosts: z.array(z.string()).meta({ description: 'host:port of all that its allow-list names.' }),
  revoked: z.object({ at: time, reason: z.string(), by: z.string() }).optional(),
})

export const enrolmentView = z.object({
  location: z.string(),
  token: z.string().meta({ description: 'Good for one enrolment within 15 minutes.' }),
  endsAt: time,
  nodes: z.array(z.string()).meta({ description: 'host:port that the connector dials.' }),
})

export const pathCheckView = z.object({
  ok: z.boolean(),
  steps: z.array(z.object({ ok: z.boolean(), what: z.string(), next: z.string().optional() })),
})
