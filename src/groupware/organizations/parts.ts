import type { Log } from '../../kernel/log.ts'
import type { Clock } from '../../kernel/time.ts'
import type { SyncStore } from '../sync/sync-store.ts'
import type { Directory } from './directory.ts'
import type { DriverBook } from './driver-book.ts'
import type { Journal } from './journal.ts'
import type { ProgressBook } from './progress-book.ts'

/** What the groupware sync of this hub works with. */
export interface GroupwareParts {
  readonly directory: Directory
  readonly drivers: DriverBook
  readonly store: SyncStore
  readonly journal: Journal
  readonly progress: ProgressBook
  readonly clock: Clock
  readonly log: Log
}
