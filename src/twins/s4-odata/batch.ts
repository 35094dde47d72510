import type { Json, JsonObject } from '../../kernel/json.ts'
import { refusals } from './sap-error.ts'
import { roots, type Version } from './schema.ts'
import type { ServiceAnswer, ServiceRequest } from './service.ts'

/** What carries out the requests of a batch. */
export interface BatchWorld {
  run(request: ServiceRequest): ServiceAnswer
  /** Undoes what `work` did when it returns false. */
  together(work: () => Promise<boolean>): Promise<void>
}

const partsMax = 1000

/** Answers a $batch: multipart/mixed in both versions, JSON in V4. Reads what comes by rules of its own. */
export async function answerBatch(
  world: BatchWorld,
  version: Version,
  type: string,
  body: string,
  hasPlainBoundaries: boolean,
): Promise<{ readonly type: string; readonly body: string }> {
  if (version === 'v4' && /^application\/json/i.test(type)) return answerJson(world, body)
  const boundary = /^multipart\/mixed\s*;\s*boundary=("?)([^";]+)\1/i.exec(type)?.[2]
  if (boundary === undefined) throw refusals.notAcceptable(type)
  const lines: string[] = []
  const outer = `ejjeeffe${Date.now()}`
  for (const part of partsOf(body, boundary)) {
    lines.push(`--${outer}`)
    const { headers, content } = headOf(part)
    const inner = /^multipart\/mixed\s*;\s*boundary=("?)([^";]+)\1/i.exec(headers['content-type'] ?? '')?.[2]
    if (inner === undefined) {
      const request = requestIn(version, content)
      // Changes stand in changesets only (OData V2, "Batch Processing").
      if (version === 'v2' && request.method !== 'GET')
        throw refusals.malformed('a change stands outside of a changeset')
      lines.push(...httpLines(world.run(request)))
      continue
    }
    const requests = partsOf(content, inner).map(each => {
      const request = requestIn(version, headOf(each).content)
      if (request.method === 'GET') throw refusals.malformed('a GET stands inside a changeset')
      return request
    })
    const { answers, failed } = await changeset(world, requests)
    if (failed) lines.push(...httpLines(failed))
    else {
      const boundaryOfAnswer = hasPlainBoundaries ? `changes${Date.now()}` : `${outer}_c`
      lines.push(`Content-Type: multipart/mixed; boundary=${boundaryOfAnswer}`, '')
      for (const answer of answers) lines.push(`--${boundaryOfAnswer}`, ...httpLines(answer))
      lines.push(`--${boundaryOfAnswer}--`, '')
    }
  }
  lines.push(`--${outer}--`, '')
  return { type: `multipart/mixed; boundary=${outer}`, body: lines.join('\r\n') }
}

async function changeset(world: BatchWorld, requests: readonly ServiceRequest[]) {
  const answers: ServiceAnswer[] = []
  let failed: ServiceAnswer | undefined
  await world.together(async () => {
    for (const request of requests) {
      const answer = world.run(request)
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

/** The parts between boundaries; strict: each line ends with CR LF and the last boundary must be there. */
function partsOf(body: string, boundary: string): readonly string[] {
  const pieces = `\r\n${body}`.split(`\r\n--${boundary}`)
  const last = pieces.pop() ?? ''
  if (!last.startsWith('--')) throw refusals.malformed('the batch has no end')
  const parts = pieces.slice(1).map(piece => {
    if (!piece.startsWith('\r\n')) throw refusals.malformed('a boundary does not end its line')
    return piece.slice(2)
  })
  if (parts.length > partsMax) throw refusals.malformed(`a batch has more than ${partsMax} parts`)
  return parts
}

function headOf(part: string): { readonly headers: Readonly<Record<string, string>>; readonly content: string } {
  const end = part.indexOf('\r\n\r\n')
  if (end < 0) throw refusals.malformed('a part has no empty line behind its headers')
  return { headers: headersOf(part.slice(0, end)), content: part.slice(end + 4) }
}

function headersOf(text: string): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const line of text.split('\r\n').filter(each => each !== '')) {
    const colon = line.indexOf(':')
    if (colon < 1) throw refusals.malformed(`the header line "${line.slice(0, 40)}"`)
    headers[line.slice(0, colon).trim().toLowerCase()] = line.slice(colon + 1).trim()
  }
  return headers
}

function requestIn(version: Version, content: string): ServiceRequest {
  const [, method = '', url = ''] = /^([A-Z]+) (\S+) HTTP\/1\.1\r\n/.exec(content) ?? []
  if (method === '') throw refusals.malformed('a part has no request line')
  // As services of RAP do: V4 has two more spellings, which they do not know.
  if (version === 'v4' && /^\/|:\/\//.test(url.split('?')[0] ?? '')) {
    throw refusals.malformed('a part names no path relative to the batch')
  }
  const { headers, content: body } = headOf(content.slice(content.indexOf('\r\n') + 2).replace(/^\r\n/, '\r\n\r\n'))
  const length = Number(headers['content-length'] ?? Buffer.byteLength(body))
  const bytes = Buffer.from(body)
  if (bytes.length < length) throw refusals.malformed('a part is shorter than its Content-Length')
  return { version, method, target: targetOf(version, url), headers, body: bytes.subarray(0, length).toString() }
}

function targetOf(version: Version, url: string): string {
  const path = url.replace(/^https?:\/\/[^/]+/, '')
  return path.startsWith(roots[version]) ? path.slice(roots[version].length) : path.replace(/^\.?\//, '')
}

function httpLines({ status, headers, body }: ServiceAnswer): string[] {
  const lines = [
    'Content-Type: application/http',
    `Content-Length: ${Buffer.byteLength(body) + 100}`,
    'content-transfer-encoding: binary',
    '',
  ]
  lines.push(`HTTP/1.1 ${status} ${status < 400 ? 'OK' : 'Error'}`)
  for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`)
  return [...lines, `Content-Length: ${Buffer.byteLength(body)}`, '', body]
}

async function answerJson(world: BatchWorld, body: string): Promise<{ type: string; body: string }> {
  let document: Json
  try {
    document = JSON.parse(body) as Json
  } catch {
    throw refusals.malformed('the batch is no JSON')
  }
  const requests = (document as JsonObject | null)?.['requests']
  if (!Array.isArray(requests)) throw refusals.malformed('the batch has no requests')
  const groups: { readonly group: string | undefined; readonly members: { id: string; request: ServiceRequest }[] }[] =
    []
  for (const each of requests as readonly JsonObject[]) {
    const { id, method, url, atomicityGroup } = each
    if (typeof id !== 'string' || typeof method !== 'string' || typeof url !== 'string') {
      throw refusals.malformed('a request of the batch has no id, method or url')
    }
    const headers = Object.entries((each['headers'] ?? {}) as JsonObject).map(([name, value]) => [
      name.toLowerCase(),
      String(value),
    ])
    const request: ServiceRequest = {
      version: 'v4',
      // OData JSON Format 4.01 section 19.1: in whichever case.
      method: method.toUpperCase(),
      target: targetOf('v4', url),
      headers: Object.fromEntries(headers),
      body: each['body'] === undefined ? '' : JSON.stringify(each['body']),
    }
    const group = typeof atomicityGroup === 'string' ? atomicityGroup : undefined
    const last = groups.at(-1)
    if (last && group !== undefined && last.group === group) last.members.push({ id, request })
    else groups.push({ group, members: [{ id, request }] })
  }
  const responses: object[] = []
  for (const { group, members } of groups) {
    const { answers, failed } = await changeset(
      world,
      members.map(member => member.request),
    )
    for (const [index, { id }] of members.entries()) {
      const answer = failed ?? answers[index]
      if (answer) responses.push(responseOf(id, group, answer))
    }
  }
  return { type: 'application/json', body: JSON.stringify({ responses }) }
}

function responseOf(id: string, atomicityGroup: string | undefined, { status, headers, body }: ServiceAnswer): object {
  return {
    id,
    ...(atomicityGroup !== undefined && { atomicityGroup }),
    status,
    headers,
    ...(body !== '' && { body: /json/.test(headers['content-type'] ?? '') ? JSON.parse(body) : body }),
  }
}
