import { access } from 'node:fs/promises'
import path from 'node:path'
import { z } from 'zod'
import type { Scope, Template } from '../flow/expression.ts'
import { templateSchema } from '../flow/expression-schema.ts'
import { isPlainObject } from '../flow/plain-object.ts'
import { defineStep } from '../flow/step.ts'
import { renderValue, type ValueTemplate, valueTemplate } from '../flow/value-template.ts'
import { heldBody } from '../kernel/body.ts'
import type { Json } from '../kernel/json.ts'
import type { Message } from '../kernel/message.ts'
import { valueBody, withAttributes, withBody, withHeaders } from './change-message.ts'
import { attributeName } from './condition.ts'
import { loadMapping, mapErrors } from './mapping-module.ts'
import { loadMappingSpec, runMappingSpec } from './mapping-spec.ts'

const set = z.strictObject({
  headers: z
    .record(
      z.string().regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/, 'the name of a header has letters, digits and hyphens'),
      z.union([templateSchema, z.null()]),
    )
    .optional()
    .meta({ description: 'Headers to set; null takes one away.', examples: [{ 'x-region': '${message.region}' }] }),
  attributes: z
    .record(attributeName, valueTemplate)
    .optional()
    .meta({
      description: 'Attributes to set; a template that is one ${…} alone keeps its kind.',
      examples: [{ region: "${message.headers['x-region']}" }],
    }),
  body: valueTemplate.optional().meta({
    description: 'The new body: text, or keys and lists that become JSON.',
    examples: [{ id: '${message.body.id}' }],
  }),
  type: z
    .string()
    .optional()
    .meta({ description: 'Media type of the new body.', examples: ['application/xml'] }),
})

const moduleName = z
  .string()
  .regex(/^\.{1,2}\/[^\0]+\.(ts|mts|js|mjs)$/, 'a module is named relative to the document: ./map.ts')

export const map = defineStep({
  id: 'map',
  title: 'Map',
  summary:
    'Makes a new message: sets headers, attributes and body, or calls a function of a module beside the document.',
  config: () =>
    z
      .strictObject({
        set: set.optional().meta({ description: 'What to set.' }),
        module: moduleName.optional().meta({ description: 'Module beside the document.', examples: ['./map.ts'] }),
        json: z.boolean().default(false).meta({
          description: 'The function gets the parsed JSON body and gives the new one, instead of whole messages.',
        }),
        spec: moduleName.optional().meta({
          description:
            'Mapping made with defineMapping, beside the document: a typed table from an IDoc or XML to JSON.',
          examples: ['./product.ts'],
        }),
        with: z
          .record(z.string(), templateSchema)
          .optional()
          .meta({ description: 'Settings that the spec reads by name.', examples: [{ uom: '${params.uom}' }] }),
        export: z
          .string()
          .default('default')
          .meta({ description: 'Function or spec of the module that is used.', examples: ['toOrder'] }),
      })
      .superRefine((value, context) => {
        const [first, second] = (['set', 'module', 'spec'] as const).filter(way => value[way] !== undefined)
        if (first && !second) return
        const message = first && second ? `map has ${first} and ${second}.` : 'map needs set, module or spec.'
        const hint = 'Write set: with headers, attributes or body, module: ./map.ts, or spec: ./product.ts.'
        context.addIssue({ code: 'custom', path: second ? [second] : [], message, params: { hint, at: 'key' } })
      }),
  examples: [
    { title: 'A fact for later steps', config: { set: { attributes: { region: "${message.headers['x-region']}" } } } },
    {
      title: 'A new JSON body',
      config: { set: { body: { order: '${message.body.id}', lines: '${size(message.body.lines)}' } } },
    },
    { title: 'A function of a module', config: { module: './map.ts', export: 'toOrder', json: true } },
    { title: 'An IDoc as a record', config: { spec: './product.ts', with: { uom: '${params.uom}' } } },
  ],
  errors: mapErrors,
  attributes({ set: changes, module, json }) {
    // A function that gets whole messages may give them anything.
    if (module !== undefined && json !== true) return undefined
    const given = isPlainObject(changes) ? changes['attributes'] : undefined
    return isPlainObject(given) ? Object.keys(given) : []
  },
  async lint(config, folder) {
    const key = config.spec === undefined ? 'module' : 'spec'
    const name = config[key]
    if (name === undefined) return []
    const file = path.resolve(folder, name)
    try {
      await access(file)
      return []
    } catch {
      return [
        {
          path: [key],
          message: `There is no file ${name} beside the document.`,
          next: `Make ${file}, or correct the name.`,
        },
      ]
    }
  },
  async prepare({ config, folder, limits, log }) {
    const { set: changes, module, spec } = config
    if (spec !== undefined) {
      const mapping = await loadMappingSpec(path.resolve(folder, spec), config.export)
      return {
        async run(message, run) {
          const settings = await renderTexts(config.with ?? {}, run.scope(message))
          const warn = (text: string) =>
            log.warn('mapping.warned', { mapping: mapping.name, delivery: message.id, text })
          return { next: await runMappingSpec(mapping, message, { settings, limits, warn }) }
        },
      }
    }
    if (module !== undefined) {
      const mapping = await loadMapping(path.resolve(folder, module), config.export, config.json)
      return {
        async run(message, run) {
          return { next: await mapping(message, { ...run.scope(message), limits }) }
        },
      }
    }
    return { run: async (message, run) => ({ next: await change(message, changes ?? {}, run.scope(message)) }) }
  },
})

interface Changes {
  readonly headers?: Readonly<Record<string, Template | null>> | undefined
  readonly attributes?: Readonly<Record<string, ValueTemplate>> | undefined
  readonly body?: ValueTemplate | undefined
  readonly type?: string | undefined
}

async function change(message: Message, changes: Changes, scope: Scope): Promise<Message> {
  let next = message
  if (changes.headers) {
    const headers: Record<string, string | undefined> = {}
    for (const [name, template] of Object.entries(changes.headers)) {
      headers[name] = template === null ? undefined : headerText(name, await template.render(scope))
    }
    next = withHeaders(next, headers)
  }
  if (changes.attributes) {
    const attributes: [string, Json][] = []
    for (const [name, template] of Object.entries(changes.attributes)) {
      attributes.push([name, await renderValue(template, scope)])
    }
    next = withAttributes(next, Object.fromEntries(attributes))
  }
  if (changes.body !== undefined) {
    const value = await renderValue(changes.body, scope)
    const body = valueBody(value)
    next = withBody(next, changes.type !== undefined && body.held ? heldBody(body.held, changes.type) : body)
  }
  return next
}

async function renderTexts(
  templates: Readonly<Record<string, Template>>,
  scope: Scope,
): Promise<Readonly<Record<string, string>>> {
  const texts: [string, string][] = []
  for (const [name, template] of Object.entries(templates)) {
    const value = await template.render(scope)
    texts.push([name, typeof value === 'string' ? value : JSON.stringify(value)])
  }
  return Object.fromEntries(texts)
}

function headerText(name: string, value: Json): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  // A line break in a header begins another header on the other side.
  if (/[\r\n\0]/.test(text)) throw mapErrors.NOT_A_HEADER({ name })
  return text
}
