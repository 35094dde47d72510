import type { Incoming } from '../flow/adapter.ts'
import type { AnsweredState, AnswerPolicy } from '../flow/document.ts'
import { parseId } from '../kernel/id.ts'
import type { JsonObject } from '../kernel/json.ts'
import type { Claimed, NewDelivery, StoredError } from '../store/port.ts'
import type { EngineParts } from './engine.ts'
import { engineErrors } from './errors.ts'
import { type Persistence, persist } from './persist.ts'
import type { RunningFlow } from './running-flow.ts'
import { unreadableOf } from './stored-message.ts'

export interface AnswersOptions {
  readonly parts: Pick<EngineParts, 'store' | 'clock' | 'emit'>
  readonly persistence: Persistence
  find(flow: string): RunningFlow | undefined
  /** Deliveries accepted here whose end has not come yet. */
  readonly travelling: Set<string>
}

/** What became of a message. */
export interface AnswerFacts {
  /** Its id. */
  readonly message: string
  readonly state: AnsweredState
  readonly at: number
  readonly summary: string
  readonly error: StoredError | undefined
  /** Fields of the last receipt: what the other side said. */
  readonly receipt: JsonObject | undefined
  /** Attributes that the sender gave the message. */
  readonly attributes: JsonObject
  /** Tells the times apart that one message was set aside, since it was replayed. */
  readonly requeueCount: number
}

/** Tells the flow that another one names under `answer` what became of its messages: durably, and once. */
export class Answers {
  readonly #options: AnswersOptions

  constructor(options: AnswersOptions) {
    this.#options = options
  }

  isAsked(
    { flow }: RunningFlow,
    message: { readonly isProbe: boolean; readonly attributes: JsonObject },
    state: AnsweredState,
  ): boolean {
    // Who sent what nobody can read was told so in the answer of the call.
    return !message.isProbe && (flow.answer?.on.includes(state) ?? false) && !unreadableOf(message)
  }

  /** Resolves when it is durable; the same facts a second time change nothing. */
  async give(running: RunningFlow, facts: AnswerFacts): Promise<void> {
    const { flow } = running
    if (!flow.answer) return
    const { to, on } = flow.answer
    // A message can end before the intake comes to say that it was accepted: who is told must hear that first.
    if (facts.state !== 'accepted' && on.includes('accepted')) await this.give(running, asAccepted(facts))
    const { parts, persistence, travelling } = this.#options
    const delivery = answerDelivery(flow.name, flow.answer, facts)
    const accepted = await persist(persistence, 'answer', () => parts.store.accept(delivery))
    const target = this.#options.find(to)
    running.onAnswer(to, target ? undefined : engineErrors.ANSWER_WAITS({ flow: flow.name, to }))
    if (accepted.duplicate || !target) return
    target.queuedCount++
    travelling.add(accepted.id)
    const bytes = delivery.body.bytes
    const { id } = accepted
    parts.emit({ type: 'delivery.accepted', at: parts.clock.now(), flow: to, delivery: id, bytes, isProbe: false })
  }

  /** For a message that was taken in just now, or earlier. */
  async accepted(running: RunningFlow, message: string, { attributes, probe, unreadable }: Incoming): Promise<void> {
    if (unreadable || !this.isAsked(running, { isProbe: probe !== undefined, attributes }, 'accepted')) return
    await this.give(running, asAccepted({ message, attributes, at: this.#options.parts.clock.now() }))
  }

  /**
   * For an answer that somebody sends off again: words where a later one about the same message has been told, which would
   * be taken back by it (SAP shows the last status that it got). Undefined for all other deliveries.
   */
  overtaken({ id, flow, orderKey = '', requeueCount }: Claimed): (() => Promise<string | undefined>) | undefined {
    const message = orderKey.startsWith(orderPrefix) ? orderKey.slice(orderPrefix.length) : ''
    if (requeueCount === 0 || parseId(message) === undefined) return undefined
    return async () => {
      const query = { flow, term: message, state: 'delivered', limit: toldMax } as const
      const told = await this.#options.parts.store.find(query)
      const later = told.find(row => row.id > id && row.replayOf === undefined)
      return later && `superseded: ${later.id} told of message ${message} what came later`
    }
  }

  /** A flow started or stopped: those that waited for it may find it. */
  recheck(flows: Iterable<RunningFlow>): void {
    for (const running of flows) {
      const to = running.flow.answer?.to
      if (to !== undefined && this.#options.find(to)) running.onAnswer(to, undefined)
    }
  }
}

const orderPrefix = 'answer '
/** Answers about one message that are looked at; it has a handful, and each may have been replayed. */
const toldMax = 100

function asAccepted({ message, attributes, at }: Pick<AnswerFacts, 'message' | 'attributes' | 'at'>): AnswerFacts {
  return {
    message,
    attributes,
    at,
    state: 'accepted',
    summary: 'accepted',
    error: undefined,
    receipt: undefined,
    requeueCount: 0,
  }
}

/**
 * The message that tells flow `to` of it: attributes of the message it is about, with `outcome`; a JSON body with the
 * rest. Its key makes that it is told once; answers about one message go one after the other.
 */
function answerDelivery(flow: string, { to, afterMs }: AnswerPolicy, facts: AnswerFacts): NewDelivery {
  const { message, state, at, summary, error, receipt, attributes, requeueCount } = facts
  const body: JsonObject = {
    flow,
    message,
    state,
    at: new Date(at).toISOString(),
    summary,
    error: error ? { ...error } : null,
    receipt: receipt ?? null,
  }
  const inline = Buffer.from(JSON.stringify(body))
  return {
    flow: to,
    // Every other end comes once.
    keys: [`answer ${flow} ${message} ${state} ${state === 'set-aside' ? requeueCount : 0}`],
    remember: [],
    orderKey: `${orderPrefix}${message}`,
    // A later answer about the same message says more than an earlier one that could not be told.
    holds: false,
    headers: {},
    attributes: { ...attributes, outcome: state },
    body: { bytes: inline.length, type: 'application/json', sha256: undefined, inline },
    terms: [message],
    acceptedAt: at,
    isProbe: false,
    replayOf: undefined,
    ...(afterMs > 0 && { dueAt: at + afterMs }),
  }
}
