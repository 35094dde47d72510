import { refusals } from './c4c-error.ts'
import { rootPath } from './schema.ts'
import { answerRequest, type C4CReply, type C4CRequest, type C4CWorld } from './service.ts'

const partsMax = 1000
const multipart = /^multipart\/mixed\s*;\s*boundary=("?)([^";]+)\1/i

/** Answers a $batch: reads stand alone, changes in changesets that are done whole or not at all. */
export function answerBatch(
  world: C4CWorld,
  type: string,
  body: string,
): { readonly type: string; readonly body: string } {
  const boundary = multipart.exec(type)?.[2]
  if (boundary === undefined) throw refusals.notAcceptable(type || 'nothing')
  const outer = `batch_${Date.now().toString(36)}`
  const lines: string[] = []
  for (const part of partsOf(body, boundary)) {
    const { headers, content } = splitHead(part)
    const inner = multipart.exec(headers['content-type'] ?? '')?.[2]
    lines.push(`--${outer}`)
    if (inner === undefined) {
      const request = requestIn(content)
      if (request.method !== 'GET') throw refusals.malformed('a change stands outside of a changeset')
      lines.push(...partLines(answerRequest(world, request)))
      continue
    }
    const requests = partsOf(content, inner).map(each => {
      const { headers: own, content: http } = splitHead(each)
      if (own['content-id'] === undefined) throw refusals.malformed('a request of a changeset has no Content-ID')
      return requestIn(http)
    })
    const { answers, failed } = changeset(world, requests)
    if (failed) lines.push(...partLines(failed))
    else {
      const below = `${outer}_changeset`
      lines.push(`Content-Type: multipart/mixed; boundary=${below}`, '')
      for (const answer of answers) lines.push(`--${below}`, ...partLines(answer))
      lines.push(`--${below}--`, '')
    }
  }
  lines.push(`--${outer}--`, '')
  return { type: `multipart/mixed; boundary=${outer}`, body: lines.join('\r\n') }
}

function changeset(world: C4CWorld, requests: readonly C4CRequest[]) {
  const answers: C4CReply[] = []
  let failed: C4CReply | undefined
  world.store.together(() => {
    for (const request of requests) {
      if (request.method === 'GET') throw refusals.malformed('a GET stands inside a changeset')
      const answer = answerRequest(world, request)
      if (answer.status >= 400) {
        failed = answer
        return false
      }
      answers.push(answer)
    }
    return true
  })
  return { answers, failed }
}

/** The parts between boundaries; each line ends with CR LF, and the last boundary must be there. */
function partsOf(body: string, boundary: string): readonly string[] {
  const pieces = `\r\n${body}`.split(`\r\n--${boundary}`)
  if (!(pieces.pop() ?? '').startsWith('--')) throw refusals.malformed('the batch has no end')
  const parts = pieces.slice(1).map(piece => {
    if (!piece.startsWith('\r\n')) throw refusals.malformed('a boundary does not end its line')
    return piece.slice(2)
  })
  if (parts.length > partsMax) throw refusals.malformed(`a batch has more than ${partsMax} parts`)
  return parts
}

function splitHead(part: string): { readonly headers: Readonly<Record<string, string>>; readonly content: string } {
  const end = part.indexOf('\r\n\r\n')
  if (end < 0) throw refusals.malformed('a part has no empty line behind its headers')
  const headers: Record<string, string> = {}
  for (const line of part.slice(0, end).split('\r\n')) {
    const colon = line.indexOf(':')
    if (colon > 0) headers[line.slice(0, colon).trim().toLowerCase()] = line.slice(colon + 1).trim()
  }
  return { headers, content: part.slice(end + 4) }
}

function requestIn(content: string): C4CRequest {
  const [first = '', method = '', url = ''] = /^([A-Z]+) (\S+) HTTP\/1\.1\r\n/.exec(content) ?? []
  if (method === '') throw refusals.malformed('a part has no request line')
  const rest = content.slice(first.length)
  // A request without headers: the empty line comes at once.
  const { headers, content: body } = splitHead(rest.startsWith('\r\n') ? `x: y\r\n${rest}` : rest)
  const length = Number(headers['content-length'] ?? Buffer.byteLength(body))
  const bytes = Buffer.from(body)
  if (bytes.length < length) throw refusals.malformed('a part is shorter than its Content-Length')
  const path = url.replace(/^https?:\/\/[^/]+/, '')
  const target = path.startsWith(rootPath) ? path.slice(rootPath.length) : path.replace(/^\.?\//, '')
  return { method, target, headers, body: bytes.subarray(0, length).toString() }
}

function partLines({ status, headers, body }: C4CReply): string[] {
  const lines = ['Content-Type: application/http', 'Content-Transfer-Encoding: binary', '']
  lines.push(`HTTP/1.1 ${status} ${status < 400 ? 'OK' : 'Error'}`)
  for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`)
  return [...lines, `Content-Length: ${Buffer.byteLength(body)}`, '', body]
}
