import { X509Certificate } from 'node:crypto'
import { refuse } from './entra-error.ts'

/** A tenant as a test or the demo describes it. */
export interface TenantSeed {
  /** The directory (tenant) id, a GUID. */
  readonly id: string
  /** The domain that may stand for the id in URLs, for example `contoso.com`. */
  readonly domain: string
  readonly users: readonly UserSeed[]
  readonly apps: readonly AppSeed[]
  /** False: only an administrator may grant permissions. */
  readonly usersMayConsent?: boolean
}

interface UserSeed {
  /** The user principal name, `svc@contoso.com`. */
  readonly name: string
  readonly isAdmin?: boolean
}

/** An app registration. One without secrets and certificates is a public client. */
interface AppSeed {
  readonly clientId: string
  readonly name: string
  /** Compared letter by letter, as Entra does. */
  readonly redirectUris: readonly string[]
  readonly secrets?: readonly (string | { readonly value: string; readonly expiresAt: number })[]
  /** PEM certificates whose keys may sign client assertions. */
  readonly certificates?: readonly string[]
  /** Delegated permissions in the manifest, short names; what `/.default` stands for. */
  readonly delegated?: readonly string[]
  /** Application permissions in the manifest, for example `IMAP.AccessAsApp`; they act after admin consent. */
  readonly roles?: readonly string[]
  /** False lets an authorization code through without PKCE, as Entra does for web apps. */
  readonly isPkceRequired?: boolean
}

export interface App {
  readonly clientId: string
  readonly name: string
  readonly redirectUris: Set<string>
  readonly secrets: readonly { readonly value: string; readonly expiresAt: number }[]
  readonly certificates: readonly X509Certificate[]
  readonly delegated: readonly string[]
  readonly roles: readonly string[]
  readonly isPkceRequired: boolean
}

export interface Tenant {
  readonly id: string
  readonly domain: string
  /** By name in lower case. */
  readonly users: ReadonlyMap<string, UserSeed>
  readonly apps: ReadonlyMap<string, App>
  readonly usersMayConsent: boolean
}

/** Tenants with their users and apps, and who has consented to what. */
export interface Directory {
  readonly tenants: readonly Tenant[]
  /** By id, domain, or (for `common` and `organizations`) the domain of the user; throws AADSTS90002 or 50059. */
  tenant(name: string, user?: string): Tenant
  /** Throws AADSTS700016. */
  app(tenant: Tenant, clientId: string): App
  user(tenant: Tenant, name: string): UserSeed | undefined
  /** True when the user or an administrator has granted all these permissions. */
  hasConsent(tenant: Tenant, app: App, user: string, names: readonly string[]): boolean
  hasAdminConsent(tenant: Tenant, app: App): boolean
  grant(tenant: Tenant, app: App, user: string, names: readonly string[]): void
  /** For the whole organization: what the manifest lists, and these permissions. */
  grantForAll(tenant: Tenant, app: App, names?: readonly string[]): void
  /** Takes back the consent of one user, or every consent when no user is named. */
  withdraw(tenant: Tenant, app: App, user?: string): void
}

export function makeDirectory(seeds: readonly TenantSeed[]): Directory {
  const tenants = seeds.map(readTenant)
  const userGrants = new Map<string, Set<string>>()
  const adminGrants = new Map<string, Set<string>>()
  const appKey = (tenant: Tenant, app: App) => `${tenant.id} ${app.clientId}`
  const userKey = (tenant: Tenant, app: App, user: string) => `${appKey(tenant, app)} ${user.toLowerCase()}`
  return {
    tenants,
    tenant(name, user) {
      if (['common', 'organizations'].includes(name)) {
        const domain = user?.split('@')[1]?.toLowerCase()
        const home = tenants.find(tenant => tenant.domain === domain) ?? (tenants.length === 1 ? tenants[0] : undefined)
        if (!home) throw refuse('TENANT_MISSING')
        return home
      }
      const found = tenants.find(tenant => tenant.id === name || tenant.domain === name.toLowerCase())
      if (!found) throw refuse('TENANT_UNKNOWN', { tenant: name })
      return found
    },
    app(tenant, clientId) {
      const app = tenant.apps.get(clientId)
      if (!app) throw refuse('APP_UNKNOWN', { app: clientId, tenant: tenant.domain })
      return app
    },
    user: (tenant, name) => tenant.users.get(name.toLowerCase()),
    hasConsent(tenant, app, user, names) {
      const byUser = userGrants.get(userKey(tenant, app, user))
      const byAdmin = adminGrants.get(appKey(tenant, app))
      return names.every(name => byUser?.has(name) || byAdmin?.has(name))
    },
    hasAdminConsent: (tenant, app) => adminGrants.has(appKey(tenant, app)),
    grant(tenant, app, user, names) {
      const key = userKey(tenant, app, user)
      userGrants.set(key, new Set([...(userGrants.get(key) ?? []), ...names]))
    },
    grantForAll(tenant, app, names = []) {
      // Sign-in permissions come with every admin consent that Entra records.
      const all = [...app.delegated, ...names, 'openid', 'profile', 'email', 'offline_access']
      adminGrants.set(appKey(tenant, app), new Set([...(adminGrants.get(appKey(tenant, app)) ?? []), ...all]))
    },
    withdraw(tenant, app, user) {
      if (user !== undefined) {
        userGrants.delete(userKey(tenant, app, user))
        return
      }
      adminGrants.delete(appKey(tenant, app))
      for (const key of userGrants.keys()) if (key.startsWith(`${appKey(tenant, app)} `)) userGrants.delete(key)
    },
  }
}

function readTenant(seed: TenantSeed): Tenant {
  return {
    id: seed.id,
    domain: seed.domain.toLowerCase(),
    users: new Map(seed.users.map(user => [user.name.toLowerCase(), user])),
    apps: new Map(seed.apps.map(app => [app.clientId, readApp(app)])),
    usersMayConsent: seed.usersMayConsent ?? true,
  }
}

function readApp(seed: AppSeed): App {
  return {
    clientId: seed.clientId,
    name: seed.name,
    redirectUris: new Set(seed.redirectUris),
    secrets: (seed.secrets ?? []).map(secret =>
      typeof secret === 'string' ? { value: secret, expiresAt: Number.POSITIVE_INFINITY } : secret,
    ),
    certificates: (seed.certificates ?? []).map(pem => new X509Certificate(pem)),
    delegated: seed.delegated ?? ['IMAP.AccessAsUser.All', 'SMTP.Send'],
    roles: seed.roles ?? [],
    isPkceRequired: seed.isPkceRequired ?? true,
  }
}
