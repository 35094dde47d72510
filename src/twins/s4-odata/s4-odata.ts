import http from 'node:http'
import https from 'node:https'
import type { Json } from '../../kernel/json.ts'
import { type Clock, systemClock } from '../../kernel/time.ts'
import { listenOnLoopback } from '../listen.ts'
import { readFaults, type Twin } from '../twin.ts'
import { type ODataFaultDocument, type ODataFaults, odataFaults } from './faults.ts'
import { type Callers, Guard } from './guard.ts'
import { makeHandler, type SeenODataRequest } from './http.ts'
import { entityKinds, roots } from './schema.ts'
import { seedCostCentres } from './seed.ts'
import { EntityStore } from './store.ts'
import { type ReadAssertion, tokenPath } from './token-endpoint.ts'

export interface S4ODataOptions {
  readonly port?: number
  /** PEM; without it the twin speaks HTTP. With `ca` it asks for client certificates of that authority. */
  readonly tls?: { readonly cert: string; readonly key: string; readonly ca?: string }
  readonly clock?: Clock
  /** Cost centres at the start; 250 where it is left out. */
  readonly count?: number
  /** Entities of one page. */
  readonly pageSize?: number
  /**
   * The boundary of a changeset has nothing of that around it. Else it begins with it, which a client must bear that
   * looks for whole lines, and which those cannot bear that split at the letters wherever they stand.
   */
  readonly hasPlainBoundaries?: boolean
  readonly callers?: Partial<Callers>
  /** Life of the tokens of its own token endpoint. */
  readonly tokenLifeS?: number
  /** How assertions are read; without it the grant is not offered. */
  readonly readAssertion?: ReadAssertion
}

export interface S4ODataTwin extends Twin {
  readonly port: number
  readonly origin: string
  /** Roots of its services, with a slash at the end. */
  readonly services: { readonly v2: string; readonly v4: string }
  readonly tokenUrl: string
  /** The last requests, oldest first. */
  readonly requests: readonly SeenODataRequest[]
  /** How callers showed who they are, oldest first: `basic ISTHMUS`. */
  readonly logIns: readonly string[]
  /** How many entities a set has now (by its name in V2). */
  count(set: string): number
  setFaults(document: ODataFaultDocument): void
}

/** The technical user that the twin knows at the start. */
export const s4User = { user: 'ISTHMUS', password: 'Welcome-1-Hub' } as const
/** The client of its token endpoint. */
export const s4Client = { clientId: 'ISTHMUS_CLIENT', clientSecret: 'oauth-client-secret-1' } as const

/** Starts a look-alike of the OData gateway of S/4HANA on loopback, with cost centres in V2 and V4. */
export async function startS4OData(options: S4ODataOptions = {}): Promise<S4ODataTwin> {
  const clock = options.clock ?? systemClock
  const store = new EntityStore()
  seedCostCentres(store, options.count ?? 250)
  const guard = new Guard({
    users: { [s4User.user]: s4User.password },
    clients: { [s4Client.clientId]: s4Client.clientSecret },
    certificates: {},
    ...options.callers,
  })
  let faults: ODataFaults = {}
  let origin = ''
  const handler = makeHandler({
    world: {
      store,
      origin: () => origin,
      pageSize: options.pageSize ?? 100,
      hasPlainBoundaries: options.hasPlainBoundaries ?? false,
    },
    guard,
    token: { guard, expiresInS: options.tokenLifeS ?? 3600, readAssertion: options.readAssertion },
    clock,
    faults: () => faults,
  })
  const { tls } = options
  const server = tls
    ? https.createServer({ ...tls, requestCert: tls.ca !== undefined, rejectUnauthorized: false }, handler.handle)
    : http.createServer(handler.handle)
  const listener = await listenOnLoopback(server, options.port)
  const protocol = tls ? 'https' : 'http'
  origin = `${protocol}://127.0.0.1:${listener.port}`

  return {
    name: 's4-odata',
    about: 'The OData gateway of S/4HANA: cost centres in V2 and V4, with CSRF, ETag, paging and $batch.',
    port: listener.port,
    ports: { [protocol]: listener.port },
    origin,
    services: { v2: `${origin}${roots.v2}`, v4: `${origin}${roots.v4}` },
    tokenUrl: `${origin}${tokenPath}`,
    requests: handler.requests,
    logIns: guard.logIns,
    count(set) {
      const kind = entityKinds.find(each => each.v2 === set)
      return kind ? store.all(kind).length : 0
    },
    faultSchema: odataFaults,
    setFaults(document) {
      faults = readFaults('s4-odata', odataFaults, document)
      if (faults.forgetSessions) guard.forgetSessions()
      if (faults.refuseTokens) guard.refuseTokens()
    },
    clearFaults() {
      faults = {}
    },
    state: (): Json => ({
      origin,
      services: { ...roots },
      faults: JSON.parse(JSON.stringify(faults)),
      entities: Object.fromEntries(entityKinds.map(kind => [kind.v2, store.all(kind).length])),
      requests: handler.requests.map(request => ({ ...request })),
    }),
    stop: () => listener.stop(),
  }
}
