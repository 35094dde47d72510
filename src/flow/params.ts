import { z } from 'zod'
import { duration, host, port, size } from '../kernel/schema.ts'
import { listNames, nearestName } from './did-you-mean.ts'
import { capital } from './issue-words.ts'
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
  .regex(
    /^[A-Za-z][A-Za-z0-9_]*$/,
    'the name of a parameter has letters, digits and underscores, and begins with a letter',
  )

const email = z.string().regex(/^[^\s@"(),:;<>[\\\]]+@[^\s@"(),:;<>[\\\]]+$/, 'an address is written name@domain')
const url = z.string().regex(/^https?:\/\/[^\s/]+/i, 'an address of the web begins with https:// or http://')

/** A sentence that says what fits the declared type, or undefined when the value does. */
function whyNotOfType(value: unknown, param: DeclaredParam): string | undefined {
  const schema = schemaOf(param)
  const parsed = schema.safeParse(value)
  if (parsed.success) return undefined
  const first = parsed.error.issues[0]
  if (param.type === 'choice') return `It must be one of ${listNames(param.of ?? [])}.`
  return first?.code === 'invalid_format' ? `${capital(first.message)}.` : `It must be ${typeWords[param.type]}.`
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

/** A file with values, or the place where there could be one. */
export interface ValueFile {
  readonly file: string
  readonly source: YamlSource | undefined
}

/** Where values for a stage stand: for this document alone, and for all documents of the folder. */
export interface StageFiles {
  readonly name: string
  readonly own: ValueFile
  readonly all: ValueFile
}

/**
 * The value of each declared parameter: from the caller, the stage's file of the document, that of all documents beside
 * it, or the default. Only the shared file may have values that the document does not declare.
 */
export function resolveParams(
  declared: ReadonlyMap<string, DeclaredParam>,
  flowSource: YamlSource,
  stage: StageFiles,
  given: Readonly<Record<string, unknown>> = {},
): StageValues {
  const values: Record<string, unknown> = {}
  const problems: Problem[] = []
  const own = valuesIn(stage.own, problems)
  const all = valuesIn(stage.all, problems)
  for (const name of Object.keys(own)) {
    if (declared.has(name) || !stage.own.source) continue
    const near = nearestName(name, declared.keys())
    const next = near ? `Did you mean ${near}?` : `${flowSource.file} declares ${listNames(declared.keys())}.`
    problems.push(stage.own.source.atKey([name], 'FLOW_PARAM', `The flow declares no parameter "${name}".`, next))
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
    const from = isGiven ? undefined : [stage.own, stage.all].find((_, at) => Object.hasOwn(at === 0 ? own : all, name))
    const inFile = from === stage.own ? own[name] : all[name]
    const value = isGiven ? given[name] : from ? inFile : param.default
    const report = (message: string, next: string) =>
      problems.push(
        from?.source && value === null
          ? from.source.atKey([name], 'FLOW_PARAM', message, next)
          : from?.source
            ? from.source.atValue([name], 'FLOW_PARAM', message, next)
            : param.default !== undefined && !isGiven
              ? flowSource.atValue(['params', name, 'default'], 'FLOW_PARAM', message, next)
              : flowSource.atKey(['params', name], 'FLOW_PARAM', message, next),
      )
    if (value === undefined || value === null) {
      const { file, source } = stage.own.source || !stage.all.source ? stage.own : stage.all
      const where = source ? `Add ${name}: … to ${file}` : `Make ${file} with ${name}: …`
      report(`The parameter ${name} has no value for the stage ${stage.name}.`, `${where}, or give it a default.`)
      continue
    }
    const why = whyNotOfType(value, param)
    if (why !== undefined) report(`${JSON.stringify(value)} does not fit the parameter ${name}.`, why)
    else if (typeof value === 'string' && value.includes('${'))
      report(`The value of ${name} must not contain \${.`, 'Write the template in the flow document.')
    else values[name] = value
  }
  return { values, problems }
}

function valuesIn({ source }: ValueFile, problems: Problem[]): Readonly<Record<string, unknown>> {
  const written = source?.value ?? {}
  if (isPlainObject(written)) return written
  if (source && written !== null) {
    const next = 'Write name: value, one on each line.'
    problems.push(source.atValue([], 'FLOW_PARAM', 'A parameter file gives names and values.', next))
  }
  return {}
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
