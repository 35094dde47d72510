import type { Intake, Sender, SenderContext } from '../flow/adapter.ts'
import type { LoadedFlow } from '../flow/document.ts'
import { asHubError, type HubError } from '../kernel/error.ts'
import type { Json } from '../kernel/json.ts'
import type { Log } from '../kernel/log.ts'
import { type CheckResult, connectFor } from '../kernel/socket.ts'
import type { FlowStatus, LinkStatus } from './control.ts'
import type { EngineParts } from './engine.ts'
import { FlowRoutes } from './flow-routes.ts'
import { Links } from './links.ts'
import { type PreparedFlow, prepareFlow } from './prepared-flow.ts'
import { senderCheck, senderError } from './sender-side.ts'
import { superviseLink } from './supervise.ts'

/** Areas of records under which flows keep small things. */
const memoryArea = 'sender-memory'

/** Codes of what lies between hub and receiver (proxy, connector, token server, credential), whoever's turn it is. */
const ofTheWay = /^(?:NET|OAUTH|CREDENTIAL|LOCATION)_/

/** One flow from its start to its stop: what is open, what is up, what runs. */
export class RunningFlow {
  readonly flow: LoadedFlow
  readonly startedAt: number
  readonly links = new Links()
  readonly prepared: PreparedFlow
  /** Deliveries that wait or run, without probes; kept here so that the limit needs no query. */
  queuedCount: number
  runningCount = 0
  state: FlowStatus['state'] = 'starting'
  readonly #parts: EngineParts
  readonly #log: Log
  readonly #stop = new AbortController()
  readonly #routes: FlowRoutes
  #wake = new AbortController()
  #sender: Sender | undefined
  #receiving: Promise<void> = Promise.resolve()

  private constructor(parts: EngineParts, flow: LoadedFlow, prepared: PreparedFlow, queuedCount: number) {
    this.#parts = parts
    this.flow = flow
    this.prepared = prepared
    this.queuedCount = queuedCount
    this.startedAt = parts.clock.now()
    this.#log = parts.log.with({ flow: flow.name })
    this.#routes = new FlowRoutes({
      serve: parts.serve,
      onServed: path => this.#onUp(path, 'served'),
      onRefused: (path, error) => this.#onDown(path, error),
    })
  }

  /** Aborts when the flow stops. */
  get stopSignal(): AbortSignal {
    return this.#stop.signal
  }

  /** Opens receivers and steps; the sender follows with `receive`, when the deliveries already waiting can run. */
  static async prepare(parts: EngineParts, flow: LoadedFlow): Promise<RunningFlow> {
    const { log, clock, limits, credential, store } = parts
    const connect = connectFor(flow.name, parts.connect)
    const { queued } = await store.counts(flow.name)
    const stop = new AbortController()
    const prepared = await prepareFlow({
      flow,
      log: log.with({ flow: flow.name }),
      limits,
      receiverContext: {
        flow: flow.name,
        log: log.with({ flow: flow.name }),
        signal: stop.signal,
        clock,
        limits,
        connect,
        credential,
        keyMap: { get: (map, key) => store.recall(map, key) },
        folder: flow.folder,
      },
    })
    const running = new RunningFlow(parts, flow, prepared, queued)
    running.#stop.signal.addEventListener('abort', () => stop.abort(running.#stop.signal.reason), { once: true })
    return running
  }

  get sender(): Sender | undefined {
    return this.#sender
  }

  /** Opens the sender and lets it hand over messages until the flow stops. */
  async receive(intake: Intake): Promise<void> {
    const { declaration, config } = this.flow.from
    this.#sender = await declaration.open(this.#senderContext(config, intake))
    this.state = 'running'
    const sender = this.#sender
    this.#receiving = sender.receive().catch(thrown => {
      // A sender that ends by itself is a defect of the adapter; the flow keeps delivering and says so.
      if (!this.#stop.signal.aborted) this.#onDown('sender', senderError(thrown))
    })
  }

  /** Links that wait after a failure try at once, and so do endpoints that could not be served. */
  wake(): void {
    const waiting = this.#wake
    this.#wake = new AbortController()
    waiting.abort()
    this.retryRoutes()
  }

  /** Endpoints that could not be served (another flow had the path, the role was missing) are tried again. */
  retryRoutes(): void {
    if (this.state !== 'stopping') this.#routes.retry()
  }

  /** Proves the link of the sender; an endpoint that is not served is no link. */
  async checkSender(sender: Sender): Promise<CheckResult> {
    const { trouble } = this.#routes
    return trouble ? { ok: false, error: trouble } : senderCheck(await sender.check())
  }

  /** Ends the sender, so that nothing new comes in. */
  async stopReceiving(): Promise<void> {
    this.state = 'stopping'
    this.#routes.removeAll()
    this.#stop.abort()
    await this.#receiving
    await this.#sender?.close().catch((thrown: unknown) => {
      // It hands over nothing any more, which is all that matters here.
      this.#log.warn('sender.not-closed', { text: asHubError(thrown).message })
    })
  }

  async close(): Promise<void> {
    await this.prepared.close()
  }

  status(): FlowStatus {
    const { flow, state, startedAt, runningCount } = this
    return { flow, state, startedAt, links: this.#linksNow(), running: runningCount }
  }

  /** The links with what waits on them, also on one that nothing has come through yet. */
  #linksNow(): readonly LinkStatus[] {
    const links = new Map(this.links.list().map(status => [status.link, status]))
    for (const { link, receiver } of this.prepared.receivers) {
      const waiting = receiver.waiting?.()
      if (!waiting) continue
      const known = links.get(link) ?? { link, state: 'starting', since: this.startedAt, detail: '', error: undefined }
      links.set(link, { ...known, waiting })
    }
    return [...links.values()]
  }

  #senderContext(config: unknown, intake: Intake): SenderContext<unknown> {
    const { clock, limits, credential, store } = this.#parts
    const connect = connectFor(this.flow.name, this.#parts.connect)
    const memoryId = (name: string) => `${this.flow.name}/${name}`
    return {
      config,
      flow: this.flow.name,
      log: this.#log,
      signal: this.#stop.signal,
      clock,
      limits,
      connect,
      credential,
      folder: this.flow.folder,
      intake,
      memory: {
        get: async name => (await store.read(memoryArea, memoryId(name)))?.value,
        set: async (name: string, value: Json) => void (await store.write(memoryArea, memoryId(name), value)),
      },
      serve: route => this.#routes.add(route),
      supervise: (link, run) => {
        this.links.starting(link, clock.now())
        return superviseLink(
          {
            clock,
            store,
            owner: this.#parts.owner,
            lease: `${this.flow.name}/${link}`,
            signal: this.#stop.signal,
            wakeSignal: () => this.#wake.signal,
            onUp: detail => this.#onUp(link, detail),
            onDown: error => this.#onDown(link, senderError(error)),
            onTrouble: trouble => this.#onTrouble(link, senderError(trouble)),
            onStuck: trouble => {
              const error = trouble && senderError(trouble)
              this.links.stuck(link, clock.now(), error)
              if (error) this.#onTrouble(link, error)
            },
            random: this.#parts.random,
          },
          run,
        )
      },
    }
  }

  #onUp(link: string, detail: string): void {
    const at = this.#parts.clock.now()
    if (!this.links.up(link, at, detail)) return
    this.#parts.emit({ type: 'link.up', at, flow: this.flow.name, link, detail })
  }

  #onDown(link: string, error: ReturnType<typeof asHubError>): void {
    const at = this.#parts.clock.now()
    if (!this.links.down(link, at, error)) return
    this.#parts.emit({ type: 'link.down', at, flow: this.flow.name, link, error })
  }

  #onTrouble(link: string, error: HubError): void {
    this.#parts.emit({ type: 'link.trouble', at: this.#parts.clock.now(), flow: this.flow.name, link, error })
  }

  /** Whether the flow that gets its answers runs; undefined: it does. */
  onAnswer(to: string, error: HubError | undefined): void {
    const link = 'answer'
    if (error) this.#onDown(link, error)
    else if (this.links.list().some(known => known.link === link)) this.#onUp(link, to)
  }

  /** A receiver answered (`error` undefined, or about this message alone), or failed; then the link itself may be bad. */
  onReceiver(link: string, error: ReturnType<typeof asHubError> | undefined): void {
    if (!error || error.isAboutMessage) {
      if (!this.links.isUp(link)) this.#onUp(link, 'answering')
    } else if (error.retry !== 'never' && (error.side === 'receiver' || ofTheWay.test(error.code))) {
      this.#onDown(link, error)
    }
  }
}
