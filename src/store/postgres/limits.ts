import { KiB, MiB } from '../../kernel/size.ts'
import { HOUR, MINUTE, SECOND } from '../../kernel/time.ts'

/** Limits of the PostgreSQL store. */
export const postgresLimits = {
  /** Writes that one transaction commits together; more wait for the next. */
  groupWrites: 512,
  /** Bodies of deliveries accepted a moment ago that are kept at hand for their claim. */
  cacheBytes: 32 * MiB,
  /** Keys above this are remembered by their hash. */
  onceKeyBytes: 200,
  /** Words to find a delivery by are cut to so many letters, when stored and when searched. */
  termLetters: 400,
  /** Rows that one find returns. */
  findRows: 1000,
  /** Failed attempts that a delivery shows. */
  attempts: 50,
  /** Deliveries that one transaction of a purge deletes. */
  purgeBatch: 200,
  /** Messages of a database that was put back, which are set aside together. */
  asideBatch: 1000,
  /** Bodies that nothing needs any more, given up in one transaction. */
  collectBatch: 20,
  /** How long a body waits for its delivery before `collect` may take it. */
  unclaimedBodyMs: HOUR,
  /** Bodies above inlineBytes lie in rows of this size. */
  bodyChunkBytes: 256 * KiB,
  /** Connections that read, and that large bodies come in by, beside the one that writes. */
  readConnections: 6,
  /** How long a connection may take to stand. */
  connectMs: 10 * SECOND,
  /** A transaction, a read or a look at the lock that is not answered for so long counts as lost with its connection. */
  answerMs: MINUTE,
  /** How often a hub that stands by asks for the store. */
  standbyEveryMs: 2 * SECOND,
} as const

export type PostgresLimits = { readonly [K in keyof typeof postgresLimits]: number }
