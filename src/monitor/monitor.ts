import { asHubError } from '../kernel/error.ts'
import type { Log } from '../kernel/log.ts'
import type { Clock } from '../kernel/time.ts'
import type { Store } from '../store/port.ts'
import type { AlertChannel } from './alerts/alert.ts'
import { type AlertBook, createAlertBook } from './alerts/alert-book.ts'
import { createTeller } from './alerts/tell.ts'
import type { WatchedCertificate } from './certificate-findings.ts'
import { logEvents } from './event-log.ts'
import { type AlertPolicy, createExpectations, type FailedFlow } from './expectations.ts'
import { createMetrics, type Metrics } from './metrics.ts'
import { keepRetention } from './retention.ts'
import type { WatchedServiceKey } from './service-key-findings.ts'
import type { Watched, WatchedConnectors, WatchedCredential, WatchedFailure, WatchedOrganization } from './watched.ts'

export interface MonitorParts {
  readonly engine: Watched
  readonly store: Pick<
    Store,
    'counts' | 'find' | 'flowNames' | 'purge' | 'purgeAudit' | 'read' | 'write' | 'list' | 'remove' | 'bodies'
  >
  readonly clock: Clock
  readonly log: Log
  readonly version: string
  readonly policy: AlertPolicy
  /** How long the audit log goes back; a year when left out. */
  readonly auditKeepMs?: number | undefined
  readonly channels: ReadonlyMap<string, AlertChannel>
  readonly credentials: () => Promise<readonly WatchedCredential[]>
  /** Keys of callers that have an end and were not revoked. */
  readonly serviceKeys?: (() => readonly WatchedServiceKey[]) | undefined
  /** Those that the hub shows to its callers. */
  readonly certificates?: (() => readonly WatchedCertificate[]) | undefined
  readonly failedFlows: () => readonly FailedFlow[]
  /** Undefined where this hub takes no connectors. */
  readonly connectors?: WatchedConnectors | undefined
  /** Organizations whose mailboxes are synced. */
  readonly organizations?: (() => readonly WatchedOrganization[]) | undefined
  readonly groupwareFailure?: (() => WatchedFailure | undefined) | undefined
  /** Why the store takes nothing at present. */
  readonly storeFailure?: (() => WatchedFailure | undefined) | undefined
  /** Names of the flows that have a document, whether they run or not. */
  readonly documents: () => Promise<ReadonlySet<string>>
}

/** Watches the hub: log of events, metrics, alerts, retention. */
export interface Monitor {
  readonly metrics: Metrics
  readonly alerts: Pick<AlertBook, 'list' | 'acknowledge'>
  /** Begins to look; call it once the flows were started. */
  start(): Promise<void>
  /** Looks at everything once and tells what is due. */
  look(): Promise<void>
  close(): Promise<void>
}

export function createMonitor(parts: MonitorParts): Monitor {
  const { engine, store, clock, log } = parts
  const stopping = new AbortController()
  const book = createAlertBook(store, clock, log)
  const teller = createTeller(book, parts.channels, clock, log)
  const expectations = createExpectations({ ...parts, book })
  const endLog = logEvents(engine, log)
  const openAlerts = () => book.list().filter(alert => alert.state === 'open').length
  const metrics = createMetrics({
    engine,
    store,
    clock,
    version: parts.version,
    openAlerts,
    serviceKeys: parts.serviceKeys,
    connectors: parts.connectors,
    organizations: parts.organizations,
  })
  const loops: Promise<void>[] = []

  let telling: Promise<void> | undefined

  /** Watching goes on: a store that fails once must not blind the monitor for good. */
  function complain(thrown: unknown): void {
    const error = asHubError(thrown)
    log.error('monitor.look-failed', { code: error.code, error: error.message, cause: error.cause })
  }

  /** One round of telling at a time; a channel that hangs holds back the next round, not the looking. */
  function tell(): Promise<void> {
    telling ??= teller
      .tellAll()
      .catch(complain)
      .finally(() => {
        telling = undefined
      })
    return telling
  }

  async function look(): Promise<void> {
    await expectations.look().catch(complain)
    await tell()
  }

  async function lookOn(): Promise<void> {
    while (!stopping.signal.aborted) {
      await expectations.look().catch(complain)
      void tell()
      await clock.sleep(parts.policy.lookEveryMs, stopping.signal)
    }
  }

  async function start(): Promise<void> {
    await book.load()
    loops.push(lookOn(), keepRetention(parts, stopping.signal))
  }

  async function close(): Promise<void> {
    stopping.abort()
    endLog()
    metrics.close()
    expectations.close()
    await Promise.all([...loops, telling])
  }

  return { metrics, alerts: book, start, look, close }
}
