import { z } from 'zod'
import { expressionSchema } from '../flow/expression-schema.ts'
import { defineStep } from '../flow/step.ts'
import { conditionErrors, endWay, holds, otherwise, reasonTemplate } from './condition.ts'

export const filter = defineStep({
  id: 'filter',
  title: 'Filter',
  summary: 'Lets only messages through for which a condition holds.',
  config: () =>
    z.strictObject({
      keep: expressionSchema.meta({
        description: 'Messages for which this is true go on.',
        examples: ['size(message.to) > 0'],
      }),
      otherwise,
      reason: reasonTemplate.optional(),
    }),
  examples: [
    { title: 'Only mail that has a recipient', config: { keep: 'size(message.to) > 0' } },
    {
      title: 'Only small mail, the sender learns why',
      config: {
        keep: 'message.size < 20 * 1024 * 1024',
        otherwise: 'reject',
        reason: 'A mail of ${message.size} bytes is too large',
      },
    },
  ],
  errors: conditionErrors,
  prepare({ config }) {
    return {
      async run(message, run) {
        const scope = run.scope(message)
        if (await holds(config.keep, scope)) return { next: message }
        return endWay(config.otherwise, config.reason ?? `It is not true that ${config.keep.text}`, scope)
      },
    }
  },
})
