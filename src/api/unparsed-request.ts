import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { HubError } from '../kernel/error.ts'
import type { Log } from '../kernel/log.ts'
import { SECOND } from '../kernel/time.ts'
import { apiErrors } from './api-errors.ts'
import { flowEndpointErrors } from './flow-endpoint-errors.ts'
import { statusTexts } from './http-server.ts'
import { problemOf, problemType } from './problem.ts'

/** So long whoever still writes may find the connection open, to read the answer then. */
const lingerMs = 2 * SECOND

/**
 * Answers what is no HTTP, comes too slowly or has more headers than are taken, with a problem and a word in the log. Node
 * says its status and nothing else, also to whoever waits for the answer to a request that was whole.
 */
export function answerUnparsed(server: Server, log: Log, headerBytesMax: number): void {
  /** The last response of each connection. */
  const latest = new WeakMap<Duplex, ServerResponse>()
  const told = new WeakSet<Duplex>()
  const note = ({ socket }: { readonly socket: Socket }, response: ServerResponse) => void latest.set(socket, response)
  server.on('request', note)
  server.on('checkContinue', note)
  server.on('clientError', (thrown, socket) => {
    // Each further piece of the same meets a parser that has given up.
    if (told.has(socket)) return
    const response = latest.get(socket)
    const isOpen = response !== undefined && !response.writableFinished
    if (isOpen && socket.writable && isWhole(response.req)) {
      // It is answered first; what came behind it is nobody's.
      if (!response.headersSent) response.setHeader('connection', 'close')
      return
    }
    // An answer that is under way cannot be followed by another to the same request.
    if (!socket.writable || (isOpen && (response.headersSent || response.socket !== socket))) {
      socket.destroy()
      return
    }
    told.add(socket)
    const error = refusalOf(thrown, headerBytesMax)
    log.debug('endpoint.refused', { code: error.code, text: error.message })
    socket.end(answerTo(error))
    const cut = setTimeout(() => socket.destroy(), lingerMs)
    socket.once('close', () => clearTimeout(cut))
  })
}

/** Its body had a length. Without one, what came behind it may have been meant as its body. */
function isWhole({ complete, headers }: IncomingMessage): boolean {
  return complete && ('content-length' in headers || 'transfer-encoding' in headers)
}

function refusalOf(thrown: Error, headerBytesMax: number): HubError {
  const code = 'code' in thrown ? thrown.code : undefined
  if (code === 'HPE_HEADER_OVERFLOW') return flowEndpointErrors.HEADERS_TOO_LARGE({ bytesMax: headerBytesMax })
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return flowEndpointErrors.TOO_SLOW()
  return apiErrors.REQUEST_MALFORMED({ text: thrown.message })
}

function answerTo(error: HubError): string {
  const problem = problemOf(error, '')
  const body = JSON.stringify(problem)
  return [
    `HTTP/1.1 ${problem.status} ${statusTexts[problem.status] ?? ''}`,
    'connection: close',
    `content-type: ${problemType}`,
    `content-length: ${Buffer.byteLength(body)}`,
    'x-content-type-options: nosniff',
    '',
    body,
  ].join('\r\n')
}
