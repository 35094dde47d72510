import type { Side } from '../drivers.ts'
import { brakesDeletions } from '../plan/brake.ts'
import { waitingFor, writeBatch } from './batches.ts'
import { chunksOf, otherSide } from './context.ts'
import { note, type PlannedRemoval, type Round } from './round-state.ts'
import type { Ghost, Link, Waiting } from './sync-store.ts'

/** Carries deletions over, or holds them all back when they are suspiciously many. */
export async function removeItems(round: Round, isBrakeReleased: boolean): Promise<void> {
  if (round.removals.length === 0) return
  const { store, scope, rules } = round.context
  await dropRenamed(round)
  // Those that are held stay so until a person lets them pass.
  const due = isBrakeReleased ? round.removals : round.removals.filter(({ link }) => link.heldSide === undefined)
  const deletions = due.length + (await store.countHeld(scope))
  const links = await store.countLinks(scope)
  if (!isBrakeReleased && brakesDeletions(rules.brake, { deletions, links })) return holdAll(round, due)
  for (const side of ['exchange', 'crm'] as const) {
    const ofSide = due.filter(({ from }) => from === side)
    await removeFrom(round, side, ofSide)
  }
}

/** Since a removal was planned its lost half may have been found again under another id. */
async function dropRenamed(round: Round): Promise<void> {
  const { store, scope } = round.context
  const ids = round.removals.map(({ link }) => link.crm.id)
  const links = new Map((await store.findLinks(scope, 'crm', ids)).map(link => [link.key, link]))
  const kept = round.removals.filter(({ link }) => links.get(link.key)?.exchange.id === link.exchange.id)
  round.removals.splice(0, round.removals.length, ...kept)
}

async function removeFrom(round: Round, side: Side, removals: readonly PlannedRemoval[]): Promise<void> {
  const { drivers, scope, store, signal, clock } = round.context
  for (const batch of chunksOf(removals, drivers[side].abilities(scope.kind).batch.write)) {
    const outcomes = await writeBatch(round, side, batch, part =>
      drivers[side].remove(
        scope,
        part.map(({ item: { id, version } }) => ({ id, version })),
        signal,
      ),
    )
    const putLinks: Link[] = []
    const dropLinks: string[] = []
    const putGhosts: Ghost[] = []
    const putWaiting: Waiting[] = []
    for (const [index, { link, item }] of batch.entries()) {
      const outcome = outcomes[index]
      if (outcome?.state === 'done' || outcome?.state === 'gone') {
        dropLinks.push(link.key)
        putGhosts.push({ side, id: item.id, version: item.version, reason: 'deleted', at: clock.now() })
        round.report.removed[side] += 1
        note(round, 'removed', side, { [side]: item }, { otherId: link[otherSide(side)].id })
      } else if (outcome?.state === 'refused') {
        const refused = { side, id: item.id, version: item.version }
        const [earlier] = await store.findWaiting(scope, side, [item.id])
        putWaiting.push(waitingFor(round, refused, outcome.error, earlier))
        round.report.refused += 1
        note(round, 'refused', side, { [side]: item }, { error: outcome.error })
      } else {
        // It was edited this very moment; a deletion beats the edit, with the version it has now.
        putLinks.push({ ...link, isDirty: true })
        round.report.isUnfinished = true
      }
    }
    await store.write(scope, { putLinks, dropLinks, putGhosts, putWaiting })
  }
}

async function holdAll(round: Round, removals: readonly PlannedRemoval[]): Promise<void> {
  const { store, scope } = round.context
  const putLinks = removals.map(({ link, from }): Link => ({ ...link, isDirty: false, heldSide: otherSide(from) }))
  await store.write(scope, { putLinks })
  for (const { from, item, link } of removals) {
    note(round, 'held', from, { [from]: item }, { otherId: link[otherSide(from)].id })
  }
}
