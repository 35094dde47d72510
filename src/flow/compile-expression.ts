import type { Environment } from '@marcbachmann/cel-js'
import { HubError } from '../kernel/error.ts'
import type { Json } from '../kernel/json.ts'
import { defaultLimits } from '../kernel/limit.ts'
import { celEnvironment, nullableRoot, presentRoot } from './cel-environment.ts'
import type { Expression, Scope } from './expression.ts'
import { expressionErrors } from './expression-errors.ts'
import { ExpressionFault, explainFailure, explainParse } from './expression-fault.ts'
import { type Inspection, inspectTree } from './expression-tree.ts'
import { celValue, jsonValue, loadBody, viewMessage } from './message-view.ts'

export interface ExpressionNames {
  /** Names that a step offers beside message, params and flow. */
  readonly locals?: readonly string[]
  /** Declared parameters; undefined where they are not known, which lets every name pass. */
  readonly params?: readonly string[] | undefined
  /** Attributes that the message can have; undefined where they are not known, which lets every name pass. */
  readonly attributes?: readonly string[] | undefined
}

/** An expression, and whether its value depends on the message (or on what a step offers). */
export interface CompiledExpression extends Expression {
  readonly dependsOnMessage: boolean
}

/** Letters of one expression; longer ones belong into a map module. */
const expressionLettersMax = 4_000

/**
 * Compiles a CEL expression. Throws EXPRESSION_NOT_VALID, whose fields `offset` and `length`
 * point into the text (letters, from 0).
 */
export function compileExpression(text: string, names: ExpressionNames = {}): CompiledExpression {
  const environment = celEnvironment(names.locals)
  try {
    return compile(text, names, environment)
  } catch (thrown) {
    const fault = thrown instanceof ExpressionFault ? thrown : explainParse(thrown, text)
    const { why, hint, offset, length } = fault
    throw expressionErrors.NOT_VALID({ text: shorten(text), why, hint, offset, length }, { cause: thrown })
  }
}

function compile(text: string, names: ExpressionNames, environment: Environment): CompiledExpression {
  if (text.trim() === '') {
    throw new ExpressionFault('it is empty', 'Write a condition such as message.size > 1024.', 0, text.length)
  }
  if (text.length > expressionLettersMax) {
    const hint = 'Move the thinking into a map step with a module.'
    throw new ExpressionFault(`it is longer than ${expressionLettersMax} letters`, hint, expressionLettersMax, 1)
  }
  const locals = names.locals ?? []
  const parsed = environment.parse(text)
  const inspection = inspectTree(parsed.ast, text, names)
  const checked = parsed.check()
  if (!checked.valid) throw checked.error
  return toExpression(text, context => parsed(context), inspection, locals)
}

function toExpression(
  text: string,
  run: (context: Record<string, unknown>) => unknown,
  inspection: Inspection,
  locals: readonly string[],
): CompiledExpression {
  const needsBody = inspection.needs.body || inspection.needs.attachments
  const attribute = attributeOf(text)

  function compute(scope: Scope): Json {
    try {
      return jsonValue(run(activation(scope, inspection, locals)))
    } catch (thrown) {
      if (thrown instanceof HubError) throw thrown
      const { why, hint } = explainFailure(thrown, scope)
      throw expressionErrors.FAILED({ text: shorten(text), why, hint }, { cause: thrown })
    }
  }

  return {
    text,
    needsBody,
    dependsOnMessage: inspection.readsMessage || inspection.readsLocals,
    evaluate(scope) {
      if (attribute !== undefined) {
        const { attributes } = scope.message
        const value = Object.hasOwn(attributes, attribute) ? attributes[attribute] : undefined
        if (typeof value === 'string') return value
      }
      if (needsBody) {
        const parseBytesMax = (scope.limits ?? defaultLimits).parseBytes
        const loading = loadBody(viewMessage(scope.message), scope.message, inspection.needs, parseBytesMax)
        if (loading) return loading.then(() => compute(scope))
      }
      return compute(scope)
    },
  }
}

/** Names of a message that are none of its attributes. */
const ownNames: ReadonlySet<string> = new Set(['id', 'size', 'type', 'acceptedAt', 'headers', 'body', 'attachments'])

/**
 * The attribute that an expression names and does nothing else with, as keys and addresses mostly do: its text needs no
 * view of the whole message, which costs more than everything else of it.
 */
function attributeOf(text: string): string | undefined {
  const name = /^\s*message\.([A-Za-z_][A-Za-z0-9_]*)\s*$/.exec(text)?.[1]
  return name === undefined || ownNames.has(name) ? undefined : name
}

const paramViews = new WeakMap<object, unknown>()

function activation(scope: Scope, inspection: Inspection, locals: readonly string[]): Record<string, unknown> {
  const view = viewMessage(scope.message)
  let params = paramViews.get(scope.params)
  if (!params) {
    params = celValue(scope.params)
    paramViews.set(scope.params, params)
  }
  const context: Record<string, unknown> = { message: view.message, params, flow: scope.flow }
  if (inspection.asksPresence) context[presentRoot] = view.present
  if (inspection.asksNull) context[nullableRoot] = view.nullable
  for (const name of locals) context[name] = celValue(scope.locals?.[name])
  return context
}

export function shorten(text: string, lettersMax = 200): string {
  return text.length <= lettersMax ? text : `${text.slice(0, lettersMax - 1)}…`
}
