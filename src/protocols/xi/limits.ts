import { KiB, MiB } from '../../kernel/size.ts'

export const xiLimits = {
  /** The SOAP envelope, without payloads. */
  envelopeBytes: 1 * MiB,
  /** Payloads that stand before the envelope, where `start` names a later part; others are never held. */
  earlyBytes: 16 * MiB,
  /** Payloads that a manifest may name. */
  payloads: 100,
  /** Letters of one name, id or text of the header that are taken over. */
  textLetters: 4 * KiB,
} as const
