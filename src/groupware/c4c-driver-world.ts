import { c4cWayTo } from '../protocols/c4c/c4c-world.ts'
import { type C4CTwinOptions, startC4C } from '../twins/c4c/c4c.ts'
import { type C4CDriverOptions, makeC4CDriver } from './c4c-driver.ts'

/** The twin of Cloud for Customer and a driver that works with it over sockets. For tests. */
export async function startC4CDriver(options: C4CTwinOptions = {}, more: Partial<C4CDriverOptions> = {}) {
  const twin = await startC4C({ employees: ['ada@contoso.com', 'ben@contoso.com'], ...options })
  const way = c4cWayTo(twin.root)
  const open = (other: Partial<C4CDriverOptions>) => makeC4CDriver({ ...way.options, ...more, ...other })
  return {
    twin,
    driver: open({}),
    /** The same twin behind a driver with other settings. */
    reopened: open,
    async stop() {
      await way.close()
      await twin.stop()
    },
  }
}
