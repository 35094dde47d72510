import { randomBytes } from 'node:crypto'
import { asHubError, type HubError } from '../../kernel/error.ts'
import { type Clock, DAY, MINUTE } from '../../kernel/time.ts'
import type { GraphClient } from '../../protocols/graph/client.ts'
import { readSubscription, renew, subscribe, unsubscribe } from '../../protocols/graph/subscription.ts'
import type { WatchRequest } from '../drivers.ts'
import type { ItemKind } from '../plan/items.ts'
import type { GraphInbox } from './inbox.ts'
import { type Places, userPath } from './places.ts'

interface Parts {
  readonly client: GraphClient
  readonly places: Places
  readonly inbox: GraphInbox
  readonly clock: Clock
}

interface Watched {
  readonly mailbox: string
  readonly kind: ItemKind
  readonly clientState: string
  id: string | undefined
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
export async function watchMailboxes(parts: Parts, request: WatchRequest): Promise<void> {
  const { clock } = parts
  const { signal } = request
  const all = request.mailboxes.flatMap(mailbox =>
    request.kinds.map((kind): Watched => {
      return { mailbox, kind, clientState: randomBytes(24).toString('base64url'), id: undefined, dueAt: 0, forget() {} }
    }),
  )
  let alarm = new AbortController()
  const wake = () => alarm.abort()
  try {
    while (!signal.aborted) {
      alarm = new AbortController()
      const now = clock.now()
      for (const watched of all.filter(each => each.dueAt <= now)) {
        if (signal.aborted) break
        await keepWatching(parts, request, watched, wake)
      }
      const nextAt = Math.min(...all.map(each => each.dueAt), now + lifeMs)
      if (!signal.aborted) await clock.sleep(Math.max(0, nextAt - clock.now()), AbortSignal.any([signal, alarm.signal]))
    }
  } finally {
    for (const { forget } of all) forget()
    await endAll(parts, all)
  }
}

async function keepWatching(parts: Parts, request: WatchRequest, watched: Watched, wake: Wake): Promise<void> {
  const { client, clock } = parts
  const wishedUntil = clock.now() + lifeMs
  try {
    if (watched.id === undefined) await begin(parts, request, watched, wake)
    else {
      const { expiresAt } = readSubscription(await client.object(renew(watched.id, wishedUntil), request.signal))
      watched.dueAt = renewalAt(clock.now(), expiresAt)
    }
  } catch (thrown) {
    if (request.signal.aborted) return
    lose(parts, request, watched, asHubError(thrown))
  }
}

async function begin(
  { client, places, inbox, clock }: Parts,
  request: WatchRequest,
  watched: Watched,
  wake: Wake,
): Promise<void> {
  const { mailbox, kind, clientState } = watched
  const { notificationUrl, lifecycleUrl } = inbox
  const resource = await resourceOf(places, mailbox, kind, request.signal)
  const wish = { resource, notificationUrl, lifecycleUrl, clientState, expiresAt: clock.now() + lifeMs }
  const { id, expiresAt } = readSubscription(await client.object(subscribe(wish), request.signal))
  watched.id = id
  watched.dueAt = renewalAt(clock.now(), expiresAt)
  watched.forget = inbox.listen(id, clientState, ({ lifecycle }) => {
    if (lifecycle === 'subscriptionRemoved') {
      watched.forget()
      watched.id = undefined
    }
    // Renewing authorises anew, and what was removed is subscribed to anew: both at the next turn.
    if (lifecycle === 'subscriptionRemoved' || lifecycle === 'reauthorizationRequired') {
      watched.dueAt = 0
      wake()
    }
    request.onChange(mailbox, kind)
  })
  request.onConnected(mailbox)
}

function lose({ clock }: Parts, request: WatchRequest, watched: Watched, error: HubError): void {
  watched.forget()
  watched.id = undefined
  watched.dueAt = clock.now() + Math.max(triedAgainMs, error.retryAfterMs ?? 0)
  request.onLost(watched.mailbox, error)
}

function renewalAt(now: number, expiresAt: number): number {
  return now + Math.max(renewedSoonestMs, (expiresAt - now) * renewedAfter)
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
