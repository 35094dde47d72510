import { asHubError, type HubError } from '../../kernel/error.ts'
import type { EwsClient } from '../../protocols/ews/client.ts'
import { ewsErrors } from '../../protocols/ews/errors.ts'
import { ewsLimits } from '../../protocols/ews/limits.ts'
import type { WatchRequest } from '../drivers.ts'
import type { ItemKind } from '../plan/items.ts'
import { type FolderBook, kindOfFolder, type ScopeFolder } from './folder-book.ts'

interface Watched {
  readonly mailbox: string
  readonly folders: ReadonlyMap<ItemKind, readonly ScopeFolder[]>
}

/**
 * Hears streams of notifications: one for each group of up to 200 mailboxes, on the share of its first one. A stream that
 * the server ends in time is opened again; one that breaks loses its mailboxes, which are polled until they are asked for
 * again. Ends when nothing is left to hear.
 */
export async function watchMailboxes(client: EwsClient, book: FolderBook, request: WatchRequest): Promise<void> {
  const groups: string[][] = []
  for (const [index, mailbox] of request.mailboxes.entries()) {
    if (index % ewsLimits.streamSubscriptions === 0) groups.push([])
    groups.at(-1)?.push(mailbox)
  }
  await Promise.all(groups.map(group => watchGroup(client, book, group, request)))
}

async function watchGroup(client: EwsClient, book: FolderBook, group: readonly string[], request: WatchRequest) {
  const { signal } = request
  const [anchor = ''] = group
  const watched = new Map<string, Watched>()
  for (const mailbox of group) {
    if (signal.aborted) break
    try {
      const folders = new Map<ItemKind, readonly ScopeFolder[]>()
      for (const kind of request.kinds) folders.set(kind, await book.foldersOf({ mailbox, kind, folders: [] }, signal))
      const refs = [...folders.values()].flat().map(({ id }) => ({ id }))
      const subscription = await client.subscribe({ mailbox, signal }, refs, anchor)
      watched.set(subscription, { mailbox, folders })
    } catch (thrown) {
      lose(request, mailbox, asHubError(thrown))
    }
  }
  try {
    while (watched.size > 0 && !signal.aborted) await hearOnce(client, watched, request, anchor)
  } catch (thrown) {
    for (const { mailbox } of watched.values()) lose(request, mailbox, asHubError(thrown))
    return
  }
  // The server forgets them by itself after half an hour; to be told is only polite.
  const ending = AbortSignal.timeout(unsubscribeMs)
  await Promise.all(
    [...watched].map(([id, { mailbox }]) =>
      client.unsubscribe({ mailbox, signal: ending }, id, anchor).catch(() => {}),
    ),
  )
}

const unsubscribeMs = 5_000

async function hearOnce(
  client: EwsClient,
  watched: Map<string, Watched>,
  request: WatchRequest,
  anchor: string,
): Promise<void> {
  const { signal, onChange, onConnected } = request
  const listener = {
    onConnected() {
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
  await client.streamEvents({ mailbox: anchor, signal }, [...watched.keys()], listener, { anchor })
}

function lose({ signal, onLost }: WatchRequest, mailbox: string, error: HubError): void {
  if (!signal.aborted) onLost(mailbox, error)
}
