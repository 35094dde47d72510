import type { WorldCrm, WorldMailbox } from './sides-world.ts'
import type { SyncStore } from './sync-store.ts'

/** One promise of the sides or the store taken back, to show that the model-based run would notice. */
export type Broken =
  | 'no-marks'
  | 'no-versions'
  | 'no-overlap'
  | 'no-keys'
  | 'tokens-first'
  | 'no-intents'
  | 'no-unseen'
  | 'no-pending'
  | 'no-base'

export function breakSides(mailbox: WorldMailbox, crm: WorldCrm, broken: Broken): void {
  const none = { findByMark: async () => [[]], findByIdentity: async () => [[]] }
  if (broken === 'no-marks') {
    Object.assign(mailbox, none)
    Object.assign(crm, none, { read: crm.read.bind(crm) })
  }
  if (broken === 'no-overlap') crm.overlapMs = 0
  if (broken === 'no-keys') Object.assign(crm, { keys: undefined })
  if (broken === 'no-versions') {
    for (const side of [mailbox, crm]) {
      const update = side.update.bind(side)
      const blind: typeof update = (scope, changes) =>
        update(
          scope,
          changes.map(change => ({ ...change, version: String(side.held.get(change.id)?.version) })),
        )
      Object.assign(side, { update: blind })
    }
  }
}

/** The store with one promise taken back. */
export function brokenStore(store: SyncStore, broken: Broken): SyncStore {
  return {
    ...store,
    write(scope, change) {
      if (broken === 'no-unseen') return store.write(scope, { ...change, putUnseen: [] })
      if (broken === 'no-intents') return store.write(scope, { ...change, putIntents: [] })
      const putLinks = (change.putLinks ?? []).map(link => ({
        ...link,
        ...(broken === 'no-pending' && { pending: { exchange: {}, crm: {} } }),
        ...(broken === 'no-base' && { base: {} }),
      }))
      return store.write(scope, { ...change, putLinks })
    },
    async readScope(scope) {
      const state = await store.readScope(scope)
      if (broken !== 'tokens-first') return state
      // As if the next tokens had been stored when the last ones were read.
      const tokens = {
        ...state.tokens,
        exchange: state.tokens.exchange?.replace(/:(\d+)$/, (_, at) => `:${Number(at) + 2}`),
      }
      return { ...state, tokens }
    },
  }
}
