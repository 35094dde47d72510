import { randomUUID } from 'node:crypto'
import type { RecordAddress } from './address.ts'
import { answerError, type DataverseAnswer, DataverseError } from './dataverse-error.ts'
import { answerRequest, root, type ServiceRequest, type ServiceWorld } from './service.ts'

const requestsMax = 1000

interface BatchItem {
  readonly contentId: string | undefined
  readonly request: ServiceRequest
}

type Part = BatchItem | readonly BatchItem[]

/**
 * $batch (Microsoft, "Execute batch operations using the Web API"): requests one after the other, changesets whole or not
 * at all. Without odata.continue-on-error the first failure ends the batch and gives it its status.
 */
export function answerBatch(world: ServiceWorld, outer: ServiceRequest): DataverseAnswer {
  try {
    const parts = readParts(outer)
    const count = parts.reduce((sum, part) => sum + ('request' in part ? 1 : part.length), 0)
    if (count > requestsMax)
      throw batchError(`The number of requests in the batch exceeds the maximum of ${requestsMax}.`)
    const goesOn = /odata\.continue-on-error/.test(outer.headers['prefer'] ?? '')
    const boundary = `batchresponse_${randomUUID()}`
    const lines: string[] = []
    let status = 200
    for (const part of parts) {
      const { text, failed } = 'request' in part ? answerOne(world, part) : answerChangeset(world, part)
      lines.push(`--${boundary}`, ...text)
      if (failed === undefined || goesOn) continue
      status = failed
      break
    }
    lines.push(`--${boundary}--`, '')
    return {
      status,
      headers: { 'content-type': `multipart/mixed; boundary=${boundary}`, 'odata-version': '4.0' },
      body: lines.join('\r\n'),
    }
  } catch (thrown) {
    if (thrown instanceof DataverseError) return answerError(thrown)
    throw thrown
  }
}

interface PartAnswer {
  readonly text: readonly string[]
  /** Status of the answer that is an error. */
  readonly failed: number | undefined
}

function answerOne(world: ServiceWorld, { request, contentId }: BatchItem): PartAnswer {
  const answer = answerRequest(world, request)
  return { text: httpPart(answer, contentId), failed: answer.status >= 400 ? answer.status : undefined }
}

class ChangesetFailed extends Error {
  readonly answer: DataverseAnswer
  constructor(answer: DataverseAnswer) {
    super('changeset failed')
    this.answer = answer
  }
}

function answerChangeset(world: ServiceWorld, items: readonly BatchItem[]): PartAnswer {
  const boundary = `changesetresponse_${randomUUID()}`
  const head = [`Content-Type: multipart/mixed; boundary=${boundary}`, '']
  try {
    const lines = world.store.together(() => {
      const references = new Map<string, RecordAddress>()
      return items.flatMap(({ request, contentId }) => {
        const answer = answerRequest(world, request, references)
        if (answer.status >= 400) throw new ChangesetFailed(answer)
        if (answer.record && contentId !== undefined) references.set(`$${contentId}`, answer.record)
        return [`--${boundary}`, ...httpPart(answer, contentId)]
      })
    })
    return { text: [...head, ...lines, `--${boundary}--`, ''], failed: undefined }
  } catch (thrown) {
    if (!(thrown instanceof ChangesetFailed)) throw thrown
    const lines = [`--${boundary}`, ...httpPart(thrown.answer, undefined), `--${boundary}--`, '']
    return { text: [...head, ...lines], failed: thrown.answer.status }
  }
}

const reasons: Readonly<Record<number, string>> = {
  200: 'OK',
  201: 'Created',
  204: 'No Content',
  400: 'Bad Request',
  404: 'Not Found',
  412: 'Precondition Failed',
}

function httpPart({ status, headers, body }: DataverseAnswer, contentId: string | undefined): readonly string[] {
  const shown: Record<string, string> = { ...headers, ...(status >= 400 && { req_id: randomUUID() }) }
  return [
    'Content-Type: application/http',
    'Content-Transfer-Encoding: binary',
    ...(contentId === undefined ? [] : [`Content-ID: ${contentId}`]),
    '',
    `HTTP/1.1 ${status} ${reasons[status] ?? 'Answer'}`,
    ...Object.entries(shown).map(([name, value]) => `${name === 'odata-entityid' ? 'OData-EntityId' : name}: ${value}`),
    '',
    body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body),
  ]
}

function readParts({ headers, body, user }: ServiceRequest): readonly Part[] {
  return splitMultipart(headers['content-type'] ?? '', body).map((part): Part => {
    const { headers: own, content } = splitHead(part)
    const type = own['content-type'] ?? ''
    if (!/^multipart\/mixed/i.test(type)) return readItem(own, content, user)
    return splitMultipart(type, content).map(inner => {
      const { headers: innerHeaders, content: innerContent } = splitHead(inner)
      if (innerHeaders['content-id'] === undefined)
        throw batchError('The Content-ID header is missing in a change set.')
      const item = readItem(innerHeaders, innerContent, user)
      if (item.request.method === 'GET')
        throw batchError('An invalid HTTP method "GET" was detected for a request in a change set.')
      return item
    })
  })
}

function readItem(headers: Readonly<Record<string, string>>, content: string, user: string): BatchItem {
  if (!/^application\/http/i.test(headers['content-type'] ?? ''))
    throw batchError('A part is not of type application/http.')
  if (headers['content-transfer-encoding']?.toLowerCase() !== 'binary')
    throw batchError('A part has no Content-Transfer-Encoding: binary.')
  const [line = '', ...rest] = content.split('\r\n')
  const [, method = '', url = ''] = /^([A-Z]+) (\S+) HTTP\/1\.1$/.exec(line) ?? []
  if (method === '') throw batchError(`The request line '${line.slice(0, 100)}' is not valid.`)
  const { headers: inner, content: body } = splitHead(rest.join('\r\n'))
  const target = url
    .replace(/^https?:\/\/[^/]+/, '')
    .replace(root, '')
    .replace(/^\//, '')
  if (target.startsWith('$batch')) throw batchError('Nested batch requests are not supported.')
  const length = inner['content-length']
  const kept =
    length === undefined ? body.replace(/\r\n$/, '') : Buffer.from(body).subarray(0, Number(length)).toString()
  return { contentId: headers['content-id'], request: { method, target, headers: inner, body: kept, user } }
}

function splitMultipart(type: string, body: string): readonly string[] {
  const [, quoted, plain] = /^multipart\/mixed\s*;.*\bboundary=(?:"([^"]+)"|([^\s;"]+))/i.exec(type) ?? []
  const boundary = quoted ?? plain
  if (boundary === undefined)
    throw new DataverseError(400, '0x80060888', 'The content type of a batch is multipart/mixed with a boundary.')
  const text = `\r\n${body}`
  const end = text.indexOf(`\r\n--${boundary}--`)
  if (end < 0) throw batchError('The end of the batch is missing.')
  return text.slice(0, end).split(`\r\n--${boundary}\r\n`).slice(1)
}

function splitHead(part: string): { readonly headers: Readonly<Record<string, string>>; readonly content: string } {
  const end = part.startsWith('\r\n') ? 0 : part.indexOf('\r\n\r\n')
  const head = end < 0 ? part : part.slice(0, end)
  const headers: Record<string, string> = {}
  for (const line of head.split('\r\n')) {
    const colon = line.indexOf(':')
    if (colon > 0) headers[line.slice(0, colon).trim().toLowerCase()] = line.slice(colon + 1).trim()
  }
  const content = end < 0 ? '' : part.slice(end).replace(/^(\r\n){1,2}/, '')
  return { headers, content }
}

function batchError(message: string): DataverseError {
  return new DataverseError(400, '0x80060888', message)
}
