import type { GraphInbox } from '../../src/groupware/graph/inbox.ts'
import type { OpenDrivers } from '../../src/groupware/organizations/driver-book.ts'
import { makeOpenDrivers } from '../../src/groupware/organizations/open-drivers.ts'
import { defaultRules } from '../../src/groupware/plan/rules.ts'
import type { CredentialLookup } from '../../src/kernel/credential.ts'
import type { Connect } from '../../src/kernel/socket.ts'
import type { Clock } from '../../src/kernel/time.ts'
import { makeConnect } from '../../src/protocols/net/connect.ts'
import { c4cUser } from '../../src/twins/c4c/c4c.ts'
import { exchangeAccount } from '../../src/twins/exchange-ews/exchange-ews.ts'

/** Where the twins are, as the process of the hub is told. */
export interface Landscape {
  readonly access: 'ews' | 'graph'
  readonly exchangeUrl: string
  readonly crmUrl: string
  /** PEM of the authority behind their certificates. */
  readonly ca: string
  /** Of the questions to the twins themselves (line-port.ts). */
  readonly port: number
}

export const organizationName = 'contoso'
/** What the Graph twin takes for a token; the sign-in is not part of what is measured. */
export const graphToken = 'bench-token'

const credential: CredentialLookup = async name => {
  if (name === 'c4c') return { kind: 'basic', ...c4cUser }
  if (name === 'exchange') return { kind: 'basic', ...exchangeAccount }
  const token = { value: graphToken, expiresAt: Number.MAX_SAFE_INTEGER }
  return { kind: 'oauth2', user: undefined, token: async () => token }
}

/** Settings of the organization, as an administrator would write them. */
export function settingsOf({ access, exchangeUrl, crmUrl }: Landscape) {
  return {
    access: access === 'ews' ? ('ews-impersonation' as const) : ('graph' as const),
    exchange: { url: exchangeUrl, auth: access === 'ews' ? 'exchange' : 'graph', logIn: 'ntlm' as const },
    crm: { url: crmUrl, auth: 'c4c' },
  }
}

/** The product's own way to the two sides, over TLS. */
export function openSides({ ca }: Landscape, clock: Clock, inbox?: GraphInbox): OpenDrivers {
  const plain = makeConnect()
  const trusting: Connect = Object.assign(
    (request: Parameters<Connect>[0]) => plain({ ...request, tls: request.tls && { ...request.tls, ca } }),
    { upgrade: plain.upgrade },
  )
  const rulesOf = () => defaultRules
  return makeOpenDrivers({ connect: trusting, credential, clock, rulesOf, inbox })
}
