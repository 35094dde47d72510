import { type C4CTwinOptions, c4cUser, startC4C } from '../../twins/c4c/c4c.ts'
import { makeConnect } from '../net/connect.ts'
import { makeHttpAgent } from '../net/http-client.ts'
import type { ExchangeOptions } from '../odata/exchange.ts'
import { C4CClient } from './client.ts'

/** The twin of Cloud for Customer and a client that logs in with a password. For tests. */
export async function startC4CWorld(options: C4CTwinOptions = {}) {
  const twin = await startC4C({ employees: ['ada@contoso.com', 'ben@contoso.com'], ...options })
  const made = c4cClientOf(twin.root)
  return {
    twin,
    ...made,
    async stop() {
      await made.close()
      await twin.stop()
    },
  }
}

export function c4cClientOf(root: string, more: Partial<ExchangeOptions> = {}) {
  const { options, close } = c4cWayTo(root)
  return { client: new C4CClient({ ...options, ...more }), close }
}

/** How a client logs in at the twin with a password. */
export function c4cWayTo(root: string): { readonly options: ExchangeOptions; close(): Promise<void> } {
  const agent = makeHttpAgent({ connect: () => makeConnect(), connectTimeoutMs: 5000, answerBytesMax: -1 })
  const basic = Buffer.from(`${c4cUser.user}:${c4cUser.password}`).toString('base64')
  const options: ExchangeOptions = {
    root: new URL(root),
    logIn: async () => ({
      dispatcher: () => agent,
      identity: c4cUser.user,
      header: ['authorization', `Basic ${basic}`],
      token: undefined,
    }),
    credential: 'c4c',
    timeoutMs: 10_000,
    now: () => Date.now(),
  }
  return { options, close: () => agent.destroy() }
}
