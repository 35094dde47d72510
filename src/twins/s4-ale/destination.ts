import http from 'node:http'
import https from 'node:https'
import { KiB, MiB } from '../../kernel/size.ts'
import { SECOND } from '../../kernel/time.ts'
import { strike } from '../twin.ts'
import type { AleFaults } from './faults.ts'

/** An HTTP destination (transaction SM59, type G or H). */
export interface Destination {
  readonly url: string
  readonly user?: { readonly user: string; readonly password: string }
  /** Headers for every request. */
  readonly headers?: Readonly<Record<string, string>>
  /** PEM of the authority to trust. */
  readonly ca?: string
}

export interface DestinationAnswer {
  readonly status: number
  readonly type: string
  readonly body: Buffer
  readonly headers: http.IncomingHttpHeaders
}

const answerBytesMax = 32 * MiB
const answerWithinMs = 60 * SECOND
const pieceBytes = 64 * KiB

/** Posts as the ICF client does. Throws when there is no answer. */
export function postTo(
  destination: Destination,
  request: { readonly type: string; readonly body: Buffer; readonly headers?: Readonly<Record<string, string>> },
  faults: AleFaults,
): Promise<DestinationAnswer> {
  const { url, user, headers, ca } = destination
  const { promise, resolve, reject } = Promise.withResolvers<DestinationAnswer>()
  const client = url.startsWith('https:') ? https : http
  const outgoing = client.request(url, {
    method: 'POST',
    agent: false,
    signal: AbortSignal.timeout(answerWithinMs),
    ...(ca !== undefined && { ca }),
    headers: {
      'content-type': request.type,
      'content-length': request.body.length,
      'user-agent': 'SAP NetWeaver Application Server (1.0;758)',
      ...(user && { authorization: `Basic ${Buffer.from(`${user.user}:${user.password}`).toString('base64')}` }),
      ...headers,
      ...request.headers,
    },
  })
  outgoing.on('error', reject)
  outgoing.on('response', answer => {
    if (strike(faults.hangUp)) {
      answer.destroy()
      reject(new Error('ICM_HTTP_CONNECTION_BROKEN'))
      return
    }
    collect(answer).then(body => {
      const type = answer.headers['content-type'] ?? ''
      resolve({ status: answer.statusCode ?? 0, type, body, headers: answer.headers })
    }, reject)
  })
  if (strike(faults.splitRequest)) {
    outgoing.write(request.body.subarray(0, request.body.length / 2), () => {
      outgoing.destroy(new Error('ICM_HTTP_CONNECTION_BROKEN'))
    })
    return promise
  }
  for (let at = 0; at < request.body.length; at += pieceBytes) {
    outgoing.write(request.body.subarray(at, at + pieceBytes))
  }
  outgoing.end()
  return promise
}

async function collect(answer: http.IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > answerBytesMax) throw new Error('ICM_HTTP_ANSWER_TOO_LARGE')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
