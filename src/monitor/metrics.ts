import type { Registry as PromRegistry } from 'prom-client'
import type { HubError } from '../kernel/error.ts'
import { type Clock, SECOND, systemClock } from '../kernel/time.ts'
import type { Inspection } from '../store/port.ts'
import { addCallerMeters } from './caller-meters.ts'
import { addConnectorMeters } from './connector-meters.ts'
import { addGroupwareMeters } from './groupware-meters.ts'
import { Counter, collectProcessMeters, Gauge, Histogram, Registry } from './meters.ts'
import type { WatchedServiceKey } from './service-key-findings.ts'
import type { Watched, WatchedConnectors, WatchedEvent, WatchedOrganization } from './watched.ts'

/** What Prometheus reads from the hub. */
export interface Metrics {
  readonly type: string
  text(): Promise<string>
  /** Counts that a named limit was reached. */
  limitReached(limit: string, flow?: string): void
  /** Counts a call that the guard refused. */
  callerRefused(reason: string): void
  close(): void
}

export interface MetricsOptions {
  readonly engine: Watched
  readonly store: Pick<Inspection, 'counts' | 'flowNames'>
  readonly clock: Clock
  readonly version: string
  /** How many alerts are open now. */
  readonly openAlerts: () => number
  readonly serviceKeys?: (() => readonly WatchedServiceKey[]) | undefined
  /** Undefined where this hub takes no connectors. */
  readonly connectors?: WatchedConnectors | undefined
  readonly organizations?: (() => readonly WatchedOrganization[]) | undefined
}

/** Limits that the engine reports with these codes; BODY_TOO_LARGE names its limit itself. */
const limitOfCode: Readonly<Record<string, string>> = {
  ENGINE_QUEUE_FULL: 'queuedPerFlow',
  ENGINE_HEADERS_TOO_LARGE: 'headerBytes',
  ENGINE_STEP_TIMEOUT: 'stepMs',
}

/** One of the hub's own meters, for those who read them. */
export interface Meter {
  readonly name: string
  readonly type: string
  readonly labels: readonly string[]
  readonly help: string
}

/** All that a hub may have, by name; those of the process itself are left out. */
export function listMeters(): readonly Meter[] {
  const registry = new Registry()
  const nobody = { flows: () => [], on: () => () => {}, probe: () => Promise.reject(new Error('no flow to probe')) }
  addMeters(registry, {
    engine: nobody,
    store: { counts: () => Promise.reject(new Error('no flow to count')), flowNames: async () => [] },
    clock: systemClock,
    version: '',
    openAlerts: () => 0,
    connectors: { locations: () => [], list: () => [], traffic: () => [], usedBy: () => new Map() },
    organizations: () => [],
  })
  return registry
    .getMetricsAsArray()
    .map(meter => {
      const { name, type, help } = meter
      // Missing in the types of prom-client.
      const labels = 'labelNames' in meter && Array.isArray(meter.labelNames) ? meter.labelNames.map(String) : []
      return { name, type: String(type), labels, help }
    })
    .toSorted((one, other) => (one.name < other.name ? -1 : 1))
}

function addMeters(registry: PromRegistry, options: MetricsOptions) {
  return {
    meters: makeMeters(registry),
    readGauges: makeGauges(registry, options),
    callers: addCallerMeters(registry, options.clock),
    readConnectors: options.connectors && addConnectorMeters(registry, options.connectors),
    readOrganizations: options.organizations && addGroupwareMeters(registry, options.organizations),
  }
}

export function createMetrics(options: MetricsOptions): Metrics {
  const registry = new Registry()
  const { meters, readGauges, callers, readConnectors, readOrganizations } = addMeters(registry, options)
  let hasProcessMeters = false

  function limitReached(limit: string, flow = ''): void {
    meters.limits.inc({ limit, flow })
  }

  function countError(flow: string, error: HubError): void {
    const limit = error.code === 'BODY_TOO_LARGE' ? String(error.fields.purpose) : limitOfCode[error.code]
    if (limit !== undefined) limitReached(limit, flow)
  }

  const end = options.engine.on(event => countEvent(meters, event, countError))

  async function text(): Promise<string> {
    if (!hasProcessMeters) collectProcessMeters(registry, 'isthmus_')
    hasProcessMeters = true
    await readGauges()
    callers.readKeys(options.serviceKeys?.() ?? [])
    readConnectors?.()
    readOrganizations?.()
    return registry.metrics()
  }

  return { type: registry.contentType, text, limitReached, callerRefused: callers.refused, close: end }
}

type Meters = ReturnType<typeof makeMeters>

function makeMeters(registry: PromRegistry) {
  const counter = <const Label extends string>(name: string, help: string, labelNames: readonly Label[]) =>
    new Counter({ name: `isthmus_${name}`, help, labelNames, registers: [registry] })
  const byFlow = (name: string, help: string) => countByFlow(registry, `isthmus_${name}`, help)
  return {
    accepted: byFlow('delivery_accepted_total', 'Messages accepted, probes left out.'),
    acceptedBytes: byFlow('delivery_accepted_bytes_total', 'Bytes of the bodies accepted.'),
    duplicates: counter('delivery_refused_duplicate_total', 'Messages not accepted, since they were known.', ['flow']),
    failed: counter('delivery_failed_total', 'Attempts that failed, by error code, probes left out.', [
      'flow',
      'code',
      'side',
    ]),
    ends: {
      delivered: byFlow('delivery_delivered_total', 'Deliveries that arrived.'),
      dropped: byFlow('delivery_dropped_total', 'Deliveries that a filter ended.'),
      rejected: byFlow('delivery_rejected_total', 'Deliveries that the flow rejected.'),
      'set-aside': byFlow('delivery_set_aside_total', 'Deliveries that were set aside.'),
      skipped: byFlow('delivery_skipped_total', 'Deliveries that an operator ended.'),
    },
    took: new Histogram({
      name: 'isthmus_delivery_duration_seconds',
      help: 'From the acceptance of a message to the end of its delivery.',
      labelNames: ['flow'] as const,
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600, 86_400],
      registers: [registry],
    }),
    probes: counter('probe_ended_total', 'Probes of the hub, by how they ended.', ['flow', 'state']),
    linkDowns: counter('link_down_total', 'Times that a link went down, by error code.', ['flow', 'link', 'code']),
    troubles: counter('link_trouble_total', 'Troubles on links that stayed up, by error code.', [
      'flow',
      'link',
      'code',
    ]),
    limits: counter('limit_reached_total', 'Times that a named limit was reached.', ['limit', 'flow']),
  }
}

/**
 * A counter that counts for each message and is read once a minute: prom-client, which makes a text of the labels at each
 * call, is told the sums when somebody reads.
 */
function countByFlow(registry: PromRegistry, name: string, help: string) {
  const sums = new Map<string, number>()
  const counter = new Counter({
    name,
    help,
    labelNames: ['flow'] as const,
    registers: [registry],
    collect() {
      for (const [flow, sum] of sums) counter.inc({ flow }, sum)
      sums.clear()
    },
  })
  return {
    add(flow: string, by = 1): void {
      sums.set(flow, (sums.get(flow) ?? 0) + by)
    },
  }
}

function countEvent(meters: Meters, event: WatchedEvent, countError: (flow: string, error: HubError) => void): void {
  const { flow } = event
  switch (event.type) {
    case 'delivery.accepted':
      if (event.isProbe) return
      meters.accepted.add(flow)
      meters.acceptedBytes.add(flow, event.bytes)
      return
    case 'delivery.refused-duplicate':
      meters.duplicates.inc({ flow })
      return
    case 'delivery.failed':
      if (event.isProbe) return
      meters.failed.inc({ flow, code: event.error.code, side: event.error.side })
      countError(flow, event.error)
      return
    case 'delivery.ended':
      if (event.isProbe) {
        meters.probes.inc({ flow, state: event.state })
        return
      }
      meters.ends[event.state].add(flow)
      meters.took.observe({ flow }, event.tookMs / SECOND)
      return
    case 'link.down':
      meters.linkDowns.inc({ flow, link: event.link, code: event.error.code })
      return
    case 'link.trouble':
      meters.troubles.inc({ flow, link: event.link, code: event.error.code })
      countError(flow, event.error)
      return
    case 'flow.started':
    case 'flow.stopped':
    case 'link.up':
      return
  }
}

/** Gauges are read when Prometheus asks; flows and links that are gone leave no values behind. */
function makeGauges(registry: PromRegistry, { engine, store, clock, version, openAlerts }: MetricsOptions) {
  const gauge = <const Label extends string>(name: string, help: string, labelNames: readonly Label[]) =>
    new Gauge({ name: `isthmus_${name}`, help, labelNames, registers: [registry] })
  const flowUp = gauge('flow_running', '1 while the flow runs.', ['flow'])
  const linkUp = gauge('link_up', '1 while the link works, 0 while it does not.', ['flow', 'link'])
  const waiting = gauge('link_waiting_requests', 'Requests that a receiver holds back; health says why.', [
    'flow',
    'link',
  ])
  const queued = gauge('queue_deliveries', 'Deliveries that wait or run.', ['flow'])
  const oldest = gauge('queue_oldest_age_seconds', 'Age of the oldest delivery that waits; 0: none.', ['flow'])
  const setAside = gauge('set_aside_deliveries', 'Set-aside deliveries that wait for a person.', ['flow'])
  const alerts = gauge('alerts_open', 'Alerts that are open.', [])
  gauge('hub_info', 'Version of the hub.', ['version']).set({ version }, 1)

  return async () => {
    const statuses = engine.flows()
    const running = new Set(statuses.map(({ flow }) => flow.name))
    const names = [...new Set([...running, ...(await store.flowNames())])]
    const counts = await Promise.all(names.map(name => store.counts(name)))
    for (const each of [flowUp, linkUp, waiting, queued, oldest, setAside]) each.reset()
    alerts.set(openAlerts())
    for (const { flow, state, links } of statuses) {
      flowUp.set({ flow: flow.name }, state === 'running' ? 1 : 0)
      for (const { link, state: is, waiting: held } of links) {
        if (held) waiting.set({ flow: flow.name, link }, held.count)
        // Of one on which all have waited so far nobody knows whether it works.
        if (is !== 'starting' || !held) linkUp.set({ flow: flow.name, link }, is === 'up' ? 1 : 0)
      }
    }
    for (const [index, flow] of names.entries()) {
      const count = counts[index]
      // What waits in a flow that does not run is waiting all the same.
      if (!count || (!running.has(flow) && count.queued + count.setAside === 0)) continue
      if (!running.has(flow)) flowUp.set({ flow }, 0)
      queued.set({ flow }, count.queued)
      setAside.set({ flow }, count.setAside)
      const ageMs = count.oldestQueuedAt === undefined ? 0 : Math.max(0, clock.now() - count.oldestQueuedAt)
      oldest.set({ flow }, ageMs / SECOND)
    }
  }
}
