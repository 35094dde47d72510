import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { StoreWorld, WorldOptions } from '../contract/store-world.ts'
import { describeStoreContract } from '../store-contract.ts'
import { openSqliteStore } from './open.ts'

describeStoreContract('the SQLite store', openWorld)

async function openWorld(options: WorldOptions = {}): Promise<StoreWorld> {
  const root = mkdtempSync(join(tmpdir(), 'isthmus-store-'))
  // Few records at hand, so that some of them have to be looked up again; and an index of words that lacks some.
  const limits = {
    recordsAtHand: 7,
    termsBehind: 7,
    ...(options.inlineBytes !== undefined && { inlineBytes: options.inlineBytes }),
  }
  let life = 0
  let folder = join(root, 'life-0')
  let store = await openSqliteStore({ folder, limits })
  return {
    get store() {
      return store
    },
    async reopen() {
      await store.close()
      store = await openSqliteStore({ folder, limits })
    },
    async crash() {
      const left = folder
      const abandoned = store
      life += 1
      folder = join(root, `life-${life}`)
      // What a process leaves that is killed now: nobody closes, nobody checkpoints.
      cpSync(left, folder, { recursive: true })
      await abandoned.close()
      rmSync(left, { recursive: true })
      store = await openSqliteStore({ folder, limits })
    },
    async close() {
      await store.close()
      rmSync(root, { recursive: true })
    },
  }
}
