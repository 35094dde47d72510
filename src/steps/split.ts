import { z } from 'zod'
import type { Expression } from '../flow/expression.ts'
import { expressionSchema } from '../flow/expression-schema.ts'
import { type Block, defineStep, type StepResult, type StepRun } from '../flow/step.ts'
import { defineErrors } from '../kernel/error.ts'
import type { Json } from '../kernel/json.ts'
import type { Limits } from '../kernel/limit.ts'
import type { Message } from '../kernel/message.ts'
import { valueBody, withAttributes, withBody } from './change-message.ts'
import { attributeName, conditionErrors } from './condition.ts'
import { addPart, type GatheredParts, putParts } from './parts-shelf.ts'
import { readLines } from './read-lines.ts'
import { createTurns } from './turns.ts'

const splitErrors = defineErrors('SPLIT', {
  NOT_A_LIST: {
    side: 'flow',
    retry: 'never',
    means: 'The expression "{text}" of split gave {kind} instead of a list.',
    next: 'Let each name a list, for example message.body.lines, then replay the message.',
  },
  TOO_MANY_PARTS: {
    side: 'flow',
    retry: 'never',
    means: 'The message splits into more than {partsMax} parts.',
    next: 'Raise limits.splitParts in isthmus.yaml, or take several lines for one part (batch).',
  },
  PART_ENDED: {
    side: 'flow',
    retry: 'never',
    means: 'Part {part} was stopped: {reason}',
    next: 'Correct the message or the rule, then replay it; effects that have their receipt are not repeated.',
  },
})

export const split = defineStep({
  id: 'split',
  title: 'Split',
  summary: 'Takes a message apart and runs steps for each part, in order; the whole message goes on afterwards.',
  config: parts =>
    z.strictObject({
      each: z.union([z.literal('lines'), expressionSchema]).meta({
        description: 'A list out of the message, or the word lines for the lines of its body.',
        examples: ['message.body.lines'],
      }),
      as: attributeName.optional().meta({
        description: 'Attribute under which a part is seen: message.<name>. Its body is the part in any case.',
        examples: ['line'],
      }),
      batch: z
        .number()
        .int()
        .min(1)
        .max(10_000)
        .default(1)
        .meta({ description: 'Lines or entries in one part.', examples: [100] }),
      steps: parts.steps.default([]).meta({ description: 'Steps for each part.' }),
      to: z
        .union([parts.receiver, z.array(parts.receiver)])
        .optional()
        .meta({ description: 'Where each part goes.' }),
    }),
  examples: [
    { title: 'One part for each order line', config: { each: 'message.body.lines', as: 'line', steps: [] } },
    { title: 'A large file, a hundred lines at a time', config: { each: 'lines', batch: 100, steps: [] } },
  ],
  errors: { ...splitErrors, ...conditionErrors },
  attributes: ({ as }) => ['part', ...(typeof as === 'string' ? [as] : [])],
  async prepare({ config, limits, block }) {
    const to = config.to === undefined ? [] : Array.isArray(config.to) ? config.to : [config.to]
    const inner = await block('each', config.steps, to)
    return {
      async run(message, run) {
        const parts: GatheredParts = { messages: [], bytes: 0, isTooLarge: false }
        const turns = createTurns()
        let index = 0
        for await (const values of batches(valuesOf(config.each, message, run, limits), config.batch)) {
          if (run.signal.aborted) throw run.signal.reason
          if (index >= limits.splitParts) throw splitErrors.TOO_MANY_PARTS({ partsMax: limits.splitParts })
          const value = config.batch === 1 ? (values[0] ?? null) : values
          const stopped = await runPart(inner, partOf(message, value, index, config.as), index, run, parts, limits)
          if (stopped) return stopped
          index++
          // Steps that wait for nothing would run through all parts in one go.
          const turn = turns()
          if (turn) await turn
        }
        putParts(run, parts)
        return { next: message }
      },
    }
  },
})

function partOf(message: Message, value: Json, index: number, as: string | undefined): Message {
  const attributes = { part: index + 1, ...(as !== undefined && { [as]: value }) }
  return withAttributes(withBody(message, valueBody(value)), attributes)
}

async function runPart(
  block: Block,
  part: Message,
  index: number,
  run: StepRun,
  parts: GatheredParts,
  limits: Limits,
): Promise<StepResult | undefined> {
  const result = await run.enter(block, part, index)
  if ('next' in result) {
    addPart(parts, result.next, limits.parseBytes)
    return undefined
  }
  if (result.end === 'dropped' || result.end === 'delivered') return undefined
  // A delivery ends as one, so a part that is refused stops the whole message where people see it.
  return { end: result.end, reason: splitErrors.PART_ENDED({ part: index + 1, reason: result.reason }).message }
}

async function* valuesOf(
  each: 'lines' | Expression,
  message: Message,
  run: StepRun,
  limits: Limits,
): AsyncGenerator<Json> {
  if (each === 'lines') {
    yield* readLines(message.body, limits.parseBytes)
    return
  }
  const list = await each.evaluate(run.scope(message))
  if (!Array.isArray(list)) {
    const kind = list === null ? 'nothing' : typeof list === 'object' ? 'an object' : JSON.stringify(list).slice(0, 60)
    throw splitErrors.NOT_A_LIST({ text: each.text, kind })
  }
  yield* list
}

async function* batches(values: AsyncIterable<Json>, size: number): AsyncGenerator<readonly Json[]> {
  let batch: Json[] = []
  for await (const value of values) {
    batch.push(value)
    if (batch.length < size) continue
    yield batch
    batch = []
  }
  if (batch.length > 0) yield batch
}
