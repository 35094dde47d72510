import { existsSync, readFileSync } from 'node:fs'
import { type ServerProcess, startProcess } from '../foreign/servers/server-process.ts'
import { waitFor } from '../foreign/servers/wait.ts'

const startMs = 60_000

/** When a mail was taken, and which one it was. */
export interface TakenMail {
  readonly at: number
  readonly messageId: string
}

/** An application server of S/4HANA as its mails see it: a process with a port of its own that remembers what it took. */
export class MailServer {
  readonly port: number
  readonly #file: string
  #process: ServerProcess | undefined

  /** `file` holds what it took, over all its lives. */
  constructor(port: number, file: string) {
    this.port = port
    this.#file = file
  }

  async start(): Promise<void> {
    const started = startProcess(process.execPath, [
      `${import.meta.dirname}/mail-server-process.ts`,
      String(this.port),
      this.#file,
    ])
    this.#process = started
    await waitFor(`the mail server at ${this.port} to start`, startMs, () => {
      if (!started.isRunning()) throw new Error(`The mail server ended: ${started.output()}`)
      return started.output().includes('"port"')
    })
  }

  signal(name: NodeJS.Signals): void {
    if (this.#process?.isRunning()) process.kill(this.#process.pid, name)
  }

  async kill9(): Promise<void> {
    await this.#process?.kill9()
  }

  async stop(): Promise<void> {
    // A process that was stopped hears SIGTERM only when it goes on.
    this.signal('SIGCONT')
    await this.#process?.stop()
  }

  taken(): readonly TakenMail[] {
    if (!existsSync(this.#file)) return []
    const lines = readFileSync(this.#file, 'utf8').split('\n').slice(0, -1)
    return lines.map(line => {
      const [at = '', messageId = ''] = line.split(' ')
      return { at: Number(at), messageId }
    })
  }
}
