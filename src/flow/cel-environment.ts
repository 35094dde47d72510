import { Environment } from '@marcbachmann/cel-js'
import { isMatch } from './linear-regex.ts'
import { HeaderView, NullableHeaderView } from './message-view.ts'

/** The name under which the tree calls matches(), because the library's own runs JavaScript's backtracking RegExp. */
export const matchFunction = 'matchesLinear'
/** The name of the message in has(), where a missing header is not there instead of empty. */
export const presentRoot = 'presentMessage'
/** The name of the message where a header is compared with null: one that is not there is null then. */
export const nullableRoot = 'nullableMessage'

export const rootNames = ['message', 'params', 'flow'] as const

const limits = { maxAstNodes: 2_000, maxDepth: 60, maxListElements: 500, maxMapEntries: 500, maxCallArguments: 16 }

let base: Environment | undefined
const withLocals = new Map<string, Environment>()

/** The CEL environment of the hub, with further names that a step offers. Built once for each set of names. */
export function celEnvironment(locals: readonly string[] = []): Environment {
  const names = locals.toSorted()
  const key = names.join(' ')
  const known = withLocals.get(key)
  if (known) return known
  base ??= buildEnvironment()
  const environment = base.clone()
  for (const name of names) environment.registerVariable(name, 'dyn')
  withLocals.set(key, environment)
  return environment
}

/** Names of all functions and methods, for suggestions. */
export function functionNames(): readonly string[] {
  const names = new Set(
    celEnvironment()
      .getDefinitions()
      .functions.map(declared => declared.name),
  )
  names.delete(matchFunction)
  return [...names.add('matches')]
}

function buildEnvironment(): Environment {
  const environment = new Environment({ enableOptionalTypes: true, homogeneousAggregateLiterals: false, limits })
  for (const name of [...rootNames, presentRoot, nullableRoot]) environment.registerVariable(name, 'dyn')
  environment.registerType('Headers', HeaderView)
  environment.registerType('NullableHeaders', NullableHeaderView)
  const define = (signature: string, handler: (...args: never[]) => unknown) =>
    environment.registerFunction(signature, { handler, async: false })

  environment.registerOperator('string in Headers', (name: string, headers: HeaderView) => headers.has(name))
  define('size(Headers): int', (headers: HeaderView) => BigInt(headers.size))
  define('Headers.size(): int', (headers: HeaderView) => BigInt(headers.size))
  define(`string.${matchFunction}(string): bool`, isMatch)
  define('string.replace(string, string): string', (text: string, from: string, to: string) =>
    text.replaceAll(from, to),
  )
  define('string.domain(): string', (address: string) => address.slice(address.lastIndexOf('@') + 1).toLowerCase())
  defineMixedArithmetic(environment)
  return environment
}

// Numbers of JSON are doubles, numbers in an expression are ints. CEL refuses to mix them in arithmetic; people who
// write `message.size / 1024` are not to learn that in the night, so mixing gives a double.
function defineMixedArithmetic(environment: Environment): void {
  const operations: Record<string, (a: number, b: number) => number> = {
    '+': (a, b) => a + b,
    '-': (a, b) => a - b,
    '*': (a, b) => a * b,
    '/': (a, b) => a / b,
    '%': (a, b) => a % b,
  }
  for (const [operator, compute] of Object.entries(operations)) {
    const handler = (a: number | bigint, b: number | bigint) => compute(Number(a), Number(b))
    environment.registerOperator(`int ${operator} double: double`, handler)
    environment.registerOperator(`double ${operator} int: double`, handler)
    if (operator === '%') environment.registerOperator('double % double: double', handler)
  }
  // The library adds the other direction and != by itself.
  environment.registerOperator('int == double', (a: bigint, b: number) => Number(a) === b)
}
