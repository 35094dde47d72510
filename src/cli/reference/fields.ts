import { formatSize } from '../../kernel/size.ts'
import { formatDuration } from '../../kernel/time.ts'

/** What is read of a JSON Schema (2020-12) for a table of fields. */
export interface FieldSchema {
  readonly title?: string
  readonly description?: string
  readonly type?: string | readonly string[]
  readonly format?: string
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly default?: unknown
  readonly examples?: readonly unknown[]
  readonly minimum?: number
  readonly maximum?: number
  readonly properties?: Readonly<Record<string, FieldSchema>>
  readonly required?: readonly string[]
  readonly items?: FieldSchema
  readonly additionalProperties?: FieldSchema | boolean
  readonly anyOf?: readonly FieldSchema[]
  readonly oneOf?: readonly FieldSchema[]
  readonly allOf?: readonly FieldSchema[]
  readonly $ref?: string
  readonly $defs?: Readonly<Record<string, FieldSchema>>
}

// A step may contain steps; below this depth the table says so and stops.
const depthMax = 5

/** A Markdown table of all fields below a schema; nested ones with a dotted path. */
export function fieldTable(root: FieldSchema): string {
  const rows = rowsOf(root, '', root, 0)
  if (rows.length === 0) return `Takes ${typeOf(root, root)}.\n`
  const head = '| field | type | default | what for |\n| --- | --- | --- | --- |\n'
  return `${head}${rows.map(row => `| ${row.map(escapeCell).join(' | ')} |\n`).join('')}`
}

type Row = readonly [field: string, type: string, preset: string, about: string]

function rowsOf(given: FieldSchema, path: string, root: FieldSchema, depth: number, isChoice = false): readonly Row[] {
  const schema = resolve(given, root)
  if (depth > depthMax) return []
  const fields = Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
    const at = path === '' ? name : `${path}.${name}`
    // One key alone names the choice; that it is needed there goes without saying.
    const isName = isChoice && Object.keys(schema.properties ?? {}).length === 1
    const isRequired = !isName && schema.required?.includes(name) === true && resolve(field, root).default === undefined
    return [rowOf(at, field, isRequired, root), ...rowsOf(field, at, root, depth + 1)]
  })
  const choices = [...(schema.anyOf ?? []), ...(schema.oneOf ?? []), ...(schema.allOf ?? [])]
  const inside = choices.flatMap(choice => rowsOf(choice, path, root, depth + 1, true))
  const items = schema.items ? rowsOf(schema.items, `${path}[]`, root, depth + 1) : []
  const more = schema.additionalProperties
  const values = typeof more === 'object' ? rowsOf(more, `${path}.<name>`, root, depth + 1) : []
  return unique([...fields, ...inside, ...items, ...values])
}

function rowOf(path: string, given: FieldSchema, isRequired: boolean, root: FieldSchema): Row {
  const schema = resolve(given, root)
  const about = [(given.description ?? schema.description ?? '').replaceAll('<', '&lt;')]
  const [example] = given.examples ?? schema.examples ?? []
  if (example !== undefined) about.push(`Example: \`${text(example)}\`.`)
  const preset = given.default ?? schema.default
  // The presets of a group stand with its fields.
  const isGroup = typeof preset === 'object' && preset !== null && !Array.isArray(preset)
  const shown = isRequired ? 'required' : preset === undefined || isGroup ? '' : `\`${presetText(preset, schema)}\``
  return [`\`${path}\``, typeOf(given, root), shown, about.filter(part => part !== '').join(' ')]
}

function typeOf(given: FieldSchema, root: FieldSchema): string {
  const schema = resolve(given, root)
  // A schema that names itself (any JSON, steps in steps) has no end to write out.
  if (given.$ref !== undefined && JSON.stringify(schema).includes(`"${given.$ref}"`)) return schema.title ?? 'JSON'
  if (schema.enum) return schema.enum.map(value => `\`${text(value)}\``).join(', ')
  if (schema.const !== undefined) return `\`${text(schema.const)}\``
  const choices = schema.anyOf ?? schema.oneOf
  if (choices) return [...new Set(choices.map(choice => typeOf(choice, root)))].join(' or ')
  if (schema.title !== undefined && schema.properties === undefined) return schema.title
  if (schema.items) return `list of ${typeOf(schema.items, root)}`
  if (schema.properties) return 'group'
  if (typeof schema.additionalProperties === 'object') return `group of ${typeOf(schema.additionalProperties, root)}`
  const type = typeof schema.type === 'string' ? schema.type : schema.type?.join(' or ')
  const range = [schema.minimum, schema.maximum]
  const isBounded = range.every(bound => bound !== undefined && Math.abs(bound) < Number.MAX_SAFE_INTEGER)
  return `${schema.format ?? type ?? 'anything'}${isBounded ? ` (${range.join(' to ')})` : ''}`
}

function resolve(schema: FieldSchema, root: FieldSchema): FieldSchema {
  const name = /^#\/\$defs\/(.+)$/.exec(schema.$ref ?? '')?.[1]
  return name === undefined ? schema : (root.$defs?.[name] ?? schema)
}

/** Durations and sizes are numbers in the schema and words in a document. */
function presetText(value: unknown, { title }: FieldSchema): string {
  if (typeof value === 'number' && title === 'duration') return formatDuration(value)
  if (typeof value === 'number' && title === 'size') return formatSize(value)
  return text(value)
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function unique(rows: readonly Row[]): readonly Row[] {
  return [...new Map(rows.map(row => [row[0], row])).values()]
}

function escapeCell(cell: string): string {
  return cell.replaceAll('|', '\\|').replaceAll('\n', ' ')
}
