import type { IncomingMessage, ServerResponse } from 'node:http'
import type { FastifyBaseLogger, FastifyInstance, FastifyRequest, RawServerDefault } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import type { Administrators } from '../auth/administrators/administrators.ts'
import type { OidcSettings } from '../auth/administrators/oidc-log-in.ts'
import type { Sessions } from '../auth/administrators/sessions.ts'
import type { Credentials } from '../auth/credentials.ts'
import type { People } from '../auth/people/people.ts'
import type { ServiceUsers } from '../auth/service/model.ts'
import type { LateTokenServer } from '../auth/token-server/late-token-server.ts'
import type { Connectors } from '../connector/hub/connectors.ts'
import type { Engine } from '../engine/control.ts'
import type { LoadedFlow } from '../flow/document.ts'
import type { Problem } from '../flow/problem.ts'
import type { LateGroupware } from '../groupware/organizations/late-groupware.ts'
import { callerAddress } from '../kernel/caller-address.ts'
import type { CredentialLookup } from '../kernel/credential.ts'
import type { JsonObject } from '../kernel/json.ts'
import type { Connect } from '../kernel/socket.ts'
import type { Clock } from '../kernel/time.ts'
import type { LogBook } from '../monitor/log.ts'
import type { Monitor } from '../monitor/monitor.ts'
import type { KeyMaps, Store } from '../store/port.ts'
import type { Asked } from './permissions.ts'
import type { Setup } from './setup-token.ts'

/** What the admin API stands on. */
export interface ApiParts {
  readonly engine: Engine
  readonly store: Pick<
    Store,
    | 'find'
    | 'oldestSetAside'
    | 'get'
    | 'getAll'
    | 'counts'
    | 'flowNames'
    | 'audit'
    | 'auditLog'
    | 'auditBreak'
    | 'bodies'
    | keyof KeyMaps
  >
  readonly monitor: Pick<Monitor, 'metrics' | 'alerts'>
  readonly credentials: CredentialAdmin
  readonly serviceUsers: ServiceUsers
  /** Undefined where this hub takes no on-premise connectors. */
  readonly connectors?: Connectors | undefined
  readonly people: People
  readonly administrators: Administrators
  readonly sessions: Sessions
  readonly setup: Setup
  /** Undefined where administrators log in with passwords only. */
  readonly signIn?:
    | { readonly settings: OidcSettings; readonly connect: Connect; readonly credential: CredentialLookup }
    | undefined
  readonly tokens: Pick<LateTokenServer, 'load' | 'verifyAccessToken' | 'isRevoked'>
  readonly groupware: Pick<LateGroupware, 'load'>
  readonly catalog: FlowCatalog
  readonly logBook: LogBook
  readonly clock: Clock
  readonly version: string
  readonly stage: string
  /** Where browsers reach this API (`https://hub.example`); undefined: http://localhost and the port. */
  readonly publicUrl: string | undefined
  readonly adminToken: string
  /** Addresses and networks of proxies that are believed who their caller is. */
  readonly proxies?: readonly string[] | undefined
  /** Folder of the built web console; undefined: this hub shows none. */
  readonly console?: string | undefined
  /** False until every flow has been started (or has failed to), and while the hub stops. */
  readonly isReady: () => boolean
  /** The largest body that a repair may bring beside headers. */
  readonly repairBytesMax: number
  /** What is lost with a message that is skipped, as far as its adapter knows it; undefined: nobody knows of anything. */
  readonly lossOf?:
    | ((attributes: JsonObject, readBody: () => Promise<Uint8Array>) => Promise<Loss | undefined>)
    | undefined
}

/** What no later message brings again by itself. */
export interface Loss {
  readonly object: string
  readonly segments: readonly { readonly segment: string; readonly fields: readonly string[] }[]
  readonly words: string
}

/** The flow documents that the hub knows, whether they run or not. */
export interface FlowCatalog {
  /** Looks for the documents anew and reads each; the list is of them from then on, but for a dry run. Throws when a folder has lost all of its own and nobody allows that. */
  loadAll(options?: { readonly isDryRun?: boolean; readonly allowsEmpty?: boolean }): Promise<readonly LoadingEntry[]>
  list(): Promise<readonly CatalogEntry[]>
  /** Reads the document now; throws API_FLOW_UNKNOWN, and errors of side `flow` when it does not lint. */
  load(name: string): Promise<LoadedFlow>
  /** The text of the document as it stands now; throws API_FLOW_UNKNOWN. */
  document(name: string): Promise<{ readonly file: string; readonly text: string }>
  /** What is wrong with the text of a document; empty: it would start. */
  lint(text: string): Promise<readonly LintProblem[]>
  /** What is remembered by now: a flow runs unless somebody stopped it. */
  shouldRun(name: string): Promise<boolean>
  /** Remembers over restarts whether the flow shall run. */
  remember(name: string, shouldRun: boolean): Promise<void>
}

export interface CatalogEntry {
  readonly name: string
  readonly file: string
  readonly shouldRun: boolean
  readonly problems: readonly LintProblem[]
}

export interface LoadingEntry extends CatalogEntry {
  /** What was read just now; throws what `load` throws. */
  flow(): LoadedFlow
}

/** A mistake with its place; what the loader says of it beside that is optional. */
type LintProblem = Pick<Problem, 'file' | 'line' | 'column' | 'message'> & Partial<Problem>

/** What people do with credentials. Secrets go in and never come out. */
type CredentialAdmin = Pick<
  Credentials,
  | 'list'
  | 'get'
  | 'create'
  | 'update'
  | 'renew'
  | 'delete'
  | 'beginAuthorisation'
  | 'completeAuthorisation'
  | 'rotateMasterKey'
>

export type App = FastifyInstance<RawServerDefault, IncomingMessage, ServerResponse, FastifyBaseLogger, ZodTypeProvider>

/** Who makes a call and from where, for the audit log. */
export function whoOf(request: FastifyRequest): string {
  return `${request.admin?.who ?? 'admin'}@${callerAddress(request.raw)}`
}

/** Writes a change of state to the audit log, without secrets. */
export async function auditChange(
  parts: Pick<ApiParts, 'store' | 'clock' | 'logBook'>,
  request: FastifyRequest,
  action: string,
  detail: JsonObject,
): Promise<void> {
  const masked = parts.logBook.mask.value(detail) as JsonObject
  await parts.store.audit({ at: parts.clock.now(), who: whoOf(request), action, detail: masked })
  parts.logBook.log.info('admin.changed', { who: whoOf(request), action, ...masked })
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** True for the few routes that need no admin token. */
    isPublic?: boolean
    /** What the caller must have; a route that says nothing is for administrators alone. */
    asked?: Asked
  }
}
