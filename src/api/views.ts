import { hash } from 'node:crypto'
import { z } from 'zod'
import type { FlowStatus, LinkStatus } from '../engine/control.ts'
import type { Expectations } from '../flow/document.ts'
import { formatDuration } from '../kernel/time.ts'
import type { Alert } from '../monitor/alerts/alert.ts'
import type { DeliveryDetail, DeliveryRow, FlowCounts, StoredBody } from '../store/port.ts'

// What callers see. Times are ISO 8601 in UTC.

const time = z.string().meta({ format: 'date-time' })
const json = z.unknown()

export const errorView = z.object({ code: z.string(), side: z.string(), message: z.string(), next: z.string() })

export const linkView = z.object({
  link: z.string(),
  state: z.enum(['starting', 'up', 'down']),
  since: time,
  detail: z.string(),
  error: errorView.optional(),
  stuck: z
    .object({ since: time, error: errorView })
    .optional()
    .meta({ description: 'What stays undone although the link works.' }),
  waiting: z
    .object({ count: z.number(), reason: z.string() })
    .optional()
    .meta({ description: 'Requests that the receiver holds back now, and why; nothing has failed.' }),
})

export const countsView = z.object({
  accepted: z.number(),
  queued: z.number(),
  delivered: z.number(),
  dropped: z.number(),
  rejected: z.number(),
  setAside: z.number(),
  skipped: z.number(),
  oldestQueuedAt: time.optional(),
  lastAcceptedAt: time.optional(),
})

export const problemView = z.object({
  file: z.string(),
  line: z.number(),
  column: z.number(),
  endColumn: z.number().optional(),
  code: z.string().optional(),
  message: z.string(),
  next: z.string().optional(),
  severity: z.enum(['error', 'warning']).optional(),
})

export const flowView = z.object({
  name: z.string(),
  about: z.string().optional(),
  owner: z.string().optional(),
  stage: z.string().optional(),
  state: z
    .enum(['starting', 'running', 'stopping', 'stopped', 'gone'])
    .meta({ description: 'gone: no document names it any more, and the store still has messages of it.' }),
  shouldRun: z.boolean(),
  file: z.string(),
  revision: z.string().optional(),
  from: z.string().optional(),
  to: z.array(z.string()).optional(),
  startedAt: time.optional(),
  expect: z
    .object({ quiet: z.string().optional(), probe: z.string().optional() })
    .optional()
    .meta({ description: 'After how long without a message an alert is raised; how often a probe is sent.' }),
  running: z.number(),
  links: z.array(linkView),
  counts: countsView,
  problems: z.array(problemView),
})
export type FlowView = z.output<typeof flowView>

export const reloadView = z.object({
  flows: z.array(
    z.object({
      name: z.string(),
      outcome: z.enum(['unchanged', 'started', 'restarted', 'stopped', 'left-stopped', 'failed']).meta({
        description:
          'stopped: no document names it any more; left-stopped: somebody stopped it, and starts it again; failed: see error.',
      }),
      runs: z.boolean().meta({ description: 'Whether it runs now: one that failed may run on as it was.' }),
      error: errorView.optional(),
    }),
  ),
})

export const setAsideView = z.object({
  done: z.number().meta({ description: 'Messages that travel now, or were skipped; for a dry run: would be.' }),
  kept: z
    .object({ inDoubt: z.number(), lossy: z.number(), failed: z.number() })
    .meta({ description: 'Messages that stay set aside, since each has to be looked at alone.' }),
  examples: z.array(
    z.object({ id: z.string(), why: z.enum(['in-doubt', 'lossy', 'failed']), error: errorView.optional() }),
  ),
  next: z.string().optional().meta({ description: 'There are more: call again with it as `after`.' }),
})

export const deliveryState = z.enum(['queued', 'delivered', 'dropped', 'rejected', 'set-aside', 'skipped'])

export const messageView = z.object({
  id: z.string(),
  flow: z.string(),
  state: deliveryState,
  acceptedAt: time,
  at: time.meta({ description: 'When it is due (queued) or when it ended.' }),
  attempts: z.number(),
  bytes: z.number(),
  orderKey: z.string().optional(),
  heldBy: z.string().optional(),
  awaitsChange: z.boolean(),
  summary: z.string().optional(),
  error: errorView.optional(),
  isProbe: z.boolean(),
  replayOf: z.string().optional(),
  terms: z.array(z.string()).meta({ description: 'What either side knows it by, that of the sender first.' }),
})

const bodyView = z.object({ bytes: z.number(), type: z.string(), sha256: z.string().optional() })
const headersView = z.record(z.string(), z.string())

export const messageDetailView = messageView.extend({
  headers: headersView,
  attributes: json,
  body: bodyView,
  original: z.object({ headers: headersView, body: bodyView }).optional(),
  replays: z
    .array(z.object({ id: z.string(), state: deliveryState }))
    .meta({ description: 'Deliveries that repeat this one on somebody’s request, newest first.' }),
  receipts: z.array(
    z.object({
      effect: z.string(),
      state: z.string(),
      at: time,
      summary: z.string(),
      fields: json.optional(),
      answer: z.object({ type: z.string(), bytes: z.number(), headers: headersView }).optional(),
    }),
  ),
  failures: z.array(z.object({ attempt: z.number(), at: time, error: errorView })),
})

export const alertView = z.object({
  id: z.string(),
  kind: z.string(),
  flow: z.string().optional(),
  state: z.enum(['open', 'resolved']),
  what: z.string(),
  since: time,
  raisedAt: time,
  resolvedAt: time.optional(),
  turn: z.string(),
  next: z.string(),
  command: z.string(),
  isFlapping: z.boolean(),
  acknowledged: z.object({ by: z.string(), at: time }).optional(),
  untold: z.array(z.string()).meta({ description: 'Channels that could not be told yet.' }),
})

export function iso(ms: number): string {
  return new Date(ms).toISOString()
}

export function isoMaybe(ms: number | undefined): string | undefined {
  return ms === undefined ? undefined : iso(ms)
}

export function viewLink({ since, stuck, ...link }: LinkStatus): z.output<typeof linkView> {
  return { ...link, since: iso(since), ...(stuck && { stuck: { ...stuck, since: iso(stuck.since) } }) }
}

export function viewCounts(counts: FlowCounts): z.output<typeof countsView> {
  const { oldestQueuedAt, lastAcceptedAt } = counts
  return { ...counts, oldestQueuedAt: isoMaybe(oldestQueuedAt), lastAcceptedAt: isoMaybe(lastAcceptedAt) }
}

export function viewRunning({ flow, state, startedAt, links, running }: FlowStatus) {
  return {
    about: flow.about,
    owner: flow.owner,
    stage: flow.stage,
    revision: flow.revision,
    from: flow.from.declaration.id,
    to: flow.to.map(receiver => receiver.declaration.id),
    state,
    startedAt: iso(startedAt),
    expect: viewExpectations(flow.expect),
    running,
    links: links.map(viewLink),
  }
}

function viewExpectations({ quietMs, probe }: Expectations) {
  return {
    ...(quietMs !== undefined && { quiet: formatDuration(quietMs) }),
    ...(probe && { probe: formatDuration(probe.everyMs) }),
  }
}

export function viewMessage(row: DeliveryRow): z.output<typeof messageView> {
  const { attemptCount, acceptedAt, at, terms, ...rest } = row
  return { ...rest, terms: [...terms], attempts: attemptCount, acceptedAt: iso(acceptedAt), at: iso(at) }
}

/** What is lost with a message that is skipped. */
export const lossView = z.object({
  object: z.string().meta({ description: 'Message type and key of the object.', examples: ['MATMAS 4711'] }),
  segments: z.array(z.object({ segment: z.string(), fields: z.array(z.string()) })).meta({
    description: 'Segments that come again only when they change, with the fields that say something.',
  }),
  words: z.string().meta({ description: 'What it means, and what brings it back.' }),
})

export const skippedMessageView = messageDetailView.extend({
  lost: lossView.optional().meta({ description: 'What no later message brings again by itself.' }),
})

export function viewMessageDetail(
  detail: DeliveryDetail,
  replays: readonly DeliveryRow[],
): z.output<typeof messageDetailView> {
  const { headers, attributes, original } = detail
  return {
    ...viewMessage(detail),
    headers,
    attributes,
    body: viewBody(detail.body),
    original: original && { headers: original.headers, body: viewBody(original.body) },
    replays: replays.map(({ id, state }) => ({ id, state })),
    receipts: detail.receipts.map(({ answer, at, ...receipt }) => ({
      ...receipt,
      at: iso(at),
      answer: answer && { type: answer.type, bytes: answer.body.length, headers: answer.headers },
    })),
    failures: detail.attempts.map(({ attempt, at, error }) => ({ attempt, at: iso(at), error })),
  }
}

function viewBody({ bytes, type, sha256, inline }: StoredBody): z.output<typeof bodyView> {
  return { bytes, type, sha256: sha256 ?? (inline && hash('sha256', inline)) }
}

export function viewAlert(alert: Alert): z.output<typeof alertView> {
  const { acknowledged } = alert
  return {
    ...alert,
    since: iso(alert.since),
    raisedAt: iso(alert.raisedAt),
    resolvedAt: isoMaybe(alert.resolvedAt),
    acknowledged: acknowledged && { by: acknowledged.by, at: iso(acknowledged.at) },
    untold: [...alert.untold],
  }
}
