import { z } from 'zod'
import type { ReceiverNode, StepNode } from '../flow/document.ts'
import type { Expression, Template } from '../flow/expression.ts'
import { expressionSchema } from '../flow/expression-schema.ts'
import { listEnds } from '../flow/flow-lint.ts'
import {
  type Block,
  defineStep,
  type SchemaParts,
  type StepContext,
  type StepResult,
  type StepRun,
} from '../flow/step.ts'
import type { Message } from '../kernel/message.ts'
import { conditionErrors, endWay, holds, type Otherwise, reasonTemplate } from './condition.ts'

const endings = ['set-aside', 'reject', 'drop'] as const

function branch(parts: SchemaParts) {
  const way = {
    steps: parts.steps
      .optional()
      .meta({ description: 'Steps of this branch; without an end the message then goes on behind choose.' }),
    to: z
      .union([parts.receiver, z.array(parts.receiver)])
      .optional()
      .meta({ description: 'Where messages of this branch go; they end here.' }),
    'set-aside': reasonTemplate.optional(),
    reject: reasonTemplate.optional(),
    drop: reasonTemplate.optional(),
  }
  return z
    .strictObject({
      when: expressionSchema.optional().meta({
        description: 'The first branch whose condition is true is taken.',
        examples: ["message.subject.startsWith('Order')"],
      }),
      otherwise: z
        .strictObject(way)
        .superRefine(checkWay)
        .optional()
        .meta({ description: 'The branch for messages that no condition took; it stands last.' }),
      ...way,
    })
    .superRefine((value, context) => {
      const { when, otherwise, ...rest } = value
      const own = Object.entries(rest).filter(([, set]) => set !== undefined)
      if (when && otherwise)
        refuse(
          context,
          ['otherwise'],
          'A branch has when or otherwise, not both.',
          'Make otherwise an entry of its own, the last one.',
        )
      else if (!when && !otherwise)
        refuse(
          context,
          [],
          'A branch needs when, the condition under which it is taken.',
          'Write when: and a condition, or otherwise: for the last branch.',
        )
      else if (otherwise && own[0])
        refuse(context, [own[0][0]], `${own[0][0]} stands beside otherwise.`, 'Indent it below otherwise.')
      else if (when) checkWay(rest, context)
    })
}

interface Way {
  readonly steps?: readonly StepNode[] | undefined
  readonly to?: ReceiverNode | readonly ReceiverNode[] | undefined
  readonly 'set-aside'?: Template | undefined
  readonly reject?: Template | undefined
  readonly drop?: Template | undefined
}

function checkWay(way: Way, context: z.core.$RefinementCtx): void {
  const ends = [...endings, 'to' as const].filter(name => way[name] !== undefined)
  if (ends.length > 1)
    refuse(
      context,
      [ends[1] ?? ''],
      `A branch ends in one way, and this one has ${ends.join(' and ')}.`,
      'Keep one of them.',
    )
  if (ends.length === 0 && way.steps === undefined) {
    refuse(
      context,
      [],
      'This branch does nothing.',
      'Give it steps, a receiver (to), or an end: set-aside, reject or drop with the reason.',
    )
  }
}

function refuse(context: z.core.$RefinementCtx, path: (string | number)[], message: string, hint: string): void {
  context.addIssue({ code: 'custom', path, message, params: { hint, at: 'key', code: 'FLOW_ORDER' } })
}

export const choose = defineStep({
  id: 'choose',
  title: 'Choose',
  summary: 'Takes the first branch whose condition is true: other steps, another receiver, or an end with a reason.',
  config: parts =>
    z
      .array(branch(parts))
      .min(1)
      .superRefine((branches, context) => {
        const early = branches.findIndex((entry, index) => entry.otherwise && index < branches.length - 1)
        if (early >= 0)
          refuse(context, [early, 'otherwise'], 'otherwise is not the last branch.', 'Move it to the end.')
        if (branches.length === 1 && branches[0]?.otherwise && !branches[0].when)
          refuse(
            context,
            [0, 'otherwise'],
            'There is no branch before otherwise.',
            'Write a branch with when before it.',
          )
      }),
  examples: [
    {
      title: 'By recipient, too large ones refused',
      config: [
        { when: 'message.size > 30 * 1024 * 1024', reject: 'The mail is too large' },
        { when: "message.to.exists(a, a.endsWith('@de.contoso.com'))", steps: [] },
        { otherwise: { 'set-aside': 'No rule for ${message.to}' } },
      ],
    },
  ],
  errors: conditionErrors,
  endsWay: branches =>
    branches.at(-1)?.otherwise !== undefined && branches.every(entry => endsBranch(entry.otherwise ?? entry)),
  async prepare(context) {
    const ways: PreparedWay[] = []
    for (const [index, entry] of context.config.entries()) {
      const name = entry.otherwise ? 'otherwise' : `when[${index}]`
      ways.push({ when: entry.when, ...(await prepareWay(context, name, entry.otherwise ?? entry)) })
    }
    return {
      async run(message, run) {
        const scope = run.scope(message)
        for (const way of ways) if (!way.when || (await holds(way.when, scope))) return take(way, message, run)
        return { next: message }
      },
    }
  },
})

interface PreparedWay {
  readonly when: Expression | undefined
  readonly block: Block | undefined
  readonly end: { readonly how: Otherwise; readonly reason: Template } | undefined
}

function endsBranch(way: Way): boolean {
  return way.to !== undefined || endings.some(name => way[name] !== undefined) || listEnds(way.steps ?? [])
}

async function prepareWay(context: StepContext<unknown>, name: string, way: Way): Promise<Omit<PreparedWay, 'when'>> {
  const steps: readonly StepNode[] = way.steps ?? []
  const to: readonly ReceiverNode[] = way.to === undefined ? [] : [way.to].flat()
  const block = steps.length > 0 || to.length > 0 ? await context.block(name, steps, to) : undefined
  const how = endings.find(ending => way[ending] !== undefined)
  const reason = how && way[how]
  return { block, end: how && reason ? { how, reason } : undefined }
}

async function take(way: PreparedWay, message: Message, run: StepRun): Promise<StepResult> {
  const result = way.block ? await run.enter(way.block, message) : { next: message }
  if (!('next' in result) || !way.end) return result
  return endWay(way.end.how, way.end.reason, run.scope(result.next))
}
