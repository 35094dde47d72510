import { type Json, type JsonObject, parseExact } from '../../kernel/json.ts'
import { type BatchAnswer, type BatchForm, BatchMismatch, type BatchPart, type BatchResult, isOk } from './batch.ts'
import { isGroup, isList } from './json.ts'

/**
 * A batch as JSON (OData JSON Format 4.01 section 19), changesets as atomicity groups. What a service may do in any
 * order, or at once, is what names nothing that it depends on: each request of a changeset names the one before it.
 */
export function jsonBatch(parts: readonly BatchPart[]): BatchForm {
  const requests: string[] = []
  const ids: string[][] = []
  for (const [index, part] of parts.entries()) {
    const inPart = 'request' in part ? [part.request] : part.changeset
    ids.push(
      inPart.map(({ method, path, headers, body }, at) => {
        const id = `${index + 1}.${at + 1}`
        const group = 'request' in part ? {} : { atomicityGroup: `g${index + 1}` }
        const before = at === 0 ? {} : { dependsOn: [`${index + 1}.${at}`] }
        const head = JSON.stringify({ id, ...group, ...before, method, url: path, headers })
        // The body is JSON already, with numbers that would lose digits on the way through a value.
        requests.push(body === undefined ? head : `${head.slice(0, -1)},"body":${body}}`)
        return id
      }),
    )
  }
  return {
    type: 'application/json',
    body: `{"requests":[${requests.join(',')}]}`,
    read: (type, body) => match(parts, ids, readResponses(type, body)),
  }
}

function readResponses(type: string, body: Uint8Array): ReadonlyMap<string, BatchAnswer> {
  if (!/^application\/([^;]+\+)?json/i.test(type))
    throw new BatchMismatch(`it is of type ${type.slice(0, 100) || 'nothing'}`)
  let document: Json
  try {
    document = parseExact(Buffer.from(body).toString())
  } catch (cause) {
    throw new BatchMismatch('it ends in the middle, or is no JSON', { cause })
  }
  const responses = isGroup(document) ? document['responses'] : undefined
  if (!isList(responses)) throw new BatchMismatch('it has no list of responses')
  return new Map(
    responses.map(each =>
      isGroup(each) ? readResponse(each) : ['', { status: 0, headers: {}, body: Buffer.alloc(0) }],
    ),
  )
}

function readResponse(response: JsonObject): [string, BatchAnswer] {
  const { id, status, body } = response
  const headers = isGroup(response['headers']) ? response['headers'] : {}
  if (typeof id !== 'string' || typeof status !== 'number') throw new BatchMismatch('a response has no id or no status')
  const plain = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), String(value)])
  const bytes =
    body === undefined ? Buffer.alloc(0) : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
  return [id, { status, headers: { 'content-type': 'application/json', ...Object.fromEntries(plain) }, body: bytes }]
}

function match(
  parts: readonly BatchPart[],
  ids: readonly (readonly string[])[],
  answers: ReadonlyMap<string, BatchAnswer>,
): readonly BatchResult[] {
  const results: BatchResult[] = []
  for (const [index, part] of parts.entries()) {
    const found = (ids[index] ?? []).map(id => answers.get(id))
    const present = found.filter(answer => answer !== undefined)
    // Behind a failure a service may stop; what comes after it was not done.
    if (present.length === 0) break
    const failed = present.find(answer => !isOk(answer))
    if ('request' in part) results.push({ answer: present[0] ?? missing() })
    else if (failed) results.push({ failed })
    else results.push({ answers: found.map(answer => answer ?? missing()) })
  }
  return results
}

function missing(): never {
  throw new BatchMismatch('a changeset has fewer answers than requests')
}
