import type { Outcome } from '../flow/adapter.ts'
import type { LoadedFlow } from '../flow/document.ts'
import type { CredentialLookup } from '../kernel/credential.ts'
import { asHubError, type HubError, hubErrors } from '../kernel/error.ts'
import type { ServeRoute } from '../kernel/http-exchange.ts'
import type { Limits } from '../kernel/limit.ts'
import type { Log } from '../kernel/log.ts'
import type { Connect } from '../kernel/socket.ts'
import { type Clock, SECOND } from '../kernel/time.ts'
import { TransientMap } from '../kernel/transient-map.ts'
import { storeErrors } from '../store/errors.ts'
import type { Claimed, FinishedState, Store, StoredError, StoredReceipt } from '../store/port.ts'
import { Answers } from './answers.ts'
import { Attempt, type AttemptEnd } from './attempt.ts'
import { AwakeTime } from './awake-time.ts'
import type { Engine, EngineEvent, LinkCheck } from './control.ts'
import { CrashWatch, crashLimits } from './crash-watch.ts'
import { Dispatcher } from './dispatcher.ts'
import { endsTheHub, retriesEnded, withReason } from './ends.ts'
import { engineErrors } from './errors.ts'
import { offerPlaces, type PlaceTaker } from './fair-places.ts'
import { makeIntake } from './intake.ts'
import { keepResult } from './kept-result.ts'
import { type NewestDelivered, newestDelivered } from './newest-delivered.ts'
import { operatorActions } from './operator-actions.ts'
import { Outcomes } from './outcomes.ts'
import { persist } from './persist.ts'
import { planRetry, seriesBegan } from './retry-plan.ts'
import { RunningFlow } from './running-flow.ts'
import { StepWatch } from './step-watch.ts'
import { messageOf, storedErrorOf } from './stored-message.ts'

export interface EngineOptions {
  readonly store: Store
  readonly clock: Clock
  readonly log: Log
  readonly limits: Limits
  readonly connect: Connect
  readonly credential: CredentialLookup
  readonly serve: ServeRoute
  /** Name of this process among those that share the store. */
  readonly owner: string
  /** Between 0 and 1, for jitter; Math.random where it is left out. */
  readonly random?: () => number
  /** Takes secrets out of what other sides say, before it is kept or shown. */
  readonly mask?: (text: string) => string
}

export type EngineParts = Required<EngineOptions> & { emit(event: EngineEvent): void }

/** How long running attempts may take to end when a flow or the hub stops. */
const usualGraceMs = 10 * SECOND

/** The engine: takes messages in, delivers them in order and once, tries again, sets aside. */
export function createEngine(options: EngineOptions): Engine {
  const listeners = new Set<(event: EngineEvent) => void>()
  const parts: EngineParts = {
    random: Math.random,
    mask: text => text,
    ...options,
    emit(event) {
      for (const listener of listeners) {
        try {
          listener(event)
        } catch (thrown) {
          // Who only listens must not undo what has happened.
          options.log.error('engine.listener-failed', { event: event.type, text: asHubError(thrown).message })
        }
      }
    },
  }
  const { store, clock, log, limits } = parts
  const outcomes = new Outcomes()
  const flows = new Map<string, RunningFlow>()
  const attempts = new TransientMap<string, Attempt>()
  /** Deliveries accepted here whose end has not come yet. */
  const travelling = new Set<string>()
  const offers = () => offerPlaces(placeTakers, limits.runningDeliveries)
  const crashWatch = new CrashWatch({ store, clock, log, onRoom: () => dispatcher.poke() })
  const dispatcher = new Dispatcher({ parts, offers, crashWatch, run: runDelivery })
  store.onWork(() => dispatcher.poke())
  const stepWatch = new StepWatch(clock, limits, () => attempts.values())
  const awake = new AwakeTime(clock)
  const closing = new AbortController()
  const persistence = { clock, log, signal: closing.signal }
  const answers = new Answers({ parts, persistence, find: name => flows.get(name), travelling })
  /** How often somebody said that something has changed, for all flows and by flow. */
  const wakes = new Map<string | undefined, number>()
  /** Starts and stops of one flow happen one after the other. */
  const turns = new Map<string, Promise<unknown>>()

  function wakesOf(flow: string): number {
    return (wakes.get(undefined) ?? 0) + (wakes.get(flow) ?? 0)
  }

  function inTurn<T>(name: string, work: () => Promise<T>): Promise<T> {
    const turn = (turns.get(name) ?? Promise.resolve()).then(work, work)
    const settled = turn
      .catch(() => {})
      .then(() => {
        if (turns.get(name) === settled) turns.delete(name)
      })
    turns.set(name, settled)
    return turn
  }

  function maskedErrorOf(error: HubError): StoredError {
    const { message, ...rest } = storedErrorOf(error)
    return { ...rest, message: parts.mask(message) }
  }

  /** One that stops takes no more places, and has those that it still uses. */
  function placeTakers(): readonly PlaceTaker[] {
    return [...flows.values()].map(({ flow, state, runningCount }) => {
      const parallel = state === 'stopping' ? runningCount : flow.delivery.parallel
      return { name: flow.name, parallel, running: runningCount }
    })
  }

  async function runDelivery(claimed: Claimed): Promise<void> {
    const running = flows.get(claimed.flow)
    if (!running) {
      await store.release(claimed).catch(reportUnlessFenced(claimed))
      return
    }
    const newest = newestDelivered({ claimed, flow: running.flow, store, limits })
    const overtaken = newest?.overtaken ?? answers.overtaken(claimed)
    const attempt = new Attempt({
      claimed,
      prepared: running.prepared,
      store,
      clock,
      watchedMs: () => stepWatch.watchedMs,
      limits,
      awaitedUntil: id => outcomes.awaitedUntil(id),
      ...(overtaken && { overtaken }),
      onReceiver: (receiver, error) => running.onReceiver(receiver.link, error),
    })
    const wakesBefore = wakesOf(claimed.flow)
    running.runningCount++
    attempts.set(claimed.id, attempt)
    try {
      const deaths = crashWatch.deathsOf(claimed.id)
      const end = deaths >= crashLimits.deaths ? endsTheHub(deaths) : await attempt.run()
      if (end.state === 'failed') await afterFailure(running, attempt, end, wakesBefore)
      else await finish(running, attempt, withReason(end, attempt.where), newest)
    } catch (thrown) {
      reportUnlessFenced(claimed)(thrown)
    } finally {
      running.runningCount--
      attempts.delete(claimed.id)
    }
  }

  async function finish(
    running: RunningFlow,
    attempt: Attempt,
    end: { readonly state: FinishedState; readonly summary: string; readonly error?: HubError } & Partial<
      Pick<Outcome, 'result'>
    >,
    newest?: NewestDelivered,
  ): Promise<void> {
    const { claimed } = attempt
    const { receipts, terms } = attempt.takeUnsaved()
    const at = clock.now()
    const isGood = end.state === 'delivered' && end.result !== undefined
    const kept = isGood ? await keepResult(running.flow, claimed, { result: end.result, at, limits }) : undefined
    const error = end.error ? maskedErrorOf(end.error) : undefined
    const summary = parts.mask(end.summary)
    if (answers.isAsked(running, claimed, end.state) && !(end.state === 'skipped' && (await isReplay(claimed)))) {
      // The answer must not speak of what a crash could still undo, nor be forgotten by one: so it stands between.
      await saveReceipts(claimed, receipts)
      const { id: message, attributes, requeueCount } = claimed
      const facts = { message, attributes, requeueCount, state: end.state, at, summary, error }
      await answers.give(running, { ...facts, receipt: attempt.lastFields })
    }
    const all = { state: end.state, at, summary, error, receipts: kept ? [...receipts, kept] : receipts, terms }
    await Promise.all([
      end.state === 'delivered' && newest && persist(persistence, 'newest', () => newest.remember()),
      persist(persistence, 'finish', () => store.finish(claimed, all)),
    ])
    if (!claimed.isProbe) running.queuedCount--
    travelling.delete(claimed.id)
    outcomes.settle({
      id: claimed.id,
      state: end.state,
      summary,
      ...(error && { error }),
      ...(end.result && { result: end.result }),
    })
    parts.emit({
      type: 'delivery.ended',
      at,
      flow: claimed.flow,
      delivery: claimed.id,
      state: end.state,
      summary,
      error: end.error,
      tookMs: Math.max(0, at - claimed.acceptedAt),
      isProbe: claimed.isProbe,
    })
  }

  async function afterFailure(
    running: RunningFlow,
    attempt: Attempt,
    end: Extract<AttemptEnd, { state: 'failed' }>,
    wakesBefore: number,
  ): Promise<void> {
    const { claimed } = attempt
    // A receiver that was interrupted but knows how far it came is believed; what nobody foresaw may have happened.
    const isKnown = !end.error.isOutcomeUnknown && end.error.code !== hubErrors.UNEXPECTED.code
    const isStopping = end.expiry?.code === hubErrors.STOPPING.code
    const error = end.expiry ?? end.error
    const kept = saveReceipts(claimed, attempt.takeUnsaved().receipts)
    const withdrawn = isKnown ? attempt.openIntents() : []
    const now = clock.now()
    for (const effect of withdrawn) {
      const receipt = {
        effect,
        state: 'withdrawn',
        at: now,
        summary: error.message,
        fields: undefined,
        answer: undefined,
      } as const
      await persist(persistence, 'receipt', () => store.receipt(claimed, receipt))
    }
    await kept
    if (isStopping) {
      await store.release(claimed)
      return
    }
    const attemptCount = claimed.attemptCount + 1
    const { retry } = running.flow.delivery
    const awakeSince = Math.max(running.startedAt, awake.since)
    const since = seriesBegan({ ...claimed, begunAt: attempt.begunAt, awakeSince, now })
    const next = planRetry(retry, { attemptCount, since, now, error })
    if (next) {
      // Somebody changed something while this attempt was under way: it may have failed for what is mended already.
      const dueAt = next.awaitsChange && wakesOf(claimed.flow) > wakesBefore ? now : next.dueAt
      const due = { at: now, dueAt, since, error: maskedErrorOf(error), awaitsChange: next.awaitsChange }
      await persist(persistence, 'retry', () => store.retry(claimed, due))
      outcomes.postpone(claimed.id, dueAt)
      parts.emit({
        type: 'delivery.failed',
        at: now,
        flow: claimed.flow,
        delivery: claimed.id,
        attempt: attemptCount,
        error,
        dueAt,
        isProbe: claimed.isProbe,
      })
      return
    }
    const last = error.retry === 'never' ? error : retriesEnded(error, attemptCount, now - since)
    const result = messageOf(claimed, store.bodies)
    await finish(running, attempt, { state: 'set-aside', summary: last.message, error: last, result })
  }

  /** A replay that came to nothing takes nothing back of what was told when the message first ended. */
  async function isReplay({ id }: Claimed): Promise<boolean> {
    const detail = await persist(persistence, 'answer', () => store.get(id))
    return detail?.replayOf !== undefined
  }

  async function saveReceipts(claimed: Claimed, receipts: readonly StoredReceipt[]): Promise<void> {
    await Promise.all(receipts.map(receipt => persist(persistence, 'receipt', () => store.receipt(claimed, receipt))))
  }

  function reportUnlessFenced(claimed: Claimed): (thrown: unknown) => void {
    return thrown => {
      const error = asHubError(thrown)
      const level = error.code === storeErrors.FENCED.code ? 'info' : 'error'
      log[level]('delivery.not-recorded', {
        flow: claimed.flow,
        delivery: claimed.id,
        code: error.code,
        text: error.message,
        next: error.next,
      })
      // Without its record the delivery would never be claimed again in this process: give it back when the store can.
      const giveBack = () => void store.release(claimed).catch(reportUnlessFenced(claimed))
      if (level === 'error') clock.after(SECOND, () => closing.signal.aborted || giveBack())
    }
  }

  function runningFlow(name: string): RunningFlow {
    const running = flows.get(name)
    if (!running) throw engineErrors.FLOW_UNKNOWN({ flow: name })
    return running
  }

  async function start(flow: LoadedFlow): Promise<void> {
    // First what can fail: a document that cannot be opened leaves the running flow alone.
    const running = await RunningFlow.prepare(parts, flow)
    if (flows.has(flow.name)) await halt(flow.name)
    running.queuedCount = (await store.counts(flow.name)).queued
    flows.set(flow.name, running)
    const intake = makeIntake({
      flow,
      store,
      clock,
      limits,
      outcomes,
      queued: () => running.queuedCount,
      isTravelling: id => travelling.has(id),
      answer: (id, incoming) => answers.accepted(running, id, incoming),
      onAccepted(accepted, bytes, isProbe) {
        const at = clock.now()
        if (accepted.duplicate) {
          parts.emit({ type: 'delivery.refused-duplicate', at, flow: flow.name, delivery: accepted.id })
          return
        }
        if (!isProbe) running.queuedCount++
        travelling.add(accepted.id)
        parts.emit({ type: 'delivery.accepted', at, flow: flow.name, delivery: accepted.id, bytes, isProbe })
      },
    })
    try {
      await running.receive(intake)
    } catch (error) {
      flows.delete(flow.name)
      await running.stopReceiving()
      await running.close()
      retryRoutes()
      throw error
    }
    retryRoutes()
    // What was set to wait for a change may find it in the document that starts now.
    await wake(flow.name).catch((thrown: unknown) => {
      // The flow runs all the same; they are due by themselves later.
      log.warn('engine.wake-failed', { flow: flow.name, text: asHubError(thrown).message })
    })
    parts.emit({
      type: 'flow.started',
      at: clock.now(),
      flow: flow.name,
      revision: flow.revision,
      waiting: running.queuedCount,
    })
    dispatcher.poke()
  }

  async function stop(name: string): Promise<void> {
    await halt(name)
    retryRoutes()
  }

  /** One that starts again at once finds its own endpoints free, so others are not asked yet. */
  async function halt(name: string): Promise<void> {
    const running = runningFlow(name)
    await running.stopReceiving()
    await letEnd(attempt => attempt.claimed.flow === name)
    flows.delete(name)
    await running.close()
    parts.emit({ type: 'flow.stopped', at: clock.now(), flow: name })
  }

  /** A path may have become free that another flow waits for. */
  function retryRoutes(): void {
    for (const running of flows.values()) running.retryRoutes()
    answers.recheck(flows.values())
  }

  /** Waits for running attempts, and cuts those short that take longer than the grace time. */
  async function letEnd(isMeant: (attempt: Attempt) => boolean, graceMs = usualGraceMs): Promise<void> {
    const mine = () => [...attempts.values()].filter(isMeant)
    const until = performance.now() + graceMs
    while (mine().length > 0 && performance.now() < until) await pause(20)
    for (const attempt of mine()) attempt.expire(hubErrors.STOPPING())
    while (mine().length > 0) await pause(5)
  }

  async function check(name: string): Promise<readonly LinkCheck[]> {
    const running = runningFlow(name)
    const links = running.prepared.receivers.map(({ link, receiver }) => ({ link, check: () => receiver.check() }))
    const { sender } = running
    if (sender) links.unshift({ link: 'from', check: () => running.checkSender(sender) })
    return Promise.all(
      links.map(async ({ link, check: prove }) => {
        const startedAt = clock.now()
        const result = await prove().catch((thrown: unknown) => ({ ok: false as const, error: asHubError(thrown) }))
        return { link, result, tookMs: clock.now() - startedAt }
      }),
    )
  }

  async function wake(flow?: string, every = false): Promise<number> {
    wakes.set(flow, (wakes.get(flow) ?? 0) + 1)
    for (const running of flows.values()) if (!flow || running.flow.name === flow) running.wake()
    const woken = await store.wake(clock.now(), flow, every)
    dispatcher.poke()
    return woken
  }

  function on(listener: (event: EngineEvent) => void): () => void {
    listeners.add(listener)
    return () => listeners.delete(listener)
  }

  return {
    start: flow => inTurn(flow.name, () => start(flow)),
    stop: name => inTurn(name, () => stop(name)),
    flows: () => [...flows.values()].map(running => running.status()),
    check,
    ...operatorActions({
      parts,
      outcomes,
      travelling,
      answers,
      runningFlow,
      find: name => flows.get(name),
      on,
      poke: () => dispatcher.poke(),
    }),
    wake,
    on,
    idle: () => dispatcher.idle(),
    async close(graceMs) {
      await Promise.all([...flows.values()].map(running => running.stopReceiving()))
      dispatcher.close()
      closing.abort()
      await letEnd(() => true, graceMs)
      // A server that hangs keeps each waiting for a while, and there may be one in each flow.
      await Promise.all([...flows.values()].map(running => running.close()))
      flows.clear()
      stepWatch.end()
      awake.end()
      await crashWatch.close()
    },
  }
}

function pause(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms))
}
