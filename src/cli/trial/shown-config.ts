import type { Scope, Template } from '../../flow/expression.ts'
import { isNode } from '../../flow/node-places.ts'
import { isPlainObject } from '../../flow/plain-object.ts'

/**
 * The texts of a receiver's configuration as they are for one message, templates filled in. Numbers, switches and what is
 * not said are left out: they are the same for every message.
 */
export async function shownConfig(config: unknown, scope: Scope): Promise<Readonly<Record<string, unknown>>> {
  const shown = await shownValue(config, scope)
  return isPlainObject(shown) ? shown : {}
}

async function shownValue(value: unknown, scope: Scope): Promise<unknown> {
  if (typeof value === 'string') return value
  if (typeof value !== 'object' || value === null || isNode(value)) return undefined
  if (isTemplate(value)) return value.render(scope)
  if (Array.isArray(value)) {
    const items = await Promise.all(value.map(item => shownValue(item, scope)))
    const there = items.filter(item => item !== undefined)
    return there.length > 0 ? there : undefined
  }
  const entries = Object.entries(value)
  // What an adapter has compiled (a filter, an expression) is known by its text.
  if (Object.getPrototypeOf(value) !== Object.prototype || entries.some(([, inner]) => typeof inner === 'function')) {
    return 'text' in value && typeof value.text === 'string' ? value.text : undefined
  }
  // How values with templates at any depth are kept (flow/value-template.ts).
  const [[wrapper, inner] = ['', undefined]] = entries
  if (entries.length === 1 && ['template', 'literal', 'list', 'fields'].includes(wrapper)) {
    return wrapper === 'literal' ? inner : shownValue(inner, scope)
  }
  const pairs: [string, unknown][] = []
  for (const [name, each] of entries) {
    const shown = await shownValue(each, scope)
    if (shown !== undefined) pairs.push([name, shown])
  }
  return pairs.length > 0 ? Object.fromEntries(pairs) : undefined
}

function isTemplate(value: object): value is Template {
  return 'isFixed' in value && 'render' in value && typeof value.render === 'function'
}
