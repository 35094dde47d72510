import { KiB } from '../../kernel/size.ts'
import { DAY, MINUTE, SECOND } from '../../kernel/time.ts'

/** Limits of the hub's side of connectors. */
export const hubLimits = {
  /** How long an enrolment token can be used, once. */
  enrolTokenMs: 15 * MINUTE,
  /** Life of a connector's certificate; it renews at two thirds. */
  certificateDays: 90,
  /** A connector keeps this many certificates: the present one and those before, until they end. */
  certificatesKept: 3,
  /** A connector that has not renewed this long before the end of its certificate raises an alert. */
  certificateWarnMs: 20 * DAY,
  /** TLS handshake of a connection that comes in. */
  handshakeMs: 10 * SECOND,
  /** An enrolment or renewal, from the end of the handshake to the answer. */
  requestMs: 10 * SECOND,
  requestBytes: 32 * KiB,
  headerBytes: 8 * KiB,
  /** Enrolments and renewals of one address within a minute; more are answered with 429. */
  requestsPerMinute: 30,
  /** Connections of strangers (they show no certificate of ours, or a revoked one), and all together. */
  unprovenConnections: 256,
  connections: 8000,
  /** Tunnels of one connector to this node. */
  tunnelsPerConnector: 16,
  /** Until a connector that came in has said who it is. */
  greetingMs: 5 * SECOND,
  /** Requests to a connector over its tunnel (hello, status, drain). */
  controlMs: 10 * SECOND,
  /** A check of a path, whose probes may wait for silent targets. */
  checkMs: 60 * SECOND,
  /** Between two pings with streams open, and without. */
  busyPingMs: SECOND,
  idlePingMs: 10 * SECOND,
  /** A connection waits this long for a connector that was there until a minute ago, or that a new start awaits. */
  comingBackMs: 10 * SECOND,
  recentlyMs: MINUTE,
  /** How long a connector is waited for that can say how far the bytes of a lost stream came. */
  fateMs: 20 * SECOND,
  /** And at least so long after the hub has started for one that has not come yet: they do within half a minute. */
  fateAfterStartMs: MINUTE,
  /** And how long the answer of a mail server that has a whole mail. */
  answerMs: 2 * MINUTE,
  /** How often the allow-list that connectors report is read anew. */
  helloMs: 30 * SECOND,
  /** How often records that other nodes of the hub write are read. */
  refreshMs: 5 * SECOND,
  /** The same refusal is written to the audit log once within this time, with a count. */
  sameRefusalMs: MINUTE,
  /** Memory of one tunnel in MB, above which no further streams open (node's own limit is 10). */
  sessionMemoryMb: 256,
} as const
