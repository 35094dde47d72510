/** One field of a form: what a person types for one setting. */
export interface FormField {
  /** Where it stands in the settings: `provider.microsoft365.tenant`. */
  readonly path: string
  readonly label: string
  /**
   * A line of text when it is not said. `pairs` are lines of `name=value`, `list` words between blanks; `or-all` is a
   * text, or the word `all` for the setting false.
   */
  readonly type?: 'text' | 'pairs' | 'list' | 'number' | 'or-all'
  /** Goes in and never comes out. */
  readonly isSecret?: true
  readonly isRequired?: boolean
  /** Stands behind a fold of this name. */
  readonly fold?: string
  /** One of these; the empty one leaves the setting out. */
  readonly options?: readonly string[]
  readonly hint?: string
}

/** What was typed, by path; a field that was left empty is not there, or empty. */
export type Typed = Readonly<Record<string, string>>

const all = 'all'

/** The label of the first field that has to be filled and is not; a secret that the hub keeps may stay empty. */
export function missingField(
  fields: readonly FormField[],
  typed: Typed,
  kept: readonly string[] = [],
): string | undefined {
  return fields.find(({ path, isRequired }) => isRequired && !kept.includes(path) && (typed[path] ?? '').trim() === '')
    ?.label
}

/** What the API takes: settings without those that were left empty. */
export function settingsOf(fields: readonly FormField[], typed: Typed): Record<string, unknown> {
  const settings: Record<string, unknown> = {}
  for (const field of fields) {
    const value = settingOf(field, typed[field.path] ?? '')
    if (value !== undefined) put(settings, field.path.split('.'), value)
  }
  return settings
}

/** What the form shows of settings that are there already. */
export function typedOf(fields: readonly FormField[], settings: unknown): Typed {
  return Object.fromEntries(
    fields.flatMap(({ path }) => {
      const value = path.split('.').reduce<unknown>((at, name) => (isGroup(at) ? at[name] : undefined), settings)
      return value === undefined ? [] : [[path, value === false ? all : textOf(value)] as const]
    }),
  )
}

function settingOf({ type, isSecret }: FormField, text: string): unknown {
  const trimmed = text.trim()
  // Blanks belong to a password.
  if (isSecret || type === 'text') return trimmed === '' ? undefined : text
  if (trimmed === '') return undefined
  if (type === 'list') return trimmed.split(/\s+/)
  if (type === 'pairs') return Object.fromEntries(trimmed.split('\n').map(pairOf))
  if (type === 'or-all' && trimmed === all) return false
  // What is no number is sent as it is: the hub says what is wrong with it.
  if (type === 'number') return Number.isNaN(Number(trimmed)) ? trimmed : Number(trimmed)
  return trimmed
}

function pairOf(line: string): readonly [string, string] {
  const at = line.indexOf('=')
  return at < 0 ? [line.trim(), ''] : [line.slice(0, at).trim(), line.slice(at + 1).trim()]
}

function textOf(value: unknown): string {
  if (Array.isArray(value)) return value.join(' ')
  if (!isGroup(value)) return String(value)
  return Object.entries(value)
    .map(([name, each]) => `${name}=${String(each)}`)
    .join('\n')
}

function put(target: Record<string, unknown>, [name = '', ...rest]: readonly string[], value: unknown): void {
  if (rest.length === 0) {
    target[name] = value
    return
  }
  const inner = isGroup(target[name]) ? { ...target[name] } : {}
  put(inner, rest, value)
  target[name] = inner
}

/** Whether it has settings within it. */
export function isGroup(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
