import { type ServerProcess, startProcess } from '../foreign/servers/server-process.ts'
import { waitFor } from '../foreign/servers/wait.ts'
import type { HubSettings } from './hub-process.ts'

const startMs = 30_000

/** A message as the admin API shows it, as far as these tests look. */
export interface SeenMessage {
  readonly id: string
  readonly state: string
  readonly error?: { readonly code: string; readonly message: string; readonly next: string }
}

/** A hub in a process of its own, which can be killed and started again on the same data folder. */
export class HubUnderTest {
  readonly #settings: HubSettings
  #process: ServerProcess | undefined
  #adminUrl = ''
  #adminToken = ''

  constructor(settings: HubSettings) {
    this.#settings = settings
  }

  async start(): Promise<void> {
    let line = ''
    const started = startProcess(
      process.execPath,
      [`${import.meta.dirname}/hub-process.ts`, JSON.stringify(this.#settings)],
      {
        onOutput: text => {
          line ||= /\{"adminUrl".*\}/.exec(text)?.[0] ?? ''
        },
      },
    )
    this.#process = started
    await waitFor('the hub to start', startMs, () => {
      if (line === '' && !started.isRunning()) throw new Error(`The hub ended: ${started.output()}`)
      return line !== ''
    })
    const { adminUrl, adminToken } = JSON.parse(line) as { adminUrl: string; adminToken: string }
    this.#adminUrl = adminUrl
    this.#adminToken = adminToken
  }

  get pid(): number {
    return this.#process?.pid ?? 0
  }

  get isRunning(): boolean {
    return this.#process?.isRunning() ?? false
  }

  output(): string {
    return this.#process?.output() ?? ''
  }

  async kill9(): Promise<void> {
    await this.#process?.kill9()
  }

  async stop(): Promise<void> {
    await this.#process?.stop()
  }

  /** A call of the admin API; throws with the problem document when it is refused. */
  async call<T>(method: 'GET' | 'POST', path: string, body?: unknown): Promise<T> {
    const answer = await fetch(`${this.#adminUrl}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${this.#adminToken}`,
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    const text = await answer.text()
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`)
    return JSON.parse(text) as T
  }
}
