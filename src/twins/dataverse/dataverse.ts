import http from 'node:http'
import https from 'node:https'
import type { Json, JsonObject } from '../../kernel/json.ts'
import { type Clock, systemClock } from '../../kernel/time.ts'
import { listenOnLoopback } from '../listen.ts'
import { readFaults, strike, type Twin } from '../twin.ts'
import { type CustomApi, customApis } from './custom-apis.ts'
import { DataverseError } from './dataverse-error.ts'
import { type DataverseFaultDocument, type DataverseFaults, dataverseFaults } from './faults.ts'
import { Guard, type TokenClaims } from './guard.ts'
import { makeHandler, type SeenDataverseRequest } from './http.ts'
import { shownName, type Table } from './model.ts'
import { Protection, type ProtectionLimits, protectionLimits } from './protection.ts'
import { RowStore } from './rows.ts'
import { hubUserId, seedOrganization } from './seed.ts'
import { root } from './service.ts'
import { tables } from './tables.ts'
import { createRecord } from './write.ts'

export interface DataverseOptions {
  readonly port?: number
  /** PEM; without it the twin speaks HTTP. */
  readonly tls?: { readonly cert: string; readonly key: string }
  readonly clock?: Clock
  /** Reads access tokens (SignInTwin.verify); without it one fixed token is known, `dataverseToken`. */
  readonly verify?: (token: string) => TokenClaims | undefined
  /** Names for which tokens may be, beside the twin's own address: `https://contoso.crm4.dynamics.com`. */
  readonly audiences?: readonly string[]
  /** Client ids of the apps that are application users. */
  readonly applications?: readonly string[]
  readonly limits?: Partial<ProtectionLimits>
  readonly tables?: readonly Table[]
  readonly apis?: readonly CustomApi[]
}

export interface DataverseTwin extends Twin {
  readonly port: number
  /** Address of the environment, no slash at the end. */
  readonly origin: string
  /** The last requests, oldest first. */
  readonly requests: readonly SeenDataverseRequest[]
  /** Records of a table, columns as JSON shows them, by its logical name. */
  records(table: string): readonly JsonObject[]
  /** Makes a record by the rules of the table; returns its id. */
  put(table: string, body: JsonObject): string
  readonly protection: Pick<Protection, 'refusedCount' | 'mostAtOnce'>
  setFaults(document: DataverseFaultDocument): void
}

/** The token of a twin that stands alone. */
export const dataverseToken = 'dataverse-twin-token'

/** Starts a look-alike of the Web API of Dynamics 365 (Dataverse v9.2) on loopback. */
export async function startDataverse(options: DataverseOptions = {}): Promise<DataverseTwin> {
  const clock = options.clock ?? systemClock
  const store = new RowStore(options.tables ?? tables)
  seedOrganization(store)
  let faults: DataverseFaults = {}
  let origin = ''
  const world = {
    store,
    apis: options.apis ?? customApis,
    now: () => clock.now(),
    origin: () => origin,
    beforeWrite({ headers }: { readonly headers: Readonly<Record<string, string>> }) {
      const detects = headers['mscrm.suppressduplicatedetection'] === 'false'
      if (detects && strike(faults.duplicates)) {
        throw new DataverseError(
          412,
          '0x80040333',
          'A record was not created or updated because a duplicate of the current record already exists.',
        )
      }
    },
  }
  const alone: TokenClaims = { aud: '', appid: 'alone' }
  const guard = new Guard({
    verify: options.verify ?? (token => (token === dataverseToken ? { ...alone, aud: origin } : undefined)),
    audiences: () => [origin, ...(options.audiences ?? [])],
    users: Object.fromEntries((options.applications ?? [alone.appid]).map(id => [id, hubUserId])),
  })
  const protection = new Protection({ ...protectionLimits, ...options.limits }, () => clock.now())
  const handler = makeHandler({ world, guard, protection, clock, faults: () => faults })
  const server = options.tls ? https.createServer(options.tls, handler.handle) : http.createServer(handler.handle)
  const listener = await listenOnLoopback(server, options.port)
  const protocol = options.tls ? 'https' : 'http'
  origin = `${protocol}://127.0.0.1:${listener.port}`
  return {
    name: 'dataverse',
    about: 'Dynamics 365 (Dataverse Web API v9.2): accounts, products, inventories, invoices, users, custom APIs.',
    port: listener.port,
    ports: { [protocol]: listener.port },
    origin,
    requests: handler.requests,
    protection,
    records(name) {
      const table = store.table(name)
      return store.all(table).map(row => {
        const shown = Object.entries(row.values).map(([column, value]) => {
          const kind = table.columns[column]
          return [kind ? shownName(column, kind) : column, value]
        })
        return { [table.id]: row.id, ...Object.fromEntries(shown) }
      })
    },
    put: (name, body) => createRecord(world, store.table(name), body).id,
    faultSchema: dataverseFaults,
    setFaults(document) {
      faults = readFaults('dataverse', dataverseFaults, document)
      if (faults.expireTokens) guard.refuseSeenTokens()
    },
    clearFaults() {
      faults = {}
    },
    state: (): Json => ({
      origin,
      root,
      faults: JSON.parse(JSON.stringify(faults)),
      records: Object.fromEntries(store.tables.map(table => [table.logicalName, store.all(table).length])),
      turnedAway: protection.refusedCount,
      requests: handler.requests.slice(-50).map(({ method, url, status }) => ({ method, url, status })),
    }),
    stop: () => listener.stop(),
  }
}
