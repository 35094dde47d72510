import { z } from 'zod'
import { duration, host, port, size } from '../kernel/schema.ts'
import { listNames, nearestName } from './did-you-mean.ts'
import { isPlainObject } from './plain-object.ts'
import type { Problem } from './problem.ts'
import type { Replacement, YamlSource } from './yaml-source.ts'

const types = ['text', 'number', 'boolean', 'email', 'host', 'port', 'url', 'duration', 'size', 'choice'] as const

/** A value that differs between stages. */
export const declaredParam = z.strictObject({
  type: z.enum(types).meta({ description: 'What kind of value it is.', examples: ['email'] }),
  about: z.string().optional().meta({ description: 'What it is for, for people who fill it in.' }),
  default: z
    .union([z.string(), z.number(), z.boolean()])
    .optional()
    .meta({ description: 'The value where the stage names none.' }),
  of: z
    .array(z.string())
    .optional()
    .meta({ description: 'The values of a choice.', examples: [['small', 'large']] }),
})

export type DeclaredParam = z.output<typeof declaredParam>

export const paramName = z
  .string()
  .regex(/^[a-z][a-z0-9_]*$/i, 'the name of a parameter has letters, digits and underscores, and begins with a letter')

const email = z.string().regex(/^[^\s@"(),:;<>[\\\]]+@[^\s@"(),:;<>[\\\]]+$/, 'an address is written name@domain')
const url = z.string().regex(/^https?:\/\/[^\s/]+/i, 'an address of the web begins with https:// or http://')

/** Why a value is not of the declared type, or undefined when it is. */
function whyNotOfType(value: unknown, param: DeclaredParam): string | undefined {
  const schema = schemaOf(param)
  const parsed = schema.safeParse(value)
  if (parsed.success) return undefined
  const first = parsed.error.issues[0]
  if (param.type === 'choice') return `one of ${listNames(param.of ?? [])}`
  return first?.code === 'invalid_format' ? first.message : typeWords[param.type]
}

const typeWords: Readonly<Record<DeclaredParam['type'], string>> = {
  text: 'text (in quotes, if it looks like a number)',
  number: 'a number',
  boolean: 'true or false',
  email: 'an address: name@domain',
  host: 'the name of a host',
  port: 'a port, a number from 1 to 65535',
  url: 'an address that begins with https:// or http://',
  duration: 'a duration such as 30s or 4h',
  size: 'a size such as 64KiB or 50MiB',
  choice: 'one of the choices',
}

function schemaOf({ type, of }: DeclaredParam): z.ZodType {
  return type === 'choice' ? z.enum(of ?? []) : schemas[type]
}

const schemas: Readonly<Record<Exclude<DeclaredParam['type'], 'choice'>, z.ZodType>> = {
  text: z.string(),
  number: z.number(),
  boolean: z.boolean(),
  email,
  host,
  port,
  url,
  duration,
  size,
}

/** The declared parameters of a document, as far as they are right; what is wrong is said by the document's schema. */
export function readDeclarations(value: unknown): ReadonlyMap<string, DeclaredParam> {
  const declared = new Map<string, DeclaredParam>()
  if (!isPlainObject(value) || !isPlainObject(value['params'])) return declared
  for (const [name, declaration] of Object.entries(value['params'])) {
    const parsed = declaredParam.safeParse(declaration)
    if (parsed.success && paramName.safeParse(name).success) declared.set(name, parsed.data)
  }
  return declared
}

export interface StageValues {
  readonly values: Readonly<Record<string, unknown>>
  readonly problems: readonly Problem[]
}

/**
 * The value of each declared parameter: from the caller, the stage's file, or the default. `stageSource` is undefined
 * where `params/<stage>.yaml` is not there.
 */
export function resolveParams(
  declared: ReadonlyMap<string, DeclaredParam>,
  flowSource: YamlSource,
  stage: { readonly file: string; readonly name: string; readonly source: YamlSource | undefined },
  given: Readonly<Record<string, unknown>> = {},
): StageValues {
  const values: Record<string, unknown> = {}
  const problems: Problem[] = []
  const written = stage.source?.value ?? {}
  const inStage = isPlainObject(written) ? written : {}
  if (stage.source && !isPlainObject(written) && written !== null) {
    problems.push(
      stage.source.atValue(
        [],
        'FLOW_PARAM',
        'A parameter file gives names and values.',
        'Write name: value, one on each line.',
      ),
    )
  }
  for (const name of Object.keys(inStage)) {
    if (declared.has(name) || !stage.source) continue
    const near = nearestName(name, declared.keys())
    const next = near ? `Did you mean ${near}?` : `${flowSource.file} declares ${listNames(declared.keys())}.`
    problems.push(stage.source.atKey([name], 'FLOW_PARAM', `The flow declares no parameter "${name}".`, next))
  }
  for (const name of Object.keys(given)) {
    if (declared.has(name)) continue
    problems.push(
      flowSource.atKey(
        ['params'],
        'FLOW_PARAM',
        `The flow declares no parameter "${name}", but a value for it was given.`,
      ),
    )
  }
  for (const [name, param] of declared) {
    const isGiven = Object.hasOwn(given, name)
    const isInStage = !isGiven && Object.hasOwn(inStage, name)
    const value = isGiven ? given[name] : isInStage ? inStage[name] : param.default
    const report = (message: string, next: string) =>
      problems.push(
        isInStage && stage.source && value === null
          ? stage.source.atKey([name], 'FLOW_PARAM', message, next)
          : isInStage && stage.source
            ? stage.source.atValue([name], 'FLOW_PARAM', message, next)
            : param.default !== undefined && !isGiven
              ? flowSource.atValue(['params', name, 'default'], 'FLOW_PARAM', message, next)
              : flowSource.atKey(['params', name], 'FLOW_PARAM', message, next),
      )
    if (value === undefined || value === null) {
      const where = stage.source ? `Add ${name}: … to ${stage.file}` : `Make ${stage.file} with ${name}: …`
      report(`The parameter ${name} has no value for the stage ${stage.name}.`, `${where}, or give it a default.`)
      continue
    }
    const why = whyNotOfType(value, param)
    if (why !== undefined) report(`${JSON.stringify(value)} does not fit the parameter ${name}.`, `It must be ${why}.`)
    else if (typeof value === 'string' && value.includes('${'))
      report(`The value of ${name} must not contain \${.`, 'Write the template in the flow document.')
    else values[name] = value
  }
  return { values, problems }
}

const reference = /(?<!\$)\$\{\s*params\.([A-Za-z0-9_]+)\s*\}/g

/** The references to parameters in a text, with their places in it. */
export function findReferences(
  text: string,
): readonly { readonly name: string; readonly offset: number; readonly length: number }[] {
  if (!text.includes('${')) return []
  return [...text.matchAll(reference)].map(match => {
    const name = match[1] ?? ''
    return { name, offset: match.index + match[0].indexOf(name, match[0].indexOf('.')), length: name.length }
  })
}

/** Puts the values of parameters into a text. A text that is one reference alone becomes the value itself. */
export function substitute(
  text: string,
  values: Readonly<Record<string, unknown>>,
  used: (name: string) => void,
): Replacement | undefined {
  if (!text.includes('${')) return undefined
  const moves: { readonly from: number; readonly origin: number; readonly isValue: boolean }[] = [
    { from: 0, origin: 0, isValue: false },
  ]
  let result = ''
  let end = 0
  for (const match of text.matchAll(reference)) {
    const [whole, name = ''] = match
    used(name)
    if (!Object.hasOwn(values, name)) continue
    if (whole.length === text.trim().length) return { value: values[name], originOf: () => 0 }
    result += text.slice(end, match.index)
    moves.push({ from: result.length, origin: match.index, isValue: true })
    result += String(values[name])
    end = match.index + whole.length
    moves.push({ from: result.length, origin: end, isValue: false })
  }
  if (end === 0) return undefined
  result += text.slice(end)
  return {
    value: result,
    originOf(letter) {
      const move = moves.findLast(candidate => candidate.from <= letter)
      if (!move) return letter
      return move.isValue ? move.origin : move.origin + letter - move.from
    },
  }
}
