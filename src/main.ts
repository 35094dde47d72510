import { mkdirSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import type { z } from 'zod'
import { lateReceivers, lateSenders } from './adapters/late-adapters.ts'
import type { smtp as smtpReceiver } from './adapters/smtp.ts'
import { ensureAdminToken } from './api/admin-token.ts'
import { type EndpointTlsFiles, openEndpointTls } from './api/endpoint-tls.ts'
import { createFlowCatalog } from './api/flow-catalog.ts'
import { createFlowEndpoints } from './api/flow-endpoints.ts'
import { createLateApi } from './api/late-api.ts'
import type { FlowCatalog } from './api/parts.ts'
import { openSetup } from './api/setup-token.ts'
import type { OidcSettings } from './auth/administrators/oidc-log-in.ts'
import { openCallers, type TokenSettings } from './auth/callers.ts'
import { type Credentials, openCredentials } from './auth/credentials.ts'
import type { People } from './auth/people/people.ts'
import { keysWithAnEnd } from './auth/service/keys-with-an-end.ts'
import type { ServiceUsers } from './auth/service/model.ts'
import type { LateTokenServer } from './auth/token-server/late-token-server.ts'
import { openVault } from './auth/vault.ts'
import type { ConnectorListen, Connectors } from './connector/hub/connectors.ts'
import type { TunnelRequest } from './connector/hub/open-stream.ts'
import type { Engine } from './engine/control.ts'
import { createEngine } from './engine/engine.ts'
import { flowsAskingFor, flowsByLocation } from './engine/flow-uses.ts'
import type { LoadedFlow } from './flow/document.ts'
import { type DeclarationLoaders, lateDeclarations } from './flow/late-declarations.ts'
import type { Declarations } from './flow/schema.ts'
import { createLateGroupware, type LateGroupware } from './groupware/organizations/late-groupware.ts'
import { heldBody } from './kernel/body.ts'
import { asHubError, type HubError, hubErrors } from './kernel/error.ts'
import { defaultLimits, type Limits } from './kernel/limit.ts'
import type { Connect } from './kernel/socket.ts'
import { type Clock, SECOND, systemClock } from './kernel/time.ts'
import { version } from './kernel/version.ts'
import { type ChannelSettings, createChannels, type SendMail } from './monitor/alerts/channels.ts'
import { type AlertPolicy, defaultAlertPolicy } from './monitor/expectations.ts'
import { FailedFlows } from './monitor/failed-flows.ts'
import { createLogBook, type LogBook, type LogOptions } from './monitor/log.ts'
import { createMonitor, type Monitor } from './monitor/monitor.ts'
import { makeConnect } from './protocols/net/connect.ts'
import { type OutgoingProxy, wayOutThrough } from './protocols/net/outgoing-proxy.ts'
import { trustAuthorities } from './protocols/net/trust.ts'
import { lateSteps } from './steps/late-steps.ts'
import { openStore, type StoreSettings } from './store/open-store.ts'
import type { Store } from './store/port.ts'
import { watchStore } from './store/watch-store.ts'

/** What the hub can do: the adapters and steps that flow documents may name. */
export const builtIn: DeclarationLoaders = { senders: lateSenders, receivers: lateReceivers, steps: lateSteps }

export interface Address {
  readonly host: string
  /** 0 takes a free one. */
  readonly port: number
}

/** Where the endpoints of flows listen, and how callers reach them. */
export interface EndpointsAddress extends Address {
  /** Origin under which callers reach them (`https://hub.contoso.com`); the address itself when left out. */
  readonly url?: string | undefined
  /** Files of the certificate; a proxy on another machine that ends TLS; undefined: plain HTTP. */
  readonly tls?: EndpointTlsFiles | 'by-proxy' | undefined
  /** PEM texts of authorities whose client certificates service keys may name by subject and issuer. */
  readonly clientAuthorities?: readonly string[]
}

/** Where alert mails of a channel go out: the configuration of the smtp receiver. */
export type AlertMailServer = z.input<typeof smtpReceiver.config>

export interface HubOptions {
  /** Holds the database, the bodies, the master key and the admin token. */
  readonly dataFolder: string
  readonly store?: StoreSettings | undefined
  /** Ends the start of a hub that stands by. */
  readonly stop?: AbortSignal
  readonly stage: string
  /** Absolute paths of the flow documents; a function is asked at the start and at each reload. */
  readonly flowFiles: readonly string[] | (() => readonly string[])
  /** Absolute paths of the folders where they are looked for: a reload stops nothing since one is empty all at once. */
  readonly flowFolders?: readonly string[]
  /** Values that win over the stage's, by flow. */
  readonly params?: Readonly<Record<string, Readonly<Record<string, unknown>>>>
  /** Adapters and steps beside the built-in ones. */
  readonly declarations?: Declarations
  readonly admin: Address
  readonly endpoints: EndpointsAddress
  readonly tokens?: TokenSettings
  /** Where on-premise connectors come in; undefined: this hub takes none. */
  readonly connectors?: ConnectorListen | undefined
  readonly publicUrl?: string | undefined
  /** The HTTP proxy that leads out of the company's network; undefined: hosts are reached without one. */
  readonly outgoingProxy?: OutgoingProxy | undefined
  /** Addresses and networks (CIDR) of reverse proxies whose X-Forwarded-For counts. */
  readonly proxies?: readonly string[]
  /** Folder of the built web console; undefined: none is shown. */
  readonly console?: string | undefined
  /** Where administrators log in beside the hub itself. */
  readonly signIn?: OidcSettings | undefined
  /** PEM texts of certificate authorities to trust beside the system's. */
  readonly trustedCertificates?: readonly string[]
  readonly limits?: Partial<Limits>
  readonly alertPolicy?: Partial<AlertPolicy>
  /** How long the audit log goes back. */
  readonly auditKeepMs?: number
  readonly alertChannels?: Readonly<Record<string, ChannelSettings>>
  readonly alertMailServers?: Readonly<Record<string, AlertMailServer>>
  readonly log: Pick<LogOptions, 'level' | 'format' | 'output' | 'colours'>
  /** Value of ISTHMUS_MASTER_KEY. */
  readonly masterKey?: string | undefined
  readonly clock?: Clock
  /** Runs when everything stands and before the first flow starts. */
  readonly beforeFlows?: (parts: BeforeFlows) => Promise<void>
  /** The store takes nothing more until a new start: whoever runs the hub should end the process. */
  readonly onLost?: (error: HubError) => void
}

/** What stands before the first flow starts. */
export interface BeforeFlows {
  readonly credentials: Credentials
  readonly serviceUsers: ServiceUsers
  readonly people: People
  /** Undefined where this hub takes no connectors; it listens already. */
  readonly connectors: Connectors | undefined
  readonly groupware: LateGroupware
}

export interface Hub {
  readonly engine: Engine
  readonly store: Store
  readonly credentials: Credentials
  readonly serviceUsers: ServiceUsers
  readonly people: People
  /** Undefined where this hub takes no connectors. */
  readonly connectors: Connectors | undefined
  readonly tokens: LateTokenServer
  readonly groupware: LateGroupware
  readonly monitor: Monitor
  readonly catalog: FlowCatalog
  readonly logBook: LogBook
  readonly adminUrl: string
  readonly endpointsUrl: string
  /** host:port where connectors come in. */
  readonly connectorsAddress: string | undefined
  readonly adminToken: string
  /** Makes the first administrator; only where this start made it. */
  readonly newSetupToken: string | undefined
  /** Flows that should run but could not be started. */
  readonly failedFlows: readonly { readonly name: string; readonly error: HubError }[]
  close(): Promise<void>
}

/**
 * Whoever stops hubs often kills them after ten seconds. Attempts that are cut short need one more to say how far they
 * came, and receivers one to take leave of servers that hang.
 */
const stopMs = 7 * SECOND

/** Puts the parts together and starts every flow that should run. A flow that cannot start does not stop the others. */
export async function startHub(options: HubOptions): Promise<Hub> {
  const { dataFolder, clock = systemClock } = options
  const limits: Limits = { ...defaultLimits, ...options.limits }
  trustAuthorities(options.trustedCertificates ?? [])
  mkdirSync(dataFolder, { recursive: true, mode: 0o700 })
  const undo: (() => Promise<unknown>)[] = []
  try {
    // The log masks what the credentials know, and the credentials write to the log: one of them must come late.
    let secretValues: () => readonly string[] = () => []
    const logBook = createLogBook({ ...options.log, clock, secretValues: () => secretValues() })
    const { log } = logBook
    const owner = `${hostname()}-${process.pid}`
    const { store: storeSettings, stop } = options
    const opened = await openStore(storeSettings, { folder: dataFolder, owner, stop, limits, clock, log })
    undo.push(() => opened.close())
    let isReady = false
    const storeWatch = watchStore(opened, clock, error => {
      isReady = false
      log.error('hub.store-lost', { code: error.code, text: error.message, next: error.next })
      options.onLost?.(error)
    })
    undo.push(async () => storeWatch.end())
    const { store } = storeWatch
    const { token: adminToken } = await ensureAdminToken(dataFolder)
    const keyFile = join(dataFolder, 'master.key')
    const vault = await openVault({ records: store, keyFile, masterKey: options.masterKey })
    let connectors: Connectors | undefined
    const tunnel = (request: TunnelRequest) => connectors?.tunnel(request) ?? Promise.reject(hubErrors.STOPPING())
    const fateOf: Connect['fateOf'] = async (...question) => connectors?.fateOf(...question)
    const wayOut = wayOutThrough(options.outgoingProxy, name => credentials.lookup(name))
    const connect = makeConnect({ wayOut, ...(options.connectors && { tunnel, fateOf }) })
    const resealOthers = () => callers.reseal()
    const credentials = openCredentials({ records: store, vault, clock, connect, log, resealOthers })
    undo.push(() => credentials.close())
    secretValues = () => [adminToken, ...credentials.secretValues()]

    const callers = await openCallers({
      records: store,
      vault,
      clock,
      log,
      url: options.endpoints.url,
      clientAuthorities: options.endpoints.clientAuthorities ?? [],
      tokens: options.tokens,
      flowsAskingFor: role => flowsAskingFor(engine, role),
    })
    undo.push(() => callers.close())
    const { users: serviceUsers, people, administrators, sessions, tokens } = callers
    const setup = await openSetup(dataFolder, administrators.list().length === 0)
    const newSetupToken = setup.isNew ? setup.token : undefined

    if (options.connectors) {
      // Loaded only where connectors come in: it brings HTTP/2 and the libraries of the authority.
      const { createConnectors } = await import('./connector/hub/connectors.ts')
      const authority = await callers.authority.load()
      connectors = await createConnectors({ records: store, authority, clock, log, listen: options.connectors })
      undo.push(async () => connectors?.close())
    }

    const { tls } = options.endpoints
    const endpointTls = typeof tls === 'object' ? openEndpointTls(tls, clock, log) : undefined
    const endpoints = createFlowEndpoints({
      log,
      guard: callers.guard,
      hasRole: serviceUsers.hasRole,
      isBehindTls: tls === 'by-proxy',
      proxies: options.proxies,
      tls: endpointTls,
    })
    endpoints.mount(tokens.handle)
    const engine: Engine = createEngine({
      store,
      clock,
      log,
      limits,
      connect,
      credential: credentials.lookup,
      serve: endpoints.serve,
      owner,
      mask: text => logBook.mask.text(text),
    })
    let stopsBy: number | undefined
    undo.push(() => engine.close(stopsBy && stopsBy - performance.now()))
    const wakeFlows = () => {
      engine.wake().catch((thrown: unknown) => {
        // While the hub stops, nothing has to be woken: it is tried after the next start.
        const error = asHubError(thrown)
        if (error.code !== 'STORE_CLOSED') log.error('engine.wake-failed', { code: error.code, text: error.message })
      })
    }
    credentials.on(({ type }) => {
      if (type === 'credential.changed') wakeFlows()
    })
    // What waits for a location need not wait longer.
    connectors?.onReachable(wakeFlows)
    serviceUsers.on(({ type }) => {
      // An endpoint may wait for its role.
      if (type === 'role.changed') wakeFlows()
    })

    const { flowFiles } = options
    const catalog = createFlowCatalog({
      declarations: lateDeclarations(builtIn, options.declarations),
      files: typeof flowFiles === 'function' ? flowFiles : () => flowFiles,
      folders: options.flowFolders,
      stage: options.stage,
      store,
      ...(options.params && { params: options.params }),
    })
    const failedFlows = new FailedFlows(clock, log)
    const startFlow = (flow: LoadedFlow) => failedFlows.start(engine, flow)
    engine.on(({ type, flow }) => {
      if (type === 'flow.started' || type === 'flow.stopped') failedFlows.forget(flow)
    })
    const groupware = createLateGroupware({
      records: store,
      clock,
      log,
      dataFolder,
      connect,
      credential: credentials.lookup,
      endpointsUrl: options.endpoints.url,
    })
    undo.push(() => groupware.close())
    endpoints.mount(groupware.handle)
    const telling = new AbortController()
    const mailParts = { connect, credentials, limits, clock, logBook, stop: telling.signal }
    const mailSender = (channel: string) => alertMailSender(options.alertMailServers?.[channel], mailParts)
    const channelParts = { log, clock, connect, credential: credentials.lookup, stop: telling.signal, mailSender }
    const monitor = createMonitor({
      engine,
      store,
      clock,
      log,
      version,
      policy: { ...defaultAlertPolicy, ...options.alertPolicy },
      auditKeepMs: options.auditKeepMs,
      channels: createChannels(options.alertChannels ?? {}, channelParts),
      credentials: () => credentials.list(),
      serviceKeys: () => keysWithAnEnd(serviceUsers),
      certificates: () => (endpointTls ? [endpointTls.certificate()] : []),
      failedFlows: () => failedFlows.list,
      connectors: connectors && { ...connectors, usedBy: () => flowsByLocation(engine) },
      organizations: () => groupware.opened()?.watched() ?? [],
      groupwareFailure: groupware.failure,
      storeFailure: storeWatch.failure,
      documents: async () => new Set((await catalog.list()).map(({ name }) => name)),
    })
    undo.push(() => monitor.close())
    undo.push(async () => telling.abort())
    callers.onRefused(reason => monitor.metrics.callerRefused(reason))

    const api = createLateApi({
      engine: { ...engine, start: startFlow },
      store,
      monitor,
      credentials,
      serviceUsers,
      people,
      administrators,
      sessions,
      setup,
      signIn: options.signIn && { settings: options.signIn, connect, credential: credentials.lookup },
      tokens,
      groupware,
      catalog: {
        ...catalog,
        async remember(name, shouldRun) {
          await catalog.remember(name, shouldRun)
          if (!shouldRun) failedFlows.forget(name)
        },
      },
      logBook,
      clock,
      version,
      stage: options.stage,
      publicUrl: options.publicUrl,
      proxies: options.proxies,
      console: options.console,
      adminToken,
      isReady: () => isReady && (storeWatch.failure()?.isPartial ?? true),
      repairBytesMax: limits.parseBytes,
      lossOf: async (attributes, readBody) =>
        (await import('./adapters/idoc-loss.ts')).lossOfIdoc(attributes, readBody),
      connectors,
    })
    undo.push(() => api.close())
    const adminUrl = await api.listen(options.admin)
    undo.push(() => endpoints.close())
    const endpointsUrl = await endpoints.listen(options.endpoints)
    callers.listensAt(new URL(endpointsUrl).origin)
    const connectorsAddress = await connectors?.start()
    log.info('hub.listening', { admin: adminUrl, endpoints: endpointsUrl, data: dataFolder, stage: options.stage })

    await options.beforeFlows?.({ credentials, serviceUsers, people, connectors, groupware })
    for (const { name, file, shouldRun, flow } of await catalog.loadAll()) {
      if (!shouldRun) continue
      // A flow that does not start is told of; the others run.
      await Promise.try(flow)
        .then(startFlow, (thrown: unknown) => failedFlows.note(name, file, thrown))
        .catch(() => {})
    }
    await groupware.start()
    isReady = true
    await monitor.start()
    return {
      engine,
      store,
      credentials,
      serviceUsers,
      people,
      tokens,
      groupware,
      monitor,
      catalog,
      logBook,
      adminUrl,
      endpointsUrl,
      connectors,
      connectorsAddress,
      adminToken,
      newSetupToken,
      failedFlows: failedFlows.list,
      async close() {
        isReady = false
        stopsBy = performance.now() + stopMs
        await closeAll(undo)
        log.info('hub.stopped')
      },
    }
  } catch (error) {
    await closeAll(undo)
    throw error
  }
}

/** Last opened, first closed; one that fails does not keep the others open. */
async function closeAll(undo: (() => Promise<unknown>)[]): Promise<void> {
  const failures: unknown[] = []
  for (const close of undo.splice(0).toReversed()) await close().catch((error: unknown) => failures.push(error))
  if (failures.length > 0) throw failures[0]
}

interface MailParts {
  readonly connect: Connect
  readonly credentials: Credentials
  readonly limits: Limits
  readonly clock: Clock
  readonly logBook: LogBook
  readonly stop: AbortSignal
}

/** Alert mails go out through the same SMTP receiver that flows use. */
function alertMailSender(server: AlertMailServer | undefined, parts: MailParts): SendMail {
  return async mail => {
    const [{ smtp }, { composeMail }] = await Promise.all([
      import('./adapters/smtp.ts'),
      import('./monitor/alerts/alert-mail.ts'),
    ])
    const done = new AbortController()
    const signal = AbortSignal.any([done.signal, parts.stop])
    const { log } = parts.logBook
    const config = smtp.config.parse({ ...server, from: mail.from, to: [...mail.to] })
    const receiver = await smtp.open({
      config,
      flow: 'alerts',
      log,
      signal,
      clock: parts.clock,
      limits: parts.limits,
      connect: parts.connect,
      credential: parts.credentials.lookup,
      folder: process.cwd(),
    })
    try {
      const now = parts.clock.now()
      const body = heldBody(composeMail(mail, now), 'message/rfc822')
      const message = { id: 'alert', headers: {}, attributes: {}, body, acceptedAt: now }
      const scope = { message, params: {}, flow: { name: 'alerts', stage: '' } }
      const once = { intend: async () => {}, isFirst: async () => true, unlearn() {} }
      const effect = { key: 'alert', attempt: 1, isUnknown: false, scope, signal, ...once }
      return (await receiver.deliver(message, effect)).summary
    } finally {
      await receiver.close()
      done.abort()
    }
  }
}
