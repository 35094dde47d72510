import { SaxesParser } from 'saxes'
import type { ErrorOptions, HubError } from '../../kernel/error.ts'
import type { Json } from '../../kernel/json.ts'
import { retryAfterMs } from '../net/retry-after.ts'
import { odataErrors } from './errors.ts'
import { isGroup, isList } from './json.ts'
import { odataLimits } from './limits.ts'

/** The error of a service in its own words. */
export interface ServiceError {
  readonly code: string
  readonly text: string
}

/** An answer read whole. Header names in lower case. */
export interface ODataAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
}

export interface FailureContext {
  readonly server: string
  readonly credential: string
  /** What was asked for, as people know it. */
  readonly path: string
  readonly now: number
}

const textLettersMax = 600

/** An answer that is no success, as an error with the turn and retry class of its status (RFC 9110 section 15). */
export function failureOf(answer: ODataAnswer, context: FailureContext): HubError {
  const { status, headers } = answer
  const { server, credential, path } = context
  const { code, text } = serviceErrorOf(answer)
  const waitMs = retryAfterMs(headers['retry-after'], context.now)
  const options: ErrorOptions = waitMs === undefined ? {} : { retryAfterMs: waitMs }
  const fields = { server, credential, path, status, code, text }
  if (status >= 300 && status < 400) {
    return odataErrors.REDIRECTED({ ...fields, location: headers['location'] ?? 'nowhere' })
  }
  switch (status) {
    case 401:
      return odataErrors.LOGIN_REFUSED(fields, options)
    case 403:
      return odataErrors.FORBIDDEN(fields, options)
    case 404:
    case 410:
      return odataErrors.NOT_FOUND(fields)
    case 412:
      return odataErrors.CHANGED_MEANWHILE(fields)
    case 428:
      return odataErrors.ETAG_WANTED(fields)
    case 408:
    case 425:
    case 429:
    case 503:
      return odataErrors.BUSY(fields, options)
    default:
      return status >= 500 ? odataErrors.SERVER_FAILED(fields, options) : odataErrors.REFUSED(fields, options)
  }
}

/** Code and text of an error body: JSON of both versions, XML of V2, or the beginning of whatever it is. */
export function serviceErrorOf({ headers, body }: Pick<ODataAnswer, 'headers' | 'body'>): ServiceError {
  const type = headers['content-type'] ?? ''
  // Without the byte order mark that some servers put before it.
  const text = new TextDecoder().decode(body.subarray(0, odataLimits.errorBytes))
  const found = /json/i.test(type) || /^\s*\{/.test(text) ? inJson(text) : /^\s*</.test(text) ? inXml(text) : undefined
  return found ?? { code: 'without a code', text: excerpt(text, type, body.length) }
}

function inJson(text: string): ServiceError | undefined {
  let document: Json
  try {
    document = JSON.parse(text) as Json
  } catch {
    // Cut off or no JSON at all: its beginning says more than the parser would.
    return undefined
  }
  const error = isGroup(document) ? (document['error'] ?? document['odata.error']) : undefined
  if (!isGroup(error)) return undefined
  const message = isGroup(error['message']) ? error['message']['value'] : error['message']
  const inner = isGroup(error['innererror']) ? error['innererror'] : {}
  const details = [error['details'], inner['errordetails']].filter(isList).flat().filter(isGroup)
  return {
    code: codeText(error['code']),
    text: joined([
      textOf(message),
      ...details.map(detail =>
        [textOf(detail['target'] ?? detail['propertyref']), textOf(detail['message'])].filter(Boolean).join(': '),
      ),
      ...(message === undefined || message === '' ? [textOf(inner['message'])] : []),
    ]),
  }
}

function inXml(text: string): ServiceError | undefined {
  const parser = new SaxesParser({ xmlns: true })
  const path: string[] = []
  const texts = new Map<string, string[]>([...wanted].map(place => [place, []]))
  let isOdd = false
  parser.on('error', () => {
    isOdd = true
  })
  parser.on('doctype', () => {
    isOdd = true
  })
  parser.on('opentag', tag => {
    path.push(tag.local)
    if (path.length > odataLimits.depth) isOdd = true
    const place = path.join('/')
    if (!isOdd) texts.get(place)?.push('')
  })
  parser.on('text', piece => {
    const list = texts.get(path.join('/'))
    if (list) list.push(`${list.pop() ?? ''}${piece}`)
  })
  parser.on('closetag', () => {
    path.pop()
  })
  parser.write(text).close()
  const [message] = texts.get('error/message') ?? []
  if (isOdd || message === undefined) return undefined
  return {
    code: codeText(texts.get('error/code')?.[0]),
    text: joined([message, ...(texts.get('error/innererror/errordetails/errordetail/message') ?? [])]),
  }
}

const wanted: ReadonlySet<string> = new Set([
  'error/code',
  'error/message',
  'error/innererror/errordetails/errordetail/message',
])

function codeText(code: Json | undefined): string {
  const text = textOf(code)
  return text === '' ? 'without a code' : text.slice(0, 100)
}

function textOf(value: Json | undefined): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value).replace(/\s+/g, ' ').trim() : ''
}

function joined(texts: readonly string[]): string {
  const all = [...new Set(texts.map(text => text.replace(/\s+/g, ' ').trim()).filter(text => text !== ''))].join('; ')
  return all === '' ? 'it gave no reason' : all.slice(0, textLettersMax)
}

function excerpt(text: string, type: string, bytes: number): string {
  if (bytes === 0) return 'the answer is empty'
  if (!/json|text|xml/i.test(type)) return `${bytes} bytes of ${type || 'unknown type'}`
  const plain = /html|xml/i.test(type) ? text.replace(/<[^<>]*>/g, ' ') : text
  return plain.replace(/\s+/g, ' ').trim().slice(0, textLettersMax) || 'the answer is blank'
}
