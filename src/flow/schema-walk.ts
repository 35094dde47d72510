import type { z } from 'zod'
import { choiceOf, isOneKey } from './one-key.ts'
import type { Path } from './yaml-source.ts'

/** Schemas that may stand at a path, from the outside in; more than one where a value has several shapes. */
function schemasAt(root: z.ZodType, path: Path): readonly z.ZodType[] {
  let here: readonly z.ZodType[] = [root]
  for (const segment of path) here = here.flatMap(schema => shapesOf(schema)).flatMap(schema => step(schema, segment))
  return here
}

/** Keys that an object at this path may have; empty where it is no object. */
export function keysAt(root: z.ZodType, path: Path): readonly string[] {
  const keys = schemasAt(root, path)
    .flatMap(schema => shapesOf(schema))
    .flatMap(schema => {
      const { def } = inner(schema)
      return def.type === 'object' ? Object.keys(def.shape) : []
    })
  return [...new Set(keys)]
}

/** Description and first example of what stands at a path. */
export function wordsAt(root: z.ZodType, path: Path): { readonly description?: string; readonly example?: unknown } {
  for (const schema of schemasAt(root, path)) {
    for (const layer of layersOf(schema)) {
      const meta = layer.meta()
      if (!meta?.description && !meta?.examples) continue
      const examples: unknown = meta.examples
      return {
        ...(meta.description ? { description: meta.description } : {}),
        ...(Array.isArray(examples) && examples.length > 0 ? { example: examples[0] as unknown } : {}),
      }
    }
  }
  return {}
}

function step(schema: z.ZodType, segment: string | number): readonly z.ZodType[] {
  const chosen = choiceOf(schema, String(segment))
  if (chosen) return [chosen]
  const { def } = inner(schema)
  if (def.type === 'object') {
    const field = def.shape[String(segment)]
    return field ? [field as z.ZodType] : []
  }
  if (def.type === 'array') return [def.element as z.ZodType]
  if (def.type === 'record') return [def.valueType as z.ZodType]
  return []
}

/** The schema without its wrappers; all of them for a union. */
function shapesOf(schema: z.ZodType): readonly z.ZodType[] {
  if (isOneKey(schema)) return [schema]
  const { def } = inner(schema)
  if (def.type === 'pipe') return shapesOf(def.in as z.ZodType)
  if (def.type === 'lazy') return shapesOf(def.getter() as z.ZodType)
  if (def.type === 'union') return def.options.flatMap(option => shapesOf(option as z.ZodType))
  // Optional, default and their like wrap one schema.
  return 'innerType' in def ? shapesOf(def.innerType as z.ZodType) : [schema]
}

function layersOf(schema: z.ZodType): readonly z.ZodType[] {
  const { def } = inner(schema)
  if ('innerType' in def) return [schema, ...layersOf(def.innerType as z.ZodType)]
  if (def.type === 'pipe') return [schema, ...layersOf(def.in as z.ZodType)]
  return [schema]
}

function inner(schema: z.ZodType): { readonly def: z.core.$ZodTypes['_zod']['def'] } {
  return { def: (schema as unknown as z.core.$ZodTypes)._zod.def }
}
