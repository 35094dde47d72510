import type { DatabaseSync } from 'node:sqlite'
import { headersOf, numberOf, objectOf, optionalNumberOf, type Row, textOf } from '../columns.ts'
import type { StoredBody } from '../port.ts'
import { bodyOf, type Content, RecentContents } from '../recent-contents.ts'
import type { Piece, SegmentBook } from './segment-book.ts'
import { readPieces } from './segment-file.ts'

/** A content as its row has it: the bytes of the body may lie in a segment. */
interface Found<T> {
  readonly content: T
  readonly piece: Piece | undefined
}

export interface ContentsOptions {
  readonly database: DatabaseSync
  readonly segments: SegmentBook
  readonly segmentFolder: string
  readonly cacheBytes: number
}

/**
 * Contents of deliveries. Those accepted a moment ago stay at hand, so that their claim reads nothing back: bounded by
 * bytes, the oldest goes first, and a miss costs a row and, for a body in a segment, a read off the main thread.
 */
export class Contents {
  readonly #segments: SegmentBook
  readonly #segmentFolder: string
  readonly #recent: RecentContents
  readonly #insert
  readonly #insertPlaced
  readonly #update
  readonly #updateHeaders
  readonly #select
  readonly #delete
  readonly #keepOriginal
  readonly #selectOriginal
  readonly #deleteOriginal

  constructor({ database, segments, segmentFolder, cacheBytes }: ContentsOptions) {
    this.#segments = segments
    this.#segmentFolder = segmentFolder
    this.#recent = new RecentContents(cacheBytes)
    this.#insert = database.prepare('insert into content (seq, headers, attributes, body) values (?, ?, ?, ?)')
    this.#insertPlaced = database.prepare(`
      insert into content (seq, headers, attributes, segment, position, length, crc32) values (?, ?, ?, ?, ?, ?, ?)`)
    this.#update = database.prepare(`
      update content set headers = ?, body = ?, segment = ?, position = ?, length = ?, crc32 = ? where seq = ?`)
    this.#updateHeaders = database.prepare('update content set headers = ? where seq = ?')
    this.#select = database.prepare(`
      select headers, attributes, body, segment, position, length, crc32, bytes, type, sha256
      from content join delivery on delivery.seq = content.seq where content.seq = ?`)
    this.#delete = database.prepare('delete from content where seq = ? returning segment, length')
    this.#keepOriginal = database.prepare(`
      insert into original
        select content.seq, headers, bytes, type, sha256, body, segment, position, length, crc32
        from content join delivery on delivery.seq = content.seq where content.seq = ?
      on conflict do nothing returning segment, length`)
    this.#selectOriginal = database.prepare('select * from original where seq = ?')
    this.#deleteOriginal = database.prepare('delete from original where seq = ? returning segment, length')
  }

  /** `piece`: where the bytes of the body lie, when not in the row. */
  insert(seq: number, { headers, attributes, body }: Content, piece: Piece | undefined): void {
    if (!piece) {
      this.#insert.run(seq, JSON.stringify(headers), JSON.stringify(attributes), body.inline ?? null)
      return
    }
    const { segment, position, bytes, crc32 } = piece
    this.#insertPlaced.run(seq, JSON.stringify(headers), JSON.stringify(attributes), segment, position, bytes, crc32)
    this.#segments.use(piece)
  }

  /** Keeps a new delivery's content at hand; called after the commit. */
  remember(seq: number, content: Content): void {
    this.#recent.remember(seq, content)
  }

  forget(seq: number): void {
    this.#recent.forget(seq)
  }

  /**
   * Contents as they are now; undefined for a delivery without one. A body whose bytes are damaged comes without them and
   * without its hash, which is how the store knows it again (`isDamaged`).
   */
  find(seqs: readonly number[]): Promise<readonly (Content | undefined)[]> {
    const recent = seqs.map(seq => this.#recent.get(seq))
    if (!recent.includes(undefined)) return Promise.resolve(recent)
    return this.#withBytes(
      seqs.map((seq, index) => {
        const content = recent[index]
        if (content) return { content, piece: undefined }
        return this.#stored(seq)
      }),
    )
  }

  /** What was accepted, of a delivery that was repaired since. */
  async findOriginal(seq: number): Promise<Omit<Content, 'attributes'> | undefined> {
    const row = this.#selectOriginal.get(seq)
    if (!row) return undefined
    const content = { headers: headersOf(row['headers']), body: bodyOf(row) }
    const [original] = await this.#withBytes([{ content, piece: pieceOf(row) }])
    return original
  }

  /** Replaces headers or body of a repaired delivery; what was accepted is kept once. */
  replace(
    seq: number,
    headers: Readonly<Record<string, string>> | undefined,
    body: { readonly stored: StoredBody; readonly piece: Piece | undefined } | undefined,
  ): void {
    const kept = usedPieceOf(this.#keepOriginal.get(seq))
    if (kept) this.#segments.use(kept)
    const row = this.#select.get(seq)
    if (!row) return
    const headersText = headers ? JSON.stringify(headers) : textOf(row['headers'])
    if (!body) {
      this.#updateHeaders.run(headersText, seq)
      return
    }
    const replaced = usedPieceOf(row)
    if (replaced) this.#segments.unuse(replaced)
    const { stored, piece } = body
    const inline = piece ? null : (stored.inline ?? null)
    this.#update.run(
      headersText,
      inline,
      piece?.segment ?? null,
      piece?.position ?? null,
      piece?.bytes ?? null,
      piece?.crc32 ?? null,
      seq,
    )
    if (piece) this.#segments.use(piece)
  }

  purge(seq: number): void {
    for (const removal of [this.#delete, this.#deleteOriginal]) {
      const freed = usedPieceOf(removal.get(seq))
      if (freed) this.#segments.unuse(freed)
    }
  }

  #stored(seq: number): Found<Content> | undefined {
    const row = this.#select.get(seq)
    if (!row) return undefined
    const content = {
      headers: headersOf(row['headers']),
      attributes: objectOf(row['attributes']),
      body: bodyOf(row),
    }
    return { content, piece: pieceOf(row) }
  }

  /** Reads what lies in segments. The pieces are held meanwhile, so that nobody removes their files. */
  async #withBytes<T extends { readonly body: StoredBody }>(
    found: readonly (Found<T> | undefined)[],
  ): Promise<readonly (T | undefined)[]> {
    const pieces = found.flatMap(one => one?.piece ?? [])
    if (pieces.length === 0) return found.map(one => one?.content)
    for (const { segment } of pieces) this.#segments.hold(segment)
    try {
      const contents = await readPieces(this.#segmentFolder, pieces)
      const bytesOf = new Map(pieces.map((piece, index) => [piece, contents[index]]))
      return found.map(one => {
        if (!one?.piece) return one?.content
        const inline = bytesOf.get(one.piece)
        const { body } = one.content
        return { ...one.content, body: { ...body, inline, sha256: inline ? body.sha256 : undefined } }
      })
    } finally {
      for (const { segment } of pieces) this.#segments.letGo(segment)
    }
  }
}

/** True for a body that the store handed out without its bytes, since they cannot be read any more. */
export function isDamaged(body: StoredBody): boolean {
  return body.inline === undefined && body.sha256 === undefined
}

/** Where the bytes of a `content` or `original` row lie, when that is in a segment. */
export function pieceOf(row: Row): Piece | undefined {
  const segment = optionalNumberOf(row['segment'])
  if (segment === undefined) return undefined
  return {
    segment,
    position: numberOf(row['position']),
    bytes: numberOf(row['length']),
    crc32: numberOf(row['crc32']),
  }
}

function usedPieceOf(row: Row | undefined): Pick<Piece, 'segment' | 'bytes'> | undefined {
  const segment = optionalNumberOf(row?.['segment'])
  return segment === undefined ? undefined : { segment, bytes: numberOf(row?.['length']) }
}
