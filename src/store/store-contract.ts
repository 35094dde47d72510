import { afterEach, beforeEach, describe } from 'vitest'
import { describeAccept } from './contract/accept-contract.ts'
import { describeBodies } from './contract/bodies-contract.ts'
import { describeClaims } from './contract/claims-contract.ts'
import { describeInspection } from './contract/inspection-contract.ts'
import { describeKeyMaps } from './contract/key-maps-contract.ts'
import { describeRandomRuns } from './contract/lives-contract.ts'
import { describeOrder } from './contract/order-contract.ts'
import { describePurge } from './contract/purge-contract.ts'
import { describeRecords } from './contract/records-contract.ts'
import type { OpenWorld, StoreWorld } from './contract/store-world.ts'

/** What every store behind `port.ts` must do, as tests. Each store calls this from a test file of its own. */
export function describeStoreContract(name: string, open: OpenWorld): void {
  describe(`${name} keeps the contract of the store`, () => {
    describe('in one world per test', () => {
      let world: StoreWorld
      beforeEach(async () => {
        world = await open()
      })
      afterEach(() => world.close())
      describeAccept(() => world)
      describeOrder(() => world)
      describeClaims(() => world)
      describeInspection(() => world)
      describePurge(() => world)
      describeRecords(() => world)
      describeKeyMaps(() => world)
    })
    describeBodies(open)
    describeRandomRuns(open)
  })
}
