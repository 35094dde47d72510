/** Numbers from 0 to 1 that are the same for the same seed (xorshift). For tests. */
export function randomOf(seed: number): () => number {
  let state = Math.imul(seed, 2654435761) >>> 0 || 1
  return () => {
    state ^= state << 13
    state >>>= 0
    state ^= state >>> 17
    state ^= state << 5
    state >>>= 0
    return state / 2 ** 32
  }
}
