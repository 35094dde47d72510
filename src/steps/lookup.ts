import { z } from 'zod'
import { defineStep } from '../flow/step.ts'
import { withAttributes } from './change-message.ts'
import { attributeName } from './condition.ts'
import { accessNode, foundIn, keyMapErrors, mapKey, mapName } from './key-map-access.ts'

export const lookup = defineStep({
  id: 'lookup',
  title: 'Look up',
  summary: 'Takes what a key map of the hub keeps under a key, and puts it beside the message.',
  config: () =>
    z.strictObject({
      map: mapName,
      key: mapKey,
      into: attributeName,
      missing: z
        .enum(['set-aside', 'null', 'wait'])
        .default('set-aside')
        .meta({
          description:
            'What to do when there is nothing: set the message aside, go on with null, or wait until another message has brought it.',
          examples: ['wait'],
        }),
    }),
  examples: [
    {
      title: 'The account of a customer; invoices wait for theirs',
      config: { map: 'accounts', key: '${message.customer}', into: 'accountid', missing: 'wait' },
    },
  ],
  errors: keyMapErrors,
  attributes: ({ into }) => (typeof into === 'string' ? [into] : []),
  async prepare({ config, receiver }) {
    const { map, key, into, missing } = config
    const access = await receiver('lookup', accessNode({ map, key, write: null, waits: missing === 'wait' }))
    return {
      async run(message, run) {
        const receipt = await run.call(access, message)
        const value = foundIn(receipt)
        if (value === undefined && missing === 'set-aside') return { end: 'set-aside', reason: receipt.summary }
        return { next: withAttributes(message, { [into]: value ?? null }) }
      },
    }
  },
})
