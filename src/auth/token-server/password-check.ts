import type { Person } from '../people/people.ts'
import type { TokenParts } from './token-server.ts'

type PasswordResult =
  | { readonly person: Person }
  /** `waitMs`: too often wrong; nothing was tried. */
  | { readonly waitMs: number | undefined }

/**
 * Tries a password. Too many wrong ones from one address (for one user, or for all together) have to wait; the same
 * user from another address does not, so nobody can lock anybody out.
 */
export async function checkPassword(
  parts: Pick<TokenParts, 'people' | 'passwordFailures' | 'addressFailures' | 'log'>,
  address: string,
  user: string,
  password: string,
): Promise<PasswordResult> {
  const { people, passwordFailures, addressFailures, log } = parts
  const pair = `${address} ${user.trim().toLowerCase()}`
  const waitMs = passwordFailures.waitMs(pair) ?? addressFailures.waitMs(address)
  if (waitMs !== undefined) return { waitMs }
  // Counted before the answer is known: a burst of guesses at the same moment is counted whole.
  passwordFailures.note(pair)
  addressFailures.note(address)
  const person = await people.signIn(user, password)
  if (!person) {
    log.info('token.password-refused', { user, address })
    return { waitMs: undefined }
  }
  passwordFailures.forget(pair)
  // Not all of the address: who knows one password could guess others without end.
  addressFailures.takeBack(address)
  return { person }
}
