import type { BrakeRules } from './rules.ts'

/**
 * Whether deletions must wait for the word of a person: somebody who empties a calendar by mistake, a folder that was
 * moved, a server that answers nonsense must not empty the other side.
 */
export function brakesDeletions(
  rules: BrakeRules,
  counts: {
    /** Deletions that this round would carry to the other side, with those that wait and those done just before. */
    readonly deletions: number
    /** Links of the scope, those to be deleted and those just deleted among them. */
    readonly links: number
  },
): boolean {
  return counts.deletions > rules.freeCount && counts.deletions > counts.links * rules.share
}
