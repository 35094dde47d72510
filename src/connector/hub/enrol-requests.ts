import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { TLSSocket } from 'node:tls'
import { certificateErrors } from '../../auth/certificate-errors.ts'
import { asHubError, type HubError } from '../../kernel/error.ts'
import type { Log } from '../../kernel/log.ts'
import type { Clock } from '../../kernel/time.ts'
import { wirePaths } from '../wire.ts'
import type { Audit, Enrolment } from './enrolment.ts'
import { enrolErrors } from './errors.ts'
import { hubLimits } from './limits.ts'
import { RequestRate } from './request-rate.ts'

export interface EnrolRequestOptions {
  readonly enrolment: Enrolment
  readonly clock: Clock
  readonly log: Log
  readonly audit: Audit
}

/** Answers enrolments and renewals on TLS connections that the listener hands over: one request each, in good time. */
export interface EnrolRequests {
  take(socket: TLSSocket): void
}

export function createEnrolRequests({ enrolment, clock, log, audit }: EnrolRequestOptions): EnrolRequests {
  const rate = new RequestRate(hubLimits.requestsPerMinute, clock)
  // It never listens itself: it is given connections.
  const server = createServer(
    { maxHeaderSize: hubLimits.headerBytes, insecureHTTPParser: false },
    (request, response) => {
      answer(request, response).catch((thrown: unknown) => {
        log.error('connector.request-failed', { error: asHubError(thrown) })
        response.destroy()
      })
    },
  )
  server.on('clientError', (_error, socket) => socket.destroy())

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const address = request.socket.remoteAddress ?? ''
    const path = request.url ?? ''
    try {
      if (request.method !== 'POST' || (path !== wirePaths.enrol && path !== wirePaths.renew)) {
        throw enrolErrors.REQUEST_INVALID({ reason: 'there is nothing else here than POST to enrol and renew' })
      }
      if (!rate.take(address)) throw enrolErrors.TOO_MANY_REQUESTS({ address }, { retryAfterMs: 60_000 })
      const body = await readJson(request)
      const certificate = request.socket instanceof TLSSocket ? request.socket.getPeerX509Certificate() : undefined
      const answered =
        path === wirePaths.enrol
          ? await enrolment.enrol(body, address)
          : await enrolment.renew(certificate, body, address)
      send(response, 201, 'application/json', answered)
    } catch (thrown) {
      const error = asHubError(thrown)
      send(response, statusOf(error), 'application/problem+json', problemOf(error, path))
      await noteRefusal(error, path, address)
    }
  }

  async function noteRefusal(error: HubError, path: string, address: string): Promise<void> {
    const { code, message } = error
    if (error.side === 'hub') log.error('connector.request-failed', { address, path, error })
    else log.warn('connector.enrol-refused', { address, path: path.slice(0, 100), code, text: message })
    // Noise is not worth an entry: what is no request at all, and the flood itself.
    if (code === enrolErrors.REQUEST_INVALID.code || code === enrolErrors.TOO_MANY_REQUESTS.code) return
    await audit(`unknown@${address}`, 'connector.enrol-refused', { path, code, text: message })
  }

  return {
    take(socket) {
      const end = clock.after(hubLimits.requestMs, () => socket.destroy())
      socket.once('close', end)
      socket.on('error', () => socket.destroy())
      server.emit('connection', socket)
    },
  }
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > hubLimits.requestBytes) {
      throw enrolErrors.REQUEST_INVALID({ reason: `it is larger than ${hubLimits.requestBytes} bytes` })
    }
    chunks.push(chunk)
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'))
  } catch (cause) {
    throw enrolErrors.REQUEST_INVALID({ reason: 'it is not JSON' }, { cause })
  }
}

function statusOf(error: HubError): number {
  if (error.code === enrolErrors.TOO_MANY_REQUESTS.code) return 429
  if (error.code === enrolErrors.REQUEST_INVALID.code || error.code === certificateErrors.REQUEST_REFUSED.code)
    return 400
  return error.code.startsWith('ENROL_') ? 403 : 500
}

/** RFC 9457, as everywhere in the hub. What went wrong inside stays inside. */
function problemOf(error: HubError, path: string): object {
  const status = statusOf(error)
  const isInside = status === 500
  return {
    type: `urn:isthmus:error:${error.code}`,
    title: isInside ? 'The hub could not answer.' : error.message,
    status,
    code: error.code,
    side: error.side,
    next: isInside ? 'Try again; the log of the hub says what went wrong.' : error.next,
    instance: path.slice(0, 100),
  }
}

function send(response: ServerResponse, status: number, type: string, body: object): void {
  // One request a connection: nothing that follows can be taken for a second one.
  response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store', connection: 'close' })
  response.end(JSON.stringify(body))
}
