import { type FileHandle, open, readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { InvalidArgumentError } from 'commander'
import { MiB } from '../kernel/size.ts'
import { cliErrors } from './cli-errors.ts'
import type { CliIo } from './io.ts'

const inputBytesMax = 200 * MiB

/** Everything on standard input; throws when the person ends the command meanwhile. */
export async function readInput(io: Pick<CliIo, 'stdin' | 'signal'>): Promise<Buffer<ArrayBuffer>> {
  const { signal } = io
  signal.throwIfAborted()
  return new Promise<Buffer<ArrayBuffer>>((resolve, reject) => {
    const end = () => reject(signal.reason)
    signal.addEventListener('abort', end, { once: true })
    allOf(io.stdin)
      .then(resolve, reject)
      .finally(() => signal.removeEventListener('abort', end))
  })
}

async function allOf(input: CliIo['stdin']): Promise<Buffer<ArrayBuffer>> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of input) {
    const part = Buffer.from(chunk)
    bytes += part.length
    if (bytes > inputBytesMax) throw cliErrors.ARGUMENT_WRONG({ text: 'Standard input is too large.', command: '' })
    chunks.push(part)
  }
  return Buffer.concat(chunks)
}

/** The bytes of a file, or of standard input for `-`. Throws CLI_FILE_UNREADABLE. */
export async function readBytes(
  file: string,
  io: Pick<CliIo, 'stdin' | 'cwd' | 'signal'>,
): Promise<Buffer<ArrayBuffer>> {
  if (file === '-') return readInput(io)
  return readFile(resolve(io.cwd, file)).catch((cause: unknown) => {
    const text = cause instanceof Error ? cause.message : String(cause)
    throw cliErrors.FILE_UNREADABLE({ file, text }, { cause })
  })
}

/** The text of a file, or of standard input for `-`. Throws CLI_FILE_UNREADABLE. */
export async function readText(file: string, io: Pick<CliIo, 'stdin' | 'cwd' | 'signal'>): Promise<string> {
  return decoded(await readBytes(file, io))
}

/** For an option that may be repeated. */
export function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, value]
}

/** Both sides of `name=value`. Throws CLI_ARGUMENT_WRONG. */
export function splitPair(text: string, option: string, command: string): [string, string] {
  const at = text.indexOf('=')
  if (at > 0) return [text.slice(0, at), text.slice(at + 1)]
  throw cliErrors.ARGUMENT_WRONG({ text: `${option} takes name=value, not "${text}".`, command })
}

/** UTF-8, or what its byte order mark says: `>` in Windows PowerShell and "Unicode text" of Excel write UTF-16. */
function decoded(bytes: Buffer): string {
  const mark = bytes.subarray(0, 2).toString('hex')
  const encoding = mark === 'fffe' ? 'utf-16le' : mark === 'feff' ? 'utf-16be' : 'utf-8'
  return new TextDecoder(encoding).decode(bytes)
}

/** A secret from standard input, without its line end; asked for when a person sits there. */
export async function readSecret(field: string, io: Pick<CliIo, 'stdin' | 'stderr' | 'signal'>): Promise<string> {
  if (io.stdin.isTTY) io.stderr.write(`${field} (ends with Ctrl-D; it is shown while you type): `)
  const secret = (await readInput(io)).toString('utf8').replace(/\r?\n$/, '')
  if (secret === '') throw cliErrors.INPUT_MISSING({ what: field })
  return secret
}

/** A new file for what a command gives, readable by its owner alone: one that is there may hold what still counts. */
export async function openNewFile(path: string): Promise<{ readonly path: string; readonly handle: FileHandle }> {
  try {
    return { path, handle: await open(path, 'wx', 0o600) }
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause)
    throw cliErrors.FILE_NOT_MADE({ file: path, text }, { cause })
  }
}

/** Reads an option that says how many, or which number. */
export function wholeNumber(text: string): string {
  if (/^\d{1,15}$/.test(text)) return text
  throw new InvalidArgumentError('It takes a whole number.')
}

const isoTime = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?$/

/** Reads an option that names a time; without an offset it is one of UTC, as times are printed. */
export function isoInstant(text: string): string {
  const [, offset] = isoTime.exec(text) ?? []
  const at = isoTime.test(text)
    ? Date.parse(offset === undefined && text.includes('T') ? `${text}Z` : text)
    : Number.NaN
  if (!Number.isNaN(at)) return new Date(at).toISOString()
  throw new InvalidArgumentError('It takes a time: 2026-11-22, 2026-11-22T08:30 (UTC) or 2026-11-22T08:30+01:00.')
}
