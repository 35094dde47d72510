import { bodyErrors, refuseTooManyGroups } from '../kernel/body.ts'
import { HubError } from '../kernel/error.ts'
import { xmlLimits } from '../protocols/xml/xml-reader.ts'
import type { SourceNode } from './source.ts'

/** True when the first letter is one with which JSON begins, and XML does not. */
export function isJson(bytes: Uint8Array): boolean {
  const at = bytes.findIndex(byte => !blanks.has(byte))
  return bytes[at] === brace || bytes[at] === bracket
}

const blanks = new Set([0x20, 0x09, 0x0a, 0x0d, 0xef, 0xbb, 0xbf])
const brace = 0x7b
const bracket = 0x5b
/** Groups inside each other, as many as elements of XML. */
const { depth: depthMax, elements: valuesMax } = xmlLimits

/**
 * JSON as mappings read it: values are fields, groups are children, and a list is its items one after the other. Null is
 * a field without a value. Numbers keep the letters they have: 12.50 stays 12.50. Throws BODY_NOT_TEXT.
 */
export function readJsonSource(bytes: Uint8Array): SourceNode {
  let value: unknown
  let valueCount = 0
  /** The source text of a number: 0.1 and 12.50 are amounts, and no binary number comes near them. */
  const keepNumber = (_key: string, each: unknown, context?: { readonly source?: string }): unknown => {
    valueCount += 1
    if (valueCount > valuesMax) {
      throw bodyErrors.NOT_TEXT({
        format: 'JSON',
        text: `it has more than the ${valuesMax} values that a mapping reads`,
      })
    }
    return typeof each === 'number' ? (context?.source ?? String(each)) : each
  }
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    refuseTooManyGroups(text)
    value = JSON.parse(text, keepNumber)
  } catch (cause) {
    // Too deep for JavaScript, it may be good JSON all the same.
    if (cause instanceof RangeError || cause instanceof HubError) throw cause
    const text = cause instanceof Error ? cause.message : String(cause)
    throw bodyErrors.NOT_TEXT({ format: 'JSON', text }, { cause })
  }
  if (!isGroup(value)) throw bodyErrors.NOT_TEXT({ format: 'JSON', text: 'a group of names and values is wanted' })
  return nodeOf('', value, 0)
}

function nodeOf(name: string, group: Readonly<Record<string, unknown>>, depth: number): SourceNode {
  if (depth > depthMax) throw bodyErrors.NOT_TEXT({ format: 'JSON', text: 'its groups are too deep inside each other' })
  const fields = new Map<string, string>()
  const children: SourceNode[] = []
  for (const [key, value] of Object.entries(group)) {
    for (const item of Array.isArray(value) ? (value as readonly unknown[]) : [value]) {
      if (isGroup(item)) children.push(nodeOf(key, item, depth + 1))
      else if (Array.isArray(item)) throw bodyErrors.NOT_TEXT({ format: 'JSON', text: `${key} is a list of lists` })
      else if (!fields.has(key)) fields.set(key, textOf(item))
      else children.push({ name: key, fields: new Map([['#text', textOf(item)]]), children: [] })
    }
  }
  return { name, fields, children }
}

/** `true` is the flag X of SAP. */
function textOf(value: unknown): string {
  if (value === null || value === false) return ''
  return value === true ? 'X' : String(value)
}

function isGroup(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
