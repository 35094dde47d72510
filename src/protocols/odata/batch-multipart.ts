import { randomUUID } from 'node:crypto'
import {
  type BatchAnswer,
  type BatchForm,
  BatchMismatch,
  type BatchPart,
  type BatchRequest,
  type BatchResult,
} from './batch.ts'

/**
 * A batch as multipart/mixed (V2: MS-ODATA 2.2.7; V4: OData Protocol 11.7.7), changesets as parts inside. Every line
 * ends with CR LF; a request without body is followed by an empty line more, without which some services read on.
 *
 * Requests name what they are about relative to the batch, which holds behind gateways and virtual hosts, too. Of the
 * three spellings of V4 (Protocol 11.7.7.1) the V4 services of S/4HANA (RAP) and CAP know this one alone. With `root`
 * they are written as a path from the root of the server, with its name.
 */
export function multipartBatch(parts: readonly BatchPart[], root?: URL): BatchForm {
  const boundary = `batch_${randomUUID()}`
  const lines: string[] = []
  let contentId = 0
  const write = (request: BatchRequest, isInChangeset: boolean) => {
    lines.push('Content-Type: application/http', 'Content-Transfer-Encoding: binary')
    if (isInChangeset) {
      contentId += 1
      lines.push(`Content-ID: ${contentId}`)
    }
    lines.push('', ...requestLines(request, root), '')
  }
  for (const part of parts) {
    lines.push(`--${boundary}`)
    if ('request' in part) {
      write(part.request, false)
      continue
    }
    const inner = `changeset_${randomUUID()}`
    lines.push(`Content-Type: multipart/mixed; boundary=${inner}`, '')
    for (const request of part.changeset) {
      lines.push(`--${inner}`)
      write(request, true)
    }
    lines.push(`--${inner}--`, '')
  }
  lines.push(`--${boundary}--`, '')
  return {
    type: `multipart/mixed; boundary=${boundary}`,
    body: lines.join('\r\n'),
    read: (type, body) => match(parts, readMultipart(type, body)),
  }
}

function requestLines({ method, path, headers, body }: BatchRequest, root: URL | undefined): string[] {
  // `$1/…` is the entity that request 1 of the same changeset makes (V2: MS-ODATA 2.2.7.2; V4: Protocol 11.7.7.1).
  const target = root === undefined || /^\$\d/.test(path) ? path : `${root.pathname}${path}`
  const lines = [`${method} ${target} HTTP/1.1`]
  if (root) lines.push(`Host: ${root.host}`)
  for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`)
  if (body === undefined) return [...lines, '', '']
  return [...lines, `Content-Length: ${Buffer.byteLength(body)}`, '', body]
}

type Received = BatchAnswer | readonly BatchAnswer[]

function match(parts: readonly BatchPart[], received: readonly Received[]): readonly BatchResult[] {
  return received.map((each, index): BatchResult => {
    const part = parts[index]
    if (!part) throw new BatchMismatch(`${received.length} answers came for ${parts.length} parts`)
    if ('request' in part) {
      if ('status' in each) return { answer: each }
      throw new BatchMismatch('a changeset came where an answer was due')
    }
    if ('status' in each) return { failed: each }
    const [only] = each
    if (each.length === 1 && only && only.status >= 400) return { failed: only }
    if (each.length !== part.changeset.length) {
      throw new BatchMismatch(`${each.length} answers came for a changeset of ${part.changeset.length}`)
    }
    return { answers: each }
  })
}

const newline = Buffer.from('\r\n')
const blankLine = Buffer.from('\r\n\r\n')

function readMultipart(type: string, body: Uint8Array, isInner = false): readonly Received[] {
  return splitParts(boundaryOf(type), Buffer.from(body.buffer, body.byteOffset, body.byteLength)).map(
    (part): Received => {
      const [headers, content] = splitHead(part)
      const partType = headers['content-type'] ?? ''
      if (/^multipart\/mixed/i.test(partType)) {
        if (isInner) throw new BatchMismatch('a changeset stands inside another one')
        return readMultipart(partType, content, true).map(each => {
          if ('status' in each) return each
          throw new BatchMismatch('a changeset stands inside another one')
        })
      }
      if (!/^application\/http/i.test(partType)) throw new BatchMismatch(`a part of type ${partType || 'nothing'}`)
      return readHttp(content)
    },
  )
}

function boundaryOf(type: string): string {
  const [, quoted, plain] = /^multipart\/mixed\s*;.*\bboundary=(?:"([^"]{1,200})"|([^\s;"]{1,200}))/i.exec(type) ?? []
  const boundary = quoted ?? plain
  if (boundary === undefined) throw new BatchMismatch(`it is of type ${type.slice(0, 100) || 'nothing'}`)
  return boundary
}

/** RFC 2046 section 5.1.1: a boundary stands at the beginning of a line, and the last one ends with two hyphens. */
function splitParts(boundary: string, body: Buffer): readonly Buffer[] {
  const mark = Buffer.from(`--${boundary}`)
  const parts: Buffer[] = []
  let start: number | undefined
  for (let at = body.indexOf(mark); at >= 0; at = body.indexOf(mark, at + 1)) {
    if (at > 0 && body[at - 1] !== 0x0a) continue
    const after = at + mark.length
    const isLast = body[after] === 0x2d && body[after + 1] === 0x2d
    const lineEnd = body.indexOf(0x0a, after)
    // Another boundary that only begins like this one.
    if (!isLast && (lineEnd < 0 || body.subarray(after, lineEnd).toString('latin1').trim() !== '')) continue
    if (start !== undefined) parts.push(body.subarray(start, endBefore(body, at)))
    if (isLast) return parts
    start = lineEnd + 1
  }
  throw new BatchMismatch('it ends in the middle')
}

function endBefore(body: Buffer, at: number): number {
  return body[at - 2] === 0x0d ? at - 2 : at - 1
}

function splitHead(part: Buffer): readonly [Readonly<Record<string, string>>, Buffer] {
  const end = part.indexOf(blankLine)
  const head = end < 0 ? part : part.subarray(0, end)
  const headers: Record<string, string> = {}
  for (const line of head.toString('latin1').split('\r\n')) {
    const colon = line.indexOf(':')
    if (colon > 0) headers[line.slice(0, colon).trim().toLowerCase()] = line.slice(colon + 1).trim()
  }
  return [headers, end < 0 ? Buffer.alloc(0) : part.subarray(end + blankLine.length)]
}

function readHttp(content: Buffer): BatchAnswer {
  const lineEnd = content.indexOf(newline)
  const first = content.subarray(0, lineEnd < 0 ? content.length : lineEnd).toString('latin1')
  const status = /^HTTP\/1\.[01] (\d{3})(?: |$)/.exec(first)?.[1]
  if (status === undefined) throw new BatchMismatch('an answer without a status line')
  const [headers, rest] = splitHead(content.subarray(lineEnd < 0 ? content.length : lineEnd + newline.length))
  const length = /^\d{1,10}$/.test(headers['content-length'] ?? '') ? Number(headers['content-length']) : undefined
  if (length !== undefined && length > rest.length) throw new BatchMismatch('an answer is shorter than it says')
  const body = length === undefined ? withoutLastBreak(rest) : rest.subarray(0, length)
  return { status: Number(status), headers, body }
}

function withoutLastBreak(content: Buffer): Buffer {
  return content.subarray(0, content.subarray(-2).equals(newline) ? -2 : content.length)
}
