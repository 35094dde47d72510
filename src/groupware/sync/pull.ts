import { asHubError } from '../../kernel/error.ts'
import type { Side, SideItem } from '../drivers.ts'
import { groupwareErrors } from '../errors.ts'
import { chunksOf } from './context.ts'
import { expectMarks, noteMarks } from './known-marks.ts'
import type { Round } from './round-state.ts'
import { stopIfAsked } from './round-state.ts'

/** What a side told of a scope. */
export interface Pulled {
  /** Items to look at, with the version where the side says it. In what state they are, reading them says. */
  readonly touched: Map<string, string | undefined>
  /** To be stored when everything is done. */
  readonly token: string
  /** Everything was listed, so that what is not listed may be gone. */
  readonly isFull: boolean
  readonly askedAt: number
}

/** Asks a side for its changes up to the end. A lost token means a full listing, never new items. */
export async function pullChanges(round: Round, side: Side, stored: string | undefined): Promise<Pulled> {
  const { scope, drivers, limits, signal, clock } = round.context
  const touched: Pulled['touched'] = new Map()
  const askedAt = clock.now()
  let token = stored
  let isFull = stored === undefined
  let restarts = 0
  for (let pages = 1; ; pages += 1) {
    stopIfAsked(round)
    const page = await drivers[side].changes(scope, token, signal)
    if (page === 'token-lost') {
      restarts += 1
      token = undefined
      isFull = true
      touched.clear()
    } else {
      for (const change of page.changes) {
        round.report.told[side] += 1
        touched.set(change.id, change.isDeleted ? undefined : change.version)
        keepBrought(round, side, change.id, change.isDeleted ? undefined : change.item)
      }
      token = page.token
      if (!page.hasMore) {
        const pulled: Pulled = { touched, token, isFull, askedAt }
        await expectMarks(round, side, pulled)
        return pulled
      }
    }
    if (pages >= limits.pagesMax || restarts > limits.restartsMax) {
      throw groupwareErrors.ENDLESS_LISTING({ side, mailbox: scope.mailbox, kind: scope.kind, pages })
    }
  }
}

/** The items as they are now: as a change brought them, else read. */
export async function readItems(
  round: Round,
  side: Side,
  ids: readonly string[],
): Promise<ReadonlyMap<string, SideItem>> {
  const { scope, drivers } = round.context
  const items = new Map<string, SideItem>()
  const missing: string[] = []
  for (const id of new Set(ids)) {
    const item = round.brought[side].get(id)
    if (item) items.set(id, item)
    else missing.push(id)
  }
  for (const chunk of chunksOf(missing, drivers[side].abilities(scope.kind).batch.read)) {
    stopIfAsked(round)
    const answers = await readChunk(round, side, chunk)
    for (const [index, id] of chunk.entries()) {
      const item = answers[index]
      if (item) items.set(id, item)
    }
  }
  noteMarks(round, side, ids, items.values())
  return items
}

/** An item that its side cannot show, since it is damaged, must not keep the others from being read. */
async function readChunk(round: Round, side: Side, ids: readonly string[]): Promise<readonly (SideItem | undefined)[]> {
  const { scope, drivers, signal } = round.context
  try {
    return await drivers[side].read(scope, ids, signal)
  } catch (thrown) {
    const error = asHubError(thrown)
    const [id = ''] = ids
    if (drivers[side].concerns(error) !== 'item') throw thrown
    if (ids.length > 1) {
      const items: (SideItem | undefined)[] = []
      for (const each of ids) items.push(...(await readChunk(round, side, [each])))
      return items
    }
    round.unreadable[side].set(id, error)
    return [undefined]
  }
}

function keepBrought(round: Round, side: Side, id: string, item: SideItem | undefined): void {
  const { brought, broughtCount } = round
  // The last word counts; an older whole item must not stand beside a newer change without one.
  if (brought[side].delete(id)) broughtCount[side] -= 1
  if (!item || broughtCount[side] >= round.context.limits.heldItemsMax) return
  brought[side].set(id, item)
  broughtCount[side] += 1
}
