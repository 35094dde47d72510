import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeWorkFolder } from './work-folder.ts'

const timeoutMs = 30_000

export interface SwaksMail {
  readonly port: number
  readonly from: string
  readonly to: readonly string[]
  /** The mail, sent as it is; dots are stuffed here. */
  readonly bytes: Uint8Array
  /** Further options of swaks, such as `['--tls', '--auth', 'PLAIN', …]`. */
  readonly args?: readonly string[]
}

export interface SwaksResult {
  readonly isAccepted: boolean
  /** The conversation as swaks shows it. */
  readonly transcript: string
}

/** Sends one mail with swaks, the way an administrator tries a mail server out. */
export async function sendWithSwaks(mail: SwaksMail): Promise<SwaksResult> {
  const folder = makeWorkFolder('swk')
  try {
    const file = join(folder.path, 'mail')
    writeFileSync(file, stuffed(mail.bytes))
    const envelope = ['--from', mail.from, '--to', mail.to.join(',')]
    const server = ['--server', `127.0.0.1:${mail.port}`, '--ehlo', 'swaks.test']
    return await run([...server, ...envelope, '--data', `@${file}`, '--no-data-fixup', ...(mail.args ?? [])])
  } finally {
    folder.remove()
  }
}

function run(args: readonly string[]): Promise<SwaksResult> {
  return new Promise((resolve, reject) => {
    const child = spawn('swaks', args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: timeoutMs })
    let transcript = ''
    const keep = (chunk: Buffer) => {
      transcript += chunk.toString('latin1')
    }
    child.stdout.on('data', keep)
    child.stderr.on('data', keep)
    child.once('error', reject)
    child.once('close', exitCode => resolve({ isAccepted: exitCode === 0, transcript }))
  })
}

/** Dots doubled at line starts and the end of DATA added: without its fix-ups swaks sends the file and a CRLF. */
function stuffed(bytes: Uint8Array): Uint8Array {
  const text = Buffer.from(bytes)
    .toString('latin1')
    .replace(/(^|\n)\./g, '$1..')
  return Buffer.from(`${text}${text.endsWith('\r\n') || text === '' ? '' : '\r\n'}.`, 'latin1')
}
