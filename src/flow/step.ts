import type { z } from 'zod'
import type { ErrorTable } from '../kernel/error.ts'
import type { Limits } from '../kernel/limit.ts'
import type { Log } from '../kernel/log.ts'
import type { Message } from '../kernel/message.ts'
import type { Receipt } from './adapter.ts'
import type { ReceiverNode, StepNode } from './document.ts'
import type { Scope } from './expression.ts'

/** Schemas of the parts that a step may contain; they depend on the adapters and steps that exist. */
export interface SchemaParts {
  /** A list of steps. */
  readonly steps: z.ZodType<readonly StepNode[]>
  /** One receiver, named by its key. */
  readonly receiver: z.ZodType<ReceiverNode>
}

/** Something about a step's configuration that only a look around can tell. */
export interface StepFinding {
  /** Relative to what stands under the step's key. */
  readonly path: readonly (string | number)[]
  readonly message: string
  readonly next: string
}

export interface StepDeclaration<C extends z.ZodType = z.ZodType, Id extends string = string> {
  readonly id: Id
  readonly title: string
  readonly summary: string
  /** The schema of what stands under the step's key. */
  readonly config: (parts: SchemaParts) => C
  readonly examples: readonly { readonly title: string; readonly config: z.input<C> }[]
  readonly errors: ErrorTable
  /** Id of a step that must stand before this one in the same list (`split` for `gather`). */
  readonly after?: string
  /**
   * Names of attributes that it gives to messages, out of what stands under its key in the document, read before it is
   * parsed; undefined: that cannot be told. Left out: it gives none.
   */
  attributes?(written: Readonly<Record<string, unknown>>): readonly string[] | undefined
  /** True when no message goes on behind this step. */
  endsWay?(config: z.output<C>): boolean
  /** Looks at what the schema cannot see, such as files beside the document. */
  lint?(config: z.output<C>, folder: string): Promise<readonly StepFinding[]>
  prepare(context: StepContext<z.output<C>>): Promise<PreparedStep> | PreparedStep
}

export interface StepContext<Config> {
  readonly config: Config
  readonly flow: string
  /** Folder of the flow document; modules and schemas are named relative to it. */
  readonly folder: string
  readonly log: Log
  readonly limits: Limits
  /** Prepares steps inside this one. `name` is its part of the path in receipts and logs (`when[0]`). */
  block(name: string, steps: readonly StepNode[], to?: readonly ReceiverNode[]): Promise<Block>
  /** Opens a receiver inside this step. */
  receiver(name: string, node: ReceiverNode): Promise<OpenReceiver>
}

declare const blockBrand: unique symbol
/** Prepared steps inside a step; run with StepRun.enter. */
export interface Block {
  readonly [blockBrand]: true
}

declare const receiverBrand: unique symbol
/** A receiver inside a step; used with StepRun.call. */
export interface OpenReceiver {
  readonly [receiverBrand]: true
}

export interface PreparedStep {
  run(message: Message, run: StepRun): Promise<StepResult> | StepResult
}

/** What a step can do while it runs. A step without `call` must give the same result for the same message. */
export interface StepRun {
  scope(message: Message, locals?: Readonly<Record<string, unknown>>): Scope
  /** Runs a block; `part` numbers repeated runs of the same block (split). */
  enter(block: Block, message: Message, part?: number): Promise<StepResult>
  /** Lets a receiver act once: the receipt is recorded, and after a crash the recorded one is returned. */
  call(receiver: OpenReceiver, message: Message): Promise<Receipt>
  /** Keeps values for a later step of the same block (split → gather). */
  readonly shelf: Map<string, unknown>
  readonly signal: AbortSignal
}

export type StepResult =
  | { readonly next: Message }
  | { readonly end: 'delivered' | 'dropped' | 'rejected' | 'set-aside'; readonly reason: string }

export function defineStep<C extends z.ZodType, const Id extends string>(
  declaration: StepDeclaration<C, Id>,
): StepDeclaration<C, Id> {
  return declaration
}
