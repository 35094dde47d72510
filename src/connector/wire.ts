import { z } from 'zod'

/**
 * What hub and connector say to each other (docs/adr/0008-connector.md).
 *
 * One TLS 1.3 port of the hub, told apart by ALPN:
 * - `http/1.1`: enrolment and renewal, plain HTTPS requests of the connector;
 * - `isthmus-tunnel/1`: a tunnel. Both sides show a certificate of the hub's CA; then the connector is the HTTP/2
 *   *server* on the socket it dialled, and the hub opens the streams.
 */
export const tunnelAlpn = 'isthmus-tunnel/1'

export const wirePaths = {
  /** connector → hub, over HTTPS, without a client certificate: EnrolRequest → CertificateAnswer. */
  enrol: '/connector/enrol',
  /** connector → hub, over HTTPS, with its certificate: RenewRequest → CertificateAnswer. */
  renew: '/connector/renew',
  /** hub → connector, GET over the tunnel: Hello. The first request on every tunnel. */
  hello: '/hello',
  /** hub → connector, GET over the tunnel: ConnectorStatus. */
  status: '/status',
  /** hub → connector, POST over the tunnel: DrainRequest → ConnectorStatus. */
  drain: '/drain',
  /** hub → connector, POST over the tunnel: CheckRequest → CheckAnswer. Opens nothing that stays open. */
  check: '/check',
  /** hub → connector, POST over the tunnel: PassedOnRequest → PassedOnAnswer. Nothing more of the stream passes then. */
  passedOn: '/passed-on',
} as const

/**
 * Headers of a CONNECT stream. The hub asks with `:authority` = virtual host:port and what it is for; the connector
 * answers 200 with the target it chose, or a status of `refusals` with an error code and a sentence.
 */
export const wireHeaders = {
  /** Flow or other reason, for the audit log of the connector. */
  purpose: 'isthmus-purpose',
  /** A name for the stream, by which the hub can ask for it after it was lost. */
  stream: 'isthmus-stream',
  /** Internal host:port that was chosen. */
  target: 'isthmus-target',
  /** Code of the error, for example CONNECTOR_NOT_ALLOWED. */
  error: 'isthmus-error',
  /** encodeURIComponent of the sentence that explains the error. */
  text: 'isthmus-text',
} as const

/** Status of a CONNECT that is not opened, by reason. */
export const refusals = {
  /** Not on the allow-list of the connector; audited on both sides. */
  notAllowed: 403,
  /** The limit of streams of the virtual host or of the connector is reached. */
  tooMany: 429,
  /** No target took the connection; the text says what each of them answered. */
  noTarget: 502,
  /** Every target is down, ejected or drained. */
  noneHealthy: 503,
  /** The connector stops, or is a shadow that must not carry streams now. */
  stopping: 410,
} as const

/** A name in URLs, files and certificates. */
export const locationName = z.string().regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/, 'lower case letters, digits, -')

const pem = z.string().min(1).max(20_000)

export const enrolRequest = z.strictObject({
  /** The one-time token; the hub knows its MAC only. */
  token: z.string().min(1).max(200),
  /** PKCS #10 request, PEM; only its public key and signature count, the names are the hub's. */
  csr: pem,
  /** What people call this connector (host name by default). */
  name: z.string().min(1).max(100),
})
export type EnrolRequest = z.infer<typeof enrolRequest>

export const renewRequest = z.strictObject({ csr: pem })

export const certificateAnswer = z.strictObject({
  connector: z.string(),
  location: locationName,
  certificate: pem,
  /** The hub's CA certificates, PEM, the one that signed first. */
  authorities: z.array(pem).min(1).max(8),
  /** host:port of every node of the hub that takes tunnels. */
  nodes: z.array(z.string().min(1).max(260)).min(1).max(64),
})
export type CertificateAnswer = z.infer<typeof certificateAnswer>

export const targetState = z.enum(['up', 'down', 'ejected', 'drained', 'unknown'])
export type TargetState = z.infer<typeof targetState>

/** One internal server behind a virtual host, as the balancer sees it. */
export const targetStatus = z.strictObject({
  /** Internal host:port. */
  address: z.string(),
  state: targetState,
  /** Why, in words, where it is not up. */
  reason: z.string().optional(),
  /** Configured share, 1 to 100. */
  weight: z.number(),
  /** The share it has now: slow start ramps it up. */
  effectiveWeight: z.number(),
  /** Streams that are open now, and how many it may have. */
  open: z.number(),
  openMax: z.number(),
  /** Peak EWMA of the time to a usable connection, in ms. */
  responseMs: z.number().optional(),
  opened: z.number(),
  failed: z.number(),
  lastProbeAt: z.number().optional(),
  /** What the last probe saw: the banner, or the error. */
  lastProbe: z.string().optional(),
})
export type TargetStatus = z.infer<typeof targetStatus>

export const virtualHostProtocol = z.enum(['tcp', 'tcp-tls', 'smtp', 'http'])

export const virtualHostStatus = z.strictObject({
  /** Virtual host:port. */
  address: z.string(),
  protocol: virtualHostProtocol,
  open: z.number(),
  openMax: z.number(),
  targets: z.array(targetStatus),
})
export type VirtualHostStatus = z.infer<typeof virtualHostStatus>

export const hello = z.strictObject({
  version: z.string(),
  /** `shadow` carries streams only while no active connector of its location is there. */
  mode: z.enum(['active', 'shadow']),
  /** Tells tunnels of one process apart from those of an earlier one. */
  run: z.string(),
  /** Virtual host:port of everything on the allow-list. */
  virtualHosts: z.array(z.string()).max(10_000),
})
export type Hello = z.infer<typeof hello>

export const connectorStatus = z.strictObject({
  ...hello.shape,
  startedAt: z.number(),
  /** End of the certificate. */
  certificateEndsAt: z.number(),
  virtualHosts: z.array(virtualHostStatus).max(10_000),
})
export type ConnectorStatus = z.infer<typeof connectorStatus>

/** Takes a target out of the choice (open streams go on), or back in. Lives until the connector starts anew. */
export const drainRequest = z.strictObject({
  virtualHost: z.string().max(300),
  target: z.string().max(300),
  drained: z.boolean(),
})
export type DrainRequest = z.infer<typeof drainRequest>

export const checkRequest = z.strictObject({ virtualHost: z.string().max(300) })

/** What was found on the way to each target, one line a step. */
export const checkAnswer = z.strictObject({
  ok: z.boolean(),
  targets: z.array(z.strictObject({ address: z.string(), ok: z.boolean(), detail: z.string(), ms: z.number() })),
})
export type CheckAnswer = z.infer<typeof checkAnswer>

/** Asks how far the bytes of a stream came that the hub lost, and what the target said to them. */
export const passedOnRequest = z.strictObject({
  stream: z.string().min(1).max(100),
  /** Bytes that the hub wrote before the command MAIL of the mail that it asks for. */
  mailAt: z.number().int().min(0),
  /** Bytes that it takes at least to make the mail whole; where the target has fewer, the connection to it is cut. */
  written: z.number().int().min(0),
  /** How long the answer may wait for what the target is still to say. */
  waitMs: z.number().int().min(0),
})
export type PassedOnRequest = z.infer<typeof passedOnRequest>

export const passedOnAnswer = z.strictObject({
  /** Bytes that the target may have, and it gets no more; left out where the connector does not know. */
  bytes: z.number().int().min(0).optional(),
  /** What a mail server replied to the end of the mail, in Base64; left out where nothing is known of that. */
  reply: z.base64().optional(),
  /** It is still to say so: ask again. */
  isDue: z.literal(true).optional(),
})
export type PassedOnAnswer = z.infer<typeof passedOnAnswer>

/**
 * Questions without a sign of life after which a tunnel is dead: two, and more on a long line, where one lost packet
 * makes it silent for several round trips. Both sides count so.
 */
export function missesUntilDead(everyMs: number, roundTripMs: number | undefined): number {
  const { missesMin, missesMax, roundTripsSilent } = wireLimits
  const patient = Math.ceil((roundTripsSilent * (roundTripMs ?? 0)) / everyMs)
  return Math.min(missesMax, Math.max(missesMin, patient))
}

export const wireLimits = {
  /** See `missesUntilDead`. */
  missesMin: 2,
  missesMax: 10,
  roundTripsSilent: 4,
  /** HTTP/2 flow control; they decide the speed over distance (reference: 4 MiB gives 58 MB/s at 50 ms). */
  streamWindowBytes: 4 * 1024 * 1024,
  connectionWindowBytes: 32 * 1024 * 1024,
  /** Streams of one tunnel. */
  streams: 4000,
  /** Answers over the control paths. */
  controlBytes: 4 * 1024 * 1024,
  /** How long an answer may wait for the target, at most. */
  passedOnWaitMs: 5_000,
} as const
