import type { Side, SideItem } from '../drivers.ts'
import type { Candidate } from '../plan/new-plan.ts'
import { chunksOf, otherSide } from './context.ts'
import { knownMarks } from './known-marks.ts'
import { readItems } from './pull.ts'
import type { Round } from './round-state.ts'

/**
 * For each new item of a side the items of the other side that may be its other half: the one that its mark names, and
 * those that carry its name as their mark.
 */
export async function findCandidates(
  round: Round,
  side: Side,
  items: readonly SideItem[],
): Promise<ReadonlyMap<string, readonly Candidate[]>> {
  const found = side === 'exchange' ? await inCrm(round, items) : await inMailbox(round, items)
  const all = [...found.values()].flat()
  const { store, scope } = round.context
  const other = otherSide(side)
  const ids = [...new Set(all.map(item => item.id))]
  const links = await store.findLinks(scope, other, ids)
  const byOther = new Map(links.map(link => [link[other].id, link]))
  const halves = await readItems(
    round,
    side,
    links.map(link => link[side].id),
  )
  const crmIds = side === 'exchange' ? ids : [...found.keys()]
  const elsewhere = crmIds.length > 0 ? await store.linksElsewhere(scope, crmIds) : []
  const leaders = new Map(elsewhere.flatMap(({ role, crmId, mailbox }) => (role === 'lead' ? [[crmId, mailbox]] : [])))
  const identities = new Map(items.map(item => [item.id, item.identity]))
  const free = [...found].map(([id, others]) => [id, others.filter(item => !byOther.has(item.id))] as const)
  const originals = side === 'exchange' ? await originalsOf(round, free, identities) : new Set()
  const candidates = new Map<string, readonly Candidate[]>()
  for (const [id, others] of found) {
    candidates.set(
      id,
      others.map(item => {
        const link = byOther.get(item.id)
        const identity = identities.get(id) ?? null
        // Items that moved within the mailbox were recognised before (take-in.ts); what is left there is a copy, unless it
        // is what the CRM itself names: that was made from it when the half of the link was gone.
        const isCopy = side === 'exchange' && (identity === null || item.mark !== identity)
        const isAlive = link
          ? isCopy || halves.has(link[side].id) || round.unreadable[side].has(link[side].id)
          : isCopy && originals.has(item.mark)
        const is = isAlive ? 'taken' : link ? 'orphaned' : 'free'
        const isTwin = side === 'exchange' && identity !== null && link?.exchange.identity === identity
        return { item, is, isTwin, linkKey: link?.key, leader: leaders.get(side === 'exchange' ? item.id : id) }
      }),
    )
  }
  return candidates
}

type Found = Map<string, SideItem[]>

/**
 * Of the items that a mark names, and that nothing is linked with, what the CRM itself says is their half: identities that
 * live in the mailbox. Whatever else carries the mark is a copy of it.
 */
async function originalsOf(
  { context: { drivers, scope, signal } }: Round,
  found: readonly (readonly [string, readonly SideItem[]])[],
  identities: ReadonlyMap<string, string | null>,
): Promise<ReadonlySet<string | null>> {
  const marks = found.flatMap(([id, others]) =>
    others.flatMap(({ mark }) => (mark === null || mark === identities.get(id) ? [] : [mark])),
  )
  const living = new Set<string>()
  for (const chunk of chunksOf([...new Set(marks)], drivers.exchange.abilities(scope.kind).batch.find)) {
    const answers = await drivers.exchange.findByIdentity(scope, chunk, signal)
    for (const [index, mark] of chunk.entries()) if (answers[index]?.length) living.add(mark)
  }
  return living
}

async function inCrm(round: Round, items: readonly SideItem[]): Promise<Found> {
  const { scope, drivers, signal } = round.context
  const { holdsMark, batch } = drivers.crm.abilities(scope.kind)
  const found: Found = new Map()
  if (holdsMark) {
    for (const chunk of chunksOf(withIdentity(items), batch.find)) {
      const answers = await drivers.crm.findByMark(
        scope,
        chunk.map(entry => entry.identity),
        signal,
        chunk.map(({ item }) => item.item),
      )
      for (const [index, { item }] of chunk.entries()) found.set(item.id, [...(answers[index] ?? [])])
    }
  }
  // Only then by the mark in the mailbox: a copied appointment has the mark of its original, but an identity of its own.
  const marked = items.flatMap(item =>
    item.mark === null || found.get(item.id)?.length ? [] : [{ item, mark: item.mark }],
  )
  const byId = await readItems(
    round,
    'crm',
    marked.map(({ mark }) => mark),
  )
  for (const { item, mark } of marked) {
    const named = byId.get(mark)
    if (named) found.set(item.id, [named])
  }
  return found
}

async function inMailbox(round: Round, items: readonly SideItem[]): Promise<Found> {
  const { scope, drivers, signal } = round.context
  const { holdsMark, batch } = drivers.exchange.abilities(scope.kind)
  const found: Found = new Map()
  if (holdsMark) {
    const known = knownMarks(round)
    const searched = items.filter(item => known === undefined || mayBeUnfinished(item))
    for (const item of items) found.set(item.id, [...(known?.get(item.id) ?? [])])
    for (const chunk of chunksOf(searched, batch.find)) {
      const answers = await drivers.exchange.findByMark(
        scope,
        chunk.map(item => item.id),
        signal,
      )
      for (const [index, item] of chunk.entries()) found.set(item.id, [...(answers[index] ?? [])])
    }
  }
  // The mark in the CRM is the identity of the item in the mailbox.
  const named = items.flatMap(item =>
    item.mark === null || found.get(item.id)?.length ? [] : [{ item, mark: item.mark }],
  )
  for (const chunk of chunksOf(named, batch.find)) {
    const answers = await drivers.exchange.findByIdentity(
      scope,
      chunk.map(({ mark }) => mark),
      signal,
    )
    for (const [index, { item }] of chunk.entries()) found.set(item.id, [...(answers[index] ?? [])])
  }
  return found
}

/** What takes more than one request to create is searched for in any case: that finds, and ends, what was left half done. */
function mayBeUnfinished({ item }: SideItem): boolean {
  return item.kind === 'appointment' && Object.keys(item.exceptions).length > 0
}

function withIdentity(items: readonly SideItem[]): readonly { readonly item: SideItem; readonly identity: string }[] {
  return items.flatMap(item => (item.identity === null ? [] : [{ item, identity: item.identity }]))
}
