import { asHubError } from '../../kernel/error.ts'
import type { Json } from '../../kernel/json.ts'
import type { Log } from '../../kernel/log.ts'
import { type Clock, DAY, HOUR, MINUTE, steadyClock } from '../../kernel/time.ts'
import type { Records } from '../../store/port.ts'
import { type Alert, type AlertKind, type AlertText, alertSchema } from './alert.ts'
import { alertErrors } from './alert-errors.ts'

/** What was found when one thing was looked at. */
export interface Finding {
  readonly id: string
  readonly kind: AlertKind
  readonly flow?: string | undefined
  /** Channels for this alert. */
  readonly channels: readonly string[]
  /** How long all must be well before the alert is resolved, where this one knows better than the book. */
  readonly calmMs?: number
  /** Undefined: all is well. */
  readonly trouble: (AlertText & { readonly since: number }) | undefined
}

/** Keeps the alerts: raises each once, resolves it once, and remembers both over a restart. */
export interface AlertBook {
  /** Reads what was open before the restart. Await it before anything else. */
  load(): Promise<void>
  observe(finding: Finding): Promise<void>
  /** Resolves open alerts that nobody looks after any more (their flow is gone). */
  resolveOthers(observed: ReadonlySet<string>): Promise<void>
  /** Open ones first, then the newest. */
  list(): readonly Alert[]
  acknowledge(id: string, by: string): Promise<Alert>
  /** Alerts that some channel has not been told of. */
  untold(): readonly Alert[]
  /** Records that a channel was told of this state of the alert. */
  told(alert: Alert, channel: string): Promise<void>
}

const flapLimits = {
  /** How long all must be well before an alert is resolved. */
  calmMs: 2 * MINUTE,
  /** An alert that is raised more often than this … */
  raisesMax: 3,
  /** … within this time flaps: it stays open … */
  withinMs: HOUR,
  /** … until all has been well for this long. */
  flappingCalmMs: 30 * MINUTE,
  /** How long nobody must have looked after an alert before it is resolved; flows are absent while the hub starts. */
  goneMs: 10 * MINUTE,
  /** How long a resolved alert is kept for the list. */
  keptMs: 30 * DAY,
}

const area = 'alert'

export function createAlertBook(store: Pick<Records, 'list' | 'write' | 'remove'>, clock: Clock, log: Log): AlertBook {
  const alerts = new Map<string, Alert>()
  const steady = steadyClock(clock)
  /** Since when an open alert's trouble is gone, by the steady clock. */
  const calmSince = new Map<string, number>()

  async function load(): Promise<void> {
    for (const record of await store.list(area)) {
      const parsed = alertSchema.safeParse(record.value)
      // An alert that cannot be read is raised anew if its trouble is still there.
      if (parsed.success) alerts.set(parsed.data.id, parsed.data)
      else log.warn('alert.unreadable', { alert: record.id, text: parsed.error.message })
    }
  }

  async function keep(alert: Alert): Promise<void> {
    // First here, so that two changes at the same time build on each other.
    alerts.set(alert.id, alert)
    await store.write(area, alert.id, asJson(alert))
  }

  /** A store that takes nothing must not keep anybody from being told, of that least of all. */
  async function keepIfPossible(alert: Alert): Promise<void> {
    try {
      await keep(alert)
    } catch (thrown) {
      // Carries on: it counts here as it is, and after a restart it is found anew if its trouble is still there.
      const error = asHubError(thrown)
      log.warn('alert.not-kept', { alert: alert.id, code: error.code, error: error.message })
    }
  }

  async function observe(finding: Finding): Promise<void> {
    const before = alerts.get(finding.id)
    if (finding.trouble) {
      calmSince.delete(finding.id)
      if (before?.state !== 'open') await raise(finding, finding.trouble, before)
      else if (before.what !== finding.trouble.what) await keepIfPossible({ ...before, ...textOf(finding.trouble) })
      return
    }
    if (before?.state !== 'open') return
    await resolveAfter(before, before.isFlapping ? flapLimits.flappingCalmMs : (finding.calmMs ?? flapLimits.calmMs))
  }

  async function resolveAfter(alert: Alert, calmMs: number): Promise<void> {
    const now = steady.now()
    const calmFrom = calmSince.get(alert.id) ?? now
    calmSince.set(alert.id, calmFrom)
    if (now - calmFrom >= calmMs) await resolve(alert)
  }

  async function raise(finding: Finding, trouble: AlertText & { since: number }, before?: Alert): Promise<void> {
    const now = clock.now()
    const raises = [...(before?.raises ?? []).filter(at => now - at < flapLimits.withinMs), now]
    const { id, kind, flow, channels } = finding
    await keepIfPossible({
      id,
      kind,
      flow,
      state: 'open',
      ...textOf(trouble),
      since: trouble.since,
      raisedAt: now,
      raises,
      isFlapping: raises.length > flapLimits.raisesMax,
      channels,
      untold: channels,
    })
  }

  async function resolve(alert: Alert): Promise<void> {
    calmSince.delete(alert.id)
    // A channel that never heard of the trouble need not hear of its end.
    const untold = alert.channels.filter(channel => !alert.untold.includes(channel))
    await keepIfPossible({ ...alert, state: 'resolved', resolvedAt: clock.now(), isFlapping: false, untold })
  }

  async function resolveOthers(observed: ReadonlySet<string>): Promise<void> {
    for (const alert of alerts.values()) {
      if (alert.state === 'open' && !observed.has(alert.id)) await resolveAfter(alert, flapLimits.goneMs)
      const isOld = clock.now() - (alert.resolvedAt ?? clock.now()) > flapLimits.keptMs
      if (!isOld) continue
      await store.remove(area, alert.id)
      alerts.delete(alert.id)
    }
  }

  async function acknowledge(id: string, by: string): Promise<Alert> {
    const alert = alerts.get(id)
    if (!alert) throw alertErrors.UNKNOWN({ id })
    const acknowledged = { ...alert, acknowledged: { by, at: clock.now() } }
    await keep(acknowledged)
    return acknowledged
  }

  async function told(alert: Alert, channel: string): Promise<void> {
    const present = alerts.get(alert.id)
    // While it was told, the state may have changed; then there is something new to tell.
    if (present?.state !== alert.state || present.raisedAt !== alert.raisedAt) return
    await keepIfPossible({ ...present, untold: present.untold.filter(name => name !== channel) })
  }

  return {
    load,
    observe,
    resolveOthers,
    acknowledge,
    told,
    list: () => [...alerts.values()].toSorted(byUrgency),
    untold: () => [...alerts.values()].filter(alert => alert.untold.length > 0),
  }
}

function byUrgency(one: Alert, other: Alert): number {
  if (one.state !== other.state) return one.state === 'open' ? -1 : 1
  return (other.resolvedAt ?? other.raisedAt) - (one.resolvedAt ?? one.raisedAt)
}

function textOf({ what, turn, next, command }: AlertText): AlertText {
  return { what, turn, next, command }
}

function asJson(alert: Alert): Json {
  return JSON.parse(JSON.stringify(alert)) as Json
}
