import { X509Certificate } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { TokenSettings } from '../auth/callers.ts'
import type { ReceiverDeclaration, SenderDeclaration } from '../flow/adapter.ts'
import { lateDeclarations } from '../flow/late-declarations.ts'
import type { Declarations } from '../flow/schema.ts'
import type { Limits } from '../kernel/limit.ts'
import type { AlertMailServer, EndpointsAddress, HubOptions } from '../main.ts'
import { batchOutput } from '../monitor/batched-output.ts'
import { signInSettings } from './admin-section.ts'
import { connectorListen } from './connectors-section.ts'
import { consoleFolder } from './console-folder.ts'
import { flowFiles, strayDocuments } from './flow-files.ts'
import { configErrors, type HubConfig, parseHubConfig } from './hub-config.ts'
import type { CliIo } from './io.ts'
import { outgoingProxy } from './outgoing-proxy-section.ts'
import { storeSettings } from './store-section.ts'

export const configOption = [
  '--config <file>',
  'isthmus.yaml of the hub (ISTHMUS_CONFIG; default ./isthmus.yaml where it exists)',
] as const

export interface ReadHubOptions extends HubOptions {
  /** Flow documents in a folder of flows that are called otherwise: they do not run. */
  readonly strayDocuments: readonly string[]
}

/** Everything a hub needs to start, from isthmus.yaml and the environment. Throws CONFIG_… errors. */
export async function readHubOptions(configFile: string | undefined, io: CliIo): Promise<ReadHubOptions> {
  const { config, folder } = readConfig(configFile, io)
  const { alerts, log } = config
  const isTerminal = io.stdout.isTTY === true
  const adapters = await adaptersOf(config, folder)
  const findFlows = () => config.flows.flatMap(each => flowFiles(resolve(folder, each), each === 'flows'))
  // Here a wrong path is told, too, before anything is opened.
  const strays = config.flows.flatMap(each => strayDocuments(resolve(folder, each), each === 'flows'))
  return {
    dataFolder: resolve(folder, config.data),
    stage: config.stage,
    flowFiles: findFlows,
    flowFolders: config.flows.map(each => resolve(folder, each)),
    strayDocuments: strays,
    admin: { host: config.admin.host, port: config.admin.port },
    endpoints: endpointsAddress(config, folder),
    tokens: tokenSettings(config, folder),
    connectors: connectorListen(config.connectors),
    store: storeSettings(config.store, io.env['ISTHMUS_POSTGRES_PASSWORD'], (file, key) =>
      readNamed(resolve(folder, file), key),
    ),
    proxies: config.proxies,
    outgoingProxy: outgoingProxy(config['outgoing-proxy']),
    publicUrl: config.admin.url?.replace(/\/+$/, ''),
    console: config.admin.console ? consoleFolder : undefined,
    signIn: signInSettings(config.admin['sign-in']),
    trustedCertificates: config.trust.map(each => readCertificate(resolve(folder, each), 'trust')),
    limits: knownLimits(config),
    auditKeepMs: config.audit.keep,
    alertPolicy: {
      lookEveryMs: alerts['look-every'],
      linkDownMs: alerts['link-down'],
      queueAgeMs: alerts['queue-age'],
      credentialEndsMs: alerts['credential-ends'],
      channels: alerts.default,
    },
    alertChannels: alerts.channels,
    alertMailServers: await mailServers(config),
    log: {
      level: log.level,
      format: log.format === 'auto' ? (isTerminal ? 'text' : 'json') : log.format,
      colours: isTerminal && io.env.NO_COLOR === undefined,
      output: batchOutput(io.stdout),
    },
    masterKey: io.env.ISTHMUS_MASTER_KEY,
    ...(adapters && { declarations: adapters }),
  }
}

/** What flow documents may name in the hub of this configuration: the built-in adapters and those it adds. */
export async function readDeclarations(configFile: string | undefined, io: CliIo): Promise<Declarations> {
  const { builtIn } = await io.program()
  const { config, folder } = readConfig(configFile, io)
  return lateDeclarations(builtIn, await adaptersOf(config, folder)).all()
}

/** The stage of this configuration. */
export function readStage(configFile: string | undefined, io: CliIo): string {
  return readConfig(configFile, io).config.stage
}

/** The configuration with the folder that its paths are relative to. */
function readConfig(
  configFile: string | undefined,
  io: CliIo,
): { readonly config: HubConfig; readonly folder: string } {
  const named = configFile ?? io.env.ISTHMUS_CONFIG
  const file = resolve(io.cwd, named ?? 'isthmus.yaml')
  const text = named !== undefined || existsSync(file) ? readText(file) : ''
  return { config: parseHubConfig(text, file), folder: dirname(file) }
}

function adaptersOf(config: HubConfig, folder: string): Promise<Declarations | undefined> {
  return loadAdapters(config.adapters.map(each => resolve(folder, each)))
}

function endpointsAddress({ endpoints }: HubConfig, folder: string): EndpointsAddress {
  const { host, port, url, tls } = endpoints
  return {
    host,
    port,
    url: url?.replace(/\/$/, ''),
    tls:
      typeof tls === 'object' ? { certificate: resolve(folder, tls.certificate), key: resolve(folder, tls.key) } : tls,
    clientAuthorities: endpoints['client-authorities'].map(file =>
      readCertificate(resolve(folder, file), 'endpoints.client-authorities'),
    ),
  }
}

function tokenSettings({ tokens }: HubConfig, folder: string): TokenSettings {
  return {
    issuer: tokens.issuer?.replace(/\/$/, ''),
    algorithm: tokens.algorithm,
    trusted: tokens.trusted.map(({ certificates, jwks, ...rest }) => ({
      ...rest,
      certificates: certificates.map(file => readCertificate(resolve(folder, file), 'tokens.trusted')),
      jwks: jwks === undefined ? undefined : readNamed(resolve(folder, jwks), 'tokens.trusted'),
    })),
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause)
    throw configErrors.UNREADABLE({ file, text }, { cause })
  }
}

/** What a file holds that isthmus.yaml names under this key. */
function readNamed(file: string, key: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause)
    throw configErrors.FILE_UNUSABLE({ file, key, text }, { cause })
  }
}

/** The same, where only certificates are of use: a wrong file would be trusted for nothing without a word. */
function readCertificate(file: string, key: string): string {
  const pem = readNamed(file, key)
  try {
    void new X509Certificate(pem)
  } catch (cause) {
    throw configErrors.FILE_UNUSABLE({ file, key, text: 'it holds no certificate in PEM.' }, { cause })
  }
  return pem
}

function knownLimits({ limits }: HubConfig): Partial<Limits> {
  return Object.fromEntries(Object.entries(limits).filter(([, value]) => value !== undefined))
}

/** Mail servers of alert channels, as the smtp receiver has them; a mistake must not wait for the first alert. */
async function mailServers({ alerts }: HubConfig): Promise<Readonly<Record<string, AlertMailServer>>> {
  const servers: [string, AlertMailServer][] = []
  for (const [name, channel] of Object.entries(alerts.channels)) {
    if (!('mail' in channel)) continue
    const { from, to, server } = channel.mail
    const { smtpConfig } = await import('../adapters/smtp-config.ts')
    const { error } = smtpConfig.safeParse({ ...server, from, to })
    const [issue] = error?.issues ?? []
    if (issue) {
      const place = ['alerts.channels', name, 'mail.server', ...issue.path].join('.')
      throw configErrors.WRONG({ text: `${place}: ${issue.message}.` })
    }
    servers.push([name, server as unknown as AlertMailServer])
  }
  return Object.fromEntries(servers)
}

/** Adapters of modules that isthmus.yaml names: whatever they export that is a sender or receiver. */
async function loadAdapters(files: readonly string[]): Promise<Declarations | undefined> {
  if (files.length === 0) return undefined
  const found: unknown[] = []
  for (const file of files) {
    const exports = await importModule(file)
    const adapters = Object.values(exports).filter(value => isAdapter(value, 'sender') || isAdapter(value, 'receiver'))
    if (adapters.length === 0) throw configErrors.ADAPTER_UNUSABLE({ file, text: 'it exports no adapter.' })
    found.push(...adapters)
  }
  return {
    senders: found.filter(value => isAdapter<SenderDeclaration>(value, 'sender')),
    receivers: found.filter(value => isAdapter<ReceiverDeclaration>(value, 'receiver')),
    steps: [],
  }
}

async function importModule(file: string): Promise<object> {
  try {
    return (await import(pathToFileURL(file).href)) as object
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause)
    throw configErrors.ADAPTER_UNUSABLE({ file, text }, { cause })
  }
}

function isAdapter<D extends { readonly kind: string }>(value: unknown, kind: D['kind']): value is D {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === kind && 'open' in value
}
