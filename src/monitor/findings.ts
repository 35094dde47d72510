import { X509Certificate } from 'node:crypto'
import { DAY, formatDuration } from '../kernel/time.ts'
import type { DeliveryRow, FlowCounts } from '../store/port.ts'
import type { Finding } from './alerts/alert-book.ts'
import { warnAt } from './certificate-findings.ts'
import type { ProbeEnd, WatchedCredential, WatchedError, WatchedFailure, WatchedFlow, WatchedLink } from './watched.ts'

// From facts to findings: no clock, no store. Each function looks at one thing and says whether it is in trouble.

/** Silence since the last message, or since the hub began to watch the flow. */
export function findQuiet(flow: WatchedFlow, quietMs: number, heardAt: number, now: number): Finding {
  const isQuiet = now - heardAt >= quietMs
  // A message is all the proof there is to wait for: a flow that hears one each minute must not need two calm minutes.
  const found = finding(
    'quiet',
    flow,
    undefined,
    isQuiet && {
      since: heardAt,
      what: `Flow ${flow.name} has taken in nothing for ${formatDuration(quietMs)}.`,
      turn: 'Whoever sends to this flow.',
      next: 'Prove that the links work. If they do, ask the sending side whether it has sent anything.',
      command: `isthmus flow check ${flow.name}`,
    },
  )
  return { ...found, calmMs: 0 }
}

/** The last probe, and when it was sent. */
export function findProbe(flow: WatchedFlow, probe: ProbeResult): Finding {
  const { end, error, withinMs } = probe
  const trouble = error ?? end?.error
  const what = error
    ? `The probe of flow ${flow.name} could not be sent: ${error.message}`
    : end
      ? `The probe of flow ${flow.name} ended as ${end.state}: ${end.summary}`
      : `The probe of flow ${flow.name} did not arrive within ${formatDuration(withinMs)}.`
  return finding(
    'probe',
    flow,
    undefined,
    end?.state !== 'delivered' && {
      since: probe.since,
      what,
      turn: trouble ? turnOf(trouble.side) : 'Not known yet; the probe is still on its way.',
      next: trouble?.next ?? 'See where the probe waits, and whether the links work.',
      command: `isthmus flow check ${flow.name}`,
    },
  )
}

export interface ProbeResult {
  /** Since when probes have not come through; the time of this one when it is the first. */
  readonly since: number
  readonly withinMs: number
  /** Undefined: its end did not come within the time. */
  readonly end: ProbeEnd | undefined
  /** Why it could not even be sent. */
  readonly error: WatchedError | undefined
}

/** A link that has been down longer than the grace time; `down` is undefined while it is up. */
export function findLinkDown(
  flow: WatchedFlow,
  link: string,
  down: WatchedLink | undefined,
  graceMs: number,
  now: number,
): Finding {
  const isTrouble = down !== undefined && now - down.since >= graceMs
  return finding(
    'link-down',
    flow,
    link,
    isTrouble && {
      since: down.since,
      what: `Link ${link} of flow ${flow.name} is down: ${down.error?.message ?? down.detail}`,
      turn: turnOf(down.error?.side ?? 'hub'),
      next: down.error?.next ?? 'Look at the log of the flow.',
      command: `isthmus flow check ${flow.name}`,
    },
  )
}

/** A link that works, but on which something has stayed undone for longer than the grace time. */
export function findLinkStuck(flow: WatchedFlow, { link, stuck }: WatchedLink, graceMs: number, now: number): Finding {
  return finding(
    'link-stuck',
    flow,
    link,
    stuck !== undefined &&
      now - stuck.since >= graceMs && {
        since: stuck.since,
        what: `On link ${link} of flow ${flow.name} something stays undone: ${stuck.error.message}`,
        turn: turnOf(stuck.error.side),
        next: stuck.error.next,
        command: `isthmus flow show ${flow.name}`,
      },
  )
}

/** Deliveries that wait for a person. `newest` is the newest one of them. */
export function findSetAside(
  flow: Pick<WatchedFlow, 'name' | 'alert'>,
  count: number,
  newest: DeliveryRow | undefined,
  now: number,
): Finding {
  return finding(
    'set-aside',
    flow,
    undefined,
    count > 0 && {
      since: newest?.at ?? now,
      what: `${count} ${count === 1 ? 'delivery' : 'deliveries'} of flow ${flow.name} ${count === 1 ? 'is' : 'are'} set aside${newest?.error ? `; the newest: ${newest.error.message}` : '.'}`,
      turn: turnOf(newest?.error?.side ?? 'flow'),
      next: newest?.error?.next ?? 'Look at each, then repair, replay or skip it.',
      command: `isthmus message find --flow ${flow.name} --state set-aside`,
    },
  )
}

/** A queue whose oldest delivery has waited too long. */
export function findQueueAge(
  flow: Pick<WatchedFlow, 'name' | 'alert'>,
  counts: FlowCounts,
  ageMs: number,
  now: number,
): Finding {
  const oldest = counts.oldestQueuedAt
  return finding(
    'queue-age',
    flow,
    undefined,
    oldest !== undefined &&
      now - oldest >= ageMs && {
        since: oldest,
        what: `The oldest delivery of flow ${flow.name} has waited for more than ${formatDuration(ageMs)}.`,
        turn: 'See the error of its last attempt.',
        next: 'Look at what the oldest deliveries wait for.',
        command: `isthmus message find --flow ${flow.name} --state queued`,
      },
  )
}

/** A flow that should run but could not be started. */
export function findFlowFailed(
  name: string,
  channels: readonly string[],
  error: WatchedError | undefined,
  since: number,
): Finding {
  const flow = { name, alert: channels }
  return finding(
    'flow-failed',
    flow,
    undefined,
    error !== undefined && {
      since,
      what: `Flow ${name} does not run: ${error.message}`,
      turn: turnOf(error.side),
      next: error.next,
      // One of two documents with the same name goes by its file, too.
      command: `isthmus flow start ${name.includes(' ') ? `'${name}'` : name}`,
    },
  )
}

/** A flow of which deliveries wait, and which no document names any more. */
export function findFlowGone(name: string, counts: FlowCounts, since: number): Finding {
  const { queued, setAside } = counts
  const parts = [queued > 0 ? `${queued} queued` : '', setAside > 0 ? `${setAside} set aside` : '']
  return finding(
    'flow-gone',
    { name, alert: [] },
    undefined,
    queued + setAside > 0 && {
      since,
      what: `Flow ${name} has no document any more, and deliveries of it wait: ${parts.filter(part => part).join(', ')}.`,
      turn: 'Whoever took the document away.',
      next: 'Bring the document back and start the flow, or skip each of its deliveries; nobody delivers them otherwise.',
      command: `isthmus message find --flow ${name}`,
    },
  )
}

/** The store takes nothing: no sender can hand over, and nothing that is done can be recorded. Or it refuses messages. */
export function findStore(failure: WatchedFailure | undefined): Finding {
  const extent = failure?.isPartial
    ? 'The hub refuses messages, large ones first.'
    : 'The hub takes in nothing and records nothing.'
  return {
    id: 'store',
    kind: 'store',
    channels: [],
    trouble: failure && {
      since: failure.since,
      what: `${extent} ${failure.error.message}`,
      turn: turnOf('hub'),
      next: failure.error.next,
      command: 'isthmus health',
    },
  }
}

/** A credential that does not work, or whose certificate ends soon. */
export function findCredential(credential: WatchedCredential, warnMs: number, now: number): Finding {
  const { name, settings, status } = credential
  const certificate = lifeOf(settings.certificate)
  const found = (what: string, next: string, command: string): Finding => ({
    id: `credential:${name}`,
    kind: 'credential',
    channels: [],
    trouble: { since: now, what, turn: 'Whoever keeps the credential.', next, command },
  })
  if (status.state !== 'ready') {
    const command = status.state === 'needs-authorisation' ? 'authorise' : 'status'
    const what = `Credential ${name} cannot be used: ${status.error?.message ?? status.state}`
    return found(what, status.error?.next ?? 'Look at the credential.', `isthmus credential ${command} ${name}`)
  }
  if (certificate && now >= warnAt(certificate, warnMs)) {
    const what = `The certificate of credential ${name} ends on ${new Date(certificate.endsAt).toISOString()}.`
    return found(what, 'Register a new certificate, then store it here.', `isthmus credential renew ${name}`)
  }
  return { id: `credential:${name}`, kind: 'credential', channels: [], trouble: undefined }
}

/** From when to when a certificate (PEM) is valid, milliseconds since 1970 UTC; undefined where none can be read. */
function lifeOf(pem: unknown): { readonly beganAt: number; readonly endsAt: number } | undefined {
  if (typeof pem !== 'string') return undefined
  try {
    const { validFromDate, validToDate } = new X509Certificate(pem)
    return { beganAt: validFromDate.getTime(), endsAt: validToDate.getTime() }
  } catch {
    // One that cannot be read is no news here: the first use of the credential says so.
    return undefined
  }
}

/** Credentials are warned of this long before their end, unless isthmus.yaml says otherwise. */
export const credentialWarnMs = 14 * DAY

/** Whose turn it is, in words. */
function turnOf(side: string): string {
  const turns: Readonly<Record<string, string>> = {
    sender: 'The sending side, or whoever keeps its credential.',
    receiver: 'The receiving side, or whoever keeps its credential.',
    hub: 'Whoever runs this hub.',
    flow: 'Whoever wrote the flow.',
    caller: 'Whoever calls the hub.',
  }
  return turns[side] ?? side
}

function finding(
  kind: Finding['kind'],
  flow: Pick<WatchedFlow, 'name' | 'alert'>,
  part: string | undefined,
  trouble: Finding['trouble'] | false,
): Finding {
  const id = [kind, flow.name, ...(part === undefined ? [] : [part])].join(':')
  return { id, kind, flow: flow.name, channels: flow.alert, trouble: trouble === false ? undefined : trouble }
}
