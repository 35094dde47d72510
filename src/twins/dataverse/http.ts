import type { IncomingMessage, ServerResponse } from 'node:http'
import { KiB, MiB } from '../../kernel/size.ts'
import type { Clock } from '../../kernel/time.ts'
import { strike } from '../twin.ts'
import { answerBatch } from './batch.ts'
import { answerError, type DataverseAnswer, DataverseError } from './dataverse-error.ts'
import type { DataverseFaults } from './faults.ts'
import type { Guard } from './guard.ts'
import type { Protection } from './protection.ts'
import { answerRequest, root, type ServiceRequest, type ServiceWorld } from './service.ts'
import { isGroup } from './write.ts'

/** A request that the twin answered. */
export interface SeenDataverseRequest {
  readonly method: string
  /** With the query. */
  readonly url: string
  readonly status: number
  /** Names in lower case; without the token. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export interface HandlerParts {
  readonly world: ServiceWorld
  readonly guard: Guard
  readonly protection: Protection
  readonly clock: Clock
  faults(): DataverseFaults
}

const bodyBytesMax = 16 * MiB
const urlLettersMax = 32 * KiB
const requestsKept = 2000
const bodyLettersKept = 20_000

/** The twin's request listener: log-in, service protection, faults, and then the service. */
export function makeHandler(parts: HandlerParts) {
  const requests: SeenDataverseRequest[] = []
  return {
    requests: requests as readonly SeenDataverseRequest[],
    handle(request: IncomingMessage, response: ServerResponse) {
      respond(parts, requests, request, response).catch(() => {
        // The client is gone: nobody is left to be told.
        response.destroy()
      })
    },
  }
}

async function respond(
  parts: HandlerParts,
  requests: SeenDataverseRequest[],
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const body = await readBody(request)
  const faults = parts.faults()
  const { method = 'GET', url = '/' } = request
  if (hits(faults.dropBefore, method)) {
    response.destroy()
    return
  }
  const answer = await answerTo(parts, request, body)
  const headers = Object.fromEntries(
    Object.entries(request.headers)
      .filter(([name]) => name !== 'authorization')
      .map(([name, value]) => [name, String(value)]),
  )
  requests.push({ method, url, status: answer.status, headers, body: body.slice(0, bodyLettersKept) })
  if (requests.length > requestsKept) requests.shift()
  if (hits(faults.dropAfter, method)) {
    response.destroy()
    return
  }
  if (hits(faults.late, method)) {
    response.writeHead(faults.late?.status ?? 504, { 'content-type': 'text/html' }).end('<h1>Gateway error</h1>')
    return
  }
  const text =
    answer.body === undefined ? '' : typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body)
  const bytes = Buffer.from(text)
  const length = answer.status === 204 || answer.status === 304 ? {} : { 'content-length': bytes.length }
  response.writeHead(answer.status, { ...answer.headers, ...length })
  if (strike(faults.truncate)) {
    response.write(bytes.subarray(0, bytes.length >> 1), () => response.destroy())
    return
  }
  response.end(method === 'HEAD' ? undefined : bytes)
}

async function answerTo(parts: HandlerParts, request: IncomingMessage, body: string): Promise<DataverseAnswer> {
  const faults = parts.faults()
  try {
    const { url = '/', method = 'GET' } = request
    const user = parts.guard.userOf(request)
    refuseByFault(faults, method)
    const leave = parts.protection.enter(user)
    try {
      if (faults.slowMs) await parts.clock.sleep(faults.slowMs)
      if (strike(faults.html)) {
        return {
          status: 200,
          headers: { 'content-type': 'text/html; charset=utf-8' },
          body: '<!DOCTYPE html><html><body>Sign in</body></html>',
        }
      }
      if (url.length > urlLettersMax) throw new DataverseError(414, '', 'URI Too Long')
      if (!url.startsWith(root)) throw new DataverseError(404, '', 'HTTP Error 404 - Not Found')
      const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)]))
      const asked: ServiceRequest = { method, target: url.slice(root.length), headers, body, user }
      const answer =
        asked.target === '$batch' && method === 'POST'
          ? answerBatch(parts.world, asked)
          : answerRequest(parts.world, asked)
      return withoutCode(answer, faults)
    } finally {
      leave()
    }
  } catch (thrown) {
    const error = thrown instanceof DataverseError ? thrown : new DataverseError(500, '0x80040224', String(thrown))
    return withoutCode(answerError(error), faults)
  }
}

function refuseByFault(faults: DataverseFaults, method: string): void {
  const { throttle, unavailable, fail } = faults
  if (throttle && strike(throttle)) {
    const message = 'Number of requests exceeded the limit of 6000 over time window of 300 seconds.'
    throw new DataverseError(429, throttle.code, message, { 'retry-after': String(throttle.retryAfterS) })
  }
  if (unavailable && strike(unavailable)) {
    const after = unavailable.retryAfterS === undefined ? {} : { 'retry-after': String(unavailable.retryAfterS) }
    throw new DataverseError(503, '', 'The service is unavailable.', after)
  }
  if (fail && hits(fail, method)) throw new DataverseError(fail.status, fail.code, fail.message)
}

/** True when a fault strikes this method; takes one of its strikes. */
function hits(fault: { times: number; readonly method?: string | undefined } | undefined, method: string): boolean {
  return fault !== undefined && (fault.method === undefined || fault.method === method) && strike(fault)
}

function withoutCode(answer: DataverseAnswer, { emptyCodes }: DataverseFaults): DataverseAnswer {
  const { body, status } = answer
  const error = typeof body === 'object' ? body['error'] : undefined
  if (!emptyCodes || status < 400 || !isGroup(error)) return answer
  return { ...answer, body: { error: { ...error, code: '' } } }
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes <= bodyBytesMax) chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}
