import type { Side, SideItem } from '../drivers.ts'
import { planNew } from '../plan/new-plan.ts'
import { firmReasons, isCancelled, type SkipReason, skipReason } from '../plan/rules.ts'
import { areEqualStamps, type Stamps, sharedStamps, stampsOf, writtenBefore } from '../plan/stamps.ts'
import { waitingFor } from './batches.ts'
import { findCandidates } from './candidates.ts'
import type { Take } from './claims.ts'
import { chunksOf, commonParts, otherSide } from './context.ts'
import { createItems } from './create-items.ts'
import { readItems } from './pull.ts'
import { note, noteUnreadable, type Round, stopIfAsked, unseenOf } from './round-state.ts'
import { type Ghost, type Intent, isDue, type Link, type LinkEnd, type Waiting } from './sync-store.ts'

/** Looks at items that have no other half: links them with one that is there already, or has one created. */
export async function takeIn(round: Round, side: Side, ids: readonly string[]): Promise<void> {
  for (const chunk of chunksOf(ids, round.context.limits.chunkItems)) {
    stopIfAsked(round)
    await takeInChunk(round, side, chunk)
  }
}

async function takeInChunk(round: Round, side: Side, ids: readonly string[]): Promise<void> {
  const { store, scope, clock, rules } = round.context
  const read = [...(await readItems(round, side, ids)).values()]
  const items = side === 'exchange' ? await renameMoved(round, read) : read
  const ghosts = mapById(await store.findGhosts(scope, side, ids))
  const waiting = mapById(await store.findWaiting(scope, side, ids))
  const open: SideItem[] = []
  const skips = new Map<string, SkipReason | undefined>()
  for (const item of items) {
    const intent = intentThatMade(round, side, item)
    if (intent) {
      await linkByIntent(round, intent, item)
      continue
    }
    // Its create is under way, or was: replayIntents waits for it.
    if (await isBeingCreated(round, side, item)) continue
    const skip = standsAgainst(round, item, ghosts.get(item.id), waiting.get(item.id))
    const rule = skipReason(side, item, { rules, now: clock.now(), person: scope })
    const isLenient = waiting.get(item.id)?.isWanted === true && rule !== undefined && !firmReasons.has(rule)
    skips.set(item.id, skip ?? (isLenient ? undefined : rule) ?? seriesReason(round, side, item))
    const mayBeKnown = skip === undefined && item.mark !== null
    if (skips.get(item.id) === undefined || mayBeKnown) open.push(item)
    else skipItem(round, side, item, skips.get(item.id))
  }
  const settle = (take?: Take) => settleOpen(round, side, { items, open, skips, waiting }, take)
  const { claims, drivers, limits } = round.context
  const isShared = drivers.crm.abilities(scope.kind).holdsMark
  await (claims && isShared ? claims.during(limits.lateMs, settle) : settle())
  const unreadable = ids.flatMap(id => {
    const error = round.unreadable[side].get(id)
    return error ? [{ error, waits: waitingFor(round, { side, id, version: undefined }, error, waiting.get(id)) }] : []
  })
  if (unreadable.length === 0) return
  for (const { error, waits } of unreadable) noteUnreadable(round, side, waits.id, error)
  await store.write(scope, { putWaiting: unreadable.map(({ waits }) => waits) })
}

interface Chunk {
  readonly items: readonly SideItem[]
  /** Items that may be linked or created. */
  readonly open: readonly SideItem[]
  readonly skips: ReadonlyMap<string, SkipReason | undefined>
  readonly waiting: ReadonlyMap<string, Waiting>
}

/** `take`: where several mailboxes may have the same item, one of them creates it, or links it before the others do. */
async function settleOpen(round: Round, side: Side, chunk: Chunk, take: Take | undefined): Promise<void> {
  const { store, scope } = round.context
  const { items, open, skips, waiting } = chunk
  const candidates = await findCandidates(round, side, open)
  const nameOf = ({ identity }: SideItem) => `${scope.kind} ${identity}`
  const creations: SideItem[] = []
  const elsewhere: SideItem[] = []
  const taken = new Set<string>()
  for (const item of open) {
    // A person wants it back: what was cancelled is nothing to go back to.
    const isWanted = waiting.get(item.id)?.isWanted === true
    const found = (candidates.get(item.id) ?? [])
      .filter(candidate => !(isWanted && isCancelled(candidate.item.item)))
      .map(candidate =>
        taken.has(candidate.item.id) ? { ...candidate, is: 'taken' as const, linkKey: undefined } : candidate,
      )
    const plan = planNew(side, item, { skip: skips.get(item.id), candidates: found, person: scope })
    if (plan.do === 'skip') skipItem(round, side, item, plan.reason)
    if (plan.do === 'create') creations.push(item)
    if (plan.do === 'link') {
      taken.add(plan.with.id)
      // Whoever sees no link of another mailbox leads it: of several that link it at the same time one comes first.
      const [inMailbox, inCrm] = side === 'exchange' ? [item, plan.with] : [plan.with, item]
      // Nor does it see the link of one that has just created it, which is about to be written down.
      const names = [
        `${scope.kind} of the CRM ${inCrm.id}`,
        ...(inMailbox.identity === null ? [] : [nameOf(inMailbox)]),
      ]
      const own = plan.role === 'follower' || plan.takesOver ? undefined : take?.(names)
      const isFirst = own === undefined || names.every(name => own.has(name))
      if (isFirst) await linkPair(round, side, item, plan)
      else elsewhere.push(item)
    }
    if (plan.do === 'rename') {
      const renamed = found.find(candidate => candidate.linkKey === plan.linkKey)
      if (renamed) taken.add(renamed.item.id)
      const [link] = await store.findLinks(scope, otherSide(side), [renamed?.item.id ?? ''])
      if (link) await renameHalf(round, side, item, link)
    }
  }
  const due = withoutTwins(round, side, creations)
  await dropSettled(round, side, [...waiting.values()], { items, skips, due })
  const named = due.filter(({ identity }) => identity !== null)
  const own = side === 'exchange' ? take?.(named.map(nameOf)) : undefined
  const others = new Set(own ? named.filter(item => !own.has(nameOf(item))) : [])
  await postpone(round, side, [...elsewhere, ...others], waiting)
  await createItems(
    round,
    side,
    due.filter(item => !others.has(item)),
    waiting,
  )
}

/** Another mailbox creates or links them: a turn later that is done. */
async function postpone(
  round: Round,
  side: Side,
  items: readonly SideItem[],
  waiting: ReadonlyMap<string, Waiting>,
): Promise<void> {
  if (items.length === 0) return
  const { store, scope, clock } = round.context
  const at = clock.now()
  const facts = { version: undefined, attemptCount: 0, at, error: undefined, isWanted: false }
  const putWaiting = items.map(({ id }): Waiting => ({ side, id, ...facts, ...waiting.get(id), dueAt: at }))
  await store.write(scope, { putWaiting })
  round.report.isPostponed = true
  for (const item of items) note(round, 'postponed', side, { [side]: item })
}

/** Items that waited for another look and got it: they are gone, or the rules keep them out. */
async function dropSettled(
  round: Round,
  side: Side,
  waiting: readonly Waiting[],
  chunk: {
    readonly items: readonly SideItem[]
    readonly skips: ReadonlyMap<string, SkipReason | undefined>
    readonly due: readonly SideItem[]
  },
): Promise<void> {
  const living = new Set(chunk.items.map(item => item.id))
  const created = new Set(chunk.due.map(item => item.id))
  const settled = waiting.filter(({ id }) => {
    if (!living.has(id)) return true
    const isOpen =
      [...round.intents.values()].some(intent => intent.source.id === id) || chunk.skips.get(id) === 'refused-before'
    return !isOpen && !created.has(id)
  })
  await round.context.store.write(round.context.scope, { dropWaiting: settled.map(({ id }) => ({ side, id })) })
}

function seriesReason({ context: { drivers, scope } }: Round, side: Side, { item }: SideItem): SkipReason | undefined {
  if (item.kind !== 'appointment' || item.recurrence === null) return undefined
  return drivers[otherSide(side)].abilities(scope.kind).holdsSeries ? undefined : 'series'
}

/** Whether an open intent stands for the item; one that was moved since is remembered under its new id. */
async function isBeingCreated(round: Round, side: Side, { id, version, identity }: SideItem): Promise<boolean> {
  const { store, scope } = round.context
  for (const intent of round.intents.values()) {
    if (intent.to === side) continue
    if (intent.source.id === id) return true
    if (identity === null || intent.source.identity !== identity) continue
    const moved = { ...intent, source: { id, version, identity } }
    round.intents.set(intent.key, moved)
    await store.write(scope, { putIntents: [moved] })
    return true
  }
  return false
}

/** What is known against an item from earlier rounds. */
function standsAgainst(
  { context: { rules, clock } }: Round,
  { version, item }: SideItem,
  ghost: Ghost | undefined,
  waiting: Waiting | undefined,
): SkipReason | undefined {
  const hasWaited = waiting !== undefined && isDue(waiting, clock.now())
  if (waiting?.isWanted && hasWaited) return undefined
  // Its category was taken away when it was let go; a person has put it on again.
  const isMarkedAnew =
    ghost?.version !== null && ghost?.version !== version && item.categories.includes(rules.markCategory)
  if (ghost?.reason === 'released' && !isMarkedAnew) return 'released'
  if (ghost?.reason === 'deleted' && ghost.version === version) return 'deleted-before'
  return waiting && waiting.version === version && !hasWaited ? 'refused-before' : undefined
}

/** The open intent whose create made this item: it carries the mark, or, where the side holds none, looks the same. */
function intentThatMade(round: Round, side: Side, item: SideItem): Intent | undefined {
  let stamps: Stamps | undefined
  for (const intent of round.intents.values()) {
    if (intent.to !== side) continue
    if (intent.mark !== null) {
      if (intent.mark === item.mark) return intent
      continue
    }
    stamps ??= stampsOf(commonParts(round.plan, item.item))
    if (areEqualStamps(stamps, intent.base)) return intent
  }
  return undefined
}

/** Links what an earlier attempt created; the common state is what was written then. */
export async function linkByIntent(round: Round, intent: Intent, made: SideItem): Promise<void> {
  const { store, scope } = round.context
  const source = otherSide(intent.to)
  const [known] = await store.findLinks(scope, source, [intent.source.id])
  const [knownMade] = await store.findLinks(scope, intent.to, [made.id])
  round.intents.delete(intent.key)
  if (known ?? knownMade) {
    await store.write(scope, { dropIntents: [intent.key] })
    return
  }
  const end: LinkEnd = { id: made.id, version: '', identity: made.identity }
  const link = linkOf(round, source, intent.source, end, intent.base)
  await store.write(scope, { putLinks: [link], putUnseen: unseenOf(round, link), dropIntents: [intent.key] })
  round.report.linked += 1
  round.report.isUnfinished = true
  note(round, 'linked', intent.to, { [intent.to]: made }, { otherId: intent.source.id })
}

async function linkPair(
  round: Round,
  side: Side,
  item: SideItem,
  plan: { readonly with: SideItem; readonly role: Link['role']; readonly takesOver: boolean },
): Promise<void> {
  const { store, scope } = round.context
  const base = sharedStamps(
    stampsOf(commonParts(round.plan, item.item)),
    stampsOf(commonParts(round.plan, plan.with.item)),
  )
  const ends = [item, plan.with].map(half => ({ id: half.id, version: '', identity: half.identity }))
  const [own, other] = ends
  if (!own || !other) return
  const linked = linkOf(round, side, own, other, base)
  const elsewhere = plan.takesOver ? await store.linksElsewhere(scope, [linked.crm.id]) : []
  const demote = elsewhere.filter(({ role }) => role === 'lead').map(({ mailbox, key }) => ({ mailbox, key }))
  const formers = await Promise.all(
    demote.map(({ mailbox }) => store.findLinks({ ...scope, mailbox }, 'crm', [linked.crm.id])),
  )
  const pending = { exchange: {}, crm: writtenBefore(formers.flat(), Object.keys(base)) }
  const link: Link = { ...linked, role: plan.role, pending }
  const putUnseen = unseenOf(round, link)
  await store.write(scope, { putLinks: [link], putUnseen, demote, dropWaiting: [{ side, id: item.id }] })
  round.report.linked += 1
  round.report.isUnfinished = true
  note(round, 'linked', side, { [side]: item, [otherSide(side)]: plan.with })
}

/**
 * Items that were moved have another id, but the identity of a link whose half is gone, or, where the kind has no
 * identities, its mark. Returns the others.
 */
async function renameMoved(round: Round, items: readonly SideItem[]): Promise<readonly SideItem[]> {
  const { store, scope } = round.context
  const links = [
    ...(await store.findByIdentity(
      scope,
      items.flatMap(({ identity }) => identity ?? []),
    )),
    ...(await store.findLinks(
      scope,
      'crm',
      items.flatMap(({ mark }) => mark ?? []),
    )),
  ]
  if (links.length === 0) return items
  const living = await readItems(
    round,
    'exchange',
    links.map(link => link.exchange.id),
  )
  const isGone = ({ exchange: { id } }: Link) => !living.has(id) && !round.unreadable.exchange.has(id)
  const lost = new Map(links.flatMap(link => (isGone(link) ? [[link.key, link]] : [])))
  const others: SideItem[] = []
  for (const item of items) {
    const link = [...lost.values()].find(one => isSameItem(item, one))
    if (!link) others.push(item)
    else {
      await renameHalf(round, 'exchange', item, link)
      lost.delete(link.key)
    }
  }
  return others
}

/** Whether an item of the mailbox is the half of a link under another id; a copy has the mark, but another identity. */
function isSameItem({ identity, mark }: SideItem, { exchange, crm }: Link): boolean {
  return identity === null || exchange.identity === null ? mark === crm.id : identity === exchange.identity
}

/** The same item under another id: the link goes on, nothing is created or deleted. */
export async function renameHalf(round: Round, side: Side, item: SideItem, link: Link): Promise<void> {
  const { store, scope } = round.context
  const end: LinkEnd = { id: item.id, version: '', identity: item.identity ?? link[side].identity }
  const renamed: Link = { ...link, [side]: end, isDirty: true, held: undefined }
  await store.write(scope, { putLinks: [renamed], putUnseen: unseenOf(round, renamed) })
  round.report.isUnfinished = true
  note(round, 'renamed', side, { [side]: item }, { otherId: link[otherSide(side)].id })
}

/** Of new items with one identity (a mail that lies there twice) the first is created; the others wait for it. */
function withoutTwins(round: Round, side: Side, items: readonly SideItem[]): readonly SideItem[] {
  const seen = new Set<string>()
  return items.filter(item => {
    if (side === 'crm' || item.identity === null) return true
    if (!seen.has(item.identity)) return Boolean(seen.add(item.identity))
    skipItem(round, side, item, 'copy')
    return false
  })
}

function skipItem(round: Round, side: Side, item: SideItem, reason: SkipReason | undefined): void {
  round.report.skipped += 1
  note(round, 'skipped', side, { [side]: item }, reason ? { reason } : {})
}

function linkOf(round: Round, side: Side, own: LinkEnd, other: LinkEnd, base: Stamps): Link {
  const ends = side === 'exchange' ? { exchange: own, crm: other } : { exchange: other, crm: own }
  const pending = { exchange: {}, crm: {} }
  return { key: round.context.newKey(), ...ends, base, pending, isDirty: true, role: 'lead', held: undefined }
}

export function intentKey(to: Side, sourceId: string): string {
  return `${to} ${sourceId}`
}

function mapById<T extends { readonly id: string }>(rows: readonly T[]): ReadonlyMap<string, T> {
  return new Map(rows.map(row => [row.id, row]))
}
