import { access } from 'node:fs/promises'
import path from 'node:path'
import { z } from 'zod'
import type { Scope, Template } from '../flow/expression.ts'
import { templateSchema } from '../flow/expression-schema.ts'
import { defineStep } from '../flow/step.ts'
import { renderValue, type ValueTemplate, valueTemplate } from '../flow/value-template.ts'
import { heldBody } from '../kernel/body.ts'
import type { Json } from '../kernel/json.ts'
import type { Message } from '../kernel/message.ts'
import { valueBody, withAttributes, withBody, withHeaders } from './change-message.ts'
import { attributeName } from './condition.ts'
import { loadMapping, mapErrors } from './mapping-module.ts'

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

export const map = defineStep({
  id: 'map',
  title: 'Map',
  summary:
    'Makes a new message: sets headers, attributes and body, or calls a function of a module beside the document.',
  config: () =>
    z
      .strictObject({
        set: set.optional().meta({ description: 'What to set.' }),
        module: z
          .string()
          .regex(/^\.{1,2}\/[^\0]+\.(ts|mts|js|mjs)$/, 'a module is named relative to the document: ./map.ts')
          .optional()
          .meta({ description: 'Module beside the document.', examples: ['./map.ts'] }),
        json: z.boolean().default(false).meta({
          description: 'The function gets the parsed JSON body and gives the new one, instead of whole messages.',
        }),
        export: z
          .string()
          .default('default')
          .meta({ description: 'Function of the module that is called.', examples: ['toOrder'] }),
      })
      .superRefine((value, context) => {
        if ((value.set === undefined) !== (value.module === undefined)) return
        const message = value.set ? 'map has set and module.' : 'map needs set or module.'
        const hint = 'Write set: with headers, attributes or body, or module: ./map.ts.'
        context.addIssue({ code: 'custom', path: value.set ? ['module'] : [], message, params: { hint, at: 'key' } })
      }),
  examples: [
    { title: 'A fact for later steps', config: { set: { attributes: { region: "${message.headers['x-region']}" } } } },
    {
      title: 'A new JSON body',
      config: { set: { body: { order: '${message.body.id}', lines: '${size(message.body.lines)}' } } },
    },
    { title: 'A function of a module', config: { module: './map.ts', export: 'toOrder', json: true } },
  ],
  errors: mapErrors,
  async lint(config, folder) {
    if (config.module === undefined) return []
    const file = path.resolve(folder, config.module)
    try {
      await access(file)
      return []
    } catch {
      return [
        {
          path: ['module'],
          message: `There is no file ${config.module} beside the document.`,
          next: `Make ${file}, or correct the name.`,
        },
      ]
    }
  },
  async prepare({ config, folder, limits }) {
    const { set: changes, module } = config
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

function headerText(name: string, value: Json): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  // A line break in a header begins another header on the other side.
  if (/[\r\n\0]/.test(text)) throw mapErrors.NOT_A_HEADER({ name })
  return text
}
