import type { SequenceFacts } from '../sequence.ts'

// One start of the store has so many fencing numbers; they rise from start to start.
const fencesPerStart = 2 ** 36

export function makeFences(facts: SequenceFacts): () => number {
  const start = facts.read('starts') + 1
  facts.write('starts', start)
  let fence = start * fencesPerStart
  return () => {
    fence += 1
    return fence
  }
}
