import { isPlainObject } from './plain-object.ts'
import type { Declarations } from './schema.ts'

/** Names of attributes that a message of a flow can have; undefined where that cannot be told. */
export interface AttributeNames {
  /** When the hub takes it in, before the first step (once-by, order-by). */
  readonly accepted: readonly string[] | undefined
  /** Anywhere on its way: what the sender gives and what any step of the document adds. */
  readonly travelling: readonly string[] | undefined
}

const unknown: AttributeNames = { accepted: undefined, travelling: undefined }

/** Reads from a document, before it is parsed, which attributes its sender and its steps give to messages. */
export function readAttributeNames(document: Readonly<Record<string, unknown>>, with_: Declarations): AttributeNames {
  const { from, steps } = document
  const [sender] = isPlainObject(from) ? Object.keys(from) : []
  const accepted = with_.senders.find(({ id }) => id === sender)?.attributes
  if (!accepted) return unknown
  const given = givenBySteps(steps, with_)
  return { accepted, travelling: given && [...new Set([...accepted, ...given])] }
}

function givenBySteps(value: unknown, with_: Declarations): readonly string[] | undefined {
  if (!isPlainObject(value) && !Array.isArray(value)) return []
  const names: string[] = []
  for (const [key, inner] of Object.entries(value)) {
    const step = with_.steps.find(({ id }) => id === key)
    const own = step?.attributes ? step.attributes(isPlainObject(inner) ? inner : {}) : []
    const deeper = givenBySteps(inner, with_)
    if (!own || !deeper) return undefined
    names.push(...own, ...deeper)
  }
  return names
}
