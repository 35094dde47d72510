import { HubError } from '../kernel/error.ts'
import type { Json } from '../kernel/json.ts'

/** Stands where a secret stood. */
export const maskText = '***'

/** Takes secrets out of whatever is about to leave the hub in a log line, an audit entry or an alert. */
export interface Mask {
  text(text: string): string
  /** The value as plain JSON, with every secret masked in keys and values, errors unfolded and bytes left out. */
  value(value: unknown): Json
}

const maskLimits = {
  /** Shorter values are not masked: they would blot out half of every line and are no secrets. */
  secretLettersMin: 4,
  /** Letters of one text in a log line. */
  textLetters: 8192,
  /** Levels of nested objects. */
  depth: 8,
  /** Entries of one object or list. */
  entries: 100,
}

// Fragments of base64 shorter than this turn up by chance.
const encodedLettersMin = 6
// Secrets of service keys are known by their shape: the hub keeps none of them, so no value could be looked for.
const serviceSecret = /hubk[0-9a-f]{12}[0-9A-Za-z]{43}/g
// Longer texts are cut before they are searched, far behind the point where they are cut for the line.
const searchedLettersMax = 1024 * 1024

/**
 * A mask over the values that `secretValues` names at the time of use. A secret is found as it is, escaped for JSON,
 * encoded for URLs and forms, in hex, and in base64 wherever it begins (`user:password` in one piece as well).
 */
export function createMask(secretValues: () => readonly string[]): Mask {
  let known: readonly string[] = []
  let finder = makeFinder([])

  function renew(): void {
    const values = secretValues()
    if (isSameList(values, known)) return
    known = [...values]
    finder = makeFinder(known)
  }

  function text(source: string): string {
    const masked = finder(source)
    return masked.includes('hubk') ? masked.replace(serviceSecret, maskText) : masked
  }

  function shownText(source: string): string {
    const masked = text(source.length > searchedLettersMax ? source.slice(0, searchedLettersMax) : source)
    if (masked.length <= maskLimits.textLetters) return masked
    return `${masked.slice(0, maskLimits.textLetters)}… (${source.length} letters)`
  }

  function shown(value: unknown, depth: number, above: readonly unknown[]): Json {
    switch (typeof value) {
      case 'string':
        return shownText(value)
      case 'number': {
        // A secret of digits alone may come as a number.
        const masked = text(String(value))
        if (masked !== String(value)) return masked
        return Number.isFinite(value) ? value : String(value)
      }
      case 'boolean':
        return value
      case 'bigint':
        return shownText(String(value))
      case 'object':
        return value === null ? null : shownObject(value, depth, above)
      case 'undefined':
        return null
      case 'function':
      case 'symbol':
        return `<${typeof value}>`
      default:
        // A type of JavaScript that this hub does not know yet.
        return '<unknown>'
    }
  }

  function shownObject(value: object, depth: number, above: readonly unknown[]): Json {
    if (above.includes(value)) return '<circular>'
    if (depth >= maskLimits.depth) return '<deeper>'
    const path = [...above, value]
    if (Object.getPrototypeOf(value) === Object.prototype) return shownEntries(Object.entries(value), depth, path)
    if (value instanceof Error) return shownError(value, depth, path)
    if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'invalid date' : value.toISOString()
    if (value instanceof URL || value instanceof RegExp) return shownText(String(value))
    if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return `<${value.byteLength} bytes>`
    if (value instanceof Map) return shownEntries([...value], depth, path)
    if (Array.isArray(value) || value instanceof Set) {
      return [...value].slice(0, maskLimits.entries).map((item: unknown) => shown(item, depth + 1, path))
    }
    return shownEntries(Object.entries(value), depth, path)
  }

  function shownEntries(entries: readonly [unknown, unknown][], depth: number, above: readonly unknown[]): Json {
    const result: Record<string, Json> = {}
    let left = maskLimits.entries
    for (const [key, item] of entries) {
      if (left-- === 0) break
      if (item === undefined) continue
      const name = shownText(String(key))
      const shownItem = shown(item, depth + 1, above)
      // A name that an assignment would take for something else.
      if (name === '__proto__')
        Object.defineProperty(result, name, { value: shownItem, enumerable: true, configurable: true, writable: true })
      else result[name] = shownItem
    }
    return result
  }

  function shownError(error: Error, depth: number, above: readonly unknown[]): Json {
    const facts: [string, unknown][] = [['message', error.message]]
    if (error instanceof HubError) facts.push(['code', error.code], ['side', error.side], ['next', error.next])
    else facts.push(['name', error.name], ['stack', error.stack])
    if ('code' in error && !(error instanceof HubError)) facts.push(['code', error.code])
    if (error.cause !== undefined) facts.push(['cause', error.cause])
    return shownEntries(facts, depth, above)
  }

  return {
    text(source) {
      renew()
      return text(source)
    },
    value(value) {
      renew()
      return shown(value, 0, [])
    },
  }
}

/**
 * Replaces every form of the secrets. One expression looks for the beginnings of all of them, and only there whole forms
 * are compared: an expression of whole tokens would take a tenth of a second to compile at each renewal.
 */
function makeFinder(secrets: readonly string[]): (source: string) => string {
  const forms = [...new Set(secrets.flatMap(formsOf))]
  if (forms.length === 0) return source => source
  // The longest form first, so that no longer one is left in part.
  const ordered = forms.toSorted((one, other) => other.length - one.length)
  const byStart = Map.groupBy(ordered, startOf)
  const starts = new RegExp([...byStart.keys()].map(start => RegExp.escape(start)).join('|'), 'g')

  return source => {
    let masked = ''
    let from = 0
    starts.lastIndex = 0
    for (let match = starts.exec(source); match; match = starts.exec(source)) {
      const { index } = match
      const form = byStart.get(match[0])?.find(each => source.startsWith(each, index))
      // Another secret may begin inside these letters.
      starts.lastIndex = index + (form?.length ?? 1)
      if (form === undefined) continue
      masked += source.slice(from, index) + maskText
      from = index + form.length
    }
    return from === 0 ? source : masked + source.slice(from)
  }
}

/** All of one length, so that at each place at most one can match. */
function startOf(form: string): string {
  return form.slice(0, maskLimits.secretLettersMin)
}

/** How a secret may look in a text. */
function formsOf(secret: string): readonly string[] {
  if (secret.length < maskLimits.secretLettersMin) return []
  const uri = encodeUri(secret)
  const hex = Buffer.from(secret).toString('hex')
  const plain = [
    secret,
    secret.trim(),
    JSON.stringify(secret).slice(1, -1),
    uri,
    lowerEscapes(uri),
    uri.replaceAll('%20', '+'),
    new URLSearchParams({ secret }).toString().slice('secret='.length),
    // What the URL class leaves of a password in `https://user:password@host`.
    encodeURI(secret.toWellFormed()),
  ].filter(form => form.length >= maskLimits.secretLettersMin)
  const encoded = [hex, hex.toUpperCase(), ...base64Forms(secret)].filter(form => form.length >= encodedLettersMin)
  return [...plain, ...encoded]
}

function encodeUri(text: string): string {
  return encodeURIComponent(text.toWellFormed())
}

function lowerEscapes(uri: string): string {
  return uri.replace(/%[0-9A-F]{2}/g, letters => letters.toLowerCase())
}

/**
 * The letters that a secret leaves in base64 whatever stands before and after it: base64 works on groups of three
 * bytes, so there are three ways to fall into the groups, and the letters at the edges depend on the neighbours.
 */
function base64Forms(secret: string): readonly string[] {
  const bytes = Buffer.from(secret)
  return [0, 1, 2].flatMap(offset => {
    const base64 = Buffer.concat([Buffer.alloc(offset), bytes])
      .toString('base64')
      .replace(/=+$/, '')
    const from = offset === 0 ? 0 : offset + 1
    const spare = (offset + bytes.length) % 3
    const sure = base64.slice(from, spare === 0 ? base64.length : base64.length - 1)
    return [sure, sure.replaceAll('+', '-').replaceAll('/', '_')]
  })
}

function isSameList(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((value, index) => value === other[index])
}
