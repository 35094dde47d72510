import { AsyncLocalStorage } from 'node:async_hooks'
import { z } from 'zod'
import { HubError } from '../kernel/error.ts'
import { type CompiledExpression, compileExpression } from './compile-expression.ts'
import { compileTemplate } from './compile-template.ts'
import type { Template } from './expression.ts'

// A schema of an adapter does not know in which document it stands. The loader does, and says so around the parse.
const declared = new AsyncLocalStorage<{ readonly params: readonly string[] }>()

/** Parses with the parameters of a document known: expressions inside may then use these and no others. */
export function withDeclaredParams<T>(params: readonly string[], parse: () => T): T {
  return declared.run({ params }, parse)
}

/**
 * A CEL expression; the parsed value is an Expression. Its issue carries `params: { offset, length, hint }`, the place
 * inside the text. `locals` are names that a step offers beside message, params and flow.
 */
export function expressionOver(...locals: readonly string[]) {
  return z
    .union([z.string(), z.boolean()])
    .transform((text, context): CompiledExpression => {
      const params = declared.getStore()?.params
      return orIssue(context, () => compileExpression(String(text), { locals, params }))
    })
    .meta({ title: 'expression', examples: ["message.from.endsWith('@contoso.com')"] })
}

/** Text with `${…}` parts; the parsed value is a Template. Issues as those of expressionOver. */
function templateOver(...locals: readonly string[]) {
  return z
    .string()
    .transform((text, context): Template => {
      const params = declared.getStore()?.params
      return orIssue(context, () => compileTemplate(text, { locals, params }))
    })
    .meta({ title: 'template', examples: ['orders-${message.headers.region}@s4.example'] })
}

export const expressionSchema = expressionOver()
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
