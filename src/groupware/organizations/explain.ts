import type { Side, SideItem } from '../drivers.ts'
import type { ItemKind } from '../plan/items.ts'
import { isPrivate, type SyncRules, skipReason, skipWords } from '../plan/rules.ts'
import { otherSide, titleOf } from '../sync/context.ts'
import type { SyncStore } from '../sync/sync-store.ts'
import type { Drivers } from './access-test.ts'
import type { Journal, JournalLine } from './journal.ts'
import type { Mailbox } from './model.ts'
import { areHeld } from './preview.ts'
import { itemKinds } from './rules-input.ts'
import { scopeOf } from './scopes.ts'

/** Why an item did or did not come over, as it stands now, and what was done about it before. */
export interface Explanation {
  readonly findings: readonly Finding[]
  /** Lines of the log about items whose title or id fits, newest first. */
  readonly history: readonly JournalLine[]
}

export interface Finding {
  readonly kind: ItemKind
  readonly side: Side
  readonly id: string
  readonly title: string
  readonly state: 'linked' | 'follower' | 'held' | 'waiting' | 'let-go' | 'stays-out' | 'due'
  readonly text: string
}

const historyLines = 50

/** `query` is the id of an item on either side, or a part of its title (which the log knows). */
export async function explainItem(
  {
    mailbox,
    rules,
    drivers,
    store,
    journal,
    now,
    signal,
  }: {
    readonly mailbox: Mailbox
    readonly rules: SyncRules
    readonly drivers: Drivers
    readonly store: SyncStore
    readonly journal: Journal
    readonly now: number
    readonly signal: AbortSignal
  },
  query: string,
): Promise<Explanation> {
  const history = journal.list({ mailbox: mailbox.address, item: query, limit: historyLines })
  const ids = { exchange: new Set([query]), crm: new Set([query]) }
  for (const line of history) {
    if (line.about !== 'item') continue
    if (line.exchangeId !== undefined) ids.exchange.add(line.exchangeId)
    if (line.crmId !== undefined) ids.crm.add(line.crmId)
  }
  const findings: Finding[] = []
  for (const kind of itemKinds) {
    if (!areHeld(kind, drivers)) continue
    const scope = scopeOf(mailbox, kind, rules, now)
    const read = async (side: Side, id: string) => {
      const [item] = await drivers[side].read(scope, [id], signal).catch((): readonly SideItem[] => [])
      return item
    }
    for (const side of ['exchange', 'crm'] as const) {
      for (const id of ids[side]) {
        const finding = await findingOf({ store, rules, now, kind, side, scope, read }, id)
        if (finding) findings.push(finding)
      }
    }
  }
  return { findings, history }
}

async function findingOf(
  {
    store,
    rules,
    now,
    kind,
    side,
    scope,
    read,
  }: {
    readonly store: SyncStore
    readonly rules: SyncRules
    readonly now: number
    readonly kind: ItemKind
    readonly side: Side
    readonly scope: ReturnType<typeof scopeOf>
    readonly read: (side: Side, id: string) => Promise<SideItem | undefined>
  },
  id: string,
): Promise<Finding | undefined> {
  const item = await read(side, id)
  const about = { kind, side, id, title: item ? titleOf(item.item) : '' }
  const [link] = await store.findLinks(scope, side, [id])
  if (link?.held) {
    const text = `Its other half is gone from the ${link.held.side === 'crm' ? 'CRM' : 'mailbox'}; the brake holds the deletion until a person lets it pass or has it restored.`
    return { ...about, state: 'held', text }
  }
  if (link?.role === 'follower') return { ...about, state: 'follower', text: skipWords['other-mailbox-leads'] }
  if (link) {
    const other = otherSide(side)
    const { id: otherId } = link[other]
    const isKept = [item, await read(other, otherId)].some(half => half && isPrivate(half.item))
    const reason = rules.kinds[kind].direction === 'off' ? 'kind-off' : isKept ? 'private' : undefined
    const text = reason
      ? `It is linked with ${otherId}, but nothing of it is synced now. ${skipWords[reason]}`
      : `It is synced with ${otherId}.${link.isDirty ? ' It is compared again in the next round.' : ''}`
    return { ...about, state: 'linked', text }
  }
  const [waiting] = await store.findWaiting(scope, side, [id])
  if (waiting) {
    const { error, dueAt } = waiting
    const when = dueAt === undefined ? 'when it changes' : `at ${new Date(dueAt).toISOString()}`
    const why = error ? `${error.message} ${error.next}` : 'What became of its creation was never told.'
    return { ...about, state: 'waiting', text: `${why} It is tried again ${when}.` }
  }
  const [ghost] = await store.findGhosts(scope, side, [id])
  if (ghost) {
    const text = skipWords[ghost.reason === 'deleted' ? 'deleted-before' : 'released']
    return { ...about, state: 'let-go', text }
  }
  if (!item) return undefined
  const name = side === 'exchange' ? item.identity : item.mark
  const [twin] = name === null ? [] : await store.findByIdentity(scope, [name])
  const reason = skipReason(side, item, { rules, now, person: scope }) ?? (twin ? 'copy' : undefined)
  if (reason) return { ...about, state: 'stays-out', text: skipWords[reason] }
  return { ...about, state: 'due', text: 'No rule keeps it out; it comes over with the next round.' }
}
