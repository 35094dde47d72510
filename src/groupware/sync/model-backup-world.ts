import type { Side } from '../drivers.ts'
import type { ScopeKey, SyncStore, SyncWrite } from './sync-store.ts'

/** The books of a schedule as they were once, to be brought back later; where they never were kept, they are lost. */
export class ModelBackup {
  /** The store, with notes of what it does not list. */
  readonly store: SyncStore
  readonly #scope: ScopeKey
  readonly #ghosts: Readonly<Record<Side, Set<string>>> = { exchange: new Set(), crm: new Set() }
  #kept: SyncWrite = {}

  constructor(store: SyncStore, scope: ScopeKey) {
    this.#scope = scope
    this.store = {
      ...store,
      write: (key, change) => {
        for (const { side, id } of change.putGhosts ?? []) this.#ghosts[side].add(id)
        return store.write(key, change)
      },
    }
  }

  async keep(): Promise<void> {
    const { store } = this
    const scope = this.#scope
    const pairs = await store.listPairs(scope, undefined, 10_000)
    const ids = pairs.map(pair => pair.crm)
    this.#kept = {
      state: await store.readScope(scope),
      putLinks: await store.findLinks(scope, 'crm', ids),
      putIntents: await store.intents(scope),
      putUnseen: await store.unseen(scope),
      putWaiting: await store.listWaiting(scope, 10_000),
      putGhosts: [
        ...(await store.findGhosts(scope, 'exchange', [...this.#ghosts.exchange])),
        ...(await store.findGhosts(scope, 'crm', [...this.#ghosts.crm])),
      ],
    }
  }

  async bringBack(): Promise<void> {
    await this.store.forget(this.#scope)
    await this.store.write(this.#scope, this.#kept)
  }
}
