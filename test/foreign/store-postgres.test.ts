import { afterAll, beforeAll } from 'vitest'
import type { StoreWorld, WorldOptions } from '../../src/store/contract/store-world.ts'
import { openPostgresStore } from '../../src/store/postgres/open.ts'
import { describeStoreContract } from '../../src/store/store-contract.ts'
import { describeForeign } from './servers/needs.ts'
import { type Postgresql, startPostgresql } from './servers/postgresql.ts'

let server: Postgresql
let worlds = 0

describeForeign('the store on PostgreSQL', ['postgresql'], () => {
  beforeAll(async () => {
    server = await startPostgresql()
  })
  afterAll(() => server.stop())

  describeStoreContract('the PostgreSQL store', openWorld)
})

async function openWorld(options: WorldOptions = {}): Promise<StoreWorld> {
  const schema = `world_${++worlds}`
  const open = () =>
    openPostgresStore({ address: server.address(schema), owner: schema, limits: { bodyChunkBytes: 1024, ...options } })
  let store = await open()
  return {
    get store() {
      return store
    },
    async reopen() {
      await store.close()
      store = await open()
    },
    async crash() {
      const abandoned = store
      // What the server is left with when the hub is killed: connections that end in the midst of whatever they did.
      await server.admin('select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1', [
        `isthmus ${schema}`,
      ])
      await abandoned.close()
      store = await open()
    },
    async close() {
      await store.close()
      await server.admin(`drop schema ${schema} cascade`)
    },
  }
}
