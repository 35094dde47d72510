import { otherSide } from './context.ts'
import type { ScopeKey, SyncStore, Waiting } from './sync-store.ts'

/**
 * What a person says about deletions that the brake holds back: `pass` lets the next round do them all; `restore` takes
 * them for mistakes, and the next round creates anew what is gone, from the half that is still there. Returns how many.
 */
export async function decideHeld(
  store: SyncStore,
  scope: ScopeKey,
  decision: 'pass' | 'restore',
  now: number,
): Promise<number> {
  const held = await store.openLinks(scope, 'held')
  if (held.length === 0) return 0
  if (decision === 'pass') {
    await store.write(scope, { state: { isBrakeReleased: true } })
    return held.length
  }
  const again = held.flatMap((link): readonly Waiting[] => {
    if (!link.heldSide) return []
    const side = otherSide(link.heldSide)
    const { id } = link[side]
    return [{ side, id, version: undefined, attemptCount: 0, dueAt: now, at: now, error: undefined }]
  })
  await store.write(scope, { dropLinks: held.map(link => link.key), putWaiting: again })
  return held.length
}
