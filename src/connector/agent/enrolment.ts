import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import type { TLSSocket } from 'node:tls'
import { z } from 'zod'
import { asHubError, HubError } from '../../kernel/error.ts'
import { SECOND } from '../../kernel/time.ts'
import type { HttpProxy } from '../../protocols/net/http-proxy.ts'
import { type CertificateAnswer, certificateAnswer, type EnrolRequest, wirePaths } from '../wire.ts'
import { parseEnrolToken } from './enrol-token.ts'
import { connectorErrors } from './errors.ts'
import { dialHub, explainHubFailure, fetchAuthority } from './hub-node.ts'
import { type Identity, proveWritable, readIdentity, writeIdentity } from './identity.ts'
import type { KeyRequest } from './key-request.ts'

export const enrolmentLimits = {
  /** One request to the hub, connection and answer together. */
  requestMs: 30 * SECOND,
  answerBytes: 512 * 1024,
} as const

export interface EnrolOptions {
  /** host:port of any node of the hub. */
  readonly node: string
  /** What `isthmus connector enrol` printed. */
  readonly token: string
  readonly name: string
  readonly dataFolder: string
  /** Replaces an identity that is there. */
  readonly isAgain?: boolean
  /** Leads out of the network of the connector. */
  readonly proxy?: HttpProxy | undefined
  readonly signal?: AbortSignal
}

/** Makes a key, has the hub certify it, and keeps the result. The token is sent only to the hub that it names. */
export async function enrol(options: EnrolOptions): Promise<Identity> {
  const { node, name, dataFolder, proxy, signal } = options
  const token = parseEnrolToken(options.token)
  const present = options.isAgain ? undefined : await readIdentity(dataFolder)
  if (present) {
    throw connectorErrors.ALREADY_ENROLLED({ connector: present.connector, location: present.location })
  }
  await proveWritable(dataFolder)
  const timeoutMs = enrolmentLimits.requestMs
  const authority = await fetchAuthority(node, token.authorityHash, { proxy, timeoutMs, signal })
  const { key, csr } = await makeKeyRequest(name)
  const socket = await dialHub(node, { alpn: 'http/1.1', authorities: [authority], proxy, timeoutMs, signal })
  const body: EnrolRequest = { token: token.text, csr, name }
  const answer = await post(socket, node, wirePaths.enrol, body, signal)
  return writeAnswer(dataFolder, node, { ...answer, key, name })
}

/** A new key and certificate in place of the present ones; tries one node after the other. */
export async function renewIdentity(
  identity: Identity,
  nodes: readonly string[],
  options: Pick<EnrolOptions, 'dataFolder' | 'proxy' | 'signal'>,
): Promise<Identity> {
  const { dataFolder, proxy, signal } = options
  const { key, csr } = await makeKeyRequest(identity.name)
  let failure: HubError | undefined
  for (const node of nodes) {
    try {
      const { authorities } = identity
      const timeoutMs = enrolmentLimits.requestMs
      const socket = await dialHub(node, { alpn: 'http/1.1', authorities, identity, proxy, timeoutMs, signal })
      const answer = await post(socket, node, wirePaths.renew, { csr }, signal)
      return await writeAnswer(dataFolder, node, { ...answer, key, name: identity.name })
    } catch (thrown) {
      // The next node may answer; if none does, the first one's failure speaks.
      failure ??= asHubError(thrown)
    }
  }
  throw failure ?? connectorErrors.HUB_UNREACHABLE({ node: 'any node', text: 'none is known.' })
}

/** Loaded for the one moment in months that needs it; at rest the connector goes without the certificate library. */
async function makeKeyRequest(name: string): Promise<KeyRequest> {
  const { makeKeyRequest: make } = await import('./key-request.ts')
  return make(name)
}

async function writeAnswer(
  dataFolder: string,
  node: string,
  fields: CertificateAnswer & { readonly key: string; readonly name: string },
): Promise<Identity> {
  try {
    return await writeIdentity(dataFolder, fields)
  } catch (cause) {
    if (cause instanceof HubError) throw cause
    throw connectorErrors.ANSWER_WRONG({ node, text: asHubError(cause).message }, { cause })
  }
}

async function post(
  socket: TLSSocket,
  node: string,
  path: string,
  body: EnrolRequest | { readonly csr: string },
  signal: AbortSignal | undefined,
): Promise<CertificateAnswer> {
  const { status, text } = await exchange(socket, path, JSON.stringify(body), signal)
    .catch((thrown: unknown) => {
      throw explainHubFailure(thrown, node)
    })
    .finally(() => socket.destroy())
  if (status !== 200 && status !== 201) throw refusalOf(status, text)
  try {
    return certificateAnswer.parse(JSON.parse(text))
  } catch (cause) {
    const words = cause instanceof z.ZodError ? z.prettifyError(cause) : String(cause)
    throw connectorErrors.ANSWER_WRONG({ node, text: words }, { cause })
  }
}

async function exchange(
  socket: TLSSocket,
  path: string,
  body: string,
  signal: AbortSignal | undefined,
): Promise<{ readonly status: number; readonly text: string }> {
  const timeout = AbortSignal.timeout(enrolmentLimits.requestMs)
  const asked = request({
    createConnection: () => socket,
    method: 'POST',
    path,
    headers: {
      // The socket stands already; the name is only what HTTP wants to see.
      host: 'hub',
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
      connection: 'close',
    },
    signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
  })
  asked.end(body)
  const [response] = (await once(asked, 'response')) as [IncomingMessage]
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of response) {
    bytes += (chunk as Buffer).length
    if (bytes > enrolmentLimits.answerBytes) throw new Error('its answer is too large')
    chunks.push(chunk as Buffer)
  }
  return { status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }
}

const problem = z.object({
  detail: z.string().optional(),
  message: z.string().optional(),
  title: z.string().optional(),
  next: z.string().optional(),
})

function refusalOf(status: number, text: string): HubError {
  let said: z.output<typeof problem> = {}
  try {
    said = problem.parse(JSON.parse(text))
  } catch {
    // An answer without words still has a status.
  }
  const words = said.detail ?? said.message ?? said.title ?? 'without words.'
  const step = said.next ?? 'Get a new token with isthmus connector enrol on the hub, and enrol again.'
  return connectorErrors.HUB_REFUSED({ text: `${words} (${status})`, step })
}
