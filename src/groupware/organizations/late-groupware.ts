import type { IncomingMessage, ServerResponse } from 'node:http'
import type { CredentialLookup } from '../../kernel/credential.ts'
import { asHubError, type HubError } from '../../kernel/error.ts'
import type { Log } from '../../kernel/log.ts'
import type { Connect } from '../../kernel/socket.ts'
import type { Clock } from '../../kernel/time.ts'
import type { Records } from '../../store/port.ts'
import type { GraphEndpoint } from './graph-endpoint.ts'
import type { Groupware } from './groupware.ts'
import { organizationArea } from './limits.ts'

/** The groupware sync, opened when somebody asks for it: a hub without organizations spends nothing on it. */
export interface LateGroupware {
  load(): Promise<Groupware>
  /** What is open now, for those who only look. */
  opened(): Groupware | undefined
  /** Opens it and syncs, if there is an organization. Never throws: flows run also where the sync cannot. */
  start(): Promise<void>
  /** Why it could not be opened the last time; undefined where it is open or nobody asked for it. */
  failure(): { readonly since: number; readonly error: HubError } | undefined
  /** Answers requests of Microsoft Graph; false: it is somebody else's. */
  handle(incoming: IncomingMessage, response: ServerResponse): boolean
  close(): Promise<void>
}

export interface LateGroupwareOptions {
  readonly records: Pick<Records, 'read' | 'list' | 'write' | 'remove'>
  readonly clock: Clock
  readonly log: Log
  readonly dataFolder: string
  readonly connect: Connect
  readonly credential: CredentialLookup
  /** Origin under which Microsoft Graph reaches the endpoints; without https notifications are not asked for. */
  readonly endpointsUrl?: string | undefined
}

export function createLateGroupware(options: LateGroupwareOptions): LateGroupware {
  const { clock, log } = options
  let groupware: Groupware | undefined
  let loading: Promise<Groupware> | undefined
  let graph: GraphEndpoint | undefined
  let failure: { readonly since: number; readonly error: HubError } | undefined
  let isClosed = false

  function load(): Promise<Groupware> {
    loading ??= open().catch((thrown: unknown) => {
      // The next one who needs it tries again.
      loading = undefined
      const error = asHubError(thrown)
      failure = { since: failure?.since ?? clock.now(), error }
      log.error('groupware.not-opened', { code: error.code, text: error.message, next: error.next })
      throw error
    })
    return loading
  }

  async function open(): Promise<Groupware> {
    const { openGroupware } = await import('./open-groupware.ts')
    const { groupware: opened, endpoint } = await openGroupware(options)
    graph = endpoint
    if (!isClosed) await opened.start()
    groupware = opened
    failure = undefined
    return opened
  }

  return {
    load,
    opened: () => groupware,
    handle: (incoming, response) => graph?.handle(incoming, response) ?? false,
    async start() {
      const hasAny = (await options.records.list(organizationArea)).length > 0
      if (hasAny) await load().catch(() => {})
    },
    failure: () => failure,
    async close() {
      isClosed = true
      const opened = await loading?.catch(() => undefined)
      await opened?.close()
    },
  }
}
