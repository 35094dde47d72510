import { z } from 'zod'
import { defineStep } from '../flow/step.ts'
import { valueTemplate } from '../flow/value-template.ts'
import { accessNode, keyMapErrors, mapKey, mapName } from './key-map-access.ts'

export const remember = defineStep({
  id: 'remember',
  title: 'Remember',
  summary: 'Keeps a value under a key for later messages, in a key map of the hub.',
  config: () =>
    z
      .strictObject({
        map: mapName,
        key: mapKey,
        value: valueTemplate.optional().meta({
          description: 'What is kept: text, or keys and lists with templates.',
          examples: ['${message.account.id}'],
        }),
        forget: z.literal(true).optional().meta({ description: 'Takes the key out of the map instead.' }),
      })
      .superRefine(({ value, forget }, context) => {
        if ((value === undefined) !== (forget === undefined)) return
        const message = forget ? 'remember has value and forget.' : 'remember needs value.'
        context.addIssue({ code: 'custom', path: ['value'], message, params: { at: 'key' } })
      }),
  examples: [
    {
      title: 'The id that Dynamics 365 gave to a customer',
      config: { map: 'accounts', key: '${message.customer}', value: '${message.account.id}' },
    },
    { title: 'A customer that is gone', config: { map: 'accounts', key: '${message.customer}', forget: true } },
  ],
  errors: keyMapErrors,
  async prepare({ config, receiver }) {
    const { map, key, value } = config
    const write = value === undefined ? ({ forget: true } as const) : { value }
    const access = await receiver('remember', accessNode({ map, key, write, waits: false }))
    return {
      async run(message, run) {
        await run.call(access, message)
        return { next: message }
      },
    }
  },
})
