import { createHash } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import { isLostFile } from '../failure.ts'
import { backupLimits } from './limits.ts'

export interface FileCopy {
  readonly from: string
  readonly to: string
  /** Bytes to copy from the beginning; all when left out. */
  readonly bytes?: number | undefined
  readonly signal: AbortSignal
  /** Turns a failure of the disk that is written to into the error of the caller. */
  readonly refuse: (thrown: unknown) => never
  readonly onBytes: (bytes: number) => void
}

/** What a file holds. */
export interface Digest {
  readonly bytes: number
  readonly sha256: string
}

/**
 * Copies a file, durably, and says what it holds. Where the source cannot be read on, the copy ends there; undefined, and
 * no file, where it is not there at all.
 */
export async function copyFile({ from, to, bytes, signal, refuse, onBytes }: FileCopy): Promise<Digest | undefined> {
  const source = await openSource(from)
  if (!source) return undefined
  let target: FileHandle | undefined
  try {
    const opened = await open(to, 'w', 0o600).catch(refuse)
    target = opened
    const onChunk = (chunk: Uint8Array) => writeWhole(opened, chunk).catch(refuse)
    const digest = await readThrough(source, { bytes, signal, onChunk, onBytes })
    await opened.datasync().catch(refuse)
    return digest
  } finally {
    await source.close()
    // What it could say of the disk, the flush has said.
    await target?.close().catch(() => {})
  }
}

/** What a file holds; undefined where it is not there. */
export async function digestOf(
  file: string,
  { signal, onBytes }: Partial<Pick<FileCopy, 'signal' | 'onBytes'>> = {},
): Promise<Digest | undefined> {
  const source = await openSource(file)
  if (!source) return undefined
  try {
    return await readThrough(source, { signal, onBytes })
  } finally {
    await source.close()
  }
}

async function openSource(file: string): Promise<FileHandle | undefined> {
  try {
    return await open(file, 'r')
  } catch (thrown) {
    if (isLostFile(thrown)) return undefined
    throw thrown
  }
}

interface Reading {
  readonly bytes?: number | undefined
  readonly signal?: AbortSignal | undefined
  readonly onChunk?: (chunk: Uint8Array) => Promise<void>
  readonly onBytes?: ((bytes: number) => void) | undefined
}

async function readThrough(
  source: FileHandle,
  { bytes = Number.POSITIVE_INFINITY, signal, onChunk, onBytes }: Reading,
): Promise<Digest> {
  const memory = Buffer.allocUnsafeSlow(Math.min(bytes, backupLimits.chunkBytes))
  const hash = createHash('sha256')
  let done = 0
  while (done < bytes) {
    signal?.throwIfAborted()
    const length = Math.min(memory.length, bytes - done)
    const bytesRead = await source.read(memory, 0, length, done).then(read => read.bytesRead, endWhereLost)
    if (bytesRead === 0) break
    const chunk = memory.subarray(0, bytesRead)
    hash.update(chunk)
    await onChunk?.(chunk)
    done += bytesRead
    onBytes?.(bytesRead)
  }
  return { bytes: done, sha256: hash.digest('hex') }
}

/** A sector that cannot be read: what lies before it is there. */
function endWhereLost(thrown: unknown): number {
  if (isLostFile(thrown)) return 0
  throw thrown
}

async function writeWhole(target: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let offset = 0; offset < chunk.length; ) {
    const { bytesWritten } = await target.write(chunk, offset)
    offset += bytesWritten
  }
}
