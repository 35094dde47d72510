import type { CredentialLookup } from '../../kernel/credential.ts'
import { type Connect, connectFor } from '../../kernel/socket.ts'
import { type Clock, SECOND } from '../../kernel/time.ts'
import type { DiscoverOptions } from '../../protocols/ews/autodiscover.ts'
import { CertifiedAgents } from '../../protocols/net/certified-agents.ts'
import { proofOf } from '../../protocols/net/credential-proof.ts'
import type { SideDriver } from '../drivers.ts'
import type { GraphInbox } from '../graph/inbox.ts'
import type { SyncRules } from '../plan/rules.ts'
import { scheduleLimits } from '../schedule/limits.ts'
import { withSharedFeed } from '../sync/shared-feed.ts'
import type { OpenDrivers } from './driver-book.ts'
import { organizationErrors } from './errors.ts'
import type { Organization } from './model.ts'

export interface OpenDriversOptions {
  readonly connect: Connect
  readonly credential: CredentialLookup
  readonly clock: Clock
  readonly rulesOf: (organization: Organization) => Pick<SyncRules, 'markCategory'>
  /** Where Graph tells of changes; without it mailboxes in Exchange Online are polled. */
  readonly inbox?: GraphInbox | undefined
}

const openLimits = {
  connectMs: 15 * SECOND,
  requestMs: 100 * SECOND,
  discoverMs: 90 * SECOND,
}
const graphRoot = 'https://graph.microsoft.com/v1.0/'

/** Opens the real sides of an organization. What a protocol needs is loaded with its first organization. */
export function makeOpenDrivers(options: OpenDriversOptions): OpenDrivers {
  return async (organization, { own, sample }) => {
    const isGraph = organization.access === 'graph'
    const auth = own?.auth ?? organization.exchange.auth
    if (auth === undefined) {
      const reason = `mailbox ${sample} has no credential of its own`
      throw organizationErrors.INVALID({ name: organization.name, reason })
    }
    const exchange = isGraph
      ? await openGraph(options, organization, auth)
      : await openEws(options, organization, { auth, isOwn: own !== undefined, sample })
    try {
      return { exchange, crm: await openCrm(options, organization) }
    } catch (thrown) {
      await exchange.close?.()
      throw thrown
    }
  }
}

async function openEws(
  { connect, credential, clock, rulesOf }: OpenDriversOptions,
  organization: Organization,
  { auth, isOwn, sample }: { readonly auth: string; readonly isOwn: boolean; readonly sample: string },
): Promise<SideDriver> {
  const { EwsDriver } = await import('../ews-driver.ts')
  const { url: given, via, logIn } = organization.exchange
  const { kind } = await credential(auth)
  const wire = {
    auth: kind === 'oauth2' ? ('oauth' as const) : logIn,
    credential: auth,
    lookUp: () => credential(auth),
    connect: () => connectFor(`groupware ${organization.name}`, connect),
    via,
    clock,
    timeoutMs: openLimits.requestMs,
  }
  const url = given === undefined ? await discover({ ...wire, mailbox: sample }) : new URL(given)
  const { markCategory } = rulesOf(organization)
  return new EwsDriver({ ...wire, url, access: isOwn ? 'direct' : 'impersonation', markCategory })
}

async function discover(options: Omit<DiscoverOptions, 'signal'>): Promise<URL> {
  const { discoverEws } = await import('../../protocols/ews/autodiscover.ts')
  const signal = AbortSignal.timeout(openLimits.discoverMs)
  return (await discoverEws({ ...options, signal })).url
}

async function openGraph(options: OpenDriversOptions, organization: Organization, auth: string): Promise<SideDriver> {
  const { makeGraphDriver } = await import('../graph-driver.ts')
  const { clock, credential, rulesOf, inbox } = options
  const { agents, close } = agentsFor(options, organization, undefined)
  const root = new URL(organization.exchange.url ?? graphRoot)
  const driver = makeGraphDriver({
    root: root.href.endsWith('/') ? root : new URL(`${root.href}/`),
    async logIn(refused) {
      const value = await credential(auth)
      if (value.kind !== 'oauth2') throw unfit(auth, value.kind, 'Microsoft Graph')
      return { dispatcher: () => agents.agentFor(undefined), token: (await value.token(refused)).value }
    },
    credential: auth,
    timeoutMs: openLimits.requestMs,
    clock,
    markCategory: rulesOf(organization).markCategory,
    inbox,
  })
  return closingWith(driver, close)
}

async function openCrm(options: OpenDriversOptions, organization: Organization): Promise<SideDriver> {
  const { makeC4CDriver } = await import('../c4c-driver.ts')
  const { deliveredCodes } = await import('../c4c/codes.ts')
  const { clock, credential } = options
  const { url, auth, via, visits, language, accountRole, customerRole, overlapMs } = organization.crm
  const { agents, close } = agentsFor(options, organization, via)
  const driver = makeC4CDriver({
    root: new URL(url),
    async logIn(refused) {
      const value = await credential(auth)
      const proof = await proofOf(value, refused)
      if (!proof) throw unfit(auth, value.kind, 'Cloud for Customer')
      const { header, token, certificate } = proof
      const identity = `${header?.[1] ?? ''}${certificate?.cert ?? ''}`
      return { header, token, identity, dispatcher: () => agents.agentFor(certificate) }
    },
    credential: auth,
    visits,
    codes: {
      textLanguage: language ?? deliveredCodes.textLanguage,
      accountRole: accountRole ?? deliveredCodes.accountRole,
      customerRole: customerRole ?? deliveredCodes.customerRole,
    },
    overlapMs,
    timeoutMs: openLimits.requestMs,
    now: () => clock.now(),
  })
  const shared = withSharedFeed(closingWith(driver, close), clock)
  // The feed itself says whose turn it is (sync-loop.ts).
  return { ...shared, ...(driver.feed && { feed: driver.feed.bind(driver) }) }
}

function agentsFor({ connect }: OpenDriversOptions, { name }: Organization, via: string | undefined) {
  const agents = new CertifiedAgents({
    connect: () => connectFor(`groupware ${name}`, connect),
    via,
    connectTimeoutMs: openLimits.connectMs,
    connections: scheduleLimits.runningPerOrganization,
    // Answers are limited where they are read.
    answerBytesMax: -1,
  })
  return { agents, close: () => agents.close() }
}

/** The driver, which closes its connections, too, when it is closed. */
function closingWith(driver: SideDriver, close: () => Promise<void>): SideDriver {
  const before = driver.close?.bind(driver)
  return Object.assign(driver, {
    async close() {
      await before?.()
      await close()
    },
  })
}

function unfit(auth: string, kind: string, server: string) {
  return organizationErrors.CREDENTIAL_UNFIT({ credential: auth, kind, server })
}
