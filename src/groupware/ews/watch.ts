import { asHubError, type HubError } from '../../kernel/error.ts'
import { type Clock, MINUTE, SECOND } from '../../kernel/time.ts'
import type { EwsClient } from '../../protocols/ews/client.ts'
import { ewsErrors } from '../../protocols/ews/errors.ts'
import { ewsLimits } from '../../protocols/ews/limits.ts'
import type { WatchRequest } from '../drivers.ts'
import type { ItemKind } from '../plan/items.ts'
import { scheduleLimits } from '../schedule/limits.ts'
import { concernOf } from './concerns.ts'
import { type FolderBook, kindOfFolder, type ScopeFolder } from './folder-book.ts'

interface Watched {
  readonly mailbox: string
  readonly folders: ReadonlyMap<ItemKind, readonly ScopeFolder[]>
}

interface Parts {
  readonly client: EwsClient
  readonly book: FolderBook
  readonly clock: Clock
}

/** After a stream that broke, and while nothing can be subscribed to: from the first wait to the longest, doubling. */
const againFirstMs = MINUTE
const againUpToMs = 30 * MINUTE
/** No server ends a stream sooner that means to tell something by it: they are asked for by the minute. */
const streamSoonestMs = 30 * SECOND

/**
 * Hears streams of notifications: one for each group of up to 200 mailboxes, on the share of its first one, until the
 * signal ends it. A stream that the server ends in time is opened again at once, and one that breaks after a while;
 * meanwhile its mailboxes are lost, that is polled. So is a mailbox whose subscription is refused or forgotten, until its
 * stream is opened the next time.
 */
export async function watchMailboxes(parts: Parts, request: WatchRequest): Promise<void> {
  const groups: string[][] = []
  for (const [index, mailbox] of request.mailboxes.entries()) {
    if (index % ewsLimits.streamSubscriptions === 0) groups.push([])
    groups.at(-1)?.push(mailbox)
  }
  await Promise.all(groups.map(group => watchGroup(parts, group, request)))
}

async function watchGroup(parts: Parts, group: readonly string[], request: WatchRequest): Promise<void> {
  const { client, clock } = parts
  const { signal } = request
  const watched = new Map<string, Watched>()
  let waitMs = againFirstMs
  while (!signal.aborted) {
    const trouble = await subscribeMissing(parts, group, watched, request)
    const wishMs = Math.min(trouble?.retryAfterMs ?? 0, scheduleLimits.wishUpToMs)
    // Who was told to come back later is subscribed to when the stream ends: then it ends after that wait.
    const minutes = trouble && Math.ceil(Math.max(waitMs, wishMs) / MINUTE)
    const openedAt = clock.now()
    const { size } = watched
    let wasHeard = false
    try {
      wasHeard = size > 0 && (await hearOnce(client, watched, request, minutes))
      // A proxy that ends answers which come over time would be asked for the next one at once, without end.
      const isSoon = clock.now() - openedAt < streamSoonestMs && !signal.aborted
      if (wasHeard && isSoon && watched.size === size) {
        wasHeard = false
        throw ewsErrors.ANSWER_ODD({ server: client.server, reason: 'it ends the notifications at once' })
      }
    } catch (thrown) {
      const error = asHubError(thrown)
      // The subscriptions may live on: the next stream asks for them, and hears which do not.
      for (const { mailbox } of watched.values()) lose(request, mailbox, error)
      // Who may not be opened any more must not keep the others from being heard.
      if (concernOf(error) !== 'account') watched.delete([...watched.keys()][0] ?? '')
    }
    if (signal.aborted) break
    const isWell = wasHeard && trouble === undefined
    if (isWell) waitMs = againFirstMs
    if (!wasHeard || watched.size === 0) await clock.sleep(Math.max(waitMs, wishMs), signal)
    if (!isWell) waitMs = Math.min(waitMs * 2, againUpToMs)
  }
  // The server forgets them by itself after half an hour; to be told is only polite.
  const ending = AbortSignal.timeout(unsubscribeMs)
  const anchor = anchorOf(watched)
  await Promise.all(
    [...watched].map(([id, { mailbox }]) =>
      client.unsubscribe({ mailbox, signal: ending }, id, anchor).catch(() => {}),
    ),
  )
}

/** A server that is busy, or knows the account no more, says so to each: it is returned, and the others are asked for later. */
async function subscribeMissing(
  { client, book }: Parts,
  group: readonly string[],
  watched: Map<string, Watched>,
  request: WatchRequest,
): Promise<HubError | undefined> {
  const { signal } = request
  const known = new Set([...watched.values()].map(({ mailbox }) => mailbox))
  for (const mailbox of group) {
    if (signal.aborted) return undefined
    if (known.has(mailbox)) continue
    try {
      const folders = new Map<ItemKind, readonly ScopeFolder[]>()
      for (const scope of request.scopesOf(mailbox)) {
        folders.set(scope.kind, await book.foldersOf({ ...scope, mailbox }, signal))
      }
      if (folders.size === 0) continue
      const refs = [...folders.values()].flat().map(({ id }) => ({ id }))
      const subscription = await client.subscribe({ mailbox, signal }, refs, anchorOf(watched) ?? mailbox)
      watched.set(subscription, { mailbox, folders })
    } catch (thrown) {
      const error = asHubError(thrown)
      lose(request, mailbox, error)
      if (error.isThrottling || error.code === ewsErrors.LOGIN_REFUSED.code) return error
    }
  }
  return undefined
}

/** On whose share the stream of a group is: the first whose subscription lives. */
function anchorOf(watched: ReadonlyMap<string, Watched>): string | undefined {
  const [first] = watched.values()
  return first?.mailbox
}

const unsubscribeMs = 5_000

/** One stream to its end; true when it was opened. */
async function hearOnce(
  client: EwsClient,
  watched: Map<string, Watched>,
  request: WatchRequest,
  minutesWished: number | undefined,
): Promise<boolean> {
  const { signal, onChange, onConnected } = request
  const anchor = anchorOf(watched) ?? ''
  let isOpened = false
  const listener = {
    onConnected() {
      isOpened = true
      for (const { mailbox } of watched.values()) onConnected(mailbox)
    },
    onEvent({ subscription, kind, folderId }: { subscription: string; kind: string; folderId: string | undefined }) {
      const own = watched.get(subscription)
      if (own && kind !== 'Status') onChange(own.mailbox, kindOfFolder(own.folders, folderId))
    },
    onLost(subscriptions: readonly string[], code: string) {
      for (const id of subscriptions) {
        const own = watched.get(id)
        watched.delete(id)
        if (own)
          lose(request, own.mailbox, ewsErrors.SUBSCRIPTION_LOST({ server: client.server, mailbox: own.mailbox, code }))
      }
    },
  }
  const minutes = Math.min(minutesWished ?? ewsLimits.streamMinutes, ewsLimits.streamMinutes)
  await client.streamEvents({ mailbox: anchor, signal }, [...watched.keys()], listener, { anchor, minutes })
  return isOpened
}

function lose({ signal, onLost }: WatchRequest, mailbox: string, error: HubError): void {
  if (!signal.aborted) onLost(mailbox, error)
}
