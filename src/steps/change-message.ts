import { type Body, bodyErrors, heldBody, readBody, refuseTooManyGroups } from '../kernel/body.ts'
import { type Json, type JsonObject, parseExact } from '../kernel/json.ts'
import type { Limits } from '../kernel/limit.ts'
import type { Message } from '../kernel/message.ts'

/** New messages out of old ones, for steps and for mapping modules. */

export function withBody(message: Message, body: Body): Message {
  return { ...message, body }
}

export function withJson(message: Message, value: Json): Message {
  return withBody(message, heldBody(JSON.stringify(value), 'application/json'))
}

export function withText(message: Message, text: string, type = 'text/plain; charset=utf-8'): Message {
  return withBody(message, heldBody(text, type))
}

export function withAttributes(message: Message, attributes: JsonObject): Message {
  return { ...message, attributes: { ...message.attributes, ...attributes } }
}

/** Headers in lower case; an undefined value takes the header away. */
export function withHeaders(message: Message, changes: Readonly<Record<string, string | undefined>>): Message {
  const headers = new Map(Object.entries(message.headers))
  for (const [name, value] of Object.entries(changes)) {
    if (value === undefined) headers.delete(name.toLowerCase())
    else headers.set(name.toLowerCase(), value)
  }
  return { ...message, headers: Object.fromEntries(headers) }
}

/** The body as strict UTF-8 text. Throws BODY_NOT_TEXT, BODY_TOO_LARGE. */
export async function readText(body: Body, limits: Pick<Limits, 'parseBytes'>): Promise<string> {
  return decodeUtf8(await readBody(body, limits.parseBytes, 'reading a body into memory (parseBytes)'))
}

/** The body as JSON, in which no digit is lost (`parseExact`). Throws BODY_NOT_TEXT, BODY_TOO_LARGE. */
export async function readJson(body: Body, limits: Pick<Limits, 'parseBytes'>): Promise<Json> {
  return parseJson(await readText(body, limits))
}

export function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(bytes)
  } catch (cause) {
    throw bodyErrors.NOT_TEXT({ format: 'UTF-8', text: 'a byte that cannot stand there' }, { cause })
  }
}

export function parseJson(text: string, parse: (text: string) => Json = parseExact): Json {
  refuseTooManyGroups(text)
  try {
    return parse(text)
  } catch (cause) {
    // Too deep for JavaScript, it may be good JSON all the same.
    if (!(cause instanceof SyntaxError)) throw cause
    throw bodyErrors.NOT_TEXT({ format: 'JSON', text: cause.message }, { cause })
  }
}

/** True for media types whose content is JSON. */
export function isJsonType(type: string): boolean {
  return /^(application\/([^;]+\+)?json|text\/json)\s*(;|$)/i.test(type)
}

/** A body as a value: JSON where its type says so, else text. */
export async function readValue(body: Body, limits: Pick<Limits, 'parseBytes'>): Promise<Json> {
  const text = await readText(body, limits)
  return isJsonType(body.type) ? parseJson(text) : text
}

/** A value as a body: text stays text, everything else is JSON. */
export function valueBody(value: Json): Body {
  if (typeof value === 'string') return heldBody(value, 'text/plain; charset=utf-8')
  return heldBody(JSON.stringify(value), 'application/json')
}
