import { z } from 'zod'
import { listNames, nearestName } from './did-you-mean.ts'

/** A thing that is named by its one key: `{ imap: {…} }`. */
export interface Named<D> {
  readonly declaration: D
  readonly config: unknown
}

interface Declared {
  readonly id: string
  readonly title: string
}

/** Marks messages that nobody wrote, so that they are put into words of our own. */
export const unwritten = 'isthmus:unwritten'
export const parseOptions = { error: () => unwritten, reportInput: true } as const

// Kept by definition, because describing a schema (.meta) makes a new one with the same definition.
const choices = new WeakMap<object, (id: string) => z.ZodType | undefined>()

/** The schema under a key of a one-key schema; undefined for other schemas and unknown keys. */
export function choiceOf(schema: z.ZodType, id: string): z.ZodType | undefined {
  return choices.get(schema.def)?.(id)
}

export function isOneKey(schema: z.ZodType): boolean {
  return choices.has(schema.def)
}

/**
 * A schema for exactly one key out of declarations. `what` says what it is (`sender`). Issues of the inner schema keep
 * their paths; a wrong or second key is an issue with `params.at: 'key'` and the path of that key.
 */
export function oneKey<D extends Declared>(
  what: string,
  declarations: readonly D[],
  schemaOf: (declaration: D) => z.ZodType,
): z.ZodType<Named<D>> {
  const byId = new Map(declarations.map(declaration => [declaration.id, declaration]))
  const schema = z.unknown().transform((value, context): Named<D> => {
    const refuse = (message: string, hint: string, path: readonly string[] = []) => {
      context.issues.push({
        code: 'custom',
        message,
        params: { hint, at: 'key', code: 'FLOW_ADAPTER' },
        path: [...path],
        input: value,
      })
      return z.NEVER
    }
    const all = `The ${what}s are ${listNames(byId.keys())}.`
    // `- gather` alone is a step without settings.
    const entries: [string, unknown][] =
      typeof value === 'string' && byId.has(value)
        ? [[value, {}]]
        : typeof value === 'object' && value !== null && !Array.isArray(value)
          ? Object.entries(value)
          : []
    const [first, second] = entries
    if (!first)
      return refuse(`A ${what} is missing here.`, `Name it by its key, for example ${example(declarations)}. ${all}`)
    const [id, config] = first
    const declaration = byId.get(id)
    if (!declaration) {
      const near = nearestName(id, byId.keys())
      return refuse(`There is no ${what} "${id}".`, near ? `Did you mean ${near}?` : all, [id])
    }
    if (second) {
      const hint = byId.has(second[0])
        ? `Remove one of the two; each ${what} stands alone.`
        : `If "${second[0]}" is a setting of ${id}, indent it below ${id}.`
      return refuse(
        `Only one key can stand here, and there are ${entries.map(([name]) => name).join(' and ')}.`,
        hint,
        [second[0]],
      )
    }
    const parsed = schemaOf(declaration).safeParse(config ?? {}, parseOptions)
    if (parsed.success) return { declaration, config: parsed.data }
    for (const issue of parsed.error.issues) {
      // A finished issue is a raw one with its path from here on; its message is kept as it is.
      context.issues.push({ ...issue, path: [id, ...issue.path], input: issue.input } as z.core.$ZodRawIssue)
    }
    return z.NEVER
  })
  choices.set(schema.def, id => {
    const declaration = byId.get(id)
    return declaration && schemaOf(declaration)
  })
  return schema
}

function example(declarations: readonly Declared[]): string {
  return `${declarations[0]?.id ?? 'name'}: {…}`
}
