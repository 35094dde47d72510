import type { DatabaseSync } from 'node:sqlite'
import { numberOf } from '../columns.ts'
import type { GroupMember } from './committer.ts'

/** Where the bytes of one body lie in a segment file. */
export interface Piece {
  readonly segment: number
  readonly position: number
  readonly bytes: number
  readonly crc32: number
}

/** A segment file as the store knows it. */
export interface BookedSegment {
  readonly number: number
  /** Rows that name it, and the bytes they name. */
  rowCount: number
  liveBytes: number
  fileBytes: number
  /** Pieces that are being written, committed, read or moved: the file must stay, whatever the rows say. */
  holdCount: number
  /** The writer still appends to it. */
  isOpen: boolean
  /** Some of its bytes cannot be read, so it cannot be emptied; what can be read still is. */
  isDamaged: boolean
}

interface Change {
  readonly segment: number
  readonly rows: number
  readonly bytes: number
}

/** Which segments there are and what lives in them: counted in memory, in step with the commits. */
export class SegmentBook implements GroupMember {
  readonly #segments = new Map<number, BookedSegment>()
  #changes: Change[] = []
  /** The greatest number seen, also of segments that are gone. */
  #last = 0

  /** `files`: the size of every segment file in the folder. */
  constructor(database: DatabaseSync, files: ReadonlyMap<number, number>) {
    for (const [number, fileBytes] of files) this.#segmentOf(number).fileBytes = fileBytes
    const counted = database.prepare(`
      select segment, count(*) as row_count, sum(length) as bytes from content where segment is not null group by segment
      union all
      select segment, count(*), sum(length) from original where segment is not null group by segment`)
    for (const row of counted.iterate()) {
      this.#count({
        segment: numberOf(row['segment']),
        rows: numberOf(row['row_count']),
        bytes: numberOf(row['bytes']),
      })
    }
  }

  get last(): number {
    return this.#last
  }

  /** A list of its own, that does not change while one walks along it. */
  all(): readonly BookedSegment[] {
    return [...this.#segments.values()]
  }

  /** The writer begins a new file. */
  opened(number: number): BookedSegment {
    const segment = this.#segmentOf(number)
    segment.isOpen = true
    return segment
  }

  removed(number: number): void {
    this.#segments.delete(number)
  }

  hold(segment: number): void {
    this.#segmentOf(segment).holdCount += 1
  }

  letGo(segment: number): void {
    this.#segmentOf(segment).holdCount -= 1
  }

  /** A row names a piece (or no longer does); called within a transaction. */
  use({ segment, bytes }: Pick<Piece, 'segment' | 'bytes'>): void {
    this.#changes.push({ segment, rows: 1, bytes })
  }

  unuse({ segment, bytes }: Pick<Piece, 'segment' | 'bytes'>): void {
    this.#changes.push({ segment, rows: -1, bytes: -bytes })
  }

  beforeCommit(): void {}

  afterCommit(): void {
    for (const change of this.#changes) this.#count(change)
    this.#changes = []
  }

  afterRollback(): void {
    this.#changes = []
  }

  #count({ segment, rows, bytes }: Change): void {
    const booked = this.#segmentOf(segment)
    booked.rowCount += rows
    booked.liveBytes += bytes
  }

  #segmentOf(number: number): BookedSegment {
    let segment = this.#segments.get(number)
    if (!segment) {
      segment = {
        number,
        rowCount: 0,
        liveBytes: 0,
        fileBytes: 0,
        holdCount: 0,
        isOpen: false,
        isDamaged: false,
      }
      this.#segments.set(number, segment)
      this.#last = Math.max(this.#last, number)
    }
    return segment
  }
}
