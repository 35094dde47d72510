import { systemClock } from '../../kernel/time.ts'
import { type GraphTwinOptions, startGraph } from '../../twins/graph/graph.ts'
import { startSignIn } from '../../twins/sign-in/sign-in.ts'
import { makeConnect } from '../net/connect.ts'
import { makeHttpAgent } from '../net/http-client.ts'
import { GraphClient, type GraphClientOptions } from './client.ts'

export const never = new AbortController().signal

/** The twins of Graph and of its sign-in, and a client that takes its tokens there by HTTP. For tests. */
export async function startGraphWorld(options: Partial<GraphTwinOptions> = {}) {
  const signIn = await startSignIn()
  signIn.grantAdminConsent()
  const graph = await startGraph({
    mailboxes: ['ada@contoso.com', 'ben@contoso.com'],
    verify: signIn.verify,
    ...options,
  })
  const made = clientOf(graph.root, () => signIn.issue({ scope: 'https://graph.microsoft.com/.default' }))
  return {
    signIn,
    graph,
    ...made,
    async stop() {
      await made.close()
      await graph.stop()
      await signIn.stop()
    },
  }
}

/** A client of a root, with tokens from `issue`; a refused one is replaced. */
export function clientOf(root: string, issue: () => string, more: Partial<GraphClientOptions> = {}) {
  const agent = makeHttpAgent({ connect: () => makeConnect(), connectTimeoutMs: 5000, answerBytesMax: -1 })
  let token = issue()
  const client = new GraphClient({
    root: new URL(root),
    async logIn(refused) {
      if (refused === token) token = issue()
      return { dispatcher: () => agent, token }
    },
    credential: 'm365-app',
    timeoutMs: 10_000,
    clock: systemClock,
    ...more,
  })
  return { client, close: () => agent.destroy() }
}
