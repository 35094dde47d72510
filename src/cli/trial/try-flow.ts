import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Engine } from '../../engine/control.ts'
import { createEngine } from '../../engine/engine.ts'
import type { SampleRequest } from '../../flow/adapter.ts'
import { loadFlow } from '../../flow/load-flow.ts'
import type { Problem } from '../../flow/problem.ts'
import type { Declarations } from '../../flow/schema.ts'
import type { HubError } from '../../kernel/error.ts'
import type { HttpResponse, HttpRoute } from '../../kernel/http-exchange.ts'
import type { Json } from '../../kernel/json.ts'
import { defaultLimits } from '../../kernel/limit.ts'
import { silentLog } from '../../kernel/log.ts'
import { systemClock } from '../../kernel/time.ts'
import type { DeliveryDetail } from '../../store/port.ts'
import { openSqliteStore } from '../../store/sqlite/open.ts'
import { type Given, type Recording, RecordingDeclarations, type TrialEvent } from './recording.ts'
import { trialErrors } from './trial-errors.ts'

export interface TrialRequest {
  readonly declarations: Declarations
  readonly file: string
  readonly stage: string
  readonly given: Given
  readonly answers: Recording['answers']
  /** What earlier messages would have left for `lookup`. */
  readonly keyMaps: readonly { readonly map: string; readonly key: string; readonly value: Json }[]
  /** Ends the trial. */
  readonly signal: AbortSignal
}

/** What became of one message that the sender made of what was given. */
export interface TriedMessage {
  readonly taken: DeliveryDetail
  readonly events: readonly TrialEvent[]
  /** The first attempt failed; a hub would try again where `retry` says so. */
  readonly failure: HubError | undefined
}

export interface Trial {
  readonly flow: string
  readonly warnings: readonly Problem[]
  readonly messages: readonly TriedMessage[]
  /** What the trial made up to bring a document to the endpoint. */
  readonly filledIn: string | undefined
  /** What a caller of the flow's endpoint gets. */
  readonly answer: (Omit<HttpResponse, 'body'> & { readonly body: Uint8Array }) | undefined
}

/**
 * Takes one thing through a flow in this process, with an engine and a store of its own that are gone afterwards: steps
 * work, receivers are shown what they would get, nothing is sent. Throws TRIAL_REFUSED and what the
 * hub would refuse the message with; what is wrong with the document comes back as its problems.
 */
export async function tryFlow(request: TrialRequest): Promise<Trial | { readonly problems: readonly Problem[] }> {
  const { file, stage, given, answers, signal } = request
  const events: TrialEvent[] = []
  const handedOver = Promise.withResolvers<void>()
  const recording = new RecordingDeclarations({
    given,
    answers,
    record: event => events.push(event),
    handedOver: failure => (failure ? handedOver.reject(failure) : handedOver.resolve()),
  })
  const loaded = await loadFlow({ ...recording.of(request.declarations), file, stage })
  if ('problems' in loaded) return loaded
  recording.learnPlaces(loaded.flow)
  const folder = await mkdtemp(join(tmpdir(), 'isthmus-trial-'))
  const store = await openSqliteStore({ folder })
  const route = Promise.withResolvers<HttpRoute>()
  const engine = createEngine({
    store,
    clock: systemClock,
    log: silentLog,
    limits: defaultLimits,
    connect: Object.assign(refuse, { upgrade: () => refuse({ host: 'a server' }) }),
    credential: () => refuse({ host: 'a server' }),
    serve: asked => {
      route.resolve(asked)
      return () => {}
    },
    owner: 'trial',
  })
  const ends = new Ends(engine)
  const over = new AbortController()
  try {
    const { flow } = loaded
    for (const entry of request.keyMaps) await store.rewrite({ ...entry, at: systemClock.now() })
    // One after the other, so that what is recorded belongs together; nobody else is told of it.
    await engine.start({ ...flow, answer: undefined, delivery: { ...flow.delivery, parallel: 1 } })
    const { declaration, config } = flow.from
    const sample = await declaration.sampleRequest?.(config, { ...given, isQuestion: flow.to.length === 0 })
    const called = route.promise.then(found => call(found, { ...given, ...sample }, over.signal))
    const handing = Promise.race([handedOver.promise, called])
    // A caller who waits for the end of its message would wait for the next attempt.
    const answer = await untilAborted(
      ends.all(handing, () => over.abort()),
      signal,
    )
    const messages: TriedMessage[] = []
    for (const [id, failure] of ends.of()) {
      const taken = await store.get(id)
      if (taken) messages.push({ taken, failure, events: events.filter(({ message }) => message.id === id) })
    }
    if (messages.length === 0 && answer) await refuseAnswer(answer)
    return {
      flow: flow.name,
      warnings: loaded.warnings,
      messages,
      filledIn: sample?.filledIn,
      // What the store holds is read while there is one.
      answer: answer ? { ...answer, body: await wholeOf(answer.body) } : undefined,
    }
  } finally {
    over.abort()
    await engine.close(0)
    await store.close()
    await rm(folder, { recursive: true, force: true })
  }
}

/** Which messages were accepted, and how their first attempts ended. */
class Ends {
  readonly #accepted = new Set<string>()
  readonly #ended = new Map<string, HubError | undefined>()
  readonly #news = new EventTarget()

  constructor(engine: Pick<Engine, 'on'>) {
    engine.on(event => {
      if (event.type === 'delivery.accepted') this.#accepted.add(event.delivery)
      if (event.type === 'delivery.ended') this.#end(event.delivery, undefined)
      if (event.type === 'delivery.failed') this.#end(event.delivery, event.error)
    })
  }

  /** Resolves with what `handing` gives, when all that was accepted by then has ended. */
  async all<T>(handing: Promise<T>, onFailure: () => void): Promise<T> {
    const stop = new AbortController()
    this.#news.addEventListener('failed', onFailure, { signal: stop.signal })
    try {
      const handed = await handing
      while (this.#ended.size < this.#accepted.size) await this.#next()
      return handed
    } finally {
      stop.abort()
    }
  }

  /** Ids in the order of their acceptance, and why the first attempt failed if it did. */
  of(): readonly (readonly [string, HubError | undefined])[] {
    return [...this.#accepted].map(id => [id, this.#ended.get(id)])
  }

  #end(id: string, failure: HubError | undefined): void {
    this.#ended.set(id, failure)
    if (failure) this.#news.dispatchEvent(new Event('failed'))
    this.#news.dispatchEvent(new Event('ended'))
  }

  #next(): Promise<void> {
    return new Promise(resolve => this.#news.addEventListener('ended', () => resolve(), { once: true }))
  }
}

function refuse({ host }: { readonly host: string }): Promise<never> {
  return Promise.reject(trialErrors.NO_NETWORK({ host }))
}

/** Calls the endpoint of the flow as a caller with the role does. */
function call(
  route: HttpRoute,
  given: Given & Partial<Pick<SampleRequest, 'query'>>,
  signal: AbortSignal,
): Promise<HttpResponse> {
  const {
    headers,
    type,
    body,
    query = {},
    method = route.methods[0] ?? 'POST',
    path = route.path.replace(/\/\*$/, ''),
  } = given
  const url = new URL(`http://hub/flows${path}`)
  for (const [field, value] of Object.entries(query)) {
    if (!url.searchParams.has(field)) url.searchParams.set(field, value)
  }
  const caller = { clientId: 'trial', instance: 'trial', subject: 'trial' }
  return route.handle(
    {
      method,
      url: `${url.pathname}${url.search}`,
      path: url.pathname,
      query: Object.fromEntries(url.searchParams),
      headers: { ...(type !== undefined && { 'content-type': type }), ...headers },
      body: pieces(body),
      remoteAddress: '127.0.0.1',
      caller: route.role === undefined ? undefined : caller,
      signal,
    },
    [route],
  )
}

async function* pieces(body: Uint8Array): AsyncGenerator<Uint8Array> {
  yield body
}

async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted()
  const aborted = Promise.withResolvers<never>()
  const abort = () => aborted.reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await Promise.race([work, aborted.promise])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

async function refuseAnswer({ status, body }: HttpResponse): Promise<never> {
  throw trialErrors.REFUSED({ status, text: Buffer.from(await wholeOf(body)).toString() })
}

async function wholeOf(body: HttpResponse['body']): Promise<Uint8Array> {
  if (typeof body === 'string') return Buffer.from(body)
  return body instanceof Uint8Array ? body : Buffer.concat(await Array.fromAsync(body))
}
