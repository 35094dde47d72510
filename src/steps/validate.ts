import path from 'node:path'
import { z } from 'zod'
import { expressionSchema } from '../flow/expression-schema.ts'
import { defineStep } from '../flow/step.ts'
import { defineErrors } from '../kernel/error.ts'
import { KiB } from '../kernel/size.ts'
import { parseJson, readText } from './change-message.ts'
import { conditionErrors, endWay, holds, otherwise, reasonTemplate } from './condition.ts'
import { readJsonSchema } from './json-schema.ts'

const validateErrors = defineErrors('VALIDATE', {
  SCHEMA_BROKEN: {
    side: 'flow',
    retry: 'after-change',
    means: 'The JSON Schema {file} cannot be used: {text}',
    next: 'Correct the file and start the flow again.',
  },
})

/** Findings that are told; a message that is wrong throughout would fill the log. */
const findingsMax = 5
/** Letters of one finding: it may list names that the body chose. */
const findingLettersMax = 500
/** Of larger bodies only the first thing that is wrong is told: a finding takes many times the memory of what is wrong. */
const allFindingsBytesMax = 64 * KiB
const firstFinding: z.core.ParseContextInternal<z.core.$ZodIssue> = { abortEarly: true }

export const validate = defineStep({
  id: 'validate',
  title: 'Validate',
  summary: 'Checks the body against a JSON Schema, or the message against rules, and says what is wrong.',
  config: () =>
    z
      .strictObject({
        schema: z
          .string()
          .regex(/^\.{1,2}\/[^\0]+\.json$/, 'a JSON Schema is named relative to the document: ./order.schema.json')
          .optional()
          .meta({
            description:
              'JSON Schema (2020-12) beside the document. Of bodies above 64 KiB only the first thing that is wrong is told.',
            examples: ['./order.schema.json'],
          }),
        rules: z
          .array(
            z.strictObject({
              check: expressionSchema.meta({
                description: 'What must be true.',
                examples: ['size(message.body.lines) > 0'],
              }),
              message: reasonTemplate.meta({
                description: 'What is wrong when it is not.',
                examples: ['The order has no lines'],
              }),
            }),
          )
          .min(1)
          .optional()
          .meta({ description: 'Rules, all of which must hold.' }),
        otherwise,
      })
      .superRefine((value, context) => {
        if (value.schema !== undefined || value.rules !== undefined) return
        const hint = 'Write schema: ./order.schema.json, or rules: with check and message.'
        context.addIssue({
          code: 'custom',
          path: [],
          message: 'validate needs schema or rules.',
          params: { hint, at: 'key' },
        })
      }),
  examples: [
    { title: 'An order by its schema', config: { schema: './order.schema.json', otherwise: 'reject' } },
    {
      title: 'Rules in words',
      config: { rules: [{ check: 'size(message.body.lines) > 0', message: 'Order ${message.body.id} has no lines' }] },
    },
  ],
  errors: { ...validateErrors, ...conditionErrors },
  async lint(config, folder) {
    if (config.schema === undefined) return []
    try {
      await loadSchema(path.resolve(folder, config.schema))
      return []
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error)
      return [{ path: ['schema'], message: text, next: 'Put a JSON Schema there, or correct the name.' }]
    }
  },
  async prepare({ config, folder, limits }) {
    const schema = config.schema === undefined ? undefined : await loadSchema(path.resolve(folder, config.schema))
    return {
      async run(message, run) {
        const scope = run.scope(message)
        const found: string[] = []
        if (schema) {
          // To a schema a number is one however long, and nothing of what is read here goes on.
          const body = parseJson(await readText(message.body, limits), JSON.parse)
          const checked = schema.safeParse(body, message.body.bytes > allFindingsBytesMax ? firstFinding : undefined)
          if (!checked.success) found.push(...checked.error.issues.map(wordFinding))
        }
        for (const rule of config.rules ?? []) {
          if (await holds(rule.check, scope)) continue
          const text = await rule.message.render(scope)
          found.push(typeof text === 'string' ? text : JSON.stringify(text))
        }
        if (found.length === 0) return { next: message }
        const more = found.length > findingsMax ? `; and ${found.length - findingsMax} more` : ''
        return endWay(config.otherwise, found.slice(0, findingsMax).join('; ') + more, scope)
      },
    }
  },
})

async function loadSchema(file: string): Promise<z.ZodType> {
  try {
    return await readJsonSchema(file)
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause)
    throw validateErrors.SCHEMA_BROKEN({ file, text }, { cause })
  }
}

function wordFinding(issue: { readonly path: readonly PropertyKey[]; readonly message: string }): string {
  const place = issue.path
    .map(segment => (typeof segment === 'number' ? `[${segment}]` : `.${String(segment)}`))
    .join('')
  return `body${place}: ${issue.message}`.slice(0, findingLettersMax)
}
