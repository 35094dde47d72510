import { promisify } from 'node:util'
import { createGunzip, gzip } from 'node:zlib'
import { z } from 'zod'
import { defineStep } from '../flow/step.ts'
import { type Body, bodyErrors, heldBody, readBody } from '../kernel/body.ts'
import { decodeWith } from '../kernel/charset.ts'
import { defineErrors } from '../kernel/error.ts'
import type { Json } from '../kernel/json.ts'
import type { Limits } from '../kernel/limit.ts'
import { KiB } from '../kernel/size.ts'
import { decodeUtf8, parseJson, withBody } from './change-message.ts'
import { csvRecords, formatCsv, parseCsv } from './csv.ts'
import { createTurns } from './turns.ts'

/** How many times larger than its packed form a body may become (a zip bomb is a thousand times as large). */
const unpackRatioMax = 100
/** Small bodies pack very well without being bombs. */
const unpackFloorBytes = 64 * KiB

const convertErrors = defineErrors('CONVERT', {
  NOT_POSSIBLE: {
    side: 'sender',
    retry: 'never',
    means: 'The body cannot be converted ({how}): {text}',
    next: 'Look at the message (isthmus message show), correct it at its source or repair it here, then replay it.',
  },
  UNPACKS_TOO_LARGE: {
    side: 'sender',
    retry: 'never',
    means: 'The body unpacks to more than {bytesMax} bytes.',
    next: 'Raise limits.parseBytes in isthmus.yaml if such bodies are wanted and their sender is trusted.',
  },
})

const ways = ['charset', 'decode', 'encode', 'csv', 'lines'] as const

const config = z
  .strictObject({
    charset: z
      .string()
      .refine(isCharset, 'this charset is not known; names are such as windows-1252, iso-8859-15, utf-16le')
      .optional()
      .meta({ description: 'Charset of the body, which becomes UTF-8.', examples: ['windows-1252'] }),
    decode: z
      .enum(['base64', 'gzip'])
      .optional()
      .meta({ description: 'Unpack the body.', examples: ['gzip'] }),
    encode: z
      .enum(['base64', 'gzip'])
      .optional()
      .meta({ description: 'Pack the body.', examples: ['base64'] }),
    csv: z
      .enum(['to-json', 'from-json'])
      .optional()
      .meta({ description: 'Turn CSV into a JSON list of records, or back.', examples: ['to-json'] }),
    lines: z
      .enum(['to-json', 'from-json'])
      .optional()
      .meta({ description: 'Turn lines into a JSON list of texts, or back.', examples: ['to-json'] }),
    separator: z
      .string()
      .length(1)
      .default(',')
      .meta({ description: 'Separator of CSV.', examples: [';'] }),
    header: z
      .boolean()
      .default(true)
      .meta({ description: 'Whether the first row of CSV holds the names of the columns.', examples: [false] }),
    type: z
      .string()
      .optional()
      .meta({ description: 'Media type of the new body.', examples: ['application/xml'] }),
  })
  .superRefine((value, context) => {
    const named = ways.filter(way => value[way] !== undefined)
    if (named.length === 1) return
    const message =
      named.length === 0
        ? 'convert needs one thing to do.'
        : `convert does one thing, and here are ${named.join(' and ')}.`
    const hint = `Write one of ${ways.join(', ')}; several conversions are several steps.`
    context.addIssue({ code: 'custom', path: named[1] ? [named[1]] : [], message, params: { hint, at: 'key' } })
  })

type Config = z.output<typeof config>

export const convert = defineStep({
  id: 'convert',
  title: 'Convert',
  summary:
    'Changes the form of the body: charset, base64, gzip, CSV or lines and JSON. Strict: what does not fit is set aside.',
  config: () => config,
  examples: [
    { title: 'An old file as UTF-8', config: { charset: 'windows-1252' } },
    { title: 'CSV with semicolons as JSON', config: { csv: 'to-json', separator: ';' } },
    { title: 'Unpack', config: { decode: 'gzip' } },
  ],
  errors: convertErrors,
  prepare({ config: wanted, limits }) {
    return {
      async run(message) {
        const bytes = await readBody(message.body, limits.parseBytes, 'converting a body (parseBytes)')
        const body = await convertBytes(bytes, message.body, wanted, limits)
        if (body.bytes > limits.parseBytes) throw convertErrors.UNPACKS_TOO_LARGE({ bytesMax: limits.parseBytes })
        return { next: withBody(message, body) }
      },
    }
  },
})

async function convertBytes(bytes: Uint8Array, body: Body, wanted: Config, limits: Limits): Promise<Body> {
  const as = (content: Uint8Array | string, type: string) => heldBody(content, wanted.type ?? type)
  if (wanted.charset) return as(decodeCharset(bytes, wanted.charset), withCharset(body.type))
  if (wanted.decode === 'base64') return as(decodeBase64(bytes), 'application/octet-stream')
  if (wanted.decode === 'gzip') return as(await unpack(bytes, limits.parseBytes), 'application/octet-stream')
  if (wanted.encode === 'base64') return as(Buffer.from(bytes).toString('base64'), 'text/plain; charset=us-ascii')
  if (wanted.encode === 'gzip') return as(await promisify(gzip)(bytes), 'application/gzip')
  const text = decodeUtf8(bytes)
  if (wanted.csv === 'to-json') {
    const rows = parseCsv(text, wanted.separator)
    const list = jsonList(wanted.header ? csvRecords(rows) : rows)
    return as(await joinWithin(list, limits.parseBytes), 'application/json')
  }
  if (wanted.csv === 'from-json') {
    const lines = formatCsv(parseJson(text), wanted.separator, wanted.header)
    return as(await joinWithin(lines, limits.parseBytes), 'text/csv; charset=utf-8')
  }
  if (wanted.lines === 'to-json') {
    return as(await joinWithin(jsonList(linesOf(text)), limits.parseBytes), 'application/json')
  }
  return as(await joinWithin(formatLines(parseJson(text)), limits.parseBytes), 'text/plain; charset=utf-8')
}

function* jsonList(values: Iterable<Json>): Generator<string> {
  let before = '['
  for (const value of values) {
    yield before + JSON.stringify(value)
    before = ','
  }
  yield before === '[' ? '[]' : ']'
}

/** Pieces are put together in portions of this many letters. */
const portionLetters = 64 * KiB

/**
 * All pieces together. A body may become many times as large as it was: the names of all columns stand in each record of
 * JSON, and all columns in each line of CSV. So it is stopped while it grows, and the other flows have their turn meanwhile.
 */
async function joinWithin(pieces: Iterable<string>, bytesMax: number): Promise<Uint8Array> {
  const turns = createTurns()
  const portions: Buffer[] = []
  let bytes = 0
  let portion = ''
  const take = () => {
    portions.push(Buffer.from(portion))
    bytes += portions.at(-1)?.length ?? 0
    portion = ''
    if (bytes > bytesMax) throw convertErrors.UNPACKS_TOO_LARGE({ bytesMax })
  }
  for (const piece of pieces) {
    portion += piece
    if (portion.length < portionLetters) continue
    take()
    const turn = turns()
    if (turn) await turn
  }
  take()
  return Buffer.concat(portions)
}

/** Lines without their ends (LF or CRLF); an empty last one is none. */
function* linesOf(text: string): Generator<string> {
  for (let at = 0; at < text.length; ) {
    const end = text.indexOf('\n', at)
    if (end < 0) return yield text.slice(at)
    yield text.slice(at, end > at && text[end - 1] === '\r' ? end - 1 : end)
    at = end + 1
  }
}

function* formatLines(value: Json): Generator<string> {
  if (!Array.isArray(value)) throw convertErrors.NOT_POSSIBLE({ how: 'lines', text: 'it is not a list' })
  const list: readonly Json[] = value
  for (const [index, item] of list.entries()) {
    if (typeof item !== 'string' || /[\r\n]/.test(item)) {
      throw convertErrors.NOT_POSSIBLE({ how: 'lines', text: `entry ${index + 1} is not one line of text` })
    }
    yield `${item}\n`
  }
}

function isCharset(name: string): boolean {
  try {
    return new TextDecoder(name).encoding.length > 0
  } catch {
    // The question is just whether it throws.
    return false
  }
}

function decodeCharset(bytes: Uint8Array, charset: string): string {
  try {
    return decodeWith(new TextDecoder(charset, { fatal: true }), bytes)
  } catch (cause) {
    throw bodyErrors.NOT_TEXT({ format: charset, text: 'a byte that cannot stand there' }, { cause })
  }
}

function withCharset(type: string): string {
  const plain = type.replace(/;\s*charset=("[^"]*"|[^;]*)/i, '').trim()
  return `${plain}; charset=utf-8`
}

function decodeBase64(bytes: Uint8Array): Uint8Array {
  const text = Buffer.from(bytes)
    .toString('latin1')
    .replace(/[\r\n\t ]/g, '')
  // Buffer passes over what is no base64; here that is a damaged body.
  const isBase64 = text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text)
  if (!isBase64) throw convertErrors.NOT_POSSIBLE({ how: 'base64', text: 'it is not base64' })
  return Buffer.from(text, 'base64')
}

/** Unpacks with a limit on what comes out, so that a bomb is stopped while it goes off. */
async function unpack(bytes: Uint8Array, parseBytesMax: number): Promise<Uint8Array> {
  const bytesMax = Math.min(parseBytesMax, Math.max(unpackFloorBytes, bytes.length * unpackRatioMax))
  const chunks: Buffer[] = []
  let size = 0
  const gunzip = createGunzip()
  gunzip.end(bytes)
  try {
    for await (const chunk of gunzip as AsyncIterable<Buffer>) {
      size += chunk.length
      if (size > bytesMax) break
      chunks.push(chunk)
    }
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause)
    throw convertErrors.NOT_POSSIBLE({ how: 'gzip', text }, { cause })
  }
  if (size > bytesMax) throw convertErrors.UNPACKS_TOO_LARGE({ bytesMax })
  return Buffer.concat(chunks)
}
