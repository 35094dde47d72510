import type { Alert, Flow, Health } from '../api/types.ts'
import { countWords } from './format.ts'
import { turnOf } from './turns.ts'

/** Something a person should look at: what is wrong, whose turn it is, what to do next, and where to do it. */
export interface Attention {
  readonly id: string
  readonly severity: 'error' | 'warning'
  readonly what: string
  readonly turn: string
  readonly next: string
  /** Path of the page that shows more; undefined where none does. */
  readonly to: string | undefined
  readonly toWords: string
  readonly since: string | undefined
  /** The alert behind it, which somebody may take on. */
  readonly alert: Alert | undefined
}

/** Trouble that gets worse later, and does not stop messages now. */
const mild: ReadonlySet<string> = new Set([
  'credential',
  'certificate',
  'service-key',
  'connector',
  'held-deletions',
  'link-stuck',
])

/**
 * What needs attention, the worst and oldest first; what somebody looks after already comes last. Links that are down
 * and flows that do not run are told at once, before they become alerts.
 */
export function planAttention(health: Pick<Health, 'alerts' | 'flows'>, flows: readonly Flow[]): readonly Attention[] {
  const told = new Set(health.alerts.map(alert => `${alert.kind}:${alert.flow ?? ''}`))
  const items = [
    ...health.alerts.map(ofAlert),
    ...flows.flatMap(flow => (told.has(`flow-failed:${flow.name}`) ? [] : ofIdleFlow(flow))),
    ...health.flows.flatMap(({ name, links }) =>
      told.has(`link-down:${name}`) ? [] : links.flatMap(link => ofLink(name, link)),
    ),
    ...health.flows.flatMap(({ name, counts }) => (told.has(`set-aside:${name}`) ? [] : ofSetAside(name, counts))),
  ]
  return items.toSorted(
    (one, other) =>
      rank(one) - rank(other) || (one.since ?? '').localeCompare(other.since ?? '') || one.id.localeCompare(other.id),
  )
}

function rank({ severity, alert }: Attention): number {
  return (alert?.acknowledged ? 2 : 0) + (severity === 'error' ? 0 : 1)
}

function ofAlert(alert: Alert): Attention {
  const [to, toWords] = placeOfAlert(alert)
  return {
    id: alert.id,
    severity: mild.has(alert.kind) ? 'warning' : 'error',
    what: alert.what,
    turn: alert.turn,
    next: alert.next,
    to,
    toWords,
    since: alert.since,
    alert,
  }
}

/** The page of the console on which an alert is dealt with. */
function placeOfAlert({ kind, flow }: Alert): readonly [string | undefined, string] {
  const name = flow === undefined ? '' : encodeURIComponent(flow)
  switch (kind) {
    case 'set-aside':
      return [`/messages?flow=${name}&state=set-aside`, 'See the messages that were set aside']
    case 'queue-age':
    case 'flow-gone':
      return [`/messages?flow=${name}&state=queued`, 'See the messages that wait']
    case 'credential':
      return ['/credentials', 'See the credentials']
    case 'service-key':
      return ['/service-users', 'See the service keys']
    case 'location':
    case 'connector':
      return ['/connectors', 'See the connectors']
    case 'organization':
    case 'mailboxes':
    case 'held-deletions':
      return ['/groupware', 'See the mailboxes']
    default:
      return flow === undefined ? [undefined, ''] : [`/flows/${name}`, 'See the flow']
  }
}

function ofIdleFlow(flow: Flow): Attention[] {
  const { name, state, shouldRun, problems } = flow
  if (!shouldRun || state !== 'stopped') return []
  const [first] = problems
  return [
    {
      id: `idle:${name}`,
      severity: 'error',
      what: first
        ? `Flow ${name} does not run: its document has ${countWords(problems.length, 'mistake')}. ${first.message}`
        : `Flow ${name} should run, and does not.`,
      turn: turnOf('flow'),
      next: first?.next ?? 'Start it, and read what it says.',
      to: `/flows/${encodeURIComponent(name)}`,
      toWords: 'See the flow',
      since: undefined,
      alert: undefined,
    },
  ]
}

function ofLink(flow: string, link: Health['flows'][number]['links'][number]): Attention[] {
  if (link.state !== 'down') return []
  return [
    {
      id: `link:${flow}:${link.link}`,
      severity: 'error',
      what: `Flow ${flow} does not reach ${link.link}. ${link.error?.message ?? link.detail}`,
      turn: turnOf(link.error?.side ?? 'hub'),
      next: link.error?.next ?? 'Check the flow to see at which step it ends.',
      to: `/flows/${encodeURIComponent(flow)}`,
      toWords: 'See the flow',
      since: link.since,
      alert: undefined,
    },
  ]
}

function ofSetAside(flow: string, { setAside }: Health['flows'][number]['counts']): Attention[] {
  if (setAside === 0) return []
  return [
    {
      id: `set-aside:${flow}`,
      severity: 'error',
      what: `Flow ${flow} set aside ${countWords(setAside, 'message')}.`,
      turn: 'Each message says whose.',
      next: 'Open them, remove the cause, and replay or repair them.',
      to: `/messages?flow=${encodeURIComponent(flow)}&state=set-aside`,
      toWords: 'See the messages that were set aside',
      since: undefined,
      alert: undefined,
    },
  ]
}

/**
 * Flows in the order in which a person looks at them: those in trouble, then those that had something to do, by the hour,
 * so that no row moves away under the pointer.
 */
export function troubledFirst(flows: readonly Flow[]): readonly Flow[] {
  const rankOf = ({ counts, links, problems, state, shouldRun }: Flow) => {
    const isWrong =
      counts.setAside > 0 || problems.length > 0 || state === 'gone' || links.some(link => link.state === 'down')
    return isWrong || (shouldRun && state === 'stopped') ? 0 : 1
  }
  return flows.toSorted(
    (one, other) =>
      rankOf(one) - rankOf(other) || hourOf(other).localeCompare(hourOf(one)) || one.name.localeCompare(other.name),
  )
}

function hourOf({ counts: { lastAcceptedAt = '' } }: Flow): string {
  return lastAcceptedAt.slice(0, '2026-11-21T02'.length)
}
