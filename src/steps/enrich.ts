import { z } from 'zod'
import { expressionOver, expressionSchema } from '../flow/expression-schema.ts'
import { defineStep } from '../flow/step.ts'
import { defineErrors } from '../kernel/error.ts'
import type { JsonObject } from '../kernel/json.ts'
import { answerValue } from './answer.ts'
import { withAttributes } from './change-message.ts'
import { attributeName, holds } from './condition.ts'

const enrichErrors = defineErrors('ENRICH', {
  NOTHING_FOUND: {
    side: 'receiver',
    retry: 'never',
    means: 'The other side has nothing for {into}: {summary}',
    next: 'Add the missing data there, then replay the message; or write missing: keep.',
  },
})

export const enrich = defineStep({
  id: 'enrich',
  title: 'Enrich',
  summary: 'Asks a receiver for something and keeps the answer beside the message; its body stays.',
  config: ({ receiver }) =>
    z
      .strictObject({
        from: receiver.meta({ description: 'The receiver that is asked, named by its key.' }),
        into: attributeName,
        when: expressionSchema.optional().meta({ description: 'Asked only for messages for which this is true.' }),
        take: expressionOver('answer')
          .optional()
          .meta({
            description: 'What of the answer is taken; all of its body when left out.',
            examples: ['answer.body.value[0].KUNNR'],
          }),
        missing: z
          .enum(['set-aside', 'keep'])
          .default('set-aside')
          .meta({
            description: 'What to do when the answer is empty: set the message aside, or keep it with null.',
            examples: ['keep'],
          }),
      })
      .superRefine(({ from }, context) => {
        if (from.declaration.answers) return
        const hint = 'Ask a receiver that answers, for example http.'
        context.addIssue({
          code: 'custom',
          path: ['from'],
          message: `${from.declaration.id} gives no answer.`,
          params: { hint, at: 'key' },
        })
      }),
  examples: [
    {
      title: 'The number of a customer by the address of the sender',
      config: {
        from: { http: { url: 'https://customers.example/by-mail/${message.from}', method: 'GET' } },
        into: 'customer',
        take: 'answer.body.number',
      },
    },
  ],
  errors: enrichErrors,
  attributes: ({ into }) => (typeof into === 'string' ? [into] : []),
  async prepare({ config, receiver }) {
    const source = await receiver('enrich', config.from)
    return {
      async run(message, run) {
        if (config.when && !(await holds(config.when, run.scope(message)))) return { next: message }
        const receipt = await run.call(source, message)
        const answer = answerValue(receipt) as JsonObject
        const value = config.take
          ? await config.take.evaluate(run.scope(message, { answer }))
          : (answer['body'] ?? null)
        if (value === null && config.missing === 'set-aside') {
          const { message: reason } = enrichErrors.NOTHING_FOUND({ into: config.into, summary: receipt.summary })
          return { end: 'set-aside', reason }
        }
        return { next: withAttributes(message, { [config.into]: value }) }
      },
    }
  },
})
