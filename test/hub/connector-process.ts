import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { stringify } from 'yaml'
import { type ServerProcess, startProcess } from '../foreign/servers/server-process.ts'

const program = join(import.meta.dirname, '../../src/cli/isthmus-connector.js')

/** An on-premise connector as people run it: its own folder, its own processes. */
export class ConnectorUnderTest {
  readonly folder: string
  #process: ServerProcess | undefined

  /** `config` is what stands in connector.yaml beside the data folder. */
  constructor(folder: string, config: object) {
    this.folder = folder
    mkdirSync(folder, { recursive: true })
    this.configure(config)
  }

  configure(config: object): void {
    writeFileSync(join(this.folder, 'connector.yaml'), stringify({ data: 'data', log: { format: 'json' }, ...config }))
  }

  /** isthmus-connector enrol; resolves with its exit code and what it wrote. */
  async enrol(hub: string, token: string, name: string): Promise<{ readonly code: number; readonly output: string }> {
    const args = [program, 'enrol', '--hub', hub, '--token-file', '-', '--name', name]
    const child = spawn(process.execPath, args, { cwd: this.folder, stdio: ['pipe', 'pipe', 'pipe'] })
    child.stdin.end(token)
    const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
    return { code: Number(code), output: `${out}${err}` }
  }

  start(): void {
    this.#process = startProcess(process.execPath, [program, 'run'], { cwd: this.folder })
  }

  get pid(): number {
    return this.#process?.pid ?? 0
  }

  output(): string {
    return this.#process?.output() ?? ''
  }

  signal(name: NodeJS.Signals): void {
    if (this.#process?.isRunning()) process.kill(this.pid, name)
  }

  async kill9(): Promise<void> {
    await this.#process?.kill9()
  }

  async stop(): Promise<void> {
    // A process that was stopped hears SIGTERM only when it goes on.
    this.signal('SIGCONT')
    await this.#process?.stop()
  }
}
