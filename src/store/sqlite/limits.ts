import { GiB, KiB, MiB } from '../../kernel/size.ts'
import { HOUR, SECOND } from '../../kernel/time.ts'

/** Limits of the SQLite store. */
export const sqliteLimits = {
  /** How large the database file may grow; above it nothing is accepted until a purge has made room. */
  databaseBytes: 1024 * GiB,
  /** Writes that one transaction commits together; more wait for the next, so that the event loop breathes. */
  groupWrites: 512,
  /** Bodies of deliveries accepted a moment ago that are kept at hand for their claim. */
  cacheBytes: 32 * MiB,
  /**
   * Bodies up to this, a page of the database, lie in the row of their delivery; larger ones, up to inlineBytes, in
   * segment files. A segment spares writing the bytes twice, and costs a flush of its own.
   */
  rowBodyBytes: 8 * KiB,
  /** A segment file that has grown to this is closed, and the next one begins. */
  segmentBytes: 16 * MiB,
  /** Bodies that go into a segment with one write and one flush; more wait for the next. */
  segmentGroupBytes: 4 * MiB,
  /** A closed segment of which less than this share is still needed is emptied into the current one, in percent. */
  segmentSparsePercent: 25,
  /** What one `collect` moves out of sparse segments at most, so that it leaves the disk to others. */
  segmentMoveBytes: 64 * MiB,
  /** Keys above this are remembered by their hash. */
  onceKeyBytes: 200,
  /** Words to find a delivery by are cut to so many letters, when stored and when searched. */
  termLetters: 400,
  /** Deliveries and words of theirs that the index of words lacks at most before they are written into it, in order. */
  termsBehind: 2000,
  /** Rows that one find returns. */
  findRows: 1000,
  /** Newest rows of a flow and state that are read for the beginning of a word, before the index of words is. */
  walkRows: 2000,
  /** Records that are kept in memory; those that came first go first. */
  recordsAtHand: 10_000,
  /** Letters of JSON up to which one is. */
  recordLetters: 500,
  /** Failed attempts that a delivery shows. */
  attempts: 50,
  /** Receipts that lie in the row of their delivery; with more, each has a row of its own. */
  rowReceipts: 8,
  /** Answers up to this lie there with their receipt. */
  rowAnswerBytes: 512,
  /** Deliveries that one transaction of a purge deletes; the event loop stands still as long as that takes. */
  purgeBatch: 50,
  /** How long a body waits for its delivery before `collect` may take it. */
  unclaimedBodyMs: HOUR,
  /** How long a write waits for a foreign reader (a backup, sqlite3) that holds the database. */
  busyMs: 5 * SECOND,
} as const

export type SqliteLimits = { readonly [K in keyof typeof sqliteLimits]: number }
