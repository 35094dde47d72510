import type { Json } from '../kernel/json.ts'
import { compare, type Decimal, decimalOf, formatDecimal, toNumber } from './exact-decimal.ts'
import { isDecimal, refuse } from './rule.ts'
import type { TargetField } from './target.ts'

/** The value as the target takes it, under the name it has there; a RuleFault where it does not fit. */
export function fitValue(name: string, target: TargetField<unknown>, value: unknown): { name: string; value: Json } {
  if (target.kind === 'lookup') return fitLookup(name, target, value)
  if (value === null || value === '') return { name, value: null }
  switch (target.kind) {
    case 'text':
      return { name, value: fitText(target.lengthMax, value) }
    case 'integer':
    case 'decimal':
      return { name, value: fitNumber(target, value) }
    case 'boolean':
      return { name, value: typeof value === 'boolean' ? value : refuse(`${show(value)} is neither true nor false`) }
    case 'choice':
      return { name, value: fitChoice(target.options, value) }
    case 'list':
      return refuse('a list is read record by record')
    case 'date':
    case 'time':
    case 'date-time':
      return { name, value: typeof value === 'string' ? value : refuse(`${show(value)} is no ${target.kind}`) }
  }
}

function fitText(lengthMax: number, value: unknown): string {
  if (typeof value !== 'string') return refuse(`${show(value)} is no text`)
  // Dataverse counts UTF-16 code units.
  if (value.length > lengthMax) {
    refuse(
      `${show(value)} has ${value.length} characters and the field takes ${lengthMax}; .cut(${lengthMax}) would shorten it`,
    )
  }
  return value
}

function fitNumber(target: TargetField<unknown> & { kind: 'integer' | 'decimal' }, value: unknown): number {
  const decimal = typeof value === 'number' ? decimalOf(value) : value
  if (!isDecimal(decimal)) return refuse(`${show(value)} is no number`)
  const text = formatDecimal(decimal)
  if (decimal.scale > target.scale) {
    refuse(`${text} has more than ${target.scale} digits after the point; .round(${target.scale}) would round it`)
  }
  const { min, max } = boundsOf(target)
  if (compare(decimal, min) < 0) refuse(`${text} is below ${target.min}`)
  if (compare(decimal, max) > 0) refuse(`${text} is above ${target.max}`)
  return toNumber(decimal) ?? refuse(`${text} has more than 15 digits, which a JSON number does not keep`)
}

interface Bounds {
  readonly min: Decimal
  readonly max: Decimal
}

const knownBounds = new WeakMap<TargetField<unknown>, Bounds>()

/** The bounds of a field as decimals: made once, since a field is asked for with each message. */
function boundsOf(target: TargetField<unknown> & { kind: 'integer' | 'decimal' }): Bounds {
  let bounds = knownBounds.get(target)
  if (!bounds) {
    bounds = { min: decimalOf(target.min), max: decimalOf(target.max) }
    knownBounds.set(target, bounds)
  }
  return bounds
}

function fitChoice(options: Readonly<Record<string, number>>, value: unknown): number {
  const wanted = isDecimal(value) ? toNumber(value) : value
  const known = Object.values(options)
  if (typeof wanted === 'number' && known.includes(wanted)) return wanted
  return refuse(`${show(value)} is none of the choices ${known.join(', ')}`)
}

/** Dataverse takes the row of another table as `name@odata.bind`; null there takes the link away. */
function fitLookup(name: string, target: TargetField<unknown> & { kind: 'lookup' }, value: unknown) {
  const bind = `${name}@odata.bind`
  if (value === null || value === '') return { name: bind, value: null }
  if (typeof value !== 'string') return refuse(`${show(value)} is no key`)
  return { name: bind, value: `/${target.set}(${target.key}='${value.replaceAll("'", "''")}')` }
}

function show(value: unknown): string {
  return (isDecimal(value) ? formatDecimal(value) : JSON.stringify(value)).slice(0, 80)
}
