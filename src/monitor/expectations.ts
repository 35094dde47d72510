import { asHubError } from '../kernel/error.ts'
import type { Log } from '../kernel/log.ts'
import { type Clock, HOUR, MINUTE, SECOND } from '../kernel/time.ts'
import type { DeliveryRow, Inspection, Records } from '../store/port.ts'
import type { AlertBook, Finding } from './alerts/alert-book.ts'
import { findCertificate, type WatchedCertificate } from './certificate-findings.ts'
import {
  credentialWarnMs,
  findCredential,
  findFlowFailed,
  findFlowGone,
  findLinkDown,
  findLinkStuck,
  findProbe,
  findQueueAge,
  findQuiet,
  findSetAside,
  findStore,
} from './findings.ts'
import { Hearings } from './hearing.ts'
import { findConnector, findLocation } from './location-findings.ts'
import { findGroupware, findOrganization } from './organization-findings.ts'
import { Probes } from './probes.ts'
import { findServiceKey, type WatchedServiceKey } from './service-key-findings.ts'
import type {
  Watched,
  WatchedConnectors,
  WatchedCredential,
  WatchedError,
  WatchedFailure,
  WatchedLink,
  WatchedOrganization,
  WatchedStatus,
} from './watched.ts'

/** When trouble becomes an alert. */
export interface AlertPolicy {
  /** How often all is looked at. */
  readonly lookEveryMs: number
  /** How long a link may be down. */
  readonly linkDownMs: number
  /** How long a delivery may wait. */
  readonly queueAgeMs: number
  /** How long before its end a credential is warned of. */
  readonly credentialEndsMs: number
  /** Channels for alerts whose flow names none. */
  readonly channels: readonly string[]
}

export const defaultAlertPolicy: AlertPolicy = {
  lookEveryMs: 15 * SECOND,
  linkDownMs: 5 * MINUTE,
  queueAgeMs: HOUR,
  credentialEndsMs: credentialWarnMs,
  channels: ['log'],
}

/** Rows in which the newest delivery is looked for that is no probe. */
const newestRows = 50

/** A flow that should run but could not be started. */
export interface FailedFlow {
  readonly name: string
  readonly since: number
  readonly error: WatchedError
}

export interface ExpectationParts {
  readonly engine: Watched
  readonly store: Pick<Inspection, 'counts' | 'find' | 'flowNames'> & Pick<Records, 'read' | 'write'>
  readonly clock: Clock
  readonly log: Log
  readonly book: AlertBook
  readonly policy: AlertPolicy
  readonly channels: ReadonlyMap<string, unknown>
  readonly credentials: () => Promise<readonly WatchedCredential[]>
  /** Keys of callers that have an end and were not revoked. */
  readonly serviceKeys?: (() => readonly WatchedServiceKey[]) | undefined
  /** Those that the hub shows to its callers. */
  readonly certificates?: (() => readonly WatchedCertificate[]) | undefined
  readonly failedFlows: () => readonly FailedFlow[]
  /** Undefined where this hub takes no connectors. */
  readonly connectors?: WatchedConnectors | undefined
  readonly organizations?: (() => readonly WatchedOrganization[]) | undefined
  readonly groupwareFailure?: (() => WatchedFailure | undefined) | undefined
  /** Why the store takes nothing at present. */
  readonly storeFailure?: (() => WatchedFailure | undefined) | undefined
  /** Names of the flows that have a document, whether they run or not. */
  readonly documents: () => Promise<ReadonlySet<string>>
}

/** Looks at flows, links, queues and credentials in turn and hands what it finds to the alert book. */
export function createExpectations(parts: ExpectationParts) {
  const { engine, store, clock, log, book, policy } = parts
  const hearings = new Hearings(engine, store, clock)
  const probes = new Probes(engine, clock)
  const linksDown = new Map<string, WatchedLink>()

  async function look(): Promise<void> {
    const observed = new Set<string>()
    const report = async (finding: Finding) => {
      observed.add(finding.id)
      await book.observe({ ...finding, channels: channelsOf(finding) })
    }
    await guarded('store', () => report(findStore(parts.storeFailure?.())))
    const statuses = engine.flows()
    const running = new Set(statuses.map(({ flow }) => flow.name))
    probes.keepOnly(running)
    hearings.keepOnly(running)
    for (const status of statuses) await guarded(status.flow.name, () => lookAtFlow(status, report, observed))
    await guarded('flows that do not run', () => lookAtOthers(running, report))
    await guarded('flows that did not start', () => lookAtFailed(report))
    await guarded('credentials', async () => {
      for (const credential of await parts.credentials()) {
        await report(findCredential(credential, policy.credentialEndsMs, clock.now()))
      }
    })
    await guarded('certificates', async () => {
      for (const certificate of parts.certificates?.() ?? []) {
        await report(findCertificate(certificate, policy.credentialEndsMs, clock.now()))
      }
    })
    await guarded('connectors', async () => lookAtConnectors(report))
    await guarded('organizations', async () => {
      await report(findGroupware(parts.groupwareFailure?.()))
      for (const organization of parts.organizations?.() ?? []) {
        for (const finding of findOrganization(organization, clock.now())) await report(finding)
      }
    })
    await guarded('service keys', async () => {
      for (const key of parts.serviceKeys?.() ?? []) {
        for (const finding of findServiceKey(key, clock.now())) await report(finding)
      }
    })
    await book.resolveOthers(observed)
  }

  /** Channels that the flow names. Where none of them is there, somebody has to hear of it all the same. */
  function channelsOf({ channels }: Finding): readonly string[] {
    return channels.some(name => parts.channels.has(name)) ? channels : [...channels, ...policy.channels]
  }

  async function lookAtConnectors(report: (finding: Finding) => Promise<void>): Promise<void> {
    const { connectors } = parts
    if (!connectors) return
    const locations = new Map(connectors.locations().map(each => [each.location, each]))
    for (const [name, flows] of connectors.usedBy()) {
      await report(findLocation(name, locations.get(name), flows, clock.now()))
    }
    for (const connector of connectors.list()) await report(findConnector(connector, clock.now()))
  }

  async function lookAtFlow(
    status: WatchedStatus,
    report: (finding: Finding) => Promise<void>,
    observed: Set<string>,
  ): Promise<void> {
    const { flow } = status
    const counts = await store.counts(flow.name)
    const newest = counts.setAside > 0 ? await newestSetAside(flow.name) : undefined
    const now = clock.now()
    if (flow.expect.quietMs !== undefined) {
      await report(
        findQuiet(flow, flow.expect.quietMs, await hearings.silentSince(flow.name, counts.lastAcceptedAt), now),
      )
    }
    for (const link of status.links) {
      await report(findLinkDown(flow, link.link, asDown(flow.name, link, now), policy.linkDownMs, now))
      await report(findLinkStuck(flow, link, policy.linkDownMs, now))
    }
    await report(findSetAside(flow, counts.setAside, newest, now))
    await report(findQueueAge(flow, counts, policy.queueAgeMs, now))
    if (!flow.expect.probe) return
    probes.sendIfDue(status)
    const result = probes.result(flow.name)
    if (result) await report(findProbe(flow, result))
    // Before the first result nothing is known: an alert from before a restart stays as it is.
    else observed.add(`probe:${flow.name}`)
  }

  /** What waits in flows that do not run: stopped ones, and those whose document is gone. */
  async function lookAtOthers(running: ReadonlySet<string>, report: (finding: Finding) => Promise<void>) {
    let documents: ReadonlySet<string> | undefined
    for (const name of await store.flowNames()) {
      const counts = running.has(name) ? undefined : await store.counts(name)
      if (!counts || counts.queued + counts.setAside === 0) continue
      // Documents are read from disk, so they are asked for only when something waits.
      documents ??= await parts.documents()
      const now = clock.now()
      const flow = { name, alert: [] }
      if (!documents.has(name)) await report(findFlowGone(name, counts, counts.oldestQueuedAt ?? now))
      else {
        const newest = counts.setAside > 0 ? await newestSetAside(name) : undefined
        await report(findSetAside(flow, counts.setAside, newest, now))
        await report(findQueueAge(flow, counts, policy.queueAgeMs, now))
      }
    }
  }

  /** Flows that did not start; one whose document has another name since then is no flow any more. */
  async function lookAtFailed(report: (finding: Finding) => Promise<void>) {
    const failed = parts.failedFlows()
    const documents = failed.length > 0 ? await parts.documents() : new Set()
    for (const { name, error, since } of failed) {
      if (documents.has(name)) await report(findFlowFailed(name, [], error, since))
    }
  }

  /** Probes that were set aside stand among the others, but nobody waits for them. */
  async function newestSetAside(flow: string): Promise<DeliveryRow | undefined> {
    const rows = await store.find({ flow, state: 'set-aside', limit: newestRows })
    return rows.find(row => !row.isProbe)
  }

  /** The link as it was when it went down; one that is trying again counts as down until it is up. */
  function asDown(flow: string, link: WatchedLink, now: number): WatchedLink | undefined {
    const key = JSON.stringify([flow, link.link])
    const before = linksDown.get(key)
    if (link.state === 'up') linksDown.delete(key)
    // Not later than now, where the clock was set back meanwhile.
    else if (link.state === 'down') linksDown.set(key, { ...link, since: Math.min(before?.since ?? link.since, now) })
    return linksDown.get(key)
  }

  /** One flow that cannot be looked at must not hide the others. */
  async function guarded(what: string, lookAt: () => Promise<void>): Promise<void> {
    try {
      await lookAt()
    } catch (thrown) {
      const error = asHubError(thrown)
      log.error('monitor.look-failed', { what, code: error.code, error: error.message, cause: error.cause })
    }
  }

  return { look, settled: () => probes.settled(), close: () => hearings.close() }
}
