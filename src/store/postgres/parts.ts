import type { DeliveryQueue } from '../queue/queue.ts'
import type { RecentContents } from '../recent-contents.ts'
import type { DeliverySequence } from '../sequence.ts'
import type { WordLimits } from '../word-limits.ts'
import type { BodyTable } from './bodies.ts'
import type { Committer } from './committer.ts'
import type { ReadConnections } from './connection.ts'
import type { Facts } from './facts.ts'
import type { FlowBook } from './flow-book.ts'
import type { PostgresLimits } from './limits.ts'

/** What the areas of an open PostgreSQL store share. */
export interface StoreParts {
  readonly reads: ReadConnections
  readonly committer: Committer
  readonly limits: PostgresLimits
  readonly facts: Facts
  readonly flows: FlowBook
  readonly sequence: DeliverySequence
  readonly queue: DeliveryQueue
  readonly recent: RecentContents
  readonly words: WordLimits
  readonly bodies: BodyTable
  /** Fencing numbers, rising from start to start. */
  readonly nextFence: () => number
  /** Says that there may be something to claim. */
  readonly announceWork: () => void
}
