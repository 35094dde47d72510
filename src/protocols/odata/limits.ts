import { KiB, MiB } from '../../kernel/size.ts'

/** Limits of the OData client; a client takes others through its options. */
export const odataLimits = {
  /** One page, one entity, one answer to a batch. */
  answerBytes: 32 * MiB,
  /** The whole of $metadata. It is read as a stream; only names and types are kept. */
  metadataBytes: 64 * MiB,
  /** Types, properties, sets and functions that are kept of $metadata. */
  metadataNames: 200_000,
  /** Pages of one query. */
  pages: 10_000,
  /** Levels of nested JSON or XML. */
  depth: 64,
  /** Cookies of one service, and letters of one of them (RFC 6265 section 6.1 asks for 50 and 4096). */
  cookies: 50,
  cookieLetters: 4096,
  /** What is read of an answer that is an error. */
  errorBytes: 256 * KiB,
  /** Requests of one batch. */
  batchParts: 1_000,
} as const
