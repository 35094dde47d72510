import { rm } from 'node:fs/promises'
import { numberOf, type Row } from '../columns.ts'
import { pieceOf } from './contents.ts'
import { asStoreError } from './failure.ts'
import type { StoreParts } from './parts.ts'
import type { BookedSegment, Piece } from './segment-book.ts'
import { readPieces, segmentFile } from './segment-file.ts'

/** The tables whose rows name pieces. */
const tables = ['content', 'original'] as const

interface Named {
  readonly table: (typeof tables)[number]
  readonly seq: number
  readonly piece: Piece
}

/**
 * Gives the room of dead bodies back: what still lives in sparse segments moves into the current one, then segments that
 * no row names are deleted. In every order of a crash the rows name bytes that are there: a copy is durable before a row
 * names it, and a file goes when the commit that took its last row away is durable.
 */
export function openSegmentCleaning(parts: StoreParts): () => Promise<void> {
  const { database, committer, limits, segments, segmentFolder, segmentWriter } = parts
  const selections = tables.map(table => ({
    table,
    select: database.prepare(`
      select seq, segment, position, length, crc32 from ${table} where segment = ? order by length, seq`),
  }))
  const moves = new Map(
    tables.map(table => [
      table,
      database.prepare(`update ${table} set segment = ?, position = ? where seq = ? and segment = ? and position = ?`),
    ]),
  )
  let running: Promise<void> | undefined

  async function clean(): Promise<void> {
    let movedBytes = 0
    for (const segment of segments.all()) {
      if (!isSparse(segment) || movedBytes + segment.liveBytes > limits.segmentMoveBytes) continue
      movedBytes += segment.liveBytes
      await empty(segment)
    }
    const dead = segments.all().filter(segment => !isNeeded(segment))
    if (dead.length === 0) return
    // The commits that took the last rows away must not come undone by a crash when the files are gone.
    await committer.durable()
    for (const segment of dead) {
      try {
        await rm(segmentFile(segmentFolder, segment.number), { force: true })
      } catch (thrown) {
        throw asStoreError(thrown)
      }
      segments.removed(segment.number)
    }
  }

  function isSparse({ isOpen, isDamaged, rowCount, liveBytes, fileBytes, holdCount }: BookedSegment): boolean {
    if (isOpen || isDamaged || rowCount === 0 || holdCount > 0) return false
    // Also a file that was left small by a restart is worth moving, so that files do not become too many.
    return liveBytes * 100 < Math.max(fileBytes, limits.segmentBytes) * limits.segmentSparsePercent
  }

  function isNeeded({ isOpen, rowCount, holdCount }: BookedSegment): boolean {
    return isOpen || rowCount > 0 || holdCount > 0
  }

  async function empty(segment: BookedSegment): Promise<void> {
    segments.hold(segment.number)
    try {
      for (const batch of batchesOf(named(segment.number), limits.segmentGroupBytes)) await move(segment, batch)
    } finally {
      segments.letGo(segment.number)
    }
  }

  function named(number: number): readonly Named[] {
    return selections.flatMap(({ table, select }) => select.all(number).flatMap(row => namedPiece(table, row)))
  }

  async function move(segment: BookedSegment, batch: readonly Named[]): Promise<void> {
    const contents = await readPieces(
      segmentFolder,
      batch.map(one => one.piece),
    )
    const copied: { readonly from: Named; readonly to: Promise<Piece> }[] = []
    for (const [index, from] of batch.entries()) {
      const content = contents[index]
      if (content) copied.push({ from, to: segmentWriter.append(content) })
      else segment.isDamaged = true
    }
    const settled = await Promise.allSettled(copied.map(({ to }) => to))
    const written = settled.flatMap((one, index) => {
      const from = copied[index]?.from
      return one.status === 'fulfilled' && from ? [{ from, to: one.value }] : []
    })
    try {
      await committer.commit(() => {
        for (const { from, to } of written) moveRow(from, to)
      })
    } finally {
      for (const { to } of written) segments.letGo(to.segment)
    }
    const failed = settled.find(one => one.status === 'rejected')
    if (failed) throw failed.reason
  }

  /** Within a transaction. A row that went, or names other bytes by now, is left alone. */
  function moveRow({ table, seq, piece }: Named, to: Piece): void {
    const moved = moves.get(table)?.run(to.segment, to.position, seq, piece.segment, piece.position)
    if (moved?.changes !== 1) return
    segments.unuse(piece)
    segments.use(to)
  }

  return () => {
    running ??= clean().finally(() => {
      running = undefined
    })
    return running
  }
}

function namedPiece(table: Named['table'], row: Row): readonly Named[] {
  const piece = pieceOf(row)
  return piece ? [{ table, seq: numberOf(row['seq']), piece }] : []
}

function* batchesOf(pieces: readonly Named[], bytesMax: number): Generator<readonly Named[]> {
  let batch: Named[] = []
  let bytes = 0
  for (const one of pieces) {
    if (batch.length > 0 && bytes + one.piece.bytes > bytesMax) {
      yield batch
      batch = []
      bytes = 0
    }
    batch.push(one)
    bytes += one.piece.bytes
  }
  if (batch.length > 0) yield batch
}
