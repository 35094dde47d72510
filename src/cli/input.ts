import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { MiB } from '../kernel/size.ts'
import { cliErrors } from './cli-errors.ts'
import type { CliIo } from './io.ts'

const inputBytesMax = 200 * MiB

/** Everything on standard input; throws when the person ends the command meanwhile. */
export async function readInput(io: Pick<CliIo, 'stdin' | 'signal'>): Promise<Buffer> {
  const { signal } = io
  signal.throwIfAborted()
  return new Promise<Buffer>((resolve, reject) => {
    const end = () => reject(signal.reason)
    signal.addEventListener('abort', end, { once: true })
    collect(io.stdin)
      .then(resolve, reject)
      .finally(() => signal.removeEventListener('abort', end))
  })
}

async function collect(input: CliIo['stdin']): Promise<Buffer> {
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

/** The text of a file, or of standard input for `-`. Throws CLI_FILE_UNREADABLE. */
export async function readText(file: string, io: Pick<CliIo, 'stdin' | 'cwd' | 'signal'>): Promise<string> {
  if (file === '-') return (await readInput(io)).toString('utf8')
  return readFile(resolve(io.cwd, file), 'utf8').catch((cause: unknown) => {
    const text = cause instanceof Error ? cause.message : String(cause)
    throw cliErrors.FILE_UNREADABLE({ file, text }, { cause })
  })
}

/** A secret from standard input, without its line end; asked for when a person sits there. */
export async function readSecret(field: string, io: Pick<CliIo, 'stdin' | 'stderr' | 'signal'>): Promise<string> {
  if (io.stdin.isTTY) io.stderr.write(`${field} (ends with Ctrl-D; it is shown while you type): `)
  const secret = (await readInput(io)).toString('utf8').replace(/\r?\n$/, '')
  if (secret === '') throw cliErrors.INPUT_MISSING({ what: field })
  return secret
}
