import { KiB } from '../../../kernel/size.ts'
import { MINUTE, SECOND } from '../../../kernel/time.ts'

/** Limits of backup and restore. */
export const backupLimits = {
  /** Pages of a database that are copied in one step; between two steps a backup can be ended. */
  stepPages: 1024,
  /** Bytes of a file that are in memory at a time. */
  chunkBytes: 256 * KiB,
  /** Bodies of a segment whose checksums are looked at together. */
  piecesAtOnce: 16,
  /** Messages that a restore has in memory at a time, when it sets them aside. */
  rowsAtOnce: 1000,
  /** How long a backup waits for the hub that is clearing up its bodies, or for another backup, and how often it asks. */
  holdMs: 5 * MINUTE,
  askEveryMs: SECOND / 4,
} as const
