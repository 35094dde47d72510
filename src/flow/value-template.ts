import { z } from 'zod'
import type { Json } from '../kernel/json.ts'
import type { Scope, Template } from './expression.ts'
import { templateSchema } from './expression-schema.ts'

/** A value whose texts are templates, to any depth. */
export type ValueTemplate =
  | { readonly template: Template }
  | { readonly literal: number | boolean | null }
  | { readonly list: readonly ValueTemplate[] }
  | { readonly fields: Readonly<Record<string, ValueTemplate>> }

export const valueTemplate: z.ZodType<ValueTemplate> = z.lazy(() =>
  z.union([
    templateSchema.transform((template): ValueTemplate => ({ template })),
    z.union([z.number(), z.boolean(), z.null()]).transform((literal): ValueTemplate => ({ literal })),
    z.array(valueTemplate).transform((list): ValueTemplate => ({ list })),
    z.record(z.string(), valueTemplate).transform((fields): ValueTemplate => ({ fields })),
  ]),
)

export async function renderValue(value: ValueTemplate, scope: Scope): Promise<Json> {
  if ('template' in value) return value.template.render(scope)
  if ('literal' in value) return value.literal
  if ('list' in value) {
    const list: Json[] = []
    for (const item of value.list) list.push(await renderValue(item, scope))
    return list
  }
  const fields: [string, Json][] = []
  for (const [name, inner] of Object.entries(value.fields)) fields.push([name, await renderValue(inner, scope)])
  return Object.fromEntries(fields)
}
