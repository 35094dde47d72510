import { randomUUID } from 'node:crypto'
import { createReadStream, mkdirSync, readdirSync, rmSync, unlinkSync } from 'node:fs'
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { KiB } from '../../kernel/size.ts'
import type { Clock } from '../../kernel/time.ts'
import { type Arrival, takeBody } from '../body-intake.ts'
import { storeErrors } from '../errors.ts'
import type { BodyStore, StoredBody } from '../port.ts'
import { UnclaimedBodies } from '../unclaimed-bodies.ts'
import { asStoreError, isMissingFile } from './failure.ts'

export interface BodyFolder extends BodyStore {
  /** The delivery of a written body is accepted or refused: from now on references alone keep it. After the commit. */
  settle(body: StoredBody): void
  /** Writes down that a delivery needs this body; called within a transaction. */
  use(seq: number, body: StoredBody): void
  unuse(seq: number): void
}

const readChunkBytes = 256 * KiB

/**
 * Bodies: small ones pass through, larger ones become files `bodies/<aa>/<sha256>`, each durable under its name before
 * `write` resolves. Equal bodies share one file.
 */
export function openBodies(
  database: DatabaseSync,
  folder: string,
  limits: { readonly inlineBytes: number; readonly unclaimedBodyMs: number },
  clock: Clock,
  whenDurable: () => Promise<void>,
): BodyFolder {
  const arrivals = join(folder, 'arriving')
  rmSync(arrivals, { recursive: true, force: true })
  mkdirSync(arrivals, { recursive: true, mode: 0o700 })
  const unclaimed = new UnclaimedBodies(limits, clock)
  const insertUse = database.prepare('insert into body_use values (?, ?) on conflict do nothing')
  const deleteUse = database.prepare('delete from body_use where seq = ?')
  const selectUse = database.prepare('select 1 from body_use where sha256 = ? limit 1')

  const fileOf = (sha256: string) => join(folder, sha256.slice(0, 2), sha256)

  async function keep(sha256: string, arrived: string, bytes: number): Promise<void> {
    // From here on `collect` lets the name alone, so a file found under it now will stay.
    unclaimed.add(sha256)
    await keepAs(arrived, fileOf(sha256), bytes)
  }

  async function* read(body: StoredBody, into?: Uint8Array): AsyncGenerator<Uint8Array> {
    if (body.inline) {
      yield body.inline
      return
    }
    const sha256 = body.sha256 ?? ''
    try {
      yield* into ? readInto(into, fileOf(sha256)) : createReadStream(fileOf(sha256), { highWaterMark: readChunkBytes })
    } catch (thrown) {
      if (isMissingFile(thrown)) throw storeErrors.BODY_MISSING({ sha256 }, { cause: thrown })
      throw thrown
    }
  }

  async function collect(): Promise<number> {
    let removed = 0
    for (const part of readdirSync(folder)) {
      if (part.length !== 2) continue
      for (const sha256 of await readdir(join(folder, part))) {
        if (unclaimed.has(sha256) || selectUse.get(sha256)) continue
        // The purge that took the last use away must not come undone by a crash when the file is gone.
        await whenDurable()
        if (unclaimed.has(sha256) || selectUse.get(sha256)) continue
        // In one breath with the two checks: nobody can begin to need it in between.
        unlinkSync(fileOf(sha256))
        removed += 1
      }
    }
    return removed
  }

  return {
    write: (source, options) =>
      takeBody(source, {
        ...options,
        inlineBytes: limits.inlineBytes,
        open: () => openArrival(join(arrivals, randomUUID()), keep),
      }),
    read,
    collect,
    settle: body => unclaimed.settle(body),
    use(seq, body) {
      if (!body.inline && body.sha256) insertUse.run(seq, body.sha256)
    },
    unuse: seq => void deleteUse.run(seq),
  }
}

/** Fills the same memory again and again: a stream would leave a body's size of garbage behind before it is collected. */
async function* readInto(memory: Uint8Array, file: string): AsyncGenerator<Uint8Array> {
  const handle = await open(file, 'r')
  try {
    for (;;) {
      const { bytesRead } = await handle.read(memory, 0, memory.length)
      if (bytesRead === 0) return
      yield memory.subarray(0, bytesRead)
    }
  } finally {
    await handle.close()
  }
}

/** A body on its way into the store, in a file without a name of its own yet. */
async function openArrival(
  file: string,
  keep: (sha256: string, arrived: string, bytes: number) => Promise<void>,
): Promise<Arrival> {
  const handle = await open(file, 'wx', 0o600).catch(refuse)
  return {
    add: chunk => writeWhole(handle, chunk).catch(refuse),
    async finish(sha256, bytes) {
      await handle.sync().catch(refuse)
      await handle.close().catch(refuse)
      await keep(sha256, file, bytes)
    },
    async discard() {
      // The first failure is the one that is told; these can only fail as a consequence of it.
      await handle.close().catch(() => {})
      await rm(file, { force: true }).catch(() => {})
    },
  }
}

async function writeWhole(handle: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let offset = 0; offset < chunk.length; ) {
    const { bytesWritten } = await handle.write(chunk, offset)
    offset += bytesWritten
  }
}

/** Gives an arrived body its name, durably; when an equal one lies there already, that one stays. */
async function keepAs(arrived: string, file: string, bytes: number): Promise<void> {
  try {
    if ((await bytesOf(file)) === bytes) return await rm(arrived)
    const folder = dirname(file)
    const isNew = (await mkdir(folder, { recursive: true, mode: 0o700 })) !== undefined
    await rename(arrived, file)
    await syncFolder(folder)
    if (isNew) await syncFolder(dirname(folder))
  } catch (thrown) {
    throw asStoreError(thrown)
  }
}

async function bytesOf(file: string): Promise<number | undefined> {
  try {
    return (await stat(file)).size
  } catch (thrown) {
    if (isMissingFile(thrown)) return undefined
    throw thrown
  }
}

async function syncFolder(folder: string): Promise<void> {
  // Windows cannot open a folder to flush it; there the file system journals names by itself.
  if (process.platform === 'win32') return
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

function refuse(thrown: unknown): never {
  throw asStoreError(thrown)
}
