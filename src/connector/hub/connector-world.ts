import { webcrypto } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import http2, { type IncomingHttpHeaders, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2'
import https from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import tls, { type TLSSocket } from 'node:tls'
import { type CertificateAuthority, openCertificateAuthority } from '../../auth/certificate-authority.ts'
import { MemoryRecords } from '../../auth/records-world.ts'
import { openVault } from '../../auth/vault.ts'
import { PemConverter, Pkcs10CertificateRequestGenerator } from '../../auth/x509.ts'
import type { JsonObject } from '../../kernel/json.ts'
import { silentLog } from '../../kernel/log.ts'
import { type Clock, systemClock } from '../../kernel/time.ts'
import { type CertificateAnswer, type CheckAnswer, type Hello, tunnelAlpn, wireHeaders, wireLimits } from '../wire.ts'
import { type Connectors, createConnectors } from './connectors.ts'

/** Records in memory, with an audit log that can be read. */
export class AuditedRecords extends MemoryRecords {
  readonly entries: { readonly who: string; readonly action: string; readonly detail: JsonObject }[] = []

  async audit(entry: { readonly who: string; readonly action: string; readonly detail: JsonObject }): Promise<void> {
    this.entries.push(entry)
  }

  actions(): readonly string[] {
    return this.entries.map(({ action }) => action)
  }
}

export interface HubWorld {
  readonly connectors: Connectors
  readonly authority: CertificateAuthority
  readonly records: AuditedRecords
  readonly port: number
  /** Moves the clock of the hub, and makes the timers that are set from then on so many times faster. */
  readonly clock: { offsetMs: number; timesFaster: number }
  close(): Promise<void>
}

/** The hub's side of connectors, listening on a free port of this machine; its clock may be ahead. */
export async function startHubSide(offsetMs = 0): Promise<HubWorld> {
  const folder = await mkdtemp(join(tmpdir(), 'isthmus-connectors-'))
  const records = new AuditedRecords()
  const shift = { offsetMs, timesFaster: 1 }
  const clock: Clock = {
    ...systemClock,
    now: () => Date.now() + shift.offsetMs,
    after: (ms, callback) => systemClock.after(ms / shift.timesFaster, callback),
  }
  const vault = await openVault({ records, keyFile: join(folder, 'master.key') })
  const authority = await openCertificateAuthority({ records, vault, clock })
  const listen = { host: '127.0.0.1', port: 0, nodes: [] }
  const connectors = await createConnectors({ records, authority, clock, log: silentLog, listen })
  const address = (await connectors.start()) ?? ''
  return {
    connectors,
    authority,
    records,
    port: Number(address.split(':')[1]),
    clock: shift,
    async close() {
      await connectors.close()
      await rm(folder, { recursive: true })
    },
  }
}

export interface WorldIdentity extends CertificateAnswer {
  readonly key: string
}

export interface KeyAndRequest {
  readonly key: string
  readonly csr: string
}

const ec = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }

export async function makeKeyAndRequest(): Promise<KeyAndRequest> {
  const keys = await webcrypto.subtle.generateKey(ec, true, ['sign', 'verify'])
  const request = await Pkcs10CertificateRequestGenerator.create({ name: 'CN=anybody', keys, signingAlgorithm: ec })
  const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)
  return { key: PemConverter.encode(pkcs8, 'PRIVATE KEY'), csr: request.toString('pem') }
}

export interface HttpsAnswer {
  readonly status: number
  readonly body: JsonObject
}

/** One HTTPS request to the port of the hub. */
export async function postToHub(
  port: number,
  path: string,
  body: unknown,
  identity?: { readonly certificate: string; readonly key: string },
): Promise<HttpsAnswer> {
  const options: https.RequestOptions & { readonly ALPNProtocols: string[] } = {
    host: '127.0.0.1',
    port,
    path,
    method: 'POST',
    agent: false,
    rejectUnauthorized: false,
    ALPNProtocols: ['http/1.1'],
    headers: { 'content-type': 'application/json' },
    ...(identity && { cert: identity.certificate, key: identity.key }),
  }
  const request = https.request(options)
  request.end(typeof body === 'string' ? body : JSON.stringify(body))
  const [response] = await once(request, 'response')
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk as Buffer)
  return { status: response.statusCode, body: JSON.parse(Buffer.concat(chunks).toString()) as JsonObject }
}

export async function enrolAt(hub: HubWorld, location: string, name = 'stand-in'): Promise<WorldIdentity> {
  const token = await hub.connectors.makeToken(location, undefined)
  const { key, csr } = await makeKeyAndRequest()
  const answer = await postToHub(hub.port, '/connector/enrol', { token: token.text, csr, name })
  if (answer.status !== 201) throw new Error(JSON.stringify(answer.body))
  return { ...(answer.body as unknown as CertificateAnswer), key }
}

export type OnConnect = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void

export interface StandInOptions {
  readonly mode?: Hello['mode']
  readonly run?: string
  readonly virtualHosts?: readonly string[]
  readonly onConnect?: OnConnect
  readonly check?: CheckAnswer
}

/** A connector as far as the hub sees it: real TLS and HTTP/2, and a function in the place of targets. */
export interface StandIn {
  readonly socket: TLSSocket
  readonly session: ServerHttp2Session
  /** What the hub asked to be opened: virtual host:port. */
  readonly asked: string[]
  virtualHosts: string[]
  /** Reads nothing more and answers nothing more, as a process under SIGSTOP. */
  freeze(): void
  close(): Promise<void>
}

export const echo: OnConnect = stream => {
  stream.respond({ ':status': 200 })
  stream.on('error', () => {})
  stream.pipe(stream)
}

export function refuseWith(status: number, text: string): OnConnect {
  return stream => {
    const headers = { ':status': status, [wireHeaders.error]: 'X', [wireHeaders.text]: encodeURIComponent(text) }
    stream.respond(headers, { endStream: true })
  }
}

export async function dial(
  port: number,
  identity: { readonly certificate: string; readonly key: string } | undefined,
  options: tls.ConnectionOptions = {},
): Promise<TLSSocket> {
  const socket = tls.connect({
    host: '127.0.0.1',
    port,
    ALPNProtocols: [tunnelAlpn],
    rejectUnauthorized: false,
    ...(identity && { cert: identity.certificate, key: identity.key }),
    ...options,
  })
  await once(socket, 'secureConnect')
  return socket.on('error', () => {})
}

export async function startStandIn(
  hub: Pick<HubWorld, 'port' | 'connectors'>,
  identity: WorldIdentity,
  options: StandInOptions = {},
): Promise<StandIn> {
  const { mode = 'active', run = 'run-1', onConnect = echo } = options
  const socket = await dial(hub.port, identity, { ca: [...identity.authorities], rejectUnauthorized: true })
  const session = http2.performServerHandshake(socket, {
    settings: { initialWindowSize: wireLimits.streamWindowBytes, maxConcurrentStreams: wireLimits.streams },
    maxSessionMemory: 256,
    streamResetBurst: 100_000,
    streamResetRate: 10_000,
  })
  session.on('error', () => {})
  session.once('connect', () => session.setLocalWindowSize(wireLimits.connectionWindowBytes))
  const standIn: StandIn = {
    socket,
    session,
    asked: [],
    virtualHosts: [...(options.virtualHosts ?? ['s4-smtp.virtual:25'])],
    freeze() {
      socket.pause()
      // Below HTTP/2 nobody reads the handle: what arrives stays in the buffers of the system.
      const handle = (socket as unknown as { _parent?: unknown; _handle: { readStop(): number } })._handle
      handle.readStop()
    },
    async close() {
      if (session.destroyed && socket.destroyed) return
      session.destroy()
      socket.destroy()
      await over(socket)
    },
  }
  session.on('stream', (stream, headers) => {
    stream.on('error', () => {})
    if (headers[':method'] === 'CONNECT') {
      standIn.asked.push(String(headers[':authority']))
      onConnect(stream, headers)
      return
    }
    const hello = { version: '0.1.0', mode, run, virtualHosts: standIn.virtualHosts }
    const status = { ...hello, startedAt: 0, certificateEndsAt: 0, virtualHosts: [] }
    const answers: Readonly<Record<string, unknown>> = {
      '/hello': hello,
      '/check': options.check,
      '/status': status,
      '/drain': status,
    }
    const answer = answers[String(headers[':path'])]
    stream.respond({ ':status': answer ? 200 : 404 })
    stream.end(JSON.stringify(answer ?? {}))
  })
  const own = `127.0.0.1:${socket.localPort}`
  const isTaken = () => hub.connectors.get(identity.connector).tunnels.some(({ address }) => address === own)
  await until(() => isTaken() || socket.destroyed)
  return standIn
}

/** Resolves once it is so; fails after a while that is long for a loaded machine. */
export async function until(isSo: () => boolean | Promise<boolean>, withinMs = 10_000): Promise<void> {
  const endsAt = Date.now() + withinMs
  while (!(await isSo())) {
    if (Date.now() > endsAt) throw new Error(`it did not become so within ${withinMs} ms: ${isSo.toString()}`)
    await new Promise(resolve => setTimeout(resolve, 10))
  }
}

/** Resolves when the connection is over, however it ended. */
export function over(socket: Duplex): Promise<void> {
  if (socket.closed) return Promise.resolve()
  socket.on('error', () => {}).resume()
  return new Promise(resolve => socket.once('close', () => resolve()))
}
