import type { Message } from '../api/types.ts'

/** Why messages wait: an earlier one with the same key comes first, something has to change, or just their time. */
export function planWaiting(messages: readonly Pick<Message, 'heldBy' | 'awaitsChange'>[]): {
  readonly held: number
  readonly awaiting: number
  readonly due: number
} {
  const held = messages.filter(({ heldBy }) => heldBy !== undefined).length
  const awaiting = messages.filter(({ heldBy, awaitsChange }) => heldBy === undefined && awaitsChange).length
  return { held, awaiting, due: messages.length - held - awaiting }
}
