import { z } from 'zod'
import type { Json, JsonObject } from '../kernel/json.ts'
import type { ReceiverNode, StepNode } from './document.ts'
import { isPlainObject } from './plain-object.ts'
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
  const { properties, $defs, ...rest } = z.toJSONSchema(schema, {
    io: 'input',
    target: 'draft-2020-12',
    unrepresentable: 'any',
    override({ zodSchema, jsonSchema }) {
      if (isWithoutCase(zodSchema)) delete jsonSchema.pattern
    },
  }) as { properties: JsonObject; $defs?: JsonObject } & JsonObject
  // What a parameter is declared as cannot be a parameter.
  const { params = {}, ...settings } = properties
  return {
    title: 'Isthmus flow document',
    ...rest,
    properties: { params, ...withReferencesInEach(settings) },
    $defs: { ...withReferencesInEach($defs ?? {}), parameter },
  }
}

const parameter: JsonObject = {
  title: 'parameter of the stage',
  type: 'string',
  pattern: String.raw`\$\{\s*params\.[A-Za-z0-9_]+\s*\}`,
}

/** What people read of a setting; the rest says which values it takes. */
const annotations: ReadonlySet<string> = new Set(['title', 'description', 'default', 'examples'])

const scalars: ReadonlySet<Json | undefined> = new Set(['string', 'integer', 'number', 'boolean'])

/** Lets `${params.port}` stand for every value that is not just any text. */
function withReferences(schema: Json): Json {
  if (Array.isArray(schema)) return schema.map(withReferences)
  if (!isPlainObject(schema)) return schema
  const entries = Object.entries(schema)
  const words = Object.fromEntries(entries.filter(([key]) => annotations.has(key)))
  const takes = entries.filter(([key]) => !annotations.has(key))
  const [[, type] = []] = takes.filter(([key]) => key === 'type')
  const isAnyText = type === 'string' && takes.length === 1
  if (scalars.has(type) && !isAnyText) {
    return { ...words, anyOf: [Object.fromEntries(takes), { $ref: '#/$defs/parameter' }] }
  }
  const below = takes.map(([key, value]): [string, Json] => {
    // Names are no values.
    if (key === 'propertyNames') return [key, value]
    return [key, key === 'properties' ? withReferencesInEach(value as JsonObject) : withReferences(value)]
  })
  return { ...words, ...Object.fromEntries(below) }
}

function withReferencesInEach(schemas: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [name, withReferences(schema)]))
}

/** A pattern of JSON Schema has no flags, so that this one would find fault with what is right. */
function isWithoutCase(schema: z.core.$ZodTypes): boolean {
  const checks = schema instanceof z.ZodString ? schema.def.checks : undefined
  return (
    checks?.some(({ _zod: { def } }) => 'pattern' in def && def.pattern instanceof RegExp && def.pattern.ignoreCase) ===
    true
  )
}
