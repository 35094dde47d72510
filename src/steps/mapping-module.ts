import { basename } from 'node:path'
import type { Scope } from '../flow/expression.ts'
import { isPlainObject } from '../flow/plain-object.ts'
import { defineErrors, HubError } from '../kernel/error.ts'
import type { Json } from '../kernel/json.ts'
import type { Limits } from '../kernel/limit.ts'
import type { Message } from '../kernel/message.ts'
import { readJson, withJson } from './change-message.ts'
import { loadModule } from './load-module.ts'

export const mapErrors = defineErrors('MAP', {
  FAILED: {
    side: 'flow',
    retry: 'never',
    means: 'The mapping failed at {place}: {text}',
    next: 'Correct the module or the message, then replay it.',
  },
  MODULE_BROKEN: {
    side: 'flow',
    retry: 'after-change',
    means: 'The module {module} cannot be loaded: {text}',
    next: 'Correct the module and start the flow again.',
  },
  NOT_A_MESSAGE: {
    side: 'flow',
    retry: 'never',
    means: 'The function {name} of {module} returned {kind} instead of a message.',
    next: 'Return a message (the one that came in, with other headers, attributes or body); with json: true, the new body.',
  },
  NOT_A_HEADER: {
    side: 'flow',
    retry: 'never',
    means: 'The value for the header {name} has a line break.',
    next: 'Take line breaks out in the flow document, for example with .replace, then replay the message.',
  },
})

/** What a mapping function gets beside the message. */
interface MappingContext extends Scope {
  readonly limits: Limits
}

export type Mapping = (message: Message, context: MappingContext) => Message | Promise<Message>

/** Loads a mapping function once; with `isJson` it maps the parsed body instead of the message. Throws MAP_MODULE_BROKEN; the function throws MAP_FAILED with module and line. */
export async function loadMapping(file: string, name: string, isJson: boolean): Promise<Mapping> {
  let loaded: object
  try {
    loaded = await loadModule(file)
  } catch (cause) {
    throw mapErrors.MODULE_BROKEN({ module: file, text: textOf(cause) }, { cause })
  }
  const mapping: unknown = Reflect.get(loaded, name)
  if (typeof mapping !== 'function') {
    throw mapErrors.MODULE_BROKEN({ module: file, text: `it exports no function ${name}` })
  }
  return async (message, context) => {
    // Read before the function runs: a body that is no JSON is not a mistake of the module.
    const input = isJson ? await readJson(message.body, context.limits) : message
    let result: unknown
    try {
      result = await (mapping as (input: Message | Json, context: MappingContext) => unknown)(input, context)
    } catch (cause) {
      if (cause instanceof HubError) throw cause
      throw mapErrors.FAILED({ place: placeOf(cause, file), text: textOf(cause) }, { cause })
    }
    if (isJson) return withJson(message, jsonResult(result, name, file))
    if (!isMessage(result)) throw mapErrors.NOT_A_MESSAGE({ name, module: basename(file), kind: kindOf(result) })
    // What a module makes up may not change which message this is.
    return { ...result, id: message.id, acceptedAt: message.acceptedAt }
  }
}

function jsonResult(result: unknown, name: string, file: string): Json {
  if (result === undefined) throw mapErrors.NOT_A_MESSAGE({ name, module: basename(file), kind: 'nothing' })
  return result as Json
}

function isMessage(value: unknown): value is Message {
  if (!isPlainObject(value)) return false
  const { body, headers, attributes } = value
  if (!isPlainObject(headers) || !isPlainObject(attributes)) return false
  return typeof body === 'object' && body !== null && 'stream' in body && typeof body.stream === 'function'
}

/** `map.ts:12:7`, out of the stack of an error. Callers may read it: where the hub keeps its files is not for them. */
function placeOf(cause: unknown, file: string): string {
  const stack = cause instanceof Error ? (cause.stack ?? '') : ''
  const at = stack.indexOf(file)
  const position = at < 0 ? undefined : /^(?:\?revision=[\w-]*)?(:\d+:\d+)/.exec(stack.slice(at + file.length))?.[1]
  return `${basename(file)}${position ?? ''}`
}

function textOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}

function kindOf(value: unknown): string {
  if (value === undefined || value === null) return 'nothing'
  if (Array.isArray(value)) return 'a list'
  return typeof value === 'object' ? 'an object without headers, attributes and body' : `a ${typeof value}`
}
