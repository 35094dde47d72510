import { makeConnect } from '../protocols/net/connect.ts'
import { makeHttpAgent } from '../protocols/net/http-client.ts'
import { type C4CTwinOptions, c4cUser, startC4C } from '../twins/c4c/c4c.ts'
import { type C4CDriverOptions, makeC4CDriver } from './c4c-driver.ts'

/** The twin of Cloud for Customer and a driver that works with it over sockets. For tests. */
export async function startC4CDriver(options: C4CTwinOptions = {}, more: Partial<C4CDriverOptions> = {}) {
  const twin = await startC4C({ employees: ['ada@contoso.com', 'ben@contoso.com'], ...options })
  const agent = makeHttpAgent({ connect: () => makeConnect(), connectTimeoutMs: 5000, answerBytesMax: -1 })
  const basic = Buffer.from(`${c4cUser.user}:${c4cUser.password}`).toString('base64')
  const open = (other: Partial<C4CDriverOptions>) =>
    makeC4CDriver({
      root: new URL(twin.root),
      logIn: async () => ({
        dispatcher: () => agent,
        identity: c4cUser.user,
        header: ['authorization', `Basic ${basic}`],
        token: undefined,
      }),
      credential: 'c4c',
      timeoutMs: 10_000,
      now: () => Date.now(),
      ...more,
      ...other,
    })
  return {
    twin,
    driver: open({}),
    /** The same twin behind a driver with other settings. */
    reopened: open,
    async stop() {
      await agent.destroy()
      await twin.stop()
    },
  }
}
