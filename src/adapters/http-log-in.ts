import type { CredentialLookup } from '../kernel/credential.ts'
import { type CredentialProof, noProof, proofOf } from '../protocols/net/credential-proof.ts'
import type { HttpConfig } from './http-config.ts'
import { httpErrors } from './http-errors.ts'

/** What proves who the hub is. `refused`: a token that the other side has just not taken. */
export async function logIn(config: HttpConfig, lookup: CredentialLookup, refused?: string): Promise<CredentialProof> {
  const { auth, 'auth-header': authHeader } = config
  if (auth === undefined) return noProof
  const value = await lookup(auth)
  if (authHeader !== undefined) {
    if (value.kind !== 'secret') {
      throw httpErrors.CREDENTIAL_UNFIT({ credential: auth, kind: value.kind, use: `header ${authHeader}` })
    }
    return { ...noProof, header: [authHeader.toLowerCase(), value.secret] }
  }
  const proof = await proofOf(value, refused)
  if (!proof) throw httpErrors.CREDENTIAL_UNFIT({ credential: auth, kind: value.kind, use: 'log-in' })
  return proof
}
