import { z } from 'zod'
import { defineStep } from '../flow/step.ts'
import type { Body } from '../kernel/body.ts'
import { defineErrors } from '../kernel/error.ts'
import { readText, readValue, withBody, withJson, withText } from './change-message.ts'
import { type GatheredParts, takeParts } from './parts-shelf.ts'
import { createTurns } from './turns.ts'

const gatherErrors = defineErrors('GATHER', {
  NO_PARTS: {
    side: 'flow',
    retry: 'never',
    means: 'There is nothing to gather: {why}.',
    next: 'Put a split before gather, in the same list of steps, and let at least one part through.',
  },
  TOO_LARGE: {
    side: 'flow',
    retry: 'never',
    means: 'The parts are {bytes} bytes together, above the limit of {bytesMax} (parseBytes).',
    next: 'Raise limits.parseBytes in isthmus.yaml, or deliver the parts one by one (to inside split).',
  },
})

export const gather = defineStep({
  id: 'gather',
  title: 'Gather',
  summary: 'Puts the parts of the split before it into one body.',
  config: () =>
    z.strictObject({
      as: z
        .enum(['list', 'lines', 'first'])
        .default('list')
        .meta({
          description: 'A JSON list of all parts, their texts as lines, or only the first part.',
          examples: ['list'],
        }),
    }),
  examples: [
    { title: 'A list of all parts', config: {} },
    { title: 'One line for each part', config: { as: 'lines' } },
  ],
  errors: gatherErrors,
  after: 'split',
  prepare({ config, limits }) {
    return {
      async run(message, run) {
        const parts = takeParts(run)
        if (!parts) throw gatherErrors.NO_PARTS({ why: 'no split ran before' })
        if (parts.isTooLarge) throw gatherErrors.TOO_LARGE({ bytes: parts.bytes, bytesMax: limits.parseBytes })
        if (config.as === 'first') {
          const first = parts.messages[0]
          if (!first) throw gatherErrors.NO_PARTS({ why: 'no part came out of the split' })
          return { next: withBody(message, first.body) }
        }
        if (config.as === 'lines') {
          const lines = await readEach(parts, body => readText(body, limits))
          return { next: withText(message, lines.map(line => `${line}\n`).join('')) }
        }
        const list = await readEach(parts, body => readValue(body, limits))
        return { next: withJson(message, list) }
      },
    }
  },
})

async function readEach<T>({ messages }: GatheredParts, read: (body: Body) => Promise<T>): Promise<readonly T[]> {
  const turns = createTurns()
  const values: T[] = []
  for (const { body } of messages) {
    values.push(await read(body))
    const turn = turns()
    if (turn) await turn
  }
  return values
}
