import { SECOND } from '../../kernel/time.ts'

/** Limits and constants of the balancer, each with its reason; those of a virtual host stand in connector.yaml. */
export const balanceLimits = {
  /** Differences below this are noise of the network; servers that are so fast are told apart by their load alone. */
  responseFloorMs: 1,
  /** Each failure in a row makes a target so many times dearer, up to so many failures, and the less the older they are. */
  failurePenalty: 4,
  failurePenaltyTimes: 4,
  failurePenaltyFadeMs: 5 * SECOND,
  /** An answer counts with at least this share in the average, a faster and a slower one ... */
  fasterShare: 0.2,
  slowerShare: 0.02,
  /** ... and with more of it the longer ago the last one was. */
  fadeMs: 10 * SECOND,
  riseMs: SECOND,
  /** Without any news for so long an old slowness begins to be forgotten, so that the target is tried again. */
  silentMs: 15 * SECOND,
  /** A hub that hangs up on a server after so long a wait for an answer has waited in vain. */
  inVainMs: 10 * SECOND,
  /** Two targets whose cost differs by less are equally good; chance decides, by weight. */
  nearFactor: 1.25,

  /** Beside failures in a row: this share of failures, among at least so many connections of the last half minute. */
  failureShare: 0.5,
  failureSample: 10,
  failureWindowMs: 30 * SECOND,

  /** The share with which a target begins that comes back. */
  slowStartShare: 0.1,

  /** Targets that are tried for one stream; each failure takes time that the hub waits. */
  triesPerStream: 3,
  /** Bytes of a greeting; RFC 5321 allows 512 a line. */
  greetingBytes: 8 * 1024,
  /** Bytes of an HTTP answer that a probe reads for its status. */
  probeBytes: 8 * 1024,
  /** Probes come earlier or later by up to this share, so that several connectors do not probe in step. */
  probeJitter: 0.2,
} as const
