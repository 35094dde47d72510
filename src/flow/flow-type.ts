import type { z } from 'zod'
import type { ReceiverDeclaration, SenderDeclaration } from './adapter.ts'
import type { flowSchema } from './schema.ts'
import type { StepDeclaration } from './step.ts'

type Named<Id extends string, Config> = { readonly [K in Id]: Config }

type SenderOf<D> = D extends SenderDeclaration<infer C, infer Id> ? Named<Id, z.input<C>> : never
type ReceiverOf<D> = D extends ReceiverDeclaration<infer C, infer Id> ? Named<Id, z.input<C>> : never
type StepOf<D> =
  D extends StepDeclaration<infer C, infer Id>
    ? Named<Id, z.input<C>> | (object extends z.input<C> ? Id : never)
    : never

type Keys = z.input<ReturnType<typeof flowSchema>>

/**
 * A flow document as a program may write it, typed by the declarations that exist:
 * `export default { flow: 'x', from: { imap: {…} }, … } satisfies FlowOf<typeof senders, typeof receivers, typeof steps>`.
 * What stands inside a step's own list of steps is checked when it is loaded.
 */
export type FlowOf<
  Senders extends readonly unknown[],
  Receivers extends readonly unknown[],
  Steps extends readonly unknown[],
> = Omit<Keys, 'from' | 'steps' | 'to'> & {
  readonly from: SenderOf<Senders[number]>
  readonly steps?: readonly StepOf<Steps[number]>[]
  readonly to?: ReceiverOf<Receivers[number]> | readonly ReceiverOf<Receivers[number]>[]
}
