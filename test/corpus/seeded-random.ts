/** The seed that every published figure and every report of a failure means, unless it names another. */
export const corpusSeed = 20_261_121

/** Numbers in [0, 1) that are the same on every machine for the same seed (mulberry32: 32 bits of state). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
