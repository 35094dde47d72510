import { createHash, randomUUID } from 'node:crypto'
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import type { HubError } from '../../kernel/error.ts'
import type { JsonObject } from '../../kernel/json.ts'
import type { Log } from '../../kernel/log.ts'
import { type Clock, MINUTE } from '../../kernel/time.ts'
import { connectorErrors } from './errors.ts'

/** What this connector did and refused, for whoever has to answer for it. */
export interface AuditLog {
  write(action: string, detail: JsonObject): void
  /** False while the disk takes nothing; the log tells why. */
  isWriting(): boolean
  close(): void
}

export interface AuditOptions {
  readonly dataFolder: string
  readonly clock: Clock
  readonly log: Log
  /** Size at which a new file begins, and how many are kept; asked for at each line. */
  readonly limits: () => { readonly auditBytes: number; readonly auditFiles: number }
}

interface Place {
  /** Number of the last entry, and its hash. */
  number: number
  hash: string
}

const complainEveryMs = MINUTE

/**
 * Appends to `audit/audit-<number>.jsonl`, one JSON object a line. Each carries the sha256 of itself and of the one
 * before it, across files, so that a changed, removed or inserted line shows. Lines of one turn are written together.
 */
export function openAuditLog({ dataFolder, clock, log, limits }: AuditOptions): AuditLog {
  const folder = auditFolder(dataFolder)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const last: Place = lastPlace(folder)
  let file: { readonly handle: number; bytes: number } | undefined
  let waiting: string[] = []
  let turn: NodeJS.Immediate | undefined
  let failedAt: number | undefined

  function write(action: string, detail: JsonObject): void {
    const number = last.number + 1
    const body = { number, at: new Date(clock.now()).toISOString(), action, detail, before: last.hash }
    const hash = hashOf(body)
    last.number = number
    last.hash = hash
    waiting.push(`${JSON.stringify({ ...body, hash })}\n`)
    turn ??= setImmediate(flush)
  }

  function flush(): void {
    clearImmediate(turn)
    turn = undefined
    const lines = waiting
    waiting = []
    if (lines.length === 0) return
    try {
      if (file && file.bytes >= limits().auditBytes) endFile()
      file ??= { handle: beginFile(last.number - lines.length + 1), bytes: 0 }
      const bytes = Buffer.from(lines.join(''))
      for (let written = 0; written < bytes.length; ) written += writeSync(file.handle, bytes, written)
      file.bytes += bytes.length
      failedAt = undefined
    } catch (cause) {
      // The way of the mails is worth more than its record: it goes on, the gap in the numbers stays, and the log says it.
      endFile()
      if (failedAt !== undefined && clock.now() - failedAt < complainEveryMs) return
      failedAt = clock.now()
      const error = unwritable(cause)
      log.error('audit.failed', { code: error.code, text: error.message, next: error.next })
    }
  }

  function beginFile(first: number): number {
    const names = auditFiles(folder)
    for (const name of names.slice(0, Math.max(0, names.length - limits().auditFiles + 1))) rmSync(join(folder, name))
    // A file of that name holds no whole entry: a crash tore the first one.
    return openSync(join(folder, `audit-${String(first).padStart(12, '0')}.jsonl`), 'w', 0o600)
  }

  function endFile(): void {
    if (!file) return
    const { handle } = file
    file = undefined
    try {
      fsyncSync(handle)
    } catch {
      // Whether the disk took it shows at the next line; the handle must be closed in any case.
    }
    closeSync(handle)
  }

  return {
    write,
    isWriting: () => failedAt === undefined,
    close() {
      flush()
      endFile()
    },
  }
}

/** Throws CONNECTOR_AUDIT_UNWRITABLE where this user could add no line now. */
export function proveAuditWritable(dataFolder: string): void {
  const folder = auditFolder(dataFolder)
  try {
    if (!existsSync(folder)) {
      // Made here, it might belong to somebody else than the connector.
      accessSync(dataFolder, constants.W_OK | constants.X_OK)
      return
    }
    const file = join(folder, `check-${randomUUID()}`)
    try {
      writeFileSync(file, '\n', { flag: 'wx', mode: 0o600 })
    } finally {
      rmSync(file, { force: true })
    }
  } catch (cause) {
    throw unwritable(cause)
  }
}

function unwritable(cause: unknown): HubError {
  return connectorErrors.AUDIT_UNWRITABLE({ text: textOf(cause) }, { cause })
}

function textOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}

/** Number of the first entry that does not fit the one before it, or undefined where the chain holds. Throws CONNECTOR_AUDIT_UNREADABLE. */
export function findAuditBreak(dataFolder: string): AuditFound {
  try {
    return readChain(auditFolder(dataFolder))
  } catch (cause) {
    throw connectorErrors.AUDIT_UNREADABLE({ text: textOf(cause) }, { cause })
  }
}

interface AuditFound {
  readonly entries: number
  readonly brokenAt?: number
}

function readChain(folder: string): AuditFound {
  let entries = 0
  let before: Place | undefined
  for (const name of auditFiles(folder)) {
    const lines = readFileSync(join(folder, name), 'utf8').split('\n')
    // What stands behind the last line end is a line that a crash tore.
    for (const line of lines.slice(0, -1)) {
      const entry = parseEntry(line)
      if (!entry) return { entries, brokenAt: (before?.number ?? 0) + 1 }
      const { hash, ...body } = entry
      const fits = before === undefined || (body.before === before.hash && body.number === before.number + 1)
      if (!fits || hash !== hashOf(body)) return { entries, brokenAt: (before?.number ?? body.number - 1) + 1 }
      before = { number: body.number, hash }
      entries++
    }
  }
  return { entries }
}

function auditFolder(dataFolder: string): string {
  return join(dataFolder, 'audit')
}

/** Oldest first. */
function auditFiles(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
      .filter(name => /^audit-\d{12}\.jsonl$/.test(name))
      .toSorted()
  } catch (thrown) {
    // Nothing was audited yet. A folder that nobody may read is another matter.
    if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw thrown
  }
}

/** A line that a crash left half is no entry; the next one goes on from the last whole one, in a new file. */
function lastPlace(folder: string): Place {
  for (const name of auditFiles(folder).toReversed()) {
    const lines = readFileSync(join(folder, name), 'utf8').split('\n')
    for (const line of lines.toReversed()) {
      const entry = line === '' ? undefined : parseEntry(line)
      if (entry) return { number: entry.number, hash: entry.hash }
    }
  }
  return { number: 0, hash: '' }
}

interface Entry extends Place {
  readonly at: string
  readonly action: string
  readonly detail: JsonObject
  readonly before: string
}

function parseEntry(line: string): Entry | undefined {
  try {
    const entry = JSON.parse(line) as Partial<Entry>
    return typeof entry.number === 'number' && typeof entry.hash === 'string' ? (entry as Entry) : undefined
  } catch {
    return undefined
  }
}

function hashOf(body: Omit<Entry, 'hash'>): string {
  return createHash('sha256').update(JSON.stringify(body)).digest('hex')
}
