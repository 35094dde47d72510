// Crockford's base 32: no I, L, O, U, so that an id can be read out over the telephone.
const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
const idEpochMs = Date.UTC(2020, 0, 1)
const perMs = 4096
const idLength = 11

/** Makes rising numbers below 2^53: milliseconds since 2020 in the upper 41 bits, a counter in the lower 12. */
export function makeSequence(now: () => number): () => number {
  let last = 0
  return () => {
    const floor = (now() - idEpochMs) * perMs
    last = floor > last ? floor : last + 1
    return last
  }
}

/** The id of a number as people see it: 11 letters that sort like the number. */
export function formatId(sequence: number): string {
  let text = ''
  for (let rest = sequence; text.length < idLength; rest = Math.floor(rest / 32)) text = alphabet[rest % 32] + text
  return text
}

/** The number of an id, or undefined when it is not one of ours. Lower case is accepted. */
export function parseId(text: string): number | undefined {
  if (text.length !== idLength) return undefined
  let value = 0
  for (const letter of text.toUpperCase()) {
    const digit = alphabet.indexOf(letter)
    if (digit < 0) return undefined
    value = value * 32 + digit
  }
  return Number.isSafeInteger(value) ? value : undefined
}
