import type { Person } from '../people/people.ts'
import { networkOf } from '../service/failure-limit.ts'
import type { TokenParts } from './token-server.ts'

type PasswordResult =
  | { readonly person: Person }
  /** `waitMs`: too often wrong; nothing was tried. */
  | { readonly waitMs: number | undefined }

/**
 * Tries a password. Too many wrong ones from one address (for one user, or for all together) have to wait; the same
 * user from another address does not, so nobody can lock anybody out.
 */
export function checkPassword(parts: Parts, address: string, user: string, password: string): Promise<PasswordResult> {
  // A burst of guesses is counted whole, and one of right passwords not at all.
  return parts.addressFailures.inTurn(networkOf(address), () => check(parts, address, user, password))
}

type Parts = Pick<TokenParts, 'people' | 'passwordFailures' | 'addressFailures' | 'log'>

async function check(parts: Parts, address: string, user: string, password: string): Promise<PasswordResult> {
  const { people, passwordFailures, addressFailures, log } = parts
  const network = networkOf(address)
  const pair = `${network} ${user.trim().toLowerCase()}`
  const waitMs = passwordFailures.waitMs(pair) ?? addressFailures.waitMs(network)
  if (waitMs !== undefined) return { waitMs }
  const person = await people.signIn(user, password)
  if (!person) {
    passwordFailures.note(pair)
    addressFailures.note(network)
    log.info('token.password-refused', { user, address })
    return { waitMs: undefined }
  }
  passwordFailures.forget(pair)
  // Those of the address stay: who knows one password could guess others without end.
  return { person }
}
