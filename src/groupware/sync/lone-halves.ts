import { asHubError, HubError } from '../../kernel/error.ts'
import type { Removal, Side, SideItem, Update } from '../drivers.ts'
import { brakesDeletions } from '../plan/brake.ts'
import { waitingFor, writeBatch } from './batches.ts'
import { chunksOf, otherSide } from './context.ts'
import { type LoneHalf, note, noteUnreadable, type Round, stopIfAsked } from './round-state.ts'
import type { Ghost, Link, ScopeState, Waiting } from './sync-store.ts'
import { renameHalf } from './take-in.ts'

/**
 * Decides about links that have lost a half: deletions are carried over, or held back when they are suspiciously many. It
 * comes last in a round, since what looks deleted may have been found again under another id meanwhile.
 */
export async function settleLoneHalves(round: Round, state: ScopeState): Promise<void> {
  if (round.lone.length === 0) return
  const { isBrakeReleased } = state
  const lone = await withoutMoved(round, await withoutRenamed(round))
  await partHalves(round, lone)
  const removals = lone.filter(({ do: what }) => what === 'remove')
  if (removals.length === 0) return
  // What is held stays so until a person lets it pass; what came after those words has the brake against it again.
  const passed = isBrakeReleased ? removals.filter(({ link }) => link.held) : []
  const fresh = removals.filter(({ link }) => !link.held)
  const isBraked = fresh.length > 0 && (await isTooMany(round, fresh.length, state))
  if (isBraked) await holdAll(round, fresh)
  const due = isBraked ? passed : [...passed, ...fresh]
  for (const side of ['exchange', 'crm'] as const) {
    const ofSide = due.filter(one => one.side === side)
    await removeFrom(round, side, ofSide)
  }
}

/** Whether so many more deletions are a mass deletion, with those that wait and those that were done just before. */
async function isTooMany(round: Round, freshCount: number, state: ScopeState): Promise<boolean> {
  const { store, scope, rules, clock, limits } = round.context
  const links = await store.countLinks(scope)
  if (state.isBrakeReleased) return brakesDeletions(rules.brake, { deletions: freshCount, links })
  const since = Math.max(clock.now() - limits.brakeWindowMs, state.brakeReleasedAt ?? 0)
  const done = await store.countDeleted(scope, since)
  const deletions = freshCount + done + (await store.countHeld(scope))
  return brakesDeletions(rules.brake, { deletions, links: links + done })
}

async function withoutRenamed(round: Round): Promise<readonly LoneHalf[]> {
  const { store, scope } = round.context
  const ids = round.lone.map(({ link }) => link.crm.id)
  const links = new Map((await store.findLinks(scope, 'crm', ids)).map(link => [link.key, link]))
  return round.lone.filter(({ link }) => links.get(link.key)?.exchange.id === link.exchange.id)
}

/** Whoever files an item in a folder that is not synced has not deleted it: its link goes on with it. */
async function withoutMoved(round: Round, lone: readonly LoneHalf[]): Promise<readonly LoneHalf[]> {
  const { store, drivers, scope, limits } = round.context
  const moved = new Set<LoneHalf>()
  if (!drivers.exchange.findMoved) return lone
  const missing = lone.filter(({ do: what, side }) => what !== 'forget' && side === 'crm')
  for (const chunk of chunksOf(missing, limits.chunkItems)) {
    stopIfAsked(round)
    for (const [half, item] of await lookFor(round, chunk)) {
      if (item instanceof HubError) {
        // It is there, damaged: compared when it can be read.
        if (!half.link.isDirty) noteUnreadable(round, 'exchange', half.link.exchange.id, item)
        await store.write(scope, { putLinks: [{ ...half.link, isDirty: true, held: undefined }] })
      } else await renameHalf(round, 'exchange', item, half.link)
      moved.add(half)
    }
  }
  return lone.filter(half => !moved.has(half))
}

async function lookFor(round: Round, lone: readonly LoneHalf[]): Promise<readonly [LoneHalf, SideItem | HubError][]> {
  const { drivers, scope, signal } = round.context
  try {
    const halves = lone.map(({ link }) => ({ identity: link.exchange.identity, mark: link.crm.id }))
    const found = (await drivers.exchange.findMoved?.(scope, halves, signal)) ?? []
    return lone.flatMap((half, index): [LoneHalf, SideItem][] => {
      const item = found[index]
      return item ? [[half, item]] : []
    })
  } catch (thrown) {
    const error = asHubError(thrown)
    const [half] = lone
    if (!half || drivers.exchange.concerns(error) !== 'item') throw thrown
    if (lone.length === 1) return [[half, error]]
    const each: [LoneHalf, SideItem | HubError][] = []
    for (const one of lone) each.push(...(await lookFor(round, [one])))
    return each
  }
}

/**
 * Ends links without a deletion. The half that stays is a stranger from now on, not a new item; in the mailbox its
 * category goes, so that people see it, and bring it back by putting the category on again.
 */
async function partHalves(round: Round, lone: readonly LoneHalf[]): Promise<void> {
  const { store, scope, clock } = round.context
  const parting = lone.filter(({ do: what }) => what !== 'remove')
  if (parting.length === 0) return
  const staying = parting.filter(({ do: what }) => what === 'part')
  for (const side of ['exchange', 'crm'] as const) {
    await sweep(
      round,
      side,
      staying.filter(half => half.side === side),
    )
  }
  const versions = await clearMarks(
    round,
    staying.filter(({ side }) => side === 'exchange'),
  )
  const putGhosts = staying.map(({ link, side }): Ghost => {
    const { id } = link[side]
    const version = side === 'exchange' ? (versions.get(id) ?? null) : null
    return { side, id, version, reason: 'released', at: clock.now() }
  })
  await store.write(scope, { dropLinks: parting.map(({ link }) => link.key), putGhosts })
  for (const { side, item } of staying) note(round, 'parted', side, { [side]: item })
}

/** Versions of the items after their marks were taken away; those that could not be written stay strangers for good. */
async function clearMarks(round: Round, halves: readonly LoneHalf[]): Promise<ReadonlyMap<string, string>> {
  const { drivers, scope, signal } = round.context
  const versions = new Map<string, string>()
  for (const batch of chunksOf(halves, drivers.exchange.abilities(scope.kind).batch.write)) {
    const updates = batch.flatMap(({ item }): readonly Update[] =>
      item ? [{ id: item.id, version: item.version, before: item.item, after: item.item, fields: [], mark: null }] : [],
    )
    const outcomes = await writeBatch(round, 'exchange', updates, part => drivers.exchange.update(scope, part, signal))
    for (const [index, { id }] of updates.entries()) {
      const outcome = outcomes[index]
      if (outcome?.state === 'done') versions.set(id, outcome.version)
    }
  }
  return versions
}

async function removeFrom(round: Round, side: Side, removals: readonly LoneHalf[]): Promise<void> {
  const { drivers, scope, store, signal, clock } = round.context
  for (const batch of chunksOf(removals, drivers[side].abilities(scope.kind).batch.write)) {
    await sweep(round, side, batch)
    const outcomes = await writeBatch(round, side, batch, part =>
      drivers[side].remove(scope, part.map(removalOf), signal),
    )
    const putLinks: Link[] = []
    const dropLinks: string[] = []
    const putGhosts: Ghost[] = []
    const putWaiting: Waiting[] = []
    for (const [index, half] of batch.entries()) {
      const { link, item } = half
      const { id, version } = removalOf(half)
      const outcome = outcomes[index]
      if (outcome?.state === 'done' || outcome?.state === 'gone') {
        dropLinks.push(link.key)
        putGhosts.push({ side, id, version, reason: 'deleted', at: clock.now() })
        round.report.removed[side] += 1
        note(round, 'removed', side, { [side]: item }, { otherId: link[otherSide(side)].id })
      } else if (outcome?.state === 'refused') {
        const refused = { side, id, version }
        const [earlier] = await store.findWaiting(scope, side, [id])
        putWaiting.push(waitingFor(round, refused, outcome.error, earlier))
        if (link.held) putLinks.push({ ...link, held: undefined })
        round.report.refused += 1
        note(round, 'refused', side, { [side]: item }, { error: outcome.error })
      } else {
        // It was edited this very moment; a deletion beats the edit, with the version it has now.
        putLinks.push({ ...link, isDirty: true, held: undefined })
        round.report.isUnfinished = true
      }
    }
    await store.write(scope, { putLinks, dropLinks, putGhosts, putWaiting })
  }
}

/** The side on which they were deleted may have kept more of them than it showed. */
async function sweep(round: Round, staying: Side, halves: readonly LoneHalf[]): Promise<void> {
  const { drivers, scope, signal } = round.context
  const gone = otherSide(staying)
  const ids = halves.map(({ link }) => link[gone].id)
  if (ids.length > 0) await drivers[gone].sweep?.(scope, ids, signal)
}

async function holdAll(round: Round, removals: readonly LoneHalf[]): Promise<void> {
  const { store, scope } = round.context
  const at = round.context.clock.now()
  const putLinks = removals.map(
    ({ link, side }): Link => ({ ...link, isDirty: false, held: { side: otherSide(side), at } }),
  )
  await store.write(scope, { putLinks })
  for (const { side, item, link } of removals) {
    note(round, 'held', side, { [side]: item }, { otherId: link[otherSide(side)].id })
  }
}

function removalOf({ item, link, side }: LoneHalf): Removal {
  return { id: link[side].id, version: item?.version ?? link[side].version }
}
