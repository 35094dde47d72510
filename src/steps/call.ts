import { z } from 'zod'
import { expressionOver } from '../flow/expression-schema.ts'
import { defineStep } from '../flow/step.ts'
import { defineErrors } from '../kernel/error.ts'
import { answerBody, answerValue } from './answer.ts'
import { valueBody, withAttributes, withBody } from './change-message.ts'
import { attributeName } from './condition.ts'

const callErrors = defineErrors('CALL', {
  NO_ANSWER: {
    side: 'receiver',
    retry: 'never',
    means: 'The receiver of the call answered without content: {summary}',
    next: 'Write into: nothing when the answer is not needed, or ask the other side why it is empty.',
  },
})

export const call = defineStep({
  id: 'call',
  title: 'Call',
  summary: 'Hands the message to a receiver on its way and goes on with the answer.',
  config: ({ receiver }) =>
    z
      .strictObject({
        to: receiver.meta({ description: 'The receiver that is called, named by its key.' }),
        into: z
          .union([z.literal(['body', 'nothing']), attributeName])
          .default('body')
          .meta({
            description: 'Where the answer goes: body, nothing, or the name of an attribute.',
            examples: ['customer'],
          }),
        take: expressionOver('answer')
          .optional()
          .meta({
            description: 'What of the answer is taken; all of its body when left out.',
            examples: ['answer.body.value[0]'],
          }),
      })
      .superRefine(({ to, into }, context) => {
        if (to.declaration.answers || into === 'nothing') return
        const hint = 'Write into: nothing, or call a receiver that answers.'
        context.addIssue({
          code: 'custom',
          path: ['to'],
          message: `${to.declaration.id} gives no answer to go on with.`,
          params: { hint, at: 'key' },
        })
      }),
  examples: [
    {
      title: 'Ask a service for a price and go on with its answer',
      config: { to: { http: { url: 'https://prices.example/quote' } } },
    },
    {
      title: 'Keep one value of the answer',
      config: { to: { http: { url: 'https://prices.example/quote' } }, into: 'price', take: 'answer.body.price' },
    },
  ],
  errors: callErrors,
  attributes: ({ into }) => (typeof into === 'string' ? [into] : []),
  async prepare({ config, receiver }) {
    const target = await receiver('call', config.to)
    return {
      async run(message, run) {
        const receipt = await run.call(target, message)
        if (config.into === 'nothing') return { next: message }
        if (config.take) {
          const taken = await config.take.evaluate(run.scope(message, { answer: answerValue(receipt) }))
          if (config.into === 'body') return { next: withBody(message, valueBody(taken)) }
          return { next: withAttributes(message, { [config.into]: taken }) }
        }
        const body = answerBody(receipt)
        if (!body) throw callErrors.NO_ANSWER({ summary: receipt.summary })
        if (config.into === 'body') return { next: withBody(message, body) }
        const answer = answerValue(receipt) as { readonly body: string }
        return { next: withAttributes(message, { [config.into]: answer.body }) }
      },
    }
  },
})
