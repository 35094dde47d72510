import type { Clock } from '../../kernel/time.ts'
import type { ClientProof } from './client-proof.ts'
import type { App, Directory, Tenant } from './directory.ts'
import type { GrantStore } from './grants.ts'

/** What the endpoints of the sign-in twin share. */
export interface World {
  readonly clock: Clock
  readonly directory: Directory
  readonly grants: GrantStore
  readonly accessTokenMs: number
  readonly oldRefreshTokenDies: boolean
  /** True: whoever is named by login_hint is signed in and accepts the permissions, without any page. */
  readonly isAutomatic: boolean
  endpoints(tenant: string): Endpoints
  issue(wish: AccessTokenWish): string
  issueIdToken(wish: IdTokenWish): string
}

export interface IdTokenWish {
  readonly tenant: Tenant
  readonly app: App
  readonly user: string
  readonly nonce: string | undefined
}

export interface AccessTokenWish {
  readonly tenant: Tenant
  readonly app: App
  readonly audience: string
  /** With a user: delegated, `names` are its permissions. Without: app-only, `roles` are its permissions. */
  readonly user?: string
  readonly names?: readonly string[]
  readonly roles?: readonly string[]
  readonly proof: ClientProof
  readonly expiresInMs?: number
}

/** The URLs of one tenant. */
export interface Endpoints {
  readonly issuer: string
  readonly authorize: string
  readonly token: string
  readonly jwks: string
  readonly adminConsent: string
  readonly configuration: string
}
