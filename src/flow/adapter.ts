import type { z } from 'zod'
import type { CredentialLookup } from '../kernel/credential.ts'
import type { ErrorTable, HubError } from '../kernel/error.ts'
import type { ServeRoute } from '../kernel/http-exchange.ts'
import type { Json, JsonObject } from '../kernel/json.ts'
import type { KeyMap, KeyMapWrite } from '../kernel/key-map.ts'
import type { Limits } from '../kernel/limit.ts'
import type { Log } from '../kernel/log.ts'
import type { Message } from '../kernel/message.ts'
import type { CheckResult, Connect } from '../kernel/socket.ts'
import type { Clock } from '../kernel/time.ts'
import type { Scope } from './expression.ts'

export interface Example<C extends z.ZodType> {
  readonly title: string
  readonly config: z.input<C>
}

interface Declaration<C extends z.ZodType, Id extends string> {
  /** The one key that names it in a flow document. */
  readonly id: Id
  readonly title: string
  /** One sentence for the reference, the console and completion. */
  readonly summary: string
  readonly config: C
  readonly examples: readonly Example<C>[]
  readonly errors: ErrorTable
}

interface AdapterContext<Config> {
  readonly config: Config
  readonly flow: string
  readonly log: Log
  /** Aborts when the flow stops. */
  readonly signal: AbortSignal
  readonly clock: Clock
  readonly limits: Limits
  readonly connect: Connect
  readonly credential: CredentialLookup
  /** What flows keep of a key over messages; undefined where a receiver stands outside of a flow (alert mails). */
  readonly keyMap?: KeyMap
  /** Folder of the flow document; modules and files it names are relative to it. */
  readonly folder: string
}

// ---- senders -------------------------------------------------------------------------------------------------------

export interface SenderDeclaration<C extends z.ZodType = z.ZodType, Id extends string = string>
  extends Declaration<C, Id> {
  readonly kind: 'sender'
  /**
   * Names of the attributes that its messages can have, for the lint of expressions; left out where only the other side
   * knows them, and every name passes then.
   */
  readonly attributes?: readonly string[]
  /** Expressions for what `delivery` leaves unsaid in the document. */
  readonly delivery?: { readonly 'order-by'?: string; readonly 'only-newer'?: string }
  /**
   * True when whoever sent a message with these attributes waits for its result: that is then kept with the delivery, so
   * that the same question after a lost connection or a restart gets the same answer.
   */
  keepsResult?(config: z.output<C>, attributes: JsonObject): boolean
  /**
   * The message that it makes of one thing that comes to it (the bytes of a mail), for the trial of a flow. Left out where
   * it serves an endpoint, which a trial calls, and where it hands over what it gets as it is.
   */
  sample?(config: z.output<C>, body: Uint8Array): Incoming
  /**
   * The request that brings a document to the endpoint, for the trial of a flow whose author has the document and not what
   * systems put around it. Undefined for what can come as it is.
   */
  sampleRequest?(
    config: z.output<C>,
    given: GivenDocument,
  ): SampleRequest | undefined | Promise<SampleRequest | undefined>
  open(context: SenderContext<z.output<C>>): Promise<Sender>
}

export interface GivenDocument {
  readonly body: Uint8Array
  /** Undefined where nobody says what it is. */
  readonly type: string | undefined
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  /** The flow hands on to nobody: whoever calls it wants to know what it makes of the document. */
  readonly isQuestion: boolean
}

export interface SampleRequest {
  readonly type: string
  readonly body: Uint8Array
  /** Fields of the url. */
  readonly query?: Readonly<Record<string, string>>
  /** What was made up, for people. */
  readonly filledIn: string
}

export interface SenderContext<Config> extends AdapterContext<Config> {
  readonly intake: Intake
  /** Small durable values of this flow's sender (UIDVALIDITY, a delta token). */
  readonly memory: SenderMemory
  /**
   * Asks the hub to serve an HTTP endpoint for this flow. While another flow has the path the link is shown as down; it
   * is served as soon as the path is free.
   */
  readonly serve: ServeRoute
  /**
   * Runs one link (a mailbox, a schedule) until the signal aborts: when `run` throws, the link is shown as down with
   * the error, and tried again after a growing wait (honouring retryAfterMs). `run` calls `up` once it stands.
   */
  supervise(link: string, run: (link: Link) => Promise<void>): Promise<void>
}

export interface Link {
  readonly signal: AbortSignal
  /** The link works now; `detail` is shown in health. */
  up(detail: string): void
  /** A message came over it: however soon it breaks again, it is worth to be tried again soon. */
  moved(): void
  /** The link works, but this went wrong (a message that could not be read); shown and counted, not retried. */
  trouble(error: HubError): void
  /**
   * The link works, but something stays undone until somebody changes something (mails that may not be moved): shown
   * for as long as it lasts, and an alert when that is long. Undefined: it is over.
   */
  stuck(error: HubError | undefined): void
}

export interface Sender {
  /** Hands over messages until the signal aborts. It ends only then; errors of links go through `supervise`. */
  receive(): Promise<void>
  /** Proves that every link works now. */
  check(): Promise<CheckResult>
  /** Puts a probe message of the hub's own at the very start of the way; it carries `token` (see Incoming.probe). */
  probe?(token: string): Promise<void>
  close(): Promise<void>
}

/** A message as a sender hands it over. */
export interface Incoming {
  readonly headers: Readonly<Record<string, string>>
  readonly attributes: JsonObject
  readonly type: string
  /**
   * Held bytes, or a stream that is written to the body store as it comes. The hub is done with a chunk when it asks for
   * the next, so its memory may be used again.
   */
  readonly body: Uint8Array | AsyncIterable<Uint8Array>
  /** Identity at the source (`orders@x/INBOX/1700000000/42`). A second one with the same identity is never accepted. */
  readonly sourceKey?: string
  /**
   * Tells a repeat (same mail under a new UID) from a resend: the key is remembered together with a fingerprint of the body;
   * with `refuse` a message whose pair is known already is a duplicate.
   */
  readonly repeat?: { readonly key: string; readonly refuse: boolean }
  /** Words by which people look for this message: Message-ID, DOCNUM. */
  readonly terms?: readonly string[]
  /**
   * Why the sender cannot make messages of it: the bytes are kept as a message that is set aside at once with this error
   * and passes no step.
   */
  readonly unreadable?: HubError
  /** Token of a probe of ours that came through; such a message is not counted as traffic, and a second one refused. */
  readonly probe?: string
}

export type Accepted = {
  readonly id: string
  /** True when it was accepted before (by sourceKey, repeat or once-by); the id is then the earlier one's. */
  readonly duplicate: boolean
}

/** How a delivery ended. */
export interface Outcome {
  readonly id: string
  readonly state: 'delivered' | 'dropped' | 'rejected' | 'set-aside' | 'skipped'
  /** Text of the last receipt, or why it did not arrive. */
  readonly summary: string
  readonly error?: { readonly code: string; readonly side: string; readonly message: string; readonly next: string }
  /** The message as it stood at the end of the flow, for senders that answer (https). */
  readonly result?: Message
}

export interface Known {
  readonly id: string
  /** `held`: on its way, but behind one of its order key that is set aside until somebody decides. */
  readonly state: 'working' | 'held' | Outcome['state']
}

/** The hub's side of a sender. */
export interface Intake {
  /**
   * Resolves once the message and its keys are durable. Throws ENGINE_QUEUE_FULL (come back later), BODY_TOO_LARGE,
   * ENGINE_HEADERS_TOO_LARGE; a body stream that throws leaves nothing behind.
   */
  accept(incoming: Incoming): Promise<Accepted>
  /** The same for several, one after the other: all of them are taken in, or none. */
  acceptAll(incoming: readonly Incoming[]): Promise<readonly Accepted[]>
  /** What the hub knows of these source keys; keys it never saw are left out. */
  known(sourceKeys: readonly string[]): Promise<ReadonlyMap<string, Known>>
  /** Attributes of a message that was accepted; undefined for one that the hub does not keep any more. */
  attributes(id: string): Promise<JsonObject | undefined>
  /**
   * Waits for the end of a delivery; undefined when the signal aborts first, or as soon as it is known that the end cannot
   * come until `until` (milliseconds since 1970). Throws STORE_NOT_FOUND for one that the hub does not keep any more.
   */
  outcome(id: string, signal?: AbortSignal, until?: number): Promise<Outcome | undefined>
}

export interface SenderMemory {
  get(name: string): Promise<Json | undefined>
  set(name: string, value: Json): Promise<void>
}

// ---- receivers -----------------------------------------------------------------------------------------------------

export interface ReceiverDeclaration<C extends z.ZodType = z.ZodType, Id extends string = string>
  extends Declaration<C, Id> {
  readonly kind: 'receiver'
  /** True when its receipt carries an answer that a `call` or `enrich` step can use. */
  readonly answers: boolean
  /** The setting by which the other side keeps messages in order; it can only keep the order in which they come. */
  orderedBy?(config: z.output<C>): string | undefined
  open(context: ReceiverContext<z.output<C>>): Promise<Receiver>
}

export type ReceiverContext<Config> = AdapterContext<Config>

export interface Receiver {
  /** Hands the message over and returns what the other side answered; throws a HubError with the right retry class. */
  deliver(message: Message, effect: Effect): Promise<Receipt>
  /** What it holds back now although nothing has failed; undefined where nothing waits. */
  waiting?(): Waiting | undefined
  check(): Promise<CheckResult>
  close(): Promise<void>
}

/** Requests that wait before they go out. */
export interface Waiting {
  readonly count: number
  /** Why, for people; the other side's wish, or a limit by its name. */
  readonly reason: string
}

/** One effect of one delivery: the same over all attempts and crashes. */
export interface Effect {
  /** Stable idempotency key, for other sides that know one. */
  readonly key: string
  /** 1 for the first attempt. */
  readonly attempt: number
  /**
   * True when an earlier attempt announced with `intend` ended without a known outcome (a crash, a lost connection):
   * the other side may have it already. Ask it, repeat, or throw, as the receiver's configuration says.
   */
  readonly isUnknown: boolean
  /** What that attempt noted with `intend`. */
  readonly note?: JsonObject | undefined
  /** Values for templates in the receiver's configuration. */
  readonly scope: Scope
  /** Aborts when the step's time is over or the hub stops. */
  readonly signal: AbortSignal
  /** Until then a caller waits for the answer, milliseconds since 1970; undefined: nobody does. */
  readonly awaitedUntil?: number | undefined
  /**
   * Records, durably, that the other side may accept from now on. Await it before the point of no return. The note says
   * how a later attempt can learn what became of it, and takes the place of an earlier one.
   */
  intend(note?: JsonObject): Promise<void>
  /**
   * For what goes out beside the effect and must not be repeated with it (a bounce): true at the first time over all
   * attempts, noted durably under `name` before it returns. A crash may cost it, and never doubles it.
   */
  isFirst(name: string, summary: string): Promise<boolean>
  /**
   * Writes into key maps that hold although the attempt fails, in one commit with its end: what was remembered of the other
   * side is in doubt.
   */
  unlearn(summary: string, writes: readonly KeyMapWrite[]): void
}

/** What the other side answered. */
export interface Receipt {
  /** One line for people: `250 2.0.0 Ok: queued as 4F2A1`. */
  readonly summary: string
  readonly fields?: JsonObject
  /** Ids the other side gave, to find the message from that end. */
  readonly terms?: readonly string[]
  /** It only asked: a replay asks anew, unless something was done after it. */
  readonly isQuestion?: true
  /** Written into the key maps of the hub, in one commit with this receipt. */
  readonly remember?: readonly KeyMapWrite[]
  /** The answer of a request (http), for call and enrich. */
  readonly answer?: {
    readonly headers: Readonly<Record<string, string>>
    readonly type: string
    readonly body: Uint8Array
  }
}

export function defineSender<C extends z.ZodType, const Id extends string>(
  declaration: Omit<SenderDeclaration<C, Id>, 'kind'>,
): SenderDeclaration<C, Id> {
  return { kind: 'sender', ...declaration }
}

export function defineReceiver<C extends z.ZodType, const Id extends string>(
  declaration: Omit<ReceiverDeclaration<C, Id>, 'kind'>,
): ReceiverDeclaration<C, Id> {
  return { kind: 'receiver', ...declaration }
}
