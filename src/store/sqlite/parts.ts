import type { DatabaseSync } from 'node:sqlite'
import type { DeliveryQueue } from '../queue/queue.ts'
import type { DeliverySequence } from '../sequence.ts'
import type { Attempts } from './attempts.ts'
import type { BodyFolder } from './bodies.ts'
import type { Committer } from './committer.ts'
import type { Contents } from './contents.ts'
import type { Facts } from './facts.ts'
import type { FlowBook } from './flow-book.ts'
import type { KeyMapTable } from './key-maps.ts'
import type { SqliteLimits } from './limits.ts'
import type { BodyPlacing } from './placing.ts'
import type { Receipts } from './receipts.ts'
import type { SegmentBook } from './segment-book.ts'
import type { SegmentWriter } from './segment-writer.ts'
import type { TermIndex } from './term-index.ts'
import type { Words } from './words.ts'

/** What the areas of an open SQLite store share. */
export interface StoreParts {
  readonly database: DatabaseSync
  readonly limits: SqliteLimits
  readonly committer: Committer
  readonly facts: Facts
  readonly flows: FlowBook
  readonly sequence: DeliverySequence
  readonly queue: DeliveryQueue
  readonly contents: Contents
  readonly words: Words
  readonly terms: TermIndex
  readonly receipts: Receipts
  readonly attempts: Attempts
  readonly keyMaps: KeyMapTable
  readonly bodies: BodyFolder
  readonly segments: SegmentBook
  readonly segmentFolder: string
  readonly segmentWriter: SegmentWriter
  readonly placing: BodyPlacing
  /** Says that there may be something to claim. */
  readonly announceWork: () => void
}
