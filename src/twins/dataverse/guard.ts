import type { IncomingMessage } from 'node:http'
import { DataverseError } from './dataverse-error.ts'

/** What a token says of its bearer. */
export interface TokenClaims {
  readonly aud: string
  readonly appid: string
}

export interface GuardOptions {
  /** The claims of a token that is valid now; undefined for anything else. */
  readonly verify: (token: string) => TokenClaims | undefined
  /** For whom tokens must be: the address of the environment. */
  readonly audiences: () => readonly string[]
  /** Application users by the client id of their app, with their user id. */
  readonly users: Readonly<Record<string, string>>
}

/** Lets in application users with a token for this environment. */
export class Guard {
  readonly #options: GuardOptions
  readonly #seen = new Set<string>()
  readonly #refused = new Set<string>()

  constructor(options: GuardOptions) {
    this.#options = options
  }

  /** The id of the user. Throws 401, or 403 for an app that is no user here. */
  userOf(request: IncomingMessage): string {
    const { verify, audiences, users } = this.#options
    const [, token = ''] = /^Bearer (\S+)$/i.exec(request.headers.authorization ?? '') ?? []
    const claims = this.#refused.has(token) ? undefined : verify(token)
    if (!claims || !audiences().includes(claims.aud.replace(/\/$/, ''))) {
      const header = `Bearer authorization_uri=https://login.microsoftonline.com/common/oauth2/authorize, resource_id=${audiences()[0] ?? ''}/`
      throw new DataverseError(401, '', 'HTTP Error 401 - Unauthorized: Access is denied', {
        'www-authenticate': header,
      })
    }
    this.#seen.add(token)
    const user = users[claims.appid]
    if (user === undefined) throw new DataverseError(403, '0x80072560', 'The user is not a member of the organization.')
    return user
  }

  refuseSeenTokens(): void {
    for (const token of this.#seen) this.#refused.add(token)
  }
}
