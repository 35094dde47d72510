import { createHash, randomUUID } from 'node:crypto'
import { rolesAt } from './scope.ts'
import type { Claims } from './token.ts'
import type { AccessTokenWish, IdTokenWish } from './world.ts'

/** Claims of an access token. `sequence` counts tokens and stands in `uti`, so that "all before this one" has a name. */
export function accessClaims(
  wish: AccessTokenWish,
  sequence: number,
  origin: string,
  nowMs: number,
  expiresInMs: number,
): Claims & { readonly app_displayname: string } {
  const { tenant, app, user } = wish
  const nowS = Math.floor(nowMs / 1000)
  const expiresS = nowS + Math.floor(expiresInMs / 1000)
  const id = objectId(user ?? app.clientId)
  const roles = rolesAt(wish.audience, wish.roles ?? [])
  return {
    aud: wish.audience,
    iss: `${origin}/${tenant.id}/`,
    iat: nowS,
    nbf: Math.min(nowS, expiresS),
    exp: expiresS,
    tid: tenant.id,
    appid: app.clientId,
    app_displayname: app.name,
    appidacr: wish.proof,
    oid: id,
    sub: id,
    uti: `${sequence}.${randomUUID().slice(0, 8)}`,
    ver: '1.0',
    ...(user === undefined
      ? { idtyp: 'app', ...(roles.length > 0 ? { roles } : {}) }
      : { idtyp: 'user', upn: user, unique_name: user, scp: (wish.names ?? []).join(' ') }),
  }
}

/** Claims of an OpenID Connect id_token. */
export function idClaims(wish: IdTokenWish, issuer: string, nowMs: number, expiresInMs: number): object {
  const nowS = Math.floor(nowMs / 1000)
  const id = objectId(wish.user)
  return {
    aud: wish.app.clientId,
    iss: issuer,
    iat: nowS,
    nbf: nowS,
    exp: nowS + Math.floor(expiresInMs / 1000),
    sub: id,
    oid: id,
    tid: wish.tenant.id,
    preferred_username: wish.user,
    name: wish.user,
    ...(wish.nonce === undefined ? {} : { nonce: wish.nonce }),
    ver: '2.0',
  }
}

/** The same GUID for the same name in every run. */
function objectId(name: string): string {
  const hex = createHash('sha256').update(name.toLowerCase()).digest('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join('-')
}
