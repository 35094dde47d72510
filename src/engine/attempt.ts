import type { Effect, Outcome, Receipt } from '../flow/adapter.ts'
import type { Scope } from '../flow/expression.ts'
import type { StepResult, StepRun } from '../flow/step.ts'
import { asHubError, type HubError, hubErrors } from '../kernel/error.ts'
import type { JsonObject } from '../kernel/json.ts'
import type { KeyMapWrite } from '../kernel/key-map.ts'
import type { Limits } from '../kernel/limit.ts'
import type { Message } from '../kernel/message.ts'
import { type Clock, SECOND } from '../kernel/time.ts'
import type { Claimed, Store, StoredReceipt } from '../store/port.ts'
import { engineErrors } from './errors.ts'
import type { PreparedBlock, PreparedFlow, PreparedReceiver } from './prepared-flow.ts'
import { endPlace, ReceiptNames } from './receipt-names.ts'
import { messageOf, unreadableOf } from './stored-message.ts'

export type AttemptEnd =
  | { readonly state: Outcome['state']; readonly summary: string; readonly result: Message }
  | {
      readonly state: 'failed'
      readonly error: HubError
      /** Why the attempt was ended from outside, where it was; `error` then says how the receiver took it. */
      readonly expiry: HubError | undefined
    }

/** How long a receiver that is told to end may take to say how far it came. */
const settleMs = SECOND

export interface AttemptOptions {
  readonly claimed: Claimed
  readonly prepared: PreparedFlow
  readonly store: Pick<Store, 'receipt' | 'bodies'>
  readonly clock: Clock
  /** How long the engine has watched steps. */
  watchedMs(): number
  readonly limits: Limits
  /** Until when a caller waits for the end of this delivery. */
  awaitedUntil(id: string): number | undefined
  /** Says why the message must not be delivered any more, where a newer one was before it. */
  overtaken?(message: Message): Promise<string | undefined>
  /** A receiver answered or failed; for its state in health. */
  onReceiver(receiver: PreparedReceiver, error: HubError | undefined): void
}

/**
 * One try of one delivery: runs the steps again from the start, but an effect that has its receipt already is not
 * repeated (steps without effects are pure, so they come to the same result as before).
 */
export class Attempt {
  readonly claimed: Claimed
  readonly begunAt: number
  /** When (of `watchedMs`) the step or receiver that runs now began, and where; the engine ends it when it takes too long. */
  stepSinceMs: number
  where = 'steps'
  readonly #options: AttemptOptions
  readonly #controller = new AbortController()
  readonly #receipts: Map<string, StoredReceipt>
  #madeNames: ReceiptNames | undefined
  /** Receipts that are not durable yet; they become so before the next effect, or together with the end. */
  #unsaved: StoredReceipt[] = []
  #intended: string[] = []
  #terms: string[] = []
  #summary = ''
  #lastFields: JsonObject | undefined
  #reject: ((error: HubError) => void) | undefined
  #expiry: HubError | undefined
  #isOver = false

  constructor(options: AttemptOptions) {
    this.#options = options
    this.claimed = options.claimed
    this.begunAt = options.clock.now()
    this.stepSinceMs = options.watchedMs()
    this.#receipts = new Map(receiptsThatCount(options.claimed).map(receipt => [receipt.effect, receipt]))
  }

  /** Never throws: what goes wrong is the end `failed`. */
  async run(): Promise<AttemptEnd> {
    try {
      return await new Promise<AttemptEnd>((resolve, reject) => {
        this.#reject = reject
        this.#travel().then(resolve, reject)
      })
    } catch (thrown) {
      return { state: 'failed', error: asHubError(thrown), expiry: this.#expiry }
    } finally {
      this.#isOver = true
    }
  }

  /**
   * Ends the attempt from outside (time is over, the hub stops). The receiver is heard for a moment, since only it knows
   * whether the other side has the message; what runs on after that can record nothing any more.
   */
  expire(reason: HubError): void {
    if (this.#expiry) return
    this.#expiry = reason
    this.#controller.abort(reason)
    setTimeout(() => {
      this.#isOver = true
      this.#reject?.(engineErrors.OUTCOME_UNKNOWN({ where: this.where }))
    }, settleMs)
  }

  /** Receipts and words that are to be stored together with the end. */
  takeUnsaved(): { readonly receipts: readonly StoredReceipt[]; readonly terms: readonly string[] } {
    const receipts = this.#unsaved
    this.#unsaved = []
    return { receipts, terms: this.#terms }
  }

  /** What the last receiver that took it said. */
  get lastFields(): JsonObject | undefined {
    return this.#lastFields
  }

  /** Intents of which nothing is known: when the failure says that nothing happened they are withdrawn. */
  openIntents(): readonly string[] {
    return this.#intended
  }

  async #travel(): Promise<AttemptEnd> {
    const unreadable = unreadableOf(this.claimed)
    if (unreadable) throw unreadable
    const message = messageOf(this.claimed, this.#options.store.bodies)
    const overtaken = await this.#options.overtaken?.(message)
    if (overtaken !== undefined) return { state: 'skipped', summary: overtaken, result: message }
    const result = await this.#runBlock(this.#options.prepared.top, message, '')
    // A flow whose top level has no receiver ends well when its steps did.
    if ('next' in result) return { state: 'delivered', summary: this.#summary || 'all steps done', result: result.next }
    const summary = result.end === 'delivered' ? this.#summary || result.reason : result.reason
    return { state: result.end, summary, result: this.#last ?? message }
  }

  #last: Message | undefined

  async #runBlock(block: PreparedBlock, incoming: Message, prefix: string): Promise<StepResult> {
    let message = incoming
    if (block.steps.length > 0) {
      const shelf = new Map<string, unknown>()
      for (const [index, step] of block.steps.entries()) {
        const path = `${prefix}steps[${index}]`
        this.#enterStep(`${path} (${block.stepIds[index]})`)
        const result = await step.run(message, this.#stepRun(path, shelf))
        if (!('next' in result)) {
          this.#last ??= message
          return result
        }
        message = result.next
      }
    }
    if (block.to.length === 0) return { next: message }
    this.#last = message
    await this.#deliverToAll(block.to, message, prefix)
    return { end: 'delivered', reason: this.#summary }
  }

  /** Every receiver is tried, so that a dead one does not keep the message from the others; then the first error counts. */
  async #deliverToAll(to: readonly PreparedReceiver[], message: Message, prefix: string): Promise<void> {
    const only = to.length === 1 ? to[0] : undefined
    if (only) {
      await this.#act(only, message, `${prefix}${only.name}`)
      return
    }
    const errors: HubError[] = []
    for (const receiver of to) {
      try {
        await this.#act(receiver, message, `${prefix}${receiver.name}`)
      } catch (thrown) {
        if (this.#isOver) throw thrown
        errors.push(asHubError(thrown))
      }
    }
    const [first] = errors
    if (!first) return
    // What may still succeed by itself decides: one that is refused for good must not end the others' retries.
    throw errors.find(error => error.retry === 'soon') ?? errors.find(error => error.retry === 'after-change') ?? first
  }

  /** Lets a receiver act once over all attempts. */
  async #act(target: PreparedReceiver, message: Message, place: string): Promise<Receipt> {
    const path = this.#effectAt(place, target, message)
    const recorded = this.#receipts.get(path)
    if (recorded?.state === 'done') {
      this.#summary = recorded.summary
      const receipt = receiptOf(recorded)
      this.#lastFields = receipt.fields
      this.#terms.push(...termsOf(recorded))
      return receipt
    }
    await this.#saveReceipts()
    this.#enterStep(path)
    const { clock, onReceiver } = this.#options
    const effect: Effect = {
      key: path === endPlace ? `${this.claimed.id}/${path}` : this.#names.keyOf(path, target),
      attempt: this.claimed.attemptCount + 1,
      isUnknown: recorded?.state === 'intended',
      note: recorded?.fields,
      scope: this.#scope(message),
      signal: this.#controller.signal,
      awaitedUntil: this.#options.awaitedUntil(this.claimed.id),
      intend: note => this.#intend(path, note),
      isFirst: (name, summary) => this.#isFirst(`${path} ${name}`, summary),
      unlearn: (summary, remember) => this.#unlearn(`${path} in doubt`, summary, remember),
    }
    let receipt: Receipt
    try {
      receipt = await target.receiver.deliver(message, effect)
    } catch (thrown) {
      const error = asHubError(thrown)
      if (!this.#isOver) onReceiver(target, error)
      // In doubt for good: the known failure of another receiver must not withdraw this intent.
      if (error.isOutcomeUnknown || error.code === hubErrors.UNEXPECTED.code) this.#forgetIntent(path)
      throw error
    }
    if (this.#isOver) throw engineErrors.OUTCOME_UNKNOWN({ where: path })
    onReceiver(target, undefined)
    const stored: StoredReceipt = {
      effect: path,
      state: 'done',
      at: clock.now(),
      summary: receipt.summary,
      fields: fieldsToKeep(receipt),
      answer: receipt.answer,
      ...(receipt.remember && { remember: receipt.remember }),
    }
    this.#receipts.set(path, stored)
    this.#unsaved.push(stored)
    this.#forgetIntent(path)
    if (receipt.terms) this.#terms.push(...receipt.terms)
    this.#summary = receipt.summary
    this.#lastFields = receipt.fields
    return receipt
  }

  /**
   * What a receipt is filed under. A flow whose only receiver stands at its end ends with its receipt, so the place is
   * enough; else one for something else must not pass for this one.
   */
  #effectAt(place: string, target: PreparedReceiver, message: Message): string {
    const isEnd = place === endPlace && this.#options.prepared.receivers.length === 1
    if (isEnd && (this.#receipts.size === 0 || this.#receipts.has(place))) return place
    return this.#names.known(place, target, message) ?? (isEnd ? place : this.#names.fresh(place, target, message))
  }

  /** Made where it is needed: most flows need none. */
  get #names(): ReceiptNames {
    const { claimed, prepared } = this.#options
    this.#madeNames ??= new ReceiptNames(claimed, prepared.flow.revision, this.#receipts.values())
    return this.#madeNames
  }

  async #intend(path: string, note: JsonObject | undefined): Promise<void> {
    if (this.#isOver) throw engineErrors.OUTCOME_UNKNOWN({ where: path })
    const receipt: StoredReceipt = {
      effect: path,
      state: 'intended',
      at: this.#options.clock.now(),
      summary: 'handing over',
      fields: note,
      answer: undefined,
    }
    if (!this.#intended.includes(path)) this.#intended.push(path)
    await this.#options.store.receipt(this.claimed, receipt)
    if (this.#isOver) throw engineErrors.OUTCOME_UNKNOWN({ where: path })
  }

  async #isFirst(path: string, summary: string): Promise<boolean> {
    // A later attempt goes on from here, and asks again.
    if (this.#isOver || this.#receipts.has(path)) return false
    const at = this.#options.clock.now()
    const note: StoredReceipt = { effect: path, state: 'done', at, summary, fields: undefined, answer: undefined }
    this.#receipts.set(path, note)
    await this.#options.store.receipt(this.claimed, note)
    return true
  }

  #unlearn(path: string, summary: string, remember: readonly KeyMapWrite[]): void {
    const at = this.#options.clock.now()
    // It came to nothing that a replay could build on.
    this.#unsaved.push({
      effect: path,
      state: 'withdrawn',
      at,
      summary,
      fields: undefined,
      answer: undefined,
      remember,
    })
  }

  #forgetIntent(path: string): void {
    this.#intended = this.#intended.filter(intended => intended !== path)
  }

  async #saveReceipts(): Promise<void> {
    if (this.#unsaved.length === 0) return
    const receipts = this.#unsaved
    this.#unsaved = []
    await Promise.all(receipts.map(receipt => this.#options.store.receipt(this.claimed, receipt)))
  }

  #stepRun(path: string, shelf: Map<string, unknown>): StepRun {
    return {
      shelf,
      signal: this.#controller.signal,
      scope: (message, locals) => this.#scope(message, locals),
      enter: (block, message, part) => {
        const prepared = block as unknown as PreparedBlock
        const number = part === undefined ? '' : `[${part}]`
        return this.#runBlock(prepared, message, `${path}.${prepared.name}${number}.`)
      },
      call: async (receiver, message) => {
        const prepared = receiver as unknown as PreparedReceiver
        return this.#act(prepared, message, `${path}.${prepared.name}`)
      },
    }
  }

  #scope(message: Message, locals?: Readonly<Record<string, unknown>>): Scope {
    const { params, name, stage } = this.#options.prepared.flow
    const scope = { message, params, flow: { name, stage }, limits: this.#options.limits }
    return locals ? { ...scope, locals } : scope
  }

  #enterStep(where: string): void {
    if (this.#isOver) throw engineErrors.OUTCOME_UNKNOWN({ where })
    if (this.#expiry) throw this.#expiry
    this.stepSinceMs = this.#options.watchedMs()
    this.where = where
  }
}

/** Words and kind stand with the fields, so that a later attempt knows them too. */
function fieldsToKeep({ fields, terms, isQuestion }: Receipt): JsonObject | undefined {
  if (!terms && !isQuestion) return fields
  return { ...fields, ...(terms && { terms }), ...(isQuestion && { isQuestion }) }
}

/**
 * Who replays a message has often mended what it asked for: old answers count only where something was done after them,
 * perhaps with them.
 */
function receiptsThatCount({ attemptCount, receipts }: Claimed): readonly StoredReceipt[] {
  if (attemptCount > 0) return receipts
  const isDone = ({ state, fields }: StoredReceipt) => state !== 'withdrawn' && fields?.['isQuestion'] !== true
  return receipts.slice(0, receipts.findLastIndex(isDone) + 1)
}

function termsOf({ fields }: StoredReceipt): readonly string[] {
  const terms = fields?.['terms']
  return Array.isArray(terms) ? terms.filter(term => typeof term === 'string') : []
}

/** As the receiver gave it: what a flow makes of it shall be the same in each attempt. */
function receiptOf({ summary, fields = {}, answer }: StoredReceipt): Receipt {
  const { terms: _terms, isQuestion: _isQuestion, ...own } = fields
  return { summary, ...(Object.keys(own).length > 0 && { fields: own }), ...(answer && { answer }) }
}
