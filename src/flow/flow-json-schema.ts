import { z } from 'zod'
import type { JsonObject } from '../kernel/json.ts'
import type { ReceiverNode, StepNode } from './document.ts'
import { configOf, type Declarations, flowSchema, type Naming } from './schema.ts'

// For editors a one-key thing is a choice of objects with one key each.
const describing: Naming = {
  sender: senders => choice(senders.map(({ id, title, summary, config }) => [id, title, summary, config])),
  receiver: receivers =>
    choice(receivers.map(({ id, title, summary, config }) => [id, title, summary, config])).meta({
      id: 'receiver',
    }) as unknown as z.ZodType<ReceiverNode>,
  step: (steps, parts) =>
    choice(steps.map(step => [step.id, step.title, step.summary, configOf(step, parts)])).meta({
      id: 'step',
    }) as unknown as z.ZodType<StepNode>,
}

type Entry = readonly [id: string, title: string, summary: string, config: z.ZodType]

function choice(entries: readonly Entry[]): z.ZodType {
  const objects = entries.map(([id, title, summary, config]) =>
    z.strictObject({ [id]: described(config, summary) }).meta({ title }),
  )
  const [only] = objects
  return objects.length === 1 && only ? only : z.union(objects)
}

function described(config: z.ZodType, summary: string): z.ZodType {
  return config.meta({ ...config.meta(), description: summary })
}

/** JSON Schema (2020-12) of flow documents with these adapters and steps, for completion in editors. */
export function flowJsonSchema(declarations: Declarations): JsonObject {
  const schema = flowSchema(declarations, describing)
  const json = z.toJSONSchema(schema, { io: 'input', target: 'draft-2020-12', unrepresentable: 'any' }) as JsonObject
  return { title: 'Isthmus flow document', ...json }
}
