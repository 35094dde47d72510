import { createHash } from 'node:crypto'
import { type FileHandle, open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { storeErrors } from '../../errors.ts'
import { type Digest, digestOf } from './copy-file.ts'

const manifestFile = 'backup.json'
/** Path and digest of every file, as `sha256sum --check` reads them. */
const listFile = 'files.sha256'
const format = 1

/** What a backup says of itself. It is written last: a folder without it is no backup. */
export interface Manifest {
  /** Of the program that took it. */
  readonly version: string
  readonly takenAt: number
  readonly files: number
  readonly bytes: number
  /** Messages that waited when it was taken. */
  readonly waiting: number
  /** Bodies that were missing or damaged in the data folder already. */
  readonly damaged: number
}

export interface ListedFile {
  readonly path: string
  readonly sha256: string
}

/** The files of a backup, written down one by one. */
export class FileList {
  readonly #folder: string
  readonly #handle: FileHandle
  readonly #hash = createHash('sha256')
  #files = 0
  #bytes = 0

  private constructor(folder: string, handle: FileHandle) {
    this.#folder = folder
    this.#handle = handle
  }

  static async begin(folder: string): Promise<FileList> {
    return new FileList(folder, await open(join(folder, listFile), 'wx', 0o600))
  }

  /** Whether these are the names of files in a folder of a backup. */
  static isIn(names: readonly string[]): boolean {
    return names.includes(listFile)
  }

  async add(path: string, { bytes, sha256 }: Digest): Promise<void> {
    const line = `${sha256}  ${path}\n`
    await this.#handle.appendFile(line)
    this.#hash.update(line)
    this.#files += 1
    this.#bytes += bytes
  }

  /** Writes the manifest: with it the backup is whole. */
  async finish(about: Pick<Manifest, 'version' | 'takenAt' | 'waiting' | 'damaged'>): Promise<Manifest> {
    await this.#handle.sync()
    await this.#handle.close()
    const manifest: Manifest = { ...about, files: this.#files, bytes: this.#bytes }
    const takenAt = new Date(about.takenAt).toISOString()
    const content = { format, ...manifest, takenAt, sha256: this.#hash.digest('hex') }
    const handle = await open(join(this.#folder, manifestFile), 'wx', 0o600)
    try {
      await handle.writeFile(`${JSON.stringify(content, null, 2)}\n`)
      await handle.sync()
    } finally {
      await handle.close()
    }
    return manifest
  }

  /** Nobody finishes it. */
  async abandon(): Promise<void> {
    await this.#handle.close().catch(() => {})
  }
}

/** The files that may be in a backup; none of them leads out of it. */
const listedLine =
  /^([0-9a-f]{64}) {2}(isthmus\.db|groupware\/[a-z]+\.sqlite|bodies\/segments\/\d+\.seg|bodies\/[0-9a-f]{2}\/[0-9a-f]{64})$/

/** Reads what a backup says of itself. Throws STORE_BACKUP_DAMAGED. */
export async function readBackup(
  folder: string,
): Promise<{ readonly manifest: Manifest; readonly list: () => AsyncGenerator<ListedFile> }> {
  const damaged = (text: string, cause?: unknown) => storeErrors.BACKUP_DAMAGED({ folder, text }, { cause })
  const content = parseManifest(await readFile(join(folder, manifestFile), 'utf8').catch(unreadable))
  if (!content) throw damaged(`${manifestFile} does not say what it should, or was written by a newer version.`)
  const { sha256, ...manifest } = content
  const digest = await digestOf(join(folder, listFile)).catch(unreadable)
  if (digest?.sha256 !== sha256) throw damaged(`${listFile} is missing, or not what it was.`)
  return { manifest, list }

  async function* list(): AsyncGenerator<ListedFile> {
    const handle = await open(join(folder, listFile)).catch(unreadable)
    for await (const line of handle.readLines()) {
      const [, sum = '', path = ''] = listedLine.exec(line) ?? []
      if (path === '') throw damaged(`${listFile} has a line that names no file of a backup.`)
      yield { path, sha256: sum }
    }
  }

  function unreadable(thrown: unknown): never {
    throw damaged(thrown instanceof Error ? thrown.message : String(thrown), thrown)
  }
}

function parseManifest(text: string): (Manifest & { readonly sha256: string }) | undefined {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    return undefined
  }
  if (typeof parsed !== 'object' || parsed === null) return undefined
  const { format: found, version, takenAt, files, bytes, waiting, damaged, sha256 } = parsed as Record<string, unknown>
  if (found !== format || typeof version !== 'string' || typeof takenAt !== 'string' || typeof sha256 !== 'string') {
    return undefined
  }
  const at = Date.parse(takenAt)
  const counts = [at, files, bytes, waiting, damaged].map(Number)
  if (!counts.every(Number.isSafeInteger)) return undefined
  return {
    version,
    takenAt: at,
    sha256,
    files: Number(files),
    bytes: Number(bytes),
    waiting: Number(waiting),
    damaged: Number(damaged),
  }
}
