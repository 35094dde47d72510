import type { Side, SideItem } from '../drivers.ts'
import { areEqualStamps, stampsOf } from '../plan/stamps.ts'
import { chunksOf, commonParts, mayStillCome, otherSide } from './context.ts'
import { readItems } from './pull.ts'
import type { Round } from './round-state.ts'
import type { Intent } from './sync-store.ts'
import { linkByIntent } from './take-in.ts'

/**
 * Settles what an earlier round was about to create when it ended: what is there is linked; what is not there after a
 * while never came to be, and its source is looked at again.
 */
export async function replayIntents(round: Round): Promise<void> {
  const { store, scope } = round.context
  for (const intent of await store.intents(scope)) round.intents.set(intent.key, intent)
  if (round.intents.size === 0) return
  for (const to of ['crm', 'exchange'] as const) {
    const open = [...round.intents.values()].filter(intent => intent.to === to)
    const made = await findMade(round, to, open)
    for (const intent of open) {
      const item = made.get(intent.key)
      if (item) await linkByIntent(round, intent, item)
      else await giveUp(round, intent)
    }
  }
}

async function findMade(round: Round, to: Side, intents: readonly Intent[]): Promise<ReadonlyMap<string, SideItem>> {
  const { drivers, scope, signal } = round.context
  const driver = drivers[to]
  const made = new Map<string, SideItem>()
  const marked = intents.flatMap(intent => (intent.mark === null ? [] : [{ intent, mark: intent.mark }]))
  for (const chunk of chunksOf(marked, driver.abilities(scope.kind).batch.find)) {
    const answers = await driver.findByMark(
      scope,
      chunk.map(({ mark }) => mark),
      signal,
    )
    for (const [index, { intent }] of chunk.entries()) {
      const item = await firstUnlinked(round, to, likeliestFirst(round, intent, answers[index] ?? []))
      if (item) made.set(intent.key, item)
    }
  }
  for (const intent of intents) {
    if (intent.mark !== null || !driver.findAlike) continue
    const source = (await readItems(round, otherSide(to), [intent.source.id])).get(intent.source.id)
    if (!source) continue
    const alike = await driver.findAlike(scope, source.item, intent.at, signal)
    // Alike is not the same: only what is still exactly as we wrote it can be ours.
    const same = alike.filter(({ item }) => areEqualStamps(stampsOf(commonParts(round.plan, item)), intent.base))
    const item = await firstUnlinked(round, to, same)
    if (item) made.set(intent.key, item)
  }
  return made
}

/** Somebody may have copied what we created, mark and all: the one that is as we wrote it is the original. */
function likeliestFirst(round: Round, { base }: Intent, items: readonly SideItem[]): readonly SideItem[] {
  if (items.length < 2) return items
  const isSame = ({ item }: SideItem) => areEqualStamps(stampsOf(commonParts(round.plan, item)), base)
  return items.toSorted((left, right) => Number(isSame(right)) - Number(isSame(left)))
}

async function firstUnlinked(round: Round, side: Side, items: readonly SideItem[]): Promise<SideItem | undefined> {
  if (items.length === 0) return undefined
  const { store, scope } = round.context
  const links = await store.findLinks(
    scope,
    side,
    items.map(item => item.id),
  )
  return items.find(item => !links.some(link => link[side].id === item.id))
}

async function giveUp(round: Round, intent: Intent): Promise<void> {
  const { store, scope, clock } = round.context
  const isLinked = (await store.findLinks(scope, otherSide(intent.to), [intent.source.id])).length > 0
  // A request whose answer was lost may still be carried out: creating again now would double the item.
  if (!isLinked && mayStillCome(round.context, intent.at)) return
  round.intents.delete(intent.key)
  const side = otherSide(intent.to)
  const at = clock.now()
  const { id } = intent.source
  const [earlier] = await store.findWaiting(scope, side, [id])
  const isWanted = earlier?.isWanted ?? false
  // Remembered until something came of it, since no token will bring the source up again.
  const again = { side, id, version: undefined, attemptCount: 0, dueAt: at, at, error: undefined, isWanted }
  await store.write(scope, { dropIntents: [intent.key], putWaiting: isLinked ? [] : [again] })
}
