import { z } from 'zod'
import type { Expression, Scope, Template } from '../flow/expression.ts'
import { templateSchema } from '../flow/expression-schema.ts'
import type { StepResult } from '../flow/step.ts'
import { defineErrors } from '../kernel/error.ts'
import { reservedNames } from '../kernel/message.ts'

export const conditionErrors = defineErrors('CONDITION', {
  NOT_YES_OR_NO: {
    side: 'flow',
    retry: 'never',
    means: 'The condition "{text}" gave {value} instead of true or false.',
    next: 'Compare with something in the flow document, for example size(…) > 0, then replay the message.',
  },
})

/** Whether a condition holds for a message. Throws CONDITION_NOT_YES_OR_NO. */
export async function holds(condition: Expression, scope: Scope): Promise<boolean> {
  const value = await condition.evaluate(scope)
  if (typeof value === 'boolean') return value
  const shown = JSON.stringify(value)
  throw conditionErrors.NOT_YES_OR_NO({
    text: condition.text,
    value: shown.length > 60 ? `${shown.slice(0, 59)}…` : shown,
  })
}

/** What may be done with a message that a step refuses. The default keeps it for a person. */
export const otherwise = z
  .enum(['set-aside', 'reject', 'drop'])
  .default('set-aside')
  .meta({ description: 'What becomes of a message that does not pass.', examples: ['set-aside'] })

export type Otherwise = z.output<typeof otherwise>

export const reasonTemplate = templateSchema.meta({
  description: 'Why, in words for the people who look at it.',
  examples: ['No recipient of ours in ${message.to}'],
})

const ends = { 'set-aside': 'set-aside', reject: 'rejected', drop: 'dropped' } as const

/** Ends the way of a message. */
export async function endWay(how: Otherwise, reason: Template | string, scope: Scope): Promise<StepResult> {
  const text = typeof reason === 'string' ? reason : await reason.render(scope)
  return { end: ends[how], reason: typeof text === 'string' ? text : JSON.stringify(text) }
}

/** The name of an attribute that a step may set. */
export const attributeName = z
  .string()
  .regex(
    /^[A-Za-z][A-Za-z0-9_]*$/,
    'the name of an attribute has letters, digits and underscores, and begins with a letter',
  )
  .refine(name => !reservedNames.includes(name), 'this name belongs to a part of every message; take another one')
  .meta({ description: 'Name of the attribute; expressions see it as message.<name>.', examples: ['customer'] })
