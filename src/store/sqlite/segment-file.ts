import { mkdirSync, readdirSync, statSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { asStoreError, isLostFile } from './failure.ts'
import type { Piece } from './segment-book.ts'

const ending = '.seg'

/** A segment is bodies one behind the other and nothing else; the rows say what lies where. */
export function segmentFile(folder: string, number: number): string {
  return join(folder, `${number}${ending}`)
}

/** The segment files of a folder, which is made when it is missing: number and size in bytes. */
export function listSegments(folder: string): ReadonlyMap<number, number> {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const files = new Map<number, number>()
  for (const name of readdirSync(folder)) {
    const number = name.endsWith(ending) ? Number(name.slice(0, -ending.length)) : Number.NaN
    if (Number.isSafeInteger(number)) files.set(number, statSync(join(folder, name)).size)
  }
  return files
}

/**
 * The bytes of pieces, read off the main thread; undefined where they are damaged (file gone or cut off, a sector that
 * cannot be read, another checksum). Throws STORE_FULL for what may pass by itself, such as too many open files.
 */
export async function readPieces(
  folder: string,
  pieces: readonly Piece[],
): Promise<readonly (Uint8Array | undefined)[]> {
  const found = new Map<Piece, Uint8Array | undefined>()
  for (const [number, wanted] of Map.groupBy(pieces, piece => piece.segment)) {
    const contents = await readSegment(segmentFile(folder, number), wanted)
    for (const [index, piece] of wanted.entries()) found.set(piece, contents[index])
  }
  return pieces.map(piece => found.get(piece))
}

async function readSegment(file: string, pieces: readonly Piece[]): Promise<readonly (Uint8Array | undefined)[]> {
  let handle: FileHandle | undefined
  try {
    handle = await open(file, 'r')
    const contents: (Uint8Array | undefined)[] = []
    for (const piece of pieces) contents.push(await readPiece(handle, piece))
    return contents
  } catch (thrown) {
    if (isLostFile(thrown)) return pieces.map(() => undefined)
    throw asStoreError(thrown)
  } finally {
    await handle?.close()
  }
}

async function readPiece(handle: FileHandle, piece: Piece): Promise<Uint8Array | undefined> {
  const content = Buffer.allocUnsafeSlow(piece.bytes)
  try {
    for (let offset = 0; offset < content.length; ) {
      const { bytesRead } = await handle.read(content, offset, content.length - offset, piece.position + offset)
      if (bytesRead === 0) return undefined
      offset += bytesRead
    }
  } catch (thrown) {
    if (isLostFile(thrown)) return undefined
    throw thrown
  }
  return crc32(content) === piece.crc32 ? content : undefined
}
