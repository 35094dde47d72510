import { defineErrors } from './error.ts'

export const KiB = 1024
export const MiB = 1024 * KiB
export const GiB = 1024 * MiB

export const sizeErrors = defineErrors('SIZE', {
  NOT_A_SIZE: {
    side: 'flow',
    retry: 'never',
    means: '"{text}" is not a size.',
    next: 'Write a number and a unit: 512B, 64KiB, 50MiB, 1GiB (or kB, MB, GB for powers of ten).',
  },
})

const unitBytes: Record<string, number> = { B: 1, kB: 1e3, MB: 1e6, GB: 1e9, KiB, MiB, GiB }

/** Bytes of a size in words: `50MiB`. Throws SIZE_NOT_A_SIZE. */
export function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*(B|kB|MB|GB|KiB|MiB|GiB)$/.exec(text.trim())
  if (!match) throw sizeErrors.NOT_A_SIZE({ text })
  return Math.round(Number(match[1]) * (unitBytes[match[2] ?? ''] ?? 1))
}

/** A size as a person writes it: 52428800 is `50MiB`. */
export function formatSize(bytes: number): string {
  for (const [unit, size] of [
    ['GiB', GiB],
    ['MiB', MiB],
    ['KiB', KiB],
  ] as const) {
    if (bytes >= size) return `${Number((bytes / size).toFixed(1))}${unit}`
  }
  return `${bytes}B`
}
