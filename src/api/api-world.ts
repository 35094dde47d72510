import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openAdministrators } from '../auth/administrators/administrators.ts'
import type { OidcSettings } from '../auth/administrators/oidc-log-in.ts'
import { openSessions } from '../auth/administrators/sessions.ts'
import { openCredentials } from '../auth/credentials.ts'
import { createLateAuthority } from '../auth/late-authority.ts'
import { openPeople } from '../auth/people/people.ts'
import { keysWithAnEnd } from '../auth/service/keys-with-an-end.ts'
import { openServiceUsers } from '../auth/service/service-users.ts'
import { createLateTokenServer } from '../auth/token-server/late-token-server.ts'
import { openVault } from '../auth/vault.ts'
import { engineWorld, type WorldOptions } from '../engine/engine-world.ts'
import type { Problem } from '../flow/problem.ts'
import { createLateGroupware } from '../groupware/organizations/late-groupware.ts'
import { silentLog } from '../kernel/log.ts'
import { MiB } from '../kernel/size.ts'
import { defaultAlertPolicy, type FailedFlow } from '../monitor/expectations.ts'
import { createLogBook } from '../monitor/log.ts'
import { createMonitor } from '../monitor/monitor.ts'
import { makeConnect } from '../protocols/net/connect.ts'
import { ensureAdminToken } from './admin-token.ts'
import { apiErrors } from './api-errors.ts'
import { catalogErrors } from './flow-catalog.ts'
import type { ApiParts, CatalogEntry, FlowCatalog } from './parts.ts'
import type { httpLimits } from './request-guard.ts'
import { createApi } from './server.ts'
import { openSetup } from './setup-token.ts'

export interface ApiWorldOptions {
  readonly engine?: WorldOptions
  readonly limits?: Partial<typeof httpLimits>
  readonly publicUrl?: string
  readonly signIn?: OidcSettings
  /** Folder of a built console. */
  readonly console?: string
  readonly lossOf?: Exclude<ApiParts['lossOf'], undefined>
}

/** The admin API over real HTTP, on a real engine, store and credentials; for the tests of API and CLI. */
export async function apiWorld(options: ApiWorldOptions = {}) {
  const world = await engineWorld(options.engine)
  const folder = mkdtempSync(join(tmpdir(), 'isthmus-api-'))
  const { clock } = world
  const store = world.store()
  const engine = world.engine()
  const { token } = await ensureAdminToken(folder)
  const vault = await openVault({ records: store, keyFile: join(folder, 'master.key') })
  const credentials = openCredentials({ records: store, vault, clock, connect: makeConnect(), log: silentLog })
  const authority = createLateAuthority({ records: store, vault, clock, log: silentLog })
  const people = await openPeople({ records: store, clock })
  const serviceUsers = await openServiceUsers({
    records: store,
    vault,
    clock,
    log: silentLog,
    authority,
    addresses: () => ({ url: 'https://hub.example', tokenUrl: 'https://hub.example/oauth/token' }),
    flowsAskingFor: role => (role === 'ESBMessaging_DE' ? ['costs-de'] : []),
    people,
  })
  const administrators = await openAdministrators({ records: store, vault, clock, log: silentLog })
  const sessions = await openSessions({ records: store, clock })
  const setup = await openSetup(folder, true)
  const tokens = createLateTokenServer({
    issuer: () => 'https://hub.example',
    records: store,
    vault,
    users: serviceUsers,
    people,
    clock,
    log: silentLog,
  })
  const written: string[] = []
  const logBook = createLogBook({
    clock,
    secretValues: () => [...credentials.secretValues(), token],
    level: 'info',
    format: 'json',
    output: { write: text => written.push(text) },
  })
  const failed: FailedFlow[] = []
  const monitor = createMonitor({
    engine,
    store,
    clock,
    log: logBook.log,
    version: '0.0.0-test',
    policy: defaultAlertPolicy,
    channels: new Map(),
    credentials: () => credentials.list(),
    serviceKeys: () => keysWithAnEnd(serviceUsers),
    failedFlows: () => failed,
    documents: async () => new Set(['orders', 'broken']),
  })
  const groupware = createLateGroupware({
    records: store,
    clock,
    log: silentLog,
    dataFolder: ':memory:',
    connect: makeConnect(),
    credential: credentials.lookup,
  })
  const catalog = catalogOf(world.flow)
  let isReady = true
  const api = createApi(
    {
      engine,
      store,
      monitor,
      credentials,
      serviceUsers,
      people,
      administrators,
      sessions,
      setup,
      signIn: options.signIn && { settings: options.signIn, connect: makeConnect(), credential: credentials.lookup },
      tokens,
      groupware,
      catalog,
      logBook,
      clock,
      version: '0.0.0-test',
      stage: 'test',
      publicUrl: options.publicUrl,
      console: options.console,
      adminToken: token,
      isReady: () => isReady,
      repairBytesMax: 4 * MiB,
      lossOf: options.lossOf,
    },
    options.limits,
  )
  const url = await api.listen({ host: '127.0.0.1', port: 0 })

  function call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Response> {
    return fetch(`${url}${path}`, {
      method,
      redirect: 'manual',
      headers: {
        authorization: `Bearer ${token}`,
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
  }

  return {
    ...world,
    url,
    port: Number(new URL(url).port),
    token,
    tokenFile: join(folder, 'admin.token'),
    folder,
    call,
    written,
    logBook,
    monitor,
    failed,
    credentials,
    serviceUsers,
    people,
    administrators,
    sessions,
    setup,
    tokens,
    openapi: () => api.openapi(),
    setReady(value: boolean) {
      isReady = value
    },
    /** What the API answers, with the status it must have. */
    async ask(status: number, method: string, path: string, body?: unknown): Promise<Record<string, unknown>> {
      const response = await call(method, path, body)
      const text = await response.text()
      if (response.status !== status) throw new Error(`${method} ${path} answered ${response.status}: ${text}`)
      return text === '' ? {} : (JSON.parse(text) as Record<string, unknown>)
    },
    async close() {
      await api.close()
      await groupware.close()
      await tokens.close()
      await monitor.close()
      await serviceUsers.close()
      await authority.close()
      await credentials.close()
      await world.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

export type ApiWorld = Awaited<ReturnType<typeof apiWorld>>

/** A catalog of one good flow and one that does not lint. */
function catalogOf(flow: Awaited<ReturnType<typeof engineWorld>>['flow']): FlowCatalog {
  const stopped = new Set<string>(['broken'])
  const broken: Problem = {
    file: 'broken.yaml',
    line: 3,
    column: 5,
    code: 'FLOW_ADAPTER',
    message: 'There is no sender imapp.',
    next: 'Did you mean imap?',
    severity: 'error',
  }
  const entries = (): CatalogEntry[] => [
    { name: 'orders', file: 'orders.yaml', shouldRun: !stopped.has('orders'), problems: [] },
    { name: 'broken', file: 'broken.yaml', shouldRun: !stopped.has('broken'), problems: [broken] },
  ]
  return {
    list: async () => entries(),
    loadAll: async () =>
      entries().map(entry => ({
        ...entry,
        flow() {
          if (entry.name === 'orders') return flow
          const { file, message: text } = broken
          throw catalogErrors.DOES_NOT_LINT({ flow: 'broken', count: 1, place: `${file}:3:5`, text, file })
        },
      })),
    async load(name) {
      if (name !== 'orders') throw apiErrors.FLOW_UNKNOWN({ flow: name })
      return flow
    },
    async document(name) {
      if (name !== 'orders') throw apiErrors.FLOW_UNKNOWN({ flow: name })
      return { file: 'orders.yaml', text: 'flow: orders # of all shops\n' }
    },
    lint: async text => (text.includes('imapp') ? [broken] : []),
    shouldRun: async name => !stopped.has(name),
    async remember(name, shouldRun) {
      if (shouldRun) stopped.delete(name)
      else stopped.add(name)
    },
  }
}
