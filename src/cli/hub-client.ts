import { resolve } from 'node:path'
import { readAdminToken } from '../api/admin-token.ts'
import { isLoopback } from '../api/request-guard.ts'
import { HubError } from '../kernel/error.ts'
import { cliErrors } from './cli-errors.ts'
import type { CliIo } from './io.ts'
import { ownHub } from './own-hub.ts'

export interface HubAddress {
  readonly url?: string | undefined
  readonly tokenFile?: string | undefined
}

/** Talks to the admin API of a running hub. Throws CLI_… errors, and those that the hub answers with. */
export interface HubClient {
  get(path: string, query?: Query): Promise<unknown>
  send(method: 'POST' | 'PUT' | 'PATCH' | 'DELETE', path: string, body?: unknown): Promise<unknown>
  /** The same with bytes that are nobody's JSON. */
  sendBytes(method: 'PUT', path: string, bytes: Uint8Array<ArrayBuffer>): Promise<unknown>
  /** The answer as it comes; what goes wrong while it is read belongs to `lost`. */
  open(path: string, query?: Query): Promise<Response>
  /** Throws what it means that an answer broke off. */
  lost(thrown: unknown): never
}

type Query = Readonly<Record<string, string | number | undefined>>

export function hubClient(address: HubAddress, io: Pick<CliIo, 'env' | 'cwd' | 'signal'>): HubClient {
  // A variable that is set to nothing is one that is not set.
  const base = (address.url ?? (io.env.ISTHMUS_URL || ownHub(io).url)).replace(/\/+$/, '')

  async function open(path: string, query: Query = {}, init: RequestInit = {}): Promise<Response> {
    if (!/^https?:$/.test(URL.parse(base)?.protocol ?? '')) throw cliErrors.ADDRESS_WRONG({ url: base })
    const url = withQuery(`${base}${path}`, query)
    refusePlainHttp(url)
    const headers = { ...(init.headers as Record<string, string>), authorization: `Bearer ${await readToken()}` }
    const response = await fetch(url, { ...init, headers, redirect: 'error', signal: io.signal }).catch(unreachable)
    if (!response.ok) throw await refusalOf(response)
    return response
  }

  async function readToken(): Promise<string> {
    const token = io.env.ISTHMUS_TOKEN?.trim()
    if (token) return token
    const file = resolve(io.cwd, address.tokenFile ?? (io.env.ISTHMUS_TOKEN_FILE || ownHub(io).tokenFile))
    try {
      return await readAdminToken(file)
    } catch (cause) {
      if (cause instanceof HubError) throw cause
      throw cliErrors.TOKEN_FILE_MISSING({ file }, { cause })
    }
  }

  function unreachable(thrown: unknown): never {
    // fetch has a TypeError for all that goes wrong on the way; whatever else comes here is not the hub's.
    if (io.signal.aborted || !(thrown instanceof TypeError)) throw thrown
    const cause = thrown.cause instanceof Error ? thrown.cause : thrown
    const isPlain = 'code' in cause && cause.code === 'ERR_SSL_WRONG_VERSION_NUMBER'
    const text = isPlain ? 'what listens there speaks no TLS; is it http instead of https?' : cause.message
    throw cliErrors.HUB_UNREACHABLE({ url: base, text }, { cause: thrown })
  }

  async function readJson(response: Response): Promise<unknown> {
    const text = await response.text().catch(unreachable)
    if (text === '') return undefined
    try {
      return JSON.parse(text) as unknown
    } catch (cause) {
      // Such as the page of a proxy that wants people to sign in first.
      throw cliErrors.NOT_A_HUB({ url: base, status: `${response.status}, and no JSON` }, { cause })
    }
  }

  return {
    open,
    lost: unreachable,
    get: async (path, query) => readJson(await open(path, query)),
    async send(method, path, body) {
      const json = { 'content-type': 'application/json' }
      const init = body === undefined ? { method } : { method, headers: json, body: JSON.stringify(body) }
      return readJson(await open(path, {}, init))
    },
    async sendBytes(method, path, bytes) {
      return readJson(
        await open(path, {}, { method, headers: { 'content-type': 'application/octet-stream' }, body: bytes }),
      )
    },
  }
}

/** A problem document of the hub as the error it was. */
async function refusalOf(response: Response): Promise<HubError> {
  const problem: unknown = await response.json().catch(() => undefined)
  if (!isProblem(problem)) return cliErrors.NOT_A_HUB({ url: response.url, status: response.status })
  const { code, side, title, next } = problem
  if (code === 'ENDPOINT_PATH_UNKNOWN') return cliErrors.ENDPOINTS_PORT({ url: new URL(response.url).origin })
  const spec = { side: side as HubError['side'], retry: 'never' as const, means: '{title}', next: '{next}' }
  return new HubError(code, spec, { title, next, status: response.status })
}

function isProblem(value: unknown): value is { code: string; side: string; title: string; next: string } {
  if (typeof value !== 'object' || value === null) return false
  return ['code', 'side', 'title', 'next'].every(name => name in value && typeof Object(value)[name] === 'string')
}

function withQuery(url: string, query: Query): URL {
  const target = new URL(url)
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) target.searchParams.set(name, String(value))
  }
  return target
}

function refusePlainHttp(url: URL): void {
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  if (url.protocol === 'https:' || host === 'localhost' || isLoopback(host)) return
  throw cliErrors.PLAIN_HTTP({ host })
}
