import { type Body, bodyErrors, readBody, refuseTooManyGroups } from '../kernel/body.ts'
import type { Json } from '../kernel/json.ts'
import type { Message } from '../kernel/message.ts'
import { listAttachments } from './attachments.ts'
import { isPlainObject } from './plain-object.ts'

/** Headers as expressions see them: any letter case, and a header that is not there is empty text. */
export class HeaderView extends Map<string, string> {
  override get(name: string): string {
    return super.get(lowerCase(name)) ?? ''
  }
  override has(name: string): boolean {
    return super.has(lowerCase(name))
  }
}

// An expression may ask with any value; only a text can be the name of a header.
function lowerCase(name: unknown): string {
  return typeof name === 'string' ? name.toLowerCase() : ''
}

/** Headers where one that is not there is null. */
export class NullableHeaderView extends Map<string, string | null> {
  override get(name: string): string | null {
    return super.get(lowerCase(name)) ?? null
  }
}

/**
 * A message as expressions see it. Everything is a Map: names that come out of messages can then never meet
 * JavaScript's own (`constructor`, `__proto__`).
 */
export class MessageView {
  /** `message`; it has `body` and `attachments` once they were loaded. */
  readonly message: Map<string, unknown>
  readonly #headers: readonly [string, string][]
  #present: Map<string, unknown> | undefined
  #nullable: Map<string, unknown> | undefined

  constructor({ attributes, headers, id, body, acceptedAt }: Message) {
    const message = new Map<string, unknown>()
    for (const name in attributes) message.set(name, celValue(attributes[name]))
    message.set('id', id)
    message.set('size', body.bytes)
    message.set('type', body.type)
    message.set('acceptedAt', new Date(acceptedAt))
    this.#headers = Object.entries(headers)
    message.set('headers', new HeaderView(this.#headers))
    this.message = message
  }

  /** The same for `has(message.headers.x)`: a header that is not there is not there. Made when it is asked for. */
  get present(): Map<string, unknown> {
    this.#present ??= new Map(this.message).set('headers', new Map(this.#headers))
    return this.#present
  }

  /** The same for `message.headers.x == null`: a header that is not there is null. */
  get nullable(): Map<string, unknown> {
    this.#nullable ??= new Map(this.message).set('headers', new NullableHeaderView(this.#headers))
    return this.#nullable
  }

  /** Adds what was loaded of the body. */
  load(name: 'body' | 'attachments', value: unknown): void {
    for (const view of [this.message, this.#present, this.#nullable]) view?.set(name, value)
  }
}

const views = new WeakMap<Message, MessageView>()
// Keyed by the body, so that a step which only changes headers does not make the next one parse again.
const parsedBodies = new WeakMap<Body, unknown>()
const attachmentLists = new WeakMap<Body, unknown>()

export function viewMessage(message: Message): MessageView {
  const known = views.get(message)
  if (known) return known
  const view = new MessageView(message)
  views.set(message, view)
  return view
}

export interface BodyNeeds {
  readonly body: boolean
  readonly attachments: boolean
}

/** Puts what an expression needs of the body into the view; at once where the bytes are at hand. */
export function loadBody(
  view: MessageView,
  message: Message,
  needs: BodyNeeds,
  parseBytesMax: number,
): undefined | Promise<void> {
  const waits: Promise<void>[] = []
  if (needs.body && !view.message.has('body')) {
    const parsed = parsedBody(message.body, parseBytesMax)
    if (parsed instanceof Promise) waits.push(parsed.then(value => view.load('body', value)))
    else view.load('body', parsed)
  }
  if (needs.attachments && !view.message.has('attachments')) {
    const known = attachmentLists.get(message.body)
    if (known) view.load('attachments', known)
    else {
      const listed = listAttachments(message.body, message.headers).then(list => {
        attachmentLists.set(message.body, list)
        view.load('attachments', list)
      })
      waits.push(listed)
    }
  }
  return waits.length === 0 ? undefined : Promise.all(waits).then(() => undefined)
}

function parsedBody(body: Body, parseBytesMax: number): unknown {
  if (parsedBodies.has(body)) return parsedBodies.get(body)
  if (body.held && body.bytes <= parseBytesMax) return parseOnce(body, body.held)
  return readBody(body, parseBytesMax, 'reading message.body (parseBytes)').then(bytes => parseOnce(body, bytes))
}

function parseOnce(body: Body, bytes: Uint8Array): unknown {
  const value = parseBody(bytes, body.type)
  parsedBodies.set(body, value)
  return value
}

/** `message.body`: JSON for JSON types, the text for text and XML. Throws BODY_NOT_TEXT. */
function parseBody(bytes: Uint8Array, mediaType: string): unknown {
  const type = mediaType.split(';')[0]?.trim().toLowerCase() ?? ''
  const isJson = /^application\/(.+\+)?json$|^text\/json$/.test(type)
  const isText = type.startsWith('text/') || /^application\/(.+\+)?xml$/.test(type)
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw bodyErrors.NOT_TEXT({ format: 'UTF-8', text: 'a byte that cannot stand there' }, { cause })
  }
  if (isText && !isJson) return text
  const format = isJson ? 'JSON' : `JSON (its type is ${mediaType})`
  refuseTooManyGroups(text, format)
  try {
    // A reviver is five times slower, so it is asked only where a number is long enough to need it.
    const hasLongNumber = /\d{16}/.test(text)
    return celValue(hasLongNumber ? JSON.parse(text, exactIntegers) : JSON.parse(text))
  } catch (cause) {
    // Too deep for JavaScript, it may be good JSON all the same.
    if (!(cause instanceof SyntaxError)) throw cause
    throw bodyErrors.NOT_TEXT({ format, text: cause.message }, { cause })
  }
}

// Ids of 17 and more digits do occur as JSON numbers; as a double they would lose their last digits.
function exactIntegers(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value) || !Number.isInteger(value)) return value
  const source = context?.source
  return source !== undefined && /^-?\d{16,100}$/.test(source) ? BigInt(source) : value
}

/** A JSON value for an expression: objects become Maps, everything else stays. */
export function celValue(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(celValue)
  if (!isPlainObject(value)) return value === undefined ? null : value
  return new Map(Object.entries(value).map(([name, inner]) => [name, celValue(inner)]))
}

/** What an expression gave, as JSON: whole numbers are numbers again, times are ISO texts. */
export function jsonValue(value: unknown): Json {
  if (value === null || value === undefined) return null
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : String(value)
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value)
  if (typeof value === 'string' || typeof value === 'boolean') return value
  if (Array.isArray(value)) return value.map(jsonValue)
  if (value instanceof Set) return [...value].map(jsonValue)
  if (value instanceof Map) {
    return Object.fromEntries([...value].map(([name, inner]) => [String(name), jsonValue(inner)]))
  }
  if (value instanceof Date) return value.toISOString()
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64')
  if (isPlainObject(value)) {
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, jsonValue(inner)]))
  }
  // What is left are durations and types of CEL, which know how they are written.
  return (value as { toString(): string }).toString()
}
