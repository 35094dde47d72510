import { AsyncLocalStorage } from 'node:async_hooks'
import { z } from 'zod'
import { HubError } from '../kernel/error.ts'
import type { AttributeNames } from './attribute-names.ts'
import { type CompiledExpression, compileExpression } from './compile-expression.ts'
import { compileTemplate } from './compile-template.ts'
import type { Template } from './expression.ts'

// A schema of an adapter does not know in which document it stands. The loader does, and says so around the parse.
const declared = new AsyncLocalStorage<DeclaredNames>()

/** What a document declares: expressions inside may use these names and no others. */
export interface DeclaredNames {
  readonly params: readonly string[]
  readonly attributes: AttributeNames
}

/** Parses with the names of a document known. */
export function withDeclaredNames<T>(names: DeclaredNames, parse: () => T): T {
  return declared.run(names, parse)
}

/**
 * A CEL expression; the parsed value is an Expression. Its issue carries `params: { offset, length, hint }`, the place
 * inside the text. `locals` are names that a step offers beside message, params and flow.
 */
export function expressionOver(...locals: readonly string[]) {
  return expressionWhen('travelling', locals)
}

function expressionWhen(when: keyof AttributeNames, locals: readonly string[]) {
  return z
    .union([z.string(), z.boolean()])
    .transform((text, context): CompiledExpression => {
      return orIssue(context, () => compileExpression(String(text), { locals, ...namesWhen(when) }))
    })
    .meta({ title: 'expression', examples: ["message.from.endsWith('@contoso.com')"] })
}

function namesWhen(when: keyof AttributeNames) {
  const names = declared.getStore()
  return { params: names?.params, attributes: names?.attributes[when] }
}

/** Text with `${…}` parts; the parsed value is a Template. Issues as those of expressionOver. */
function templateOver(...locals: readonly string[]) {
  return z
    .string()
    .transform((text, context): Template => {
      return orIssue(context, () => compileTemplate(text, { locals, ...namesWhen('travelling') }))
    })
    .meta({ title: 'template', examples: ['orders-${message.headers.region}@s4.example'] })
}

export const expressionSchema = expressionOver()
/** An expression over a message that is just being taken in: no step has touched it. */
export const intakeExpressionSchema = expressionWhen('accepted', [])
export const templateSchema = templateOver()

function orIssue<T>(context: z.RefinementCtx, compile: () => T): T {
  try {
    return compile()
  } catch (thrown) {
    if (!(thrown instanceof HubError)) throw thrown
    const { why, hint, offset, length } = thrown.fields
    context.addIssue({
      code: 'custom',
      message: `This expression is not valid: ${why}.`,
      params: { hint, offset, length },
    })
    return z.NEVER
  }
}
