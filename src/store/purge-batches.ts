import type { FinishedState, Inspection } from './port.ts'

const endedStates: readonly FinishedState[] = ['delivered', 'dropped', 'rejected', 'skipped', 'set-aside']

type Request = Pick<Parameters<Inspection['purge']>[0], 'deliveredBefore' | 'setAsideBefore' | 'max'>

/** `Inspection.purge`, state by state in small batches; `purgeBatch` says how many of `countMax` it found. */
export async function purgeInBatches(
  { deliveredBefore, setAsideBefore, max }: Request,
  batchMax: number,
  purgeBatch: (state: FinishedState, before: number, countMax: number) => Promise<number>,
): Promise<number> {
  let purged = 0
  for (const state of endedStates) {
    const before = state === 'set-aside' ? setAsideBefore : deliveredBefore
    for (let isMore = true; isMore && purged < max; ) {
      const countMax = Math.min(batchMax, max - purged)
      const count = await purgeBatch(state, before, countMax)
      purged += count
      isMore = count === countMax
    }
  }
  return purged
}
