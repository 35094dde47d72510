import { createHash, randomBytes, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import http2 from 'node:http2'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import tls from 'node:tls'
import { makeAuthority, makeSerial, signCertificate } from '../../auth/certificate-signing.ts'
import { readPublicKey } from '../../auth/public-key.ts'
import type { Log, LogFields } from '../../kernel/log.ts'
import { type Clock, DAY, systemClock } from '../../kernel/time.ts'
import { makeConnect } from '../../protocols/net/connect.ts'
import { createTargetPool } from '../balance/pool.ts'
import { type CertificateAnswer, tunnelAlpn, wireLimits, wirePaths } from '../wire.ts'
import { type Agent, startAgent } from './agent.ts'
import { enrol } from './enrolment.ts'
import { readConnectorConfig } from './read-config.ts'

/** A hub in miniature: real TLS, real certificates, and the HTTP/2 client that a hub is on a tunnel. */
export interface StandInHub {
  readonly port: number
  readonly token: string
  readonly authority: string
  readonly sessions: Set<http2.ClientHttp2Session>
  /** What was sent to enrol and renew. */
  readonly requests: { readonly path: string; readonly body: Record<string, unknown>; readonly subject: string }[]
  /** Life of the certificates it gives. */
  lifeMs: number
  /** Node list it tells connectors; itself where undefined. */
  nodes: readonly string[] | undefined
  /** Turns every tunnel away with this reason. */
  turnAwayWith: string | undefined
  /** A session on which the connector has answered hello. */
  session(): Promise<http2.ClientHttp2Session>
  ask(path: string, body?: unknown): Promise<{ readonly status: number; readonly body: unknown }>
  close(): Promise<void>
}

interface Validity {
  readonly notBefore: Date
  readonly notAfter: Date
}

/** `aheadMs`: how far its clock is before the one of this machine. */
export async function startStandInHub(aheadMs = 0): Promise<StandInHub> {
  const now = Date.now() + aheadMs
  const validity: Validity = { notBefore: new Date(now - DAY), notAfter: new Date(now + DAY) }
  const ca = await makeAuthority({ name: 'Stand-in hub' }, validity)
  const own = await makeKeyPair()
  const hosts = ['localhost', '127.0.0.1']
  const common = { serial: makeSerial(), publicKey: own.publicKey, usage: 'server', hosts } as const
  const certificate = await signCertificate(ca, { ...common, subject: { name: 'hub' }, ...validity })
  const hash = createHash('sha256').update(new X509Certificate(ca.certificate).raw).digest('hex')
  const secret = randomBytes(43).toString('hex').slice(0, 43)
  const sockets = new Set<net.Socket>()

  const server = tls.createServer({
    cert: certificate + ca.certificate,
    key: own.key,
    ca: ca.certificate,
    requestCert: true,
    rejectUnauthorized: false,
    ALPNProtocols: [tunnelAlpn, 'http/1.1'],
    minVersion: 'TLSv1.3',
  })
  server.on('connection', socket => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  server.on('tlsClientError', () => {})
  server.on('secureConnection', socket => {
    socket.on('error', () => {})
    if (socket.alpnProtocol === tunnelAlpn) takeTunnel(socket)
    else answerRequest(socket).catch(() => socket.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as net.AddressInfo

  const hub: StandInHub = {
    port,
    token: `isthmus-enrol.0123456789ab.${secret}.${hash}`,
    authority: ca.certificate,
    sessions: new Set(),
    requests: [],
    lifeMs: DAY,
    nodes: undefined,
    turnAwayWith: undefined,
    async session() {
      return waitFor(() => [...hub.sessions].findLast(each => !each.closed && !each.destroyed))
    },
    async ask(path, body) {
      const session = await hub.session()
      const method = body === undefined ? 'GET' : 'POST'
      const stream = session.request({ ':method': method, ':path': path }, { endStream: body === undefined })
      if (body !== undefined) stream.end(JSON.stringify(body))
      const [headers] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders]
      const text = await readAll(stream)
      return { status: Number(headers[':status']), body: JSON.parse(text.toString()) as unknown }
    },
    async close() {
      for (const session of hub.sessions) session.destroy()
      const closed = once(server, 'close')
      server.close()
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
  return hub

  function takeTunnel(socket: tls.TLSSocket): void {
    if (!socket.authorized) {
      socket.destroy()
      return
    }
    const session = http2.connect('https://connector', {
      createConnection: () => socket,
      settings: { enablePush: false, initialWindowSize: wireLimits.streamWindowBytes },
      maxSessionMemory: 1000,
    })
    session.on('error', () => {})
    session.once('connect', () => {
      session.setLocalWindowSize(wireLimits.connectionWindowBytes)
      if (hub.turnAwayWith !== undefined) {
        session.goaway(http2.constants.NGHTTP2_INADEQUATE_SECURITY, 0, Buffer.from(hub.turnAwayWith))
        setTimeout(() => session.destroy(), 50)
        return
      }
      const stream = session.request({ ':method': 'GET', ':path': wirePaths.hello })
      stream.on('error', () => {})
      stream.resume()
      stream.once('end', () => hub.sessions.add(session))
    })
    session.once('close', () => hub.sessions.delete(session))
  }

  async function answerRequest(socket: tls.TLSSocket): Promise<void> {
    let text = ''
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      text += chunk.toString()
      const [head = '', body = ''] = text.split('\r\n\r\n')
      const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0)
      if (!text.includes('\r\n\r\n') || body.length < length) continue
      const path = head.split(' ')[1] ?? ''
      const { status, answer } = await certify(path, JSON.parse(body) as Record<string, unknown>, socket)
      const written = JSON.stringify(answer)
      socket.end(`HTTP/1.1 ${status} X\r\ncontent-length: ${Buffer.byteLength(written)}\r\n\r\n${written}`)
      return
    }
  }

  async function certify(path: string, body: Record<string, unknown>, socket: tls.TLSSocket) {
    const { subject } = socket.getPeerCertificate()
    hub.requests.push({ path, body, subject: subject ? `${String(subject.CN)} ${String(subject.OU)}` : '' })
    if (path === wirePaths.enrol && body['token'] !== hub.token) {
      const answer = { code: 'X', detail: 'The token was used already.', next: 'Get a new one.' }
      return { status: 403, answer }
    }
    if (path === wirePaths.renew && !socket.authorized) return { status: 401, answer: {} }
    const publicKey = await readPublicKey({ csr: String(body['csr']) })
    const issued = await signCertificate(ca, {
      serial: makeSerial(),
      publicKey,
      usage: 'client',
      hosts: [],
      subject: { name: 'connector-1', unit: 'dc-frankfurt' },
      notBefore: new Date(Date.now() - 1000),
      notAfter: new Date(Date.now() + hub.lifeMs),
    })
    const answer: CertificateAnswer = {
      connector: 'connector-1',
      location: 'dc-frankfurt',
      certificate: issued,
      authorities: [ca.certificate],
      nodes: [...(hub.nodes ?? [`127.0.0.1:${port}`])],
    }
    return { status: 200, answer }
  }
}

/** A connector with its folder, its file and the lines of its log. */
export interface ConnectorWorld {
  readonly folder: string
  readonly lines: { readonly level: string; readonly event: string; readonly fields: LogFields }[]
  readonly agent: Agent
  write(yaml: string): Promise<void>
  /** Ends it, and starts it anew with what it has. */
  restart(): Promise<void>
  close(): Promise<void>
}

/** Enrols at this hub (a stand-in, or the real one) and runs. */
export async function startConnector(
  yaml: string,
  hub: { readonly port: number; readonly token: string },
  clock: Clock = systemClock,
): Promise<ConnectorWorld> {
  const folder = await mkdtemp(join(tmpdir(), 'isthmus-connector-'))
  const configFile = join(folder, 'connector.yaml')
  const lines: ConnectorWorld['lines'] = []
  const leave = () => rm(folder, { recursive: true, force: true })
  const start = () =>
    startAgent({
      configFile,
      version: '0.0.1',
      clock,
      log: collectingLog(lines),
      connect: makeConnect(),
      createTargetPool,
    })
  const begin = async () => {
    await writeFile(configFile, yaml)
    const { dataFolder, hub: way } = (await readConnectorConfig(configFile)).config
    await enrol({ node: `127.0.0.1:${hub.port}`, token: hub.token, name: 'test', dataFolder, proxy: way.proxy })
    return start()
  }
  let agent = await begin().catch(async (error: unknown) => {
    await leave()
    throw error
  })
  return {
    folder,
    lines,
    get agent() {
      return agent
    },
    write: text => writeFile(configFile, text),
    async restart() {
      await agent.close(0)
      agent = await start()
    },
    async close() {
      await agent.close(0)
      await leave()
    },
  }
}

export function collectingLog(lines: ConnectorWorld['lines'], bound: LogFields = {}): Log {
  const add = (level: string) => (event: string, fields?: LogFields) =>
    void lines.push({ level, event, fields: { ...bound, ...fields } })
  return {
    debug: add('debug'),
    info: add('info'),
    warn: add('warn'),
    error: add('error'),
    with: fields => collectingLog(lines, { ...bound, ...fields }),
  }
}

/** Opens a CONNECT stream; resolves with the answer. */
export async function openStream(session: http2.ClientHttp2Session, authority: string, purpose = 'test', name = '') {
  const words = { 'isthmus-purpose': purpose, ...(name !== '' && { 'isthmus-stream': name }) }
  const stream = session.request({ ':method': 'CONNECT', ':authority': authority, ...words })
  stream.on('error', () => {})
  const [headers] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders]
  return { stream, headers, status: Number(headers[':status']) }
}

export interface Target {
  readonly address: string
  readonly port: number
  readonly sockets: Set<net.Socket>
  close(): Promise<void>
}

/** An internal server; `serve` has each connection. */
export async function startTarget(serve: (socket: net.Socket) => void): Promise<Target> {
  const sockets = new Set<net.Socket>()
  const server = net.createServer({ allowHalfOpen: true }, socket => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.once('close', () => sockets.delete(socket))
    serve(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as net.AddressInfo
  return {
    address: `127.0.0.1:${port}`,
    port,
    sockets,
    async close() {
      const closed = once(server, 'close')
      server.close()
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

/** A wire between connector and hub that can be slow, and that can die without a word. */
export async function startRelay(toPort: number, delayMs = 0) {
  const pairs = new Set<net.Socket>()
  const relay = {
    port: 0,
    isDead: false,
    /** Until then (performance.now) a slow one holds back what it carries, as TCP does behind a lost packet. */
    heldUntil: 0,
    /** Ends every connection, as a firewall does that forgets what it knew. */
    cut() {
      for (const socket of pairs) socket.destroy()
    },
    async close() {
      const closed = once(server, 'close')
      server.close()
      relay.cut()
      await closed
    },
  }
  const server = net.createServer(near => {
    const far = net.connect(toPort, '127.0.0.1')
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      pairs.add(from)
      from.setNoDelay(true)
      from.on('error', () => {})
      const due: { readonly at: number; readonly chunk: Buffer }[] = []
      let timer: NodeJS.Timeout | undefined
      let hasEnded = false
      const send = () => {
        timer = undefined
        const isDue = ({ at }: { readonly at: number }) => Math.max(at, relay.heldUntil) <= performance.now()
        while (due[0] && isDue(due[0])) to.write(due.shift()?.chunk ?? '')
        if (due[0]) timer = setTimeout(send, Math.max(0, Math.max(due[0].at, relay.heldUntil) - performance.now()))
        else if (hasEnded && !relay.isDead) to.destroy()
      }
      from.on('data', chunk => {
        if (relay.isDead) return
        if (delayMs === 0) to.write(chunk)
        else {
          due.push({ at: performance.now() + delayMs, chunk })
          timer ??= setTimeout(send, delayMs)
        }
      })
      from.once('close', () => {
        pairs.delete(from)
        hasEnded = true
        // What was under way arrives, and the end behind it.
        if (!timer) send()
      })
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  relay.port = (server.address() as net.AddressInfo).port
  return relay
}

export async function readAll(stream: AsyncIterable<unknown>): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

/** The first value that is neither undefined nor false; fails loudly when it does not come. */
export async function waitFor<T>(find: () => T | undefined | false, forMs = 15_000): Promise<T> {
  const endsAt = performance.now() + forMs
  for (;;) {
    const found = find()
    if (found !== undefined && found !== false) return found
    if (performance.now() > endsAt) throw new Error(`it did not happen within ${forMs} ms: ${find.toString()}`)
    await pause(10)
  }
}

async function makeKeyPair() {
  const { generateKeyPairSync } = await import('node:crypto')
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return {
    publicKey: new Uint8Array(publicKey.export({ type: 'spki', format: 'der' })),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}

export interface AuditLine {
  readonly number: number
  readonly action: string
  readonly detail: Record<string, unknown>
}

/** The audit log once it holds what is waited for. */
export async function auditOf(folder: string, isComplete: (lines: readonly AuditLine[]) => boolean) {
  return waitFor(() => {
    const lines = readdirSync(join(folder, 'data/audit'))
      .toSorted()
      .flatMap(name => readFileSync(join(folder, 'data/audit', name), 'utf8').split('\n'))
      .filter(line => line !== '')
      .map(line => JSON.parse(line) as AuditLine)
    return isComplete(lines) ? lines : undefined
  })
}
