import { randomBytes } from 'node:crypto'
import { asHubError, HubError } from '../../kernel/error.ts'
import { type Clock, DAY, MINUTE, steadyClock } from '../../kernel/time.ts'
import type { GraphCall, GraphClient } from '../../protocols/graph/client.ts'
import { graphErrors } from '../../protocols/graph/errors.ts'
import { graphLimits } from '../../protocols/graph/limits.ts'
import { isObject } from '../../protocols/graph/refusal.ts'
import {
  readSubscription,
  renew,
  type Subscription,
  subscribe,
  unsubscribe,
} from '../../protocols/graph/subscription.ts'
import type { WatchedScope, WatchRequest } from '../drivers.ts'
import type { ItemKind } from '../plan/items.ts'
import { scheduleLimits, wishedWaitMs } from '../schedule/limits.ts'
import type { GraphInbox } from './inbox.ts'
import { type Places, userPath } from './places.ts'

interface Parts {
  readonly client: GraphClient
  readonly places: Places
  readonly inbox: GraphInbox
  readonly clock: Clock
}

interface TimedParts extends Parts {
  /** The time of what is due. `clock` has that of Graph, by which subscriptions end. */
  readonly steady: Pick<Clock, 'now'>
}

interface Watched {
  readonly mailbox: string
  readonly kind: ItemKind
  /** All of the same mailbox. */
  readonly own: readonly Watched[]
  readonly clientState: string
  id: string | undefined
  /** Graph ended its subscription: what happened until there is another one was not told. */
  isEnded: boolean
  /** When it is renewed, or tried again. */
  dueAt: number
  forget: () => void
}

/** Ends the wait of the loop when something is due before its time. */
type Wake = () => void

/** Wished for; Graph answers with what it gives. */
const lifeMs = 6 * DAY
/** After this share of its life a subscription is renewed. */
const renewedAfter = 0.6
const triedAgainMs = 10 * MINUTE
/** How long a subscription lives that is given shorter than it takes to renew it. */
const renewedSoonestMs = MINUTE

/** Subscribes to each kind of each mailbox, renews in time, and tells what was heard; until the signal ends it. */
export async function watchMailboxes(given: Parts, request: WatchRequest): Promise<void> {
  const { clock } = given
  const steady = steadyClock(clock)
  const parts = { ...given, steady }
  const { signal } = request
  const all = request.mailboxes.flatMap(mailbox => watchedOf(mailbox, request.scopesOf(mailbox)))
  let alarm = new AbortController()
  const wake = () => alarm.abort()
  try {
    while (!signal.aborted) {
      alarm = new AbortController()
      const now = steady.now()
      const due = all.filter(each => each.dueAt <= now)
      for (let from = 0; from < due.length && !signal.aborted; from += graphLimits.batchRequests) {
        const end = from + graphLimits.batchRequests
        const trouble = await keepWatching(parts, request, due.slice(from, end), wake)
        if (!trouble) continue
        const laterAt = steady.now() + (wishOf(trouble) ?? triedAgainMs)
        for (const each of due.slice(end)) {
          each.dueAt = laterAt
          // It counts as heard of, and is not.
          if (each.isEnded) request.onLost(each.mailbox, trouble)
        }
        break
      }
      const nextAt = all.reduce((least, each) => Math.min(least, each.dueAt), now + lifeMs)
      if (!signal.aborted)
        await clock.sleep(Math.max(0, nextAt - steady.now()), AbortSignal.any([signal, alarm.signal]))
    }
  } finally {
    for (const { forget } of all) forget()
    await endAll(parts, all)
  }
}

function watchedOf(mailbox: string, scopes: readonly WatchedScope[]): readonly Watched[] {
  const own: Watched[] = []
  for (const { kind } of scopes) {
    const clientState = randomBytes(24).toString('base64url')
    own.push({ mailbox, kind, own, clientState, id: undefined, isEnded: false, dueAt: 0, forget() {} })
  }
  return own
}

/**
 * Renews what is subscribed to and subscribes to the rest, all in one request. What concerns all mailboxes (a server that
 * is busy, an address that Graph cannot reach) is returned: the others need not be asked for now.
 */
async function keepWatching(
  parts: TimedParts,
  request: WatchRequest,
  some: readonly Watched[],
  wake: Wake,
): Promise<HubError | undefined> {
  const { client, clock, inbox } = parts
  const { signal } = request
  const expiresAt = clock.now() + lifeMs
  const troubles: HubError[] = []
  const calls: { readonly watched: Watched; readonly call: GraphCall }[] = []
  for (const watched of some) {
    const { id, clientState } = watched
    try {
      if (id === undefined) {
        const resource = await resourceOf(parts.places, watched.mailbox, watched.kind, signal)
        const { notificationUrl, lifecycleUrl } = inbox
        calls.push({ watched, call: subscribe({ resource, notificationUrl, lifecycleUrl, clientState, expiresAt }) })
      } else calls.push({ watched, call: renew(id, expiresAt) })
    } catch (thrown) {
      if (!signal.aborted) troubles.push(lose(parts, request, watched, asHubError(thrown)))
    }
  }
  const answers = await answersTo(
    client,
    calls.map(({ call }) => call),
    signal,
  )
  for (const [index, { watched }] of calls.entries()) {
    if (signal.aborted && watched.id === undefined) continue
    try {
      const answer = answers instanceof HubError ? answers : answers[index]
      if (!answer || answer instanceof HubError) throw answer
      take(parts, request, watched, readSubscription(isObject(answer.body) ? answer.body : {}), wake)
    } catch (thrown) {
      if (!signal.aborted) troubles.push(lose(parts, request, watched, asHubError(thrown)))
    }
  }
  return troubles.find(({ code }) => ofAll.has(code))
}

/** What any other subscription would hear, too. A permission that is missing is one for its kind only. */
const ofAll: ReadonlySet<string> = new Set(
  [graphErrors.BUSY, graphErrors.LOGIN_REFUSED, graphErrors.WEBHOOK_UNREACHABLE].map(({ code }) => code),
)

async function answersTo(client: GraphClient, calls: readonly GraphCall[], signal: AbortSignal) {
  try {
    return await client.batch(calls, signal)
  } catch (thrown) {
    // What happened to the batch happened to each of its requests.
    return asHubError(thrown)
  }
}

function take(
  { inbox, clock, steady }: TimedParts,
  request: WatchRequest,
  watched: Watched,
  { id, expiresAt }: Subscription,
  wake: Wake,
): void {
  const { mailbox, kind, clientState } = watched
  watched.dueAt = steady.now() + Math.max(renewedSoonestMs, (expiresAt - clock.now()) * renewedAfter)
  if (watched.id === id) return
  watched.id = id
  watched.forget = inbox.listen(id, clientState, ({ lifecycle }) => {
    if (lifecycle === 'subscriptionRemoved') {
      watched.forget()
      watched.id = undefined
      watched.isEnded = true
    }
    // Renewing authorises anew, and what was removed is subscribed to anew: both at the next turn.
    if (lifecycle === 'subscriptionRemoved' || lifecycle === 'reauthorizationRequired') {
      watched.dueAt = 0
      wake()
    }
    request.onChange(mailbox, kind)
  })
  // One that is not heard of in everything must be polled.
  if (watched.own.every(each => each.id !== undefined)) request.onConnected(mailbox)
  if (watched.isEnded) request.onChange(mailbox, kind)
  watched.isEnded = false
}

function lose({ steady }: TimedParts, request: WatchRequest, watched: Watched, error: HubError): HubError {
  watched.forget()
  watched.id = undefined
  watched.dueAt = steady.now() + Math.max(triedAgainMs, wishOf(error) ?? 0)
  request.onLost(watched.mailbox, error)
  return error
}

/** The wait that a server wishes, as far as it is to be believed. */
function wishOf({ retryAfterMs }: HubError): number | undefined {
  return retryAfterMs === undefined
    ? undefined
    : wishedWaitMs(scheduleLimits, retryAfterMs, 1, scheduleLimits.accountFirstMs)
}

async function resourceOf(places: Places, mailbox: string, kind: ItemKind, signal: AbortSignal): Promise<string> {
  const user = userPath(mailbox)
  if (kind === 'mail') return `${user}/messages`
  if (kind === 'appointment') return `${user}/events`
  return kind === 'contact' ? `${user}/contacts` : `${user}/todo/lists/${await places.taskList(mailbox, signal)}/tasks`
}

/** Subscriptions that nobody listens to end by themselves: ending them at once is a courtesy. */
async function endAll({ client }: Parts, all: readonly Watched[]): Promise<void> {
  const ids = all.flatMap(({ id }) => id ?? [])
  try {
    await client.batch(ids.map(unsubscribe), AbortSignal.timeout(MINUTE / 2))
  } catch {
    // They end within days, and what they tell until then is answered and forgotten.
  }
}
