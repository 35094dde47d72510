import { expect } from 'vitest'
import type { Incoming, Known, Link, Outcome, SenderContext } from '../flow/adapter.ts'
import type { CredentialValue } from '../kernel/credential.ts'
import { asHubError, type HubError } from '../kernel/error.ts'
import type { Json } from '../kernel/json.ts'
import { defaultLimits } from '../kernel/limit.ts'
import { silentLog } from '../kernel/log.ts'
import { systemClock } from '../kernel/time.ts'
import { ScriptedServer } from '../protocols/imap/mailbox-world.ts'
import { makeConnect } from '../protocols/net/connect.ts'
import { imap } from './imap.ts'
import type { ImapConfig } from './imap-config.ts'

/** A message as the hub took it in, with its bytes read. */
export interface TakenIn extends Omit<Incoming, 'body'> {
  readonly id: string
  readonly text: string
  readonly isStreamed: boolean
}

/** A scripted mailbox, the IMAP sender, and a hub that remembers what it accepted. */
export class SenderWorld {
  readonly server = new ScriptedServer()
  readonly accepted: TakenIn[] = []
  readonly troubles: HubError[] = []
  readonly downs: HubError[] = []
  /** What stays undone now. */
  stuck: HubError | undefined
  readonly ups: string[] = []
  /** How often the link said that it brought something. */
  moveCount = 0
  readonly memory = new Map<string, Json>()
  readonly known = new Map<string, Known>()
  credential: CredentialValue = { kind: 'basic', user: 'orders@contoso.com', password: 'pw' }
  /** How far the clock is ahead. */
  aheadMs = 0
  /** Called before a message is accepted; what it throws the sender gets. */
  beforeAccept: (incoming: Incoming) => Promise<void> | void = () => {}
  /** How deliveries end; undefined leaves them on their way. */
  ending: (taken: TakenIn) => Outcome['state'] | undefined = () => 'delivered'
  readonly #waiting = new Map<string, (outcome: Outcome) => void>()
  #stop = new AbortController()
  #running: Promise<void> | undefined
  #port = 0
  #config: object = {}

  async start(config: object = {}): Promise<void> {
    if (this.#port === 0) this.#port = await this.server.start()
    this.#config = config
    this.#stop = new AbortController()
    const sender = await imap.open(this.context())
    this.#running = sender.receive()
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#running
  }

  async close(): Promise<void> {
    await this.stop()
    await this.server.stop()
  }

  context(): SenderContext<ImapConfig> {
    const { memory } = this
    return {
      config: imap.config.parse({
        host: '127.0.0.1',
        port: this.#port,
        security: 'none',
        user: 'orders@contoso.com',
        auth: 'm365-mail',
        every: '100ms',
        timeout: '2s',
        ...this.#config,
      }),
      flow: 'mail',
      folder: import.meta.dirname,
      log: silentLog,
      signal: this.#stop.signal,
      clock: { ...systemClock, now: () => systemClock.now() + this.aheadMs },
      limits: defaultLimits,
      connect: makeConnect(),
      credential: async () => this.credential,
      serve: () => () => {},
      memory: {
        get: async name => memory.get(name),
        set: async (name, value) => void memory.set(name, value),
      },
      intake: {
        accept: incoming => this.#accept(incoming),
        acceptAll: all => Promise.all(all.map(incoming => this.#accept(incoming))),
        known: async keys => new Map(keys.flatMap(key => (this.known.has(key) ? [[key, this.#entry(key)]] : []))),
        attributes: async () => undefined,
        outcome: (id, signal) => this.#outcome(id, signal),
      },
      supervise: (name, run) => this.#supervise(name, run),
    }
  }

  /** Ends a delivery that is on its way. */
  end(id: string, state: Outcome['state']): void {
    for (const [key, entry] of this.known) if (entry.id === id) this.known.set(key, { id, state })
    this.#waiting.get(id)?.({ id, state, summary: state })
    this.#waiting.delete(id)
  }

  subjects(): string[] {
    return this.accepted.map(({ attributes }) => JSON.stringify(attributes['subject']).slice(1, -1))
  }

  uids(folder = 'INBOX'): number[] {
    return this.server.folder(folder).mails.map(mail => mail.uid)
  }

  flags(folder = 'INBOX'): string[] {
    return this.server.folder(folder).mails.map(mail => [...mail.flags].toSorted().join(' '))
  }

  #entry(key: string): Known {
    return this.known.get(key) ?? { id: '', state: 'working' }
  }

  async #accept(incoming: Incoming): Promise<{ id: string; duplicate: boolean }> {
    await this.beforeAccept(incoming)
    const chunks: Uint8Array[] = []
    const isStreamed = !(incoming.body instanceof Uint8Array)
    if (incoming.body instanceof Uint8Array) chunks.push(incoming.body)
    else for await (const chunk of incoming.body) chunks.push(Uint8Array.from(chunk))
    const text = Buffer.concat(chunks).toString('latin1')
    const key = incoming.sourceKey ?? ''
    const repeated = this.accepted.find(
      earlier =>
        incoming.repeat?.refuse === true && earlier.repeat?.key === incoming.repeat.key && earlier.text === text,
    )
    const earlier = this.known.get(key)?.id ?? repeated?.id
    if (earlier !== undefined) return { id: earlier, duplicate: true }
    const id = `D${this.accepted.length + 1}`
    const taken: TakenIn = { ...incoming, id, text, isStreamed }
    this.accepted.push(taken)
    this.known.set(key, { id, state: this.ending(taken) ?? 'working' })
    return { id, duplicate: false }
  }

  async #outcome(id: string, signal?: AbortSignal): Promise<Outcome | undefined> {
    const entry = [...this.known.values()].find(known => known.id === id)
    if (entry && entry.state !== 'working' && entry.state !== 'held') {
      return { id, state: entry.state, summary: entry.state }
    }
    return new Promise(resolve => {
      this.#waiting.set(id, resolve)
      signal?.addEventListener('abort', () => resolve(undefined), { once: true })
    })
  }

  /** Like the hub's, with a back-off that suits a test. */
  async #supervise(_name: string, run: (link: Link) => Promise<void>): Promise<void> {
    while (!this.#stop.signal.aborted) {
      try {
        await run({
          signal: this.#stop.signal,
          up: detail => void this.ups.push(detail),
          moved: () => void this.moveCount++,
          trouble: error => void this.troubles.push(error),
          stuck: error => {
            if (error) this.troubles.push(error)
            this.stuck = error
          },
        })
      } catch (thrown) {
        const error = asHubError(thrown)
        this.downs.push(error)
        await systemClock.sleep(error.retryAfterMs ?? 50, this.#stop.signal)
      }
    }
  }
}

/** Where mails go in most tests. */
export const archive = { done: { move: 'Processed', failed: 'Failed' } }

/** Expects something of a mailbox within seconds. */
export function soon(check: () => unknown) {
  return expect.poll(check, { timeout: 5_000, interval: 10 })
}

/** A small mail. */
export function mail(subject: string, ...more: string[]): string {
  const header = [
    `From: <a@customer.example>`,
    'To: orders@contoso.com',
    `Subject: ${subject}`,
    `Message-ID: <${subject}@customer.example>`,
  ]
  return [...header, ...more, '', `body of ${subject}`, ''].join('\r\n')
}
