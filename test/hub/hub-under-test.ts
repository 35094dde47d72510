import { type ServerProcess, startProcess } from '../foreign/servers/server-process.ts'
import { waitFor } from '../foreign/servers/wait.ts'
import type { HubSettings } from './hub-process.ts'

/** On a machine that is busy with other tests a start takes long; how long is measured elsewhere. */
const startMs = 120_000

interface SeenError {
  readonly code: string
  readonly message: string
  readonly next: string
}

/** A message as the admin API shows it, as far as these tests look. */
export interface SeenMessage {
  readonly id: string
  readonly state: string
  readonly error?: SeenError
}

/** A message with all that is known of it. */
export interface SeenDetail extends SeenMessage {
  readonly attributes: { readonly uid: number; readonly mailbox: string }
  /** Words to find it by: Message-ID, the id that the other side gave. */
  readonly terms: readonly string[]
  readonly receipts: readonly { readonly summary: string; readonly fields?: Readonly<Record<string, unknown>> }[]
}

/** A flow as the admin API shows it, as far as these tests look. */
export interface SeenFlow {
  readonly state: string
  readonly links: readonly { readonly link: string; readonly state: string; readonly error?: SeenError }[]
  readonly counts: { readonly accepted: number; readonly queued: number; readonly delivered: number }
}

/** A line of the hub's log; only warnings and errors are written. */
export interface SeenLine {
  readonly event: string
  readonly link?: string
  readonly code?: string
  readonly error?: string
  readonly next?: string
}

/** A hub in a process of its own, which can be killed and started again on the same data folder. */
export class HubUnderTest {
  readonly #settings: HubSettings
  #process: ServerProcess | undefined
  #adminUrl = ''
  #endpointsUrl = ''
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
    const { adminUrl, adminToken, endpointsUrl } = JSON.parse(line) as Record<string, string | undefined>
    this.#adminUrl = adminUrl ?? ''
    this.#endpointsUrl = endpointsUrl ?? ''
    this.#adminToken = adminToken ?? ''
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

  get endpointsUrl(): string {
    return this.#endpointsUrl
  }

  get adminUrl(): string {
    return this.#adminUrl
  }

  /** The end of the log, as far as `output` keeps it. */
  log(): SeenLine[] {
    const lines = this.output().split('\n')
    return lines.filter(line => line.startsWith('{"level"')).map(line => JSON.parse(line) as SeenLine)
  }

  flow(name: string): Promise<SeenFlow> {
    return this.call('GET', `/api/flows/${name}`)
  }

  /** Every message there is, oldest first, with all that is known of it. */
  async details(): Promise<SeenDetail[]> {
    const ids: string[] = []
    for (let before: string | undefined = ''; before !== undefined; ) {
      const page: { messages: SeenMessage[]; next?: string } = await this.call(
        'GET',
        `/api/messages?limit=1000${before && `&before=${before}`}`,
      )
      ids.push(...page.messages.map(({ id }) => id))
      before = page.next
    }
    const details: SeenDetail[] = []
    for (const id of ids.toReversed()) details.push(await this.call('GET', `/api/messages/${id}`))
    return details
  }

  /** A call of the admin API; throws with the problem document when it is refused. */
  async call<T>(method: 'GET' | 'POST' | 'PUT', path: string, body?: unknown): Promise<T> {
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
