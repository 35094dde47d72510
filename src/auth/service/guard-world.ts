import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { request as httpsRequest } from 'node:https'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openEndpointTls } from '../../api/endpoint-tls.ts'
import { createFlowEndpoints } from '../../api/flow-endpoints.ts'
import type { HttpRequest } from '../../kernel/http-exchange.ts'
import { makeTwinCertificate } from '../../twins/certificate.ts'
import { createGuard } from './guard.ts'
import type { AccessTokenClaims, GuardReason } from './model.ts'
import { type ServiceWorldOptions, serviceWorld } from './service-world.ts'

export interface GuardWorldOptions extends ServiceWorldOptions {
  readonly tls?: boolean
}

/** An endpoint of a flow with a role, on a socket, before service users in memory. Tokens are what the test says. */
export async function guardWorld(options: GuardWorldOptions = {}) {
  const world = await serviceWorld(options)
  const folder = await mkdtemp(join(tmpdir(), 'isthmus-guard-'))
  const claims = new Map<string, AccessTokenClaims>()
  const revoked = new Set<string>()
  const expired = new Set<string>()
  const verified: string[] = []
  const reasons: GuardReason[] = []
  const seen: HttpRequest[] = []
  const guard = createGuard({
    users: world.users(),
    tokens: () => ({
      async verifyAccessToken(token) {
        verified.push(token)
        return claims.get(token)
      },
      hasExpired: async token => expired.has(token),
      isRevoked: ({ jti }) => revoked.has(jti),
    }),
    clock: world.clock,
    log: world.log,
    onRefused: reason => reasons.push(reason),
  })
  const own = options.tls ? await makeTwinCertificate(['localhost', '127.0.0.1']) : undefined
  const files = { certificate: join(folder, 'cert.pem'), key: join(folder, 'key.pem') }
  if (own) {
    await writeFile(files.certificate, own.cert)
    await writeFile(files.key, own.key)
  }
  const endpoints = createFlowEndpoints({
    log: world.log,
    guard,
    tls: own && openEndpointTls(files, world.clock, world.log),
  })
  for (const [path, role] of [
    ['/costs', 'ESBMessaging.send'],
    ['/open', undefined],
  ] as const) {
    endpoints.serve({
      flow: 'costs',
      path,
      role,
      methods: ['POST'],
      bodyBytesMax: 1000,
      async handle(request) {
        seen.push(request)
        return { status: 200, headers: {}, body: 'ok' }
      },
    })
  }
  const url = await endpoints.listen({ host: '127.0.0.1', port: 0 })
  const port = Number(new URL(url).port)

  return {
    ...world,
    url,
    port,
    ca: own?.ca,
    files,
    claims,
    revoked,
    expired,
    verified,
    reasons,
    seen,
    post(authorization?: string, headers: Record<string, string> = {}): Promise<Response> {
      const given = authorization === undefined ? headers : { ...headers, authorization }
      return fetch(`${url}/costs`, { method: 'POST', body: 'x', headers: given })
    },
    /** The status for this header. */
    async status(authorization?: string): Promise<number> {
      return (await this.post(authorization)).status
    },
    /** The head and body of the answer to header lines that no client would send. */
    async raw(lines: string): Promise<string> {
      const socket = connect(port, '127.0.0.1')
      socket.on('error', () => {})
      await once(socket, 'connect')
      const chunks: Buffer[] = []
      socket.on('data', chunk => chunks.push(chunk))
      const closed = once(socket, 'close')
      const head = `POST /flows/costs HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n`
      socket.write(Buffer.from(`${head}${lines}\r\n`, 'latin1'))
      await closed
      return Buffer.concat(chunks).toString('latin1')
    },
    /** One call over a TLS connection of its own. */
    async overTls(
      client: { readonly cert?: string | undefined; readonly key?: string | undefined } = {},
      authorization?: string,
      path = '/flows/costs',
    ): Promise<number> {
      const call = httpsRequest({
        host: '127.0.0.1',
        port,
        path,
        method: 'POST',
        agent: false,
        ca: own?.ca,
        cert: client.cert,
        key: client.key,
        headers: { 'content-length': 0, ...(authorization !== undefined && { authorization }) },
      })
      call.end()
      const [response] = (await once(call, 'response')) as [import('node:http').IncomingMessage]
      response.resume()
      await once(response, 'end')
      return response.statusCode ?? 0
    },
    async close(): Promise<void> {
      await endpoints.close(100)
      await world.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

export type GuardWorld = Awaited<ReturnType<typeof guardWorld>>

export function basic(clientId: string, secret: string): string {
  return `Basic ${Buffer.from(`${clientId}:${secret}`).toString('base64')}`
}
