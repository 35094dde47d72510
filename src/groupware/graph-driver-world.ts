import { systemClock } from '../kernel/time.ts'
import { makeConnect } from '../protocols/net/connect.ts'
import { makeHttpAgent } from '../protocols/net/http-client.ts'
import { type GraphTwinOptions, startGraph } from '../twins/graph/graph.ts'
import { startSignIn } from '../twins/sign-in/sign-in.ts'
import type { Scope } from './drivers.ts'
import { type GraphDriverOptions, makeGraphDriver } from './graph-driver.ts'
import type { ItemKind } from './plan/items.ts'

export const markCategory = 'SAP Cloud for Customer'

/** The twins of Graph and its sign-in, and a driver that works with them over sockets. For tests. */
export async function startGraphDriver(
  options: Partial<GraphTwinOptions> = {},
  more: Partial<GraphDriverOptions> = {},
) {
  const signIn = await startSignIn()
  signIn.grantAdminConsent()
  const graph = await startGraph({
    mailboxes: ['ada@contoso.com', 'ben@contoso.com'],
    verify: signIn.verify,
    ...options,
  })
  const agent = makeHttpAgent({ connect: () => makeConnect(), connectTimeoutMs: 5000, answerBytesMax: -1 })
  const issue = () => signIn.issue({ scope: 'https://graph.microsoft.com/.default' })
  let token = issue()
  const driverOptions: GraphDriverOptions = {
    root: new URL(graph.root),
    async logIn(refused) {
      if (refused === token) token = issue()
      return { dispatcher: () => agent, token }
    },
    credential: 'm365-app',
    timeoutMs: 10_000,
    clock: systemClock,
    markCategory,
    ...more,
  }
  const driver = makeGraphDriver(driverOptions)
  return {
    signIn,
    graph,
    driver,
    logIn: driverOptions.logIn,
    /** Another driver on the same twin. */
    reopened: (other: Partial<GraphDriverOptions>) => makeGraphDriver({ ...driverOptions, ...other }),
    async stop() {
      await agent.destroy()
      await graph.stop()
      await signIn.stop()
    },
  }
}

export function scopeOf(kind: ItemKind, more: Partial<Scope> = {}): Scope {
  return {
    organization: 'contoso',
    mailbox: 'ada@contoso.com',
    kind,
    owner: 'ada@contoso.com',
    folders: [],
    from: null,
    to: null,
    ...more,
  }
}
