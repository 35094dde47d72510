import { setImmediate as nextTurn } from 'node:timers/promises'

/** How long one message may keep all others waiting in one go. */
const turnMs = 20

/**
 * For long work: between two pieces of it, the function says whether to wait. The hub has one thread for all flows, and
 * the others have their turn then.
 */
export function createTurns(): () => Promise<void> | undefined {
  let begun = performance.now()
  return () => {
    if (performance.now() - begun < turnMs) return undefined
    return nextTurn().then(() => {
      begun = performance.now()
    })
  }
}
