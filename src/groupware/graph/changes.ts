import { HubError } from '../../kernel/error.ts'
import type { JsonObject } from '../../kernel/json.ts'
import { DAY } from '../../kernel/time.ts'
import type { GraphClient, GraphPage } from '../../protocols/graph/client.ts'
import { graphErrors } from '../../protocols/graph/errors.ts'
import type { Change, ChangePage, Scope } from '../drivers.ts'
import { kinds } from './kinds.ts'
import { type Place, type Places, userPath } from './places.ts'
import { textAt } from './row.ts'

/**
 * How far a scope is read: per folder the link that goes on. The window of a calendar is fixed in its link, so it is
 * renewed from time to time: a round with another window is read to its end, then the old one once more, so that what was
 * deleted in between is told by one of the two; then only the new one lives on.
 */
interface DeltaToken {
  readonly links: Readonly<Record<string, string>>
  /** Folders that this round has read to their end. */
  readonly read?: readonly string[] | undefined
  readonly window?: Window | undefined
  readonly next?: { readonly window: Window; readonly link: string; readonly isRead: boolean } | undefined
  /** Messages of a folder told by a first round that Graph was asked to filter. */
  readonly filtered?: Readonly<Record<string, number>> | undefined
}

interface Window {
  readonly from: string
  readonly to: string
}

/** How far the wished window may have moved before a round with a new one begins. */
const windowSlackMs = 7 * DAY
/** Graph wants both ends of a calendar's window, and no more than 1,825 days between them. */
const pastMs = 365 * DAY
const windowMs = 1800 * DAY
/** A filtered delta of messages ends after so many, whether there are more or not. */
const filteredMax = 5000

/** Reads the changes of a scope, a page at a time. */
export class DeltaReader {
  readonly #client: GraphClient
  readonly #places: Places
  readonly #now: () => number

  constructor(client: GraphClient, places: Places, now: () => number) {
    this.#client = client
    this.#places = places
    this.#now = now
  }

  async read(scope: Scope, token: string | undefined, signal: AbortSignal): Promise<ChangePage | 'token-lost'> {
    const state = token === undefined ? { links: {} } : parseToken(token)
    if (!state) return 'token-lost'
    try {
      return scope.kind === 'appointment'
        ? await this.#calendar(scope, state, signal)
        : await this.#folders(scope, state, signal)
    } catch (thrown) {
      const code = thrown instanceof HubError ? thrown.code : ''
      if (code === graphErrors.DELTA_LOST.code) return 'token-lost'
      if (code !== graphErrors.GONE.code) throw thrown
      // A folder that is not there any more: perhaps there is another one of its name.
      this.#places.forget(scope.mailbox)
      if (Object.keys(state.links).length === 0) throw thrown
      return 'token-lost'
    }
  }

  /** A page of each folder that is not read to its end: asked for in the same moment, they share a request. */
  async #folders(scope: Scope, state: DeltaToken, signal: AbortSignal): Promise<ChangePage> {
    const places = await this.#places.of(scope, signal)
    const links = { ...state.links }
    const filtered = { ...state.filtered }
    const read = new Set(state.read)
    const changes = await Promise.all(
      places.map(async place => {
        const { id } = place
        if (read.has(id)) return []
        if (links[id] === undefined && scope.kind === 'mail' && scope.from !== null) filtered[id] = 0
        const page = await this.#client.page(links[id] ?? firstLink(scope, place, true), [], signal)
        links[id] = page.next ?? page.delta ?? ''
        const told = filtered[id] === undefined ? 0 : filtered[id] + page.items.length
        if (filtered[id] !== undefined) filtered[id] = told
        if (page.delta !== undefined && told >= filteredMax) {
          // Perhaps there were more: what Graph does not filter it tells whole.
          links[id] = firstLink(scope, place, false)
          delete filtered[id]
        } else if (page.delta !== undefined) read.add(id)
        return this.#changesOf(scope, page, signal)
      }),
    )
    const hasMore = places.some(({ id }) => !read.has(id))
    const next: DeltaToken = hasMore ? { links, read: [...read], filtered } : { links }
    return { changes: changes.flat(), token: JSON.stringify(next), hasMore }
  }

  async #calendar(scope: Scope, state: DeltaToken, signal: AbortSignal): Promise<ChangePage> {
    const wished = this.#windowOf(scope)
    const [link] = Object.values(state.links)
    const { window, next } = state
    if (link === undefined || !window) return this.#page(scope, calendarLink(scope, wished), { window: wished }, signal)
    if (!next && isFar(window, wished)) {
      const begun = { window: wished, link: calendarLink(scope, wished), isRead: false }
      return this.#calendar(scope, { ...state, next: begun }, signal)
    }
    if (next && !next.isRead) {
      const page = await this.#client.page(next.link, [], signal)
      const changes = await this.#changesOf(scope, page, signal)
      const isRead = page.delta !== undefined
      const token: DeltaToken = { ...state, next: { ...next, link: page.next ?? page.delta ?? '', isRead } }
      return { changes, token: JSON.stringify(token), hasMore: true }
    }
    const after = await this.#page(scope, link, { window, next }, signal)
    if (!next || after.hasMore) return after
    return { ...after, token: JSON.stringify({ links: { calendar: next.link }, window: next.window }) }
  }

  async #page(
    scope: Scope,
    link: string,
    keep: Pick<DeltaToken, 'window' | 'next'>,
    signal: AbortSignal,
  ): Promise<ChangePage> {
    const page = await this.#client.page(link, [], signal)
    const changes = await this.#changesOf(scope, page, signal)
    const token: DeltaToken = { links: { calendar: page.next ?? page.delta ?? '' }, ...keep }
    return { changes, token: JSON.stringify(token), hasMore: page.delta === undefined }
  }

  /** Rows as changes of whole items: what happens to an occurrence happens to its series. */
  async #changesOf(scope: Scope, page: GraphPage, signal: AbortSignal): Promise<readonly Change[]> {
    const changes = new Map<string, Change>()
    const missing: string[] = []
    for (const row of page.items) {
      const id = textAt(row, 'id')
      if (id === '') continue
      if (row['@removed'] !== undefined) missing.push(id)
      else if (isWanted(scope, row)) {
        const owner = textAt(row, 'seriesMasterId') || id
        const version = owner === id ? textAt(row, '@odata.etag') : ''
        if (owner !== id && changes.has(owner)) continue
        changes.set(owner, { id: owner, isDeleted: false, ...(version !== '' && { version }) })
      }
    }
    for (const change of await this.#lookAfter(scope, missing, signal))
      if (!changes.has(change.id)) changes.set(change.id, change)
    return [...changes.values()]
  }

  /** Graph calls gone what has left a folder or a window too: only what is not there any more was deleted. */
  async #lookAfter(scope: Scope, ids: readonly string[], signal: AbortSignal): Promise<readonly Change[]> {
    if (ids.length === 0) return []
    const { mailbox, kind } = scope
    const list = kind === 'task' ? await this.#places.taskList(mailbox, signal) : ''
    const select = kind === 'mail' ? '?$select=id,parentFolderId' : kind === 'task' ? '' : '?$select=id'
    const calls = ids.map(id => ({
      method: 'GET' as const,
      path: `${kinds[kind].collection(mailbox, list)}/${encodeURIComponent(id)}${select}`,
    }))
    const answers = await this.#client.batch(calls, signal)
    const bin = kind === 'mail' ? await this.#places.bin(mailbox, signal) : undefined
    return answers.map((answer, index): Change => {
      const id = ids[index] ?? ''
      if (!(answer instanceof HubError)) {
        const isInBin = bin !== undefined && textAt((answer.body ?? {}) as JsonObject, 'parentFolderId') === bin
        return { id, isDeleted: isInBin }
      }
      if (answer.code === graphErrors.GONE.code) return { id, isDeleted: true }
      throw answer
    })
  }

  #windowOf({ from, to }: Scope): Window {
    const begin = from ?? iso((to === null ? this.#now() : Date.parse(to)) - pastMs)
    const latest = iso(Date.parse(begin) + windowMs)
    return { from: begin, to: to !== null && to < latest ? to : latest }
  }
}

function isWanted({ kind, from }: Scope, row: JsonObject): boolean {
  if (kind !== 'mail') return true
  const receivedAt = textAt(row, 'receivedDateTime')
  return row['isDraft'] !== true && (from === null || receivedAt === '' || Date.parse(receivedAt) >= Date.parse(from))
}

function firstLink({ mailbox, kind, from }: Scope, place: Place, isFiltered: boolean): string {
  const id = encodeURIComponent(place.id)
  if (kind === 'task') return `${userPath(mailbox)}/todo/lists/${id}/tasks/delta`
  if (kind === 'contact') {
    const folder = place.id === 'contacts' ? 'contacts' : `contactFolders/${id}/contacts`
    return `${userPath(mailbox)}/${folder}/delta?$select=id`
  }
  const filter = isFiltered && from !== null ? `&$filter=${encodeURIComponent(`receivedDateTime ge ${from}`)}` : ''
  return `${userPath(mailbox)}/mailFolders/${id}/messages/delta?$select=id,receivedDateTime,isDraft${filter}`
}

function calendarLink({ mailbox }: Scope, { from, to }: Window): string {
  return `${userPath(mailbox)}/calendarView/delta?startDateTime=${encodeURIComponent(from)}&endDateTime=${encodeURIComponent(to)}`
}

function isFar(one: Window, other: Window): boolean {
  const apart = (name: keyof Window) => Math.abs(Date.parse(one[name]) - Date.parse(other[name]))
  return apart('from') > windowSlackMs || apart('to') > windowSlackMs
}

function parseToken(token: string): DeltaToken | undefined {
  try {
    const value = JSON.parse(token) as Partial<DeltaToken> | null
    if (!value || typeof value.links !== 'object') return undefined
    const { links, read, filtered, window, next } = value
    return { links, read, filtered, window, next }
  } catch {
    // A token of another driver, or one that was cut off: everything is listed anew.
    return undefined
  }
}

function iso(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z')
}
