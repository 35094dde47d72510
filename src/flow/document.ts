import { DAY } from '../kernel/time.ts'
import type { ReceiverDeclaration, SenderDeclaration } from './adapter.ts'
import type { Expression } from './expression.ts'
import type { StepDeclaration } from './step.ts'

/** A step of a loaded flow: its declaration, its parsed configuration and where it stands (`steps[2].choose[0]`). */
export interface StepNode {
  readonly declaration: StepDeclaration
  readonly config: unknown
  readonly path: string
}

export interface ReceiverNode {
  readonly declaration: ReceiverDeclaration
  readonly config: unknown
  readonly path: string
}

export interface SenderNode {
  readonly declaration: SenderDeclaration
  readonly config: unknown
}

export interface RetryPolicy {
  /** Wait before the second attempt; it doubles each time. */
  readonly everyMs: number
  /** The longest wait. */
  readonly upToMs: number
  /** After this time the delivery is set aside. */
  readonly forMs: number
}

export interface DeliveryPolicy {
  readonly onceBy: Expression | undefined
  readonly orderBy: Expression | undefined
  /** Of messages with the same order key, one with a smaller value than the last delivered one is skipped. */
  readonly onlyNewer: Expression | undefined
  /** What a set-aside delivery does to its successors with the same order key. */
  readonly whenSetAside: 'hold' | 'pass'
  readonly retry: RetryPolicy
  /** Deliveries of this flow that may run at the same time. */
  readonly parallel: number
}

/** What becomes of a message, as far as another flow may be told. */
export const answeredStates = ['accepted', 'delivered', 'set-aside', 'rejected', 'dropped', 'skipped'] as const

export type AnsweredState = (typeof answeredStates)[number]

/** The flow that gets a message for what became of each message of this one. */
export interface AnswerPolicy {
  readonly to: string
  readonly on: readonly AnsweredState[]
  /** How long an answer waits, so that it does not overtake what the sender is told in the call itself. */
  readonly afterMs: number
}

export interface Retention {
  /** How long a finished delivery, its body and its log are kept. */
  readonly deliveredMs: number
  /** How long a set-aside delivery waits for a person. */
  readonly setAsideMs: number
}

/** How long a flow keeps that says nothing of it. */
export const defaultRetention: Retention = { deliveredMs: 30 * DAY, setAsideMs: 90 * DAY }

export interface Expectations {
  /** An alert is raised when nothing was accepted for so long. */
  readonly quietMs: number | undefined
  /** A probe of the hub's own is sent this often, and an alert raised when its receipt does not come. */
  readonly probe: { readonly everyMs: number; readonly withinMs: number } | undefined
}

/** A flow document after lint: typed, with its parameters filled in. The engine runs these. */
export interface LoadedFlow {
  readonly name: string
  readonly about: string
  readonly owner: string | undefined
  readonly stage: string
  readonly params: Readonly<Record<string, unknown>>
  readonly from: SenderNode
  readonly steps: readonly StepNode[]
  readonly to: readonly ReceiverNode[]
  readonly delivery: DeliveryPolicy
  readonly answer: AnswerPolicy | undefined
  readonly keep: Retention
  readonly expect: Expectations
  /** Names of alert channels from isthmus.yaml; empty: the default ones. */
  readonly alert: readonly string[]
  /** Absolute path of the document, and the folder its modules are named from. */
  readonly file: string
  readonly folder: string
  /** sha256 (hex, 12 letters) of document, parameters and named files: a change of it is a change of the flow. */
  readonly revision: string
}
