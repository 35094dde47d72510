import { z } from 'zod'
import { duration, someTime } from '../kernel/schema.ts'
import { DAY, HOUR, MINUTE } from '../kernel/time.ts'
import type { ReceiverDeclaration, SenderDeclaration } from './adapter.ts'
import { answeredStates, defaultRetention, type ReceiverNode, type StepNode } from './document.ts'
import { intakeExpressionSchema } from './expression-schema.ts'
import { oneKey } from './one-key.ts'
import { declaredParam, paramName } from './params.ts'
import type { SchemaParts, StepDeclaration } from './step.ts'

/** The adapters and steps that exist. */
export interface Declarations {
  readonly senders: readonly SenderDeclaration[]
  readonly receivers: readonly ReceiverDeclaration[]
  readonly steps: readonly StepDeclaration[]
}

const name = (what: string, example: string) =>
  z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,62}$/, `${what} has small letters, digits and hyphens, and begins with a letter`)
    .meta({ examples: [example] })

const expectation = z.strictObject({
  quiet: someTime
    .optional()
    .meta({ description: 'Raise an alert when no message came for so long.', examples: ['4h'] }),
  probe: z
    .union([
      someTime,
      z.strictObject({
        every: someTime.meta({ description: 'How often a probe is sent.', examples: ['15m'] }),
        within: someTime.optional().meta({ description: 'How long its way may take.', examples: ['5m'] }),
      }),
    ])
    .optional()
    .meta({
      description: 'Send a message of the hub’s own through the whole way, and raise an alert when it does not arrive.',
      examples: ['15m'],
    }),
})

const retry = z.strictObject({
  every: someTime
    .default(MINUTE)
    .meta({ description: 'Wait before the second attempt; it doubles each time.', examples: ['1m'] }),
  'up-to': duration.default(HOUR).meta({ description: 'The longest wait between two attempts.', examples: ['1h'] }),
  for: duration.default(2 * DAY).meta({
    description:
      'From the first attempt; after this time the delivery is set aside. Time in which the flow or the hub does not run does not count.',
    examples: ['2d'],
  }),
})

const delivery = z.strictObject({
  'once-by': intakeExpressionSchema.optional().meta({
    description: 'What a message is recognised by; a second one with the same value is not accepted.',
    examples: ["message.headers['message-id']"],
  }),
  'order-by': intakeExpressionSchema.optional().meta({
    description: 'Messages with the same value are delivered one after the other, in their order.',
    examples: ['message.from'],
  }),
  'only-newer': intakeExpressionSchema.optional().meta({
    description:
      'Of messages with the same order-by value, one with a smaller value here (a number that grows) than the last delivered one is skipped: what is older never overwrites what is newer.',
    examples: ['message.docnum'],
  }),
  'when-set-aside': z
    .enum(['hold', 'pass'])
    .default('hold')
    .meta({
      description: 'Whether a delivery that was set aside holds back the next ones of its order-by value.',
      examples: ['hold'],
    }),
  retry: retry.prefault({}).meta({ description: 'How often and how long a failed delivery is tried again.' }),
  parallel: z
    .number()
    .int()
    .min(1)
    .max(1000)
    .default(48)
    .meta({
      description:
        'Deliveries of this flow that run at the same time. More than the receiver has connections is well: some wait for the disk while others send, and those that wait together share one flush.',
      examples: [48],
    }),
})

const answer = z.strictObject({
  to: name('the name of a flow', 's4-acknowledgements').meta({
    description: 'Flow that gets a message for what became of each message of this one; its sender is answers.',
    examples: ['s4-acknowledgements'],
  }),
  on: z
    .array(z.enum(answeredStates))
    .min(1)
    .default(answeredStates.filter(state => state !== 'accepted'))
    .meta({ description: 'What is answered.', examples: [['accepted', 'delivered', 'set-aside']] }),
  after: duration.prefault('5s').meta({
    description:
      'How long an answer waits, so that it does not overtake what the sender is told in the call itself: SAP writes the status of an IDoc that was sent only then.',
  }),
})

const retention = z.strictObject({
  delivered: duration
    .default(defaultRetention.deliveredMs)
    .meta({ description: 'How long a finished delivery and its body are kept.', examples: ['30d'] }),
  'set-aside': duration
    .default(defaultRetention.setAsideMs)
    .meta({ description: 'How long a set-aside delivery waits for a person.', examples: ['90d'] }),
})

/** How one-key things are put into the schema: parsed by their key, or described as a choice of objects. */
export interface Naming {
  sender(senders: readonly SenderDeclaration[]): z.ZodType
  receiver(receivers: readonly ReceiverDeclaration[]): z.ZodType<ReceiverNode>
  step(steps: readonly StepDeclaration[], parts: SchemaParts): z.ZodType<StepNode>
}

// Where a node stands is known only when the whole document is parsed; the loader fills the path in.
const parsing: Naming = {
  sender: senders => oneKey('sender', senders, sender => sender.config),
  receiver: receivers =>
    oneKey('receiver', receivers, receiver => receiver.config).transform(
      (node): ReceiverNode => ({ ...node, path: '' }),
    ),
  step: (steps, parts) =>
    oneKey('step', steps, step => configOf(step, parts)).transform((node): StepNode => ({ ...node, path: '' })),
}

/** The whole schema of a flow document with these adapters and steps. */
export function flowSchema(declarations: Declarations, naming: Naming = parsing) {
  const steps: z.ZodType<readonly StepNode[]> = z.lazy(() => stepList)
  const receiver = naming.receiver(declarations.receivers)
  const stepList = z.array(naming.step(declarations.steps, { steps, receiver })).meta({ id: 'steps' })
  return z.strictObject({
    flow: name('the name of a flow', 'mail-o365-to-s4').meta({
      description: 'Name of the flow, unique in the hub.',
      examples: ['mail-o365-to-s4'],
    }),
    about: z.string().default('').meta({ description: 'What the flow is for, in a sentence.' }),
    owner: z
      .string()
      .optional()
      .meta({ description: 'Who is asked when something is wrong with it.', examples: ['order-to-cash'] }),
    params: z.record(paramName, declaredParam).default({}).meta({
      description:
        'Values that differ between stages; they stand in params/<stage>.yaml, or in globals/<stage>.yaml for all documents of the folder.',
    }),
    from: naming.sender(declarations.senders).meta({ description: 'Where messages come from.' }),
    expect: expectation
      .default({ quiet: undefined, probe: undefined })
      .meta({ description: 'What tells a dead link from a quiet one.' }),
    steps: stepList.default([]).meta({ description: 'What is done with a message, one after the other.' }),
    to: z
      .union([receiver, z.array(receiver)])
      .optional()
      .meta({ description: 'Where messages go: a receiver, or a list of them that all get it.' }),
    delivery: delivery.prefault({}).meta({ description: 'Once, in order, and how failures are tried again.' }),
    answer: answer
      .optional()
      .meta({ description: 'Tells another flow, durably, what became of each message; that flow tells the sender.' }),
    keep: retention.prefault({}).meta({ description: 'How long finished deliveries are kept.' }),
    alert: z
      .union([z.string(), z.array(z.string())])
      .default([])
      .meta({
        description: 'Names of alert channels from isthmus.yaml; the default ones when left out.',
        examples: ['on-call'],
      }),
  })
}

export type FlowDocument = z.output<ReturnType<typeof flowSchema>>

const configs = new WeakMap<SchemaParts, Map<StepDeclaration, z.ZodType>>()

/** The schema of a step, made once for each set of parts. */
export function configOf(step: StepDeclaration, parts: SchemaParts): z.ZodType {
  const made = configs.get(parts) ?? new Map<StepDeclaration, z.ZodType>()
  configs.set(parts, made)
  const config = made.get(step) ?? step.config(parts)
  made.set(step, config)
  return config
}
