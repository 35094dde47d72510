import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import { createServer as createTlsServer, type ServerOptions } from 'node:https'
import type { AddressInfo } from 'node:net'
import { openPeople } from '../people/people.ts'
import { type ServiceWorldOptions, serviceWorld } from '../service/service-world.ts'
import type { SigningAlgorithm } from './token-limits.ts'
import { openTokenServer, type TokenServer } from './token-server.ts'
import { readTrustedIssuers, type TrustedIssuerInput } from './trusted-issuers.ts'

export interface TokenWorldOptions extends ServiceWorldOptions {
  readonly algorithm?: SigningAlgorithm
  readonly trusted?: readonly TrustedIssuerInput[]
  /** Serves HTTPS and asks for client certificates. */
  readonly tls?: ServerOptions
}

/** A token server on a socket, over service users and people that lie in memory. */
export async function tokenWorld(options: TokenWorldOptions = {}) {
  let issuer = ''
  const addresses = () => ({ url: issuer, tokenUrl: `${issuer}/oauth/token` })
  const service = await serviceWorld({ addresses, ...options })
  const { records, clock, vault } = service
  const people = await openPeople({ records, clock })
  let tokens: TokenServer | undefined
  const listener: RequestListener = (request, response) => {
    if (!tokens?.handle(request, response)) response.writeHead(404).end()
  }
  const server: Server = options.tls
    ? createTlsServer({ ...options.tls, requestCert: true, rejectUnauthorized: false }, listener)
    : createServer(listener)
  // As the endpoints do it: who asks first is told by the token server to go on.
  server.on('checkContinue', listener)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  issuer = `${options.tls ? 'https' : 'http'}://127.0.0.1:${port}`

  async function open(): Promise<TokenServer> {
    tokens = await openTokenServer({
      issuer,
      ...(options.algorithm && { algorithm: options.algorithm }),
      records,
      vault,
      users: service.users(),
      people,
      trusted: readTrustedIssuers(options.trusted ?? []),
      clock,
      log: service.log,
    })
    return tokens
  }
  await open()

  return {
    ...service,
    people,
    issuer,
    port,
    tokens(): TokenServer {
      if (!tokens) throw new Error('The token server is closed.')
      return tokens
    },
    /** As after a restart of the hub, on the same store and address. */
    async restart(): Promise<void> {
      await tokens?.close()
      await open()
    },
    /** Asks the token endpoint with Basic, as most clients do. */
    async ask(
      caller: { readonly clientId: string; readonly secret: string } | undefined,
      form: Readonly<Record<string, string>>,
      more: { readonly path?: string; readonly headers?: Readonly<Record<string, string>> } = {},
    ): Promise<{ readonly status: number; readonly headers: Headers; readonly body: Answer }> {
      const proof = caller && `Basic ${Buffer.from(`${caller.clientId}:${caller.secret}`).toString('base64')}`
      const response = await fetch(`${issuer}${more.path ?? '/oauth/token'}`, {
        method: 'POST',
        redirect: 'manual',
        headers: { ...(proof && { authorization: proof }), ...more.headers },
        body: new URLSearchParams(form),
      })
      const text = await response.text()
      return { status: response.status, headers: response.headers, body: (text ? JSON.parse(text) : {}) as Answer }
    },
    async close(): Promise<void> {
      server.closeAllConnections()
      await new Promise<void>(resolve => server.close(() => resolve()))
      await tokens?.close()
      await service.close()
    },
  }
}

export type TokenWorld = Awaited<ReturnType<typeof tokenWorld>>

/** What the endpoints of clients answer. */
export interface Answer {
  readonly access_token: string
  readonly refresh_token: string
  readonly id_token: string
  readonly token_type: string
  readonly expires_in: number
  readonly scope?: string
  readonly error?: string
  readonly error_description?: string
  readonly active?: boolean
  readonly [claim: string]: unknown
}

/** The parts of a JWT, unchecked. */
export function decode(token: string): {
  readonly header: Record<string, unknown>
  readonly payload: Record<string, unknown>
} {
  const [header = '', payload = ''] = token.split('.')
  const read = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>
  return { header: read(header), payload: read(payload) }
}
