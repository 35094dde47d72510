import { createContext, useContext } from 'react'
import type { Session } from '../api/types.ts'

/** Who works with the console, and what they may. */
export interface SignedIn {
  readonly session: Session
  /** True when the roles of the administrator hold the right that a route asks for. */
  may(permission: string): boolean
  /** Why a button is disabled; undefined when it need not be. */
  reason(permission: string): string | undefined
  signOut(): Promise<void>
  /** The hub began another session for the same person (a new password, an authenticator). */
  renew(session: Session): void
}

export const SessionContext = createContext<SignedIn | undefined>(undefined)

export function useSession(): SignedIn {
  const signedIn = useContext(SessionContext)
  if (!signedIn) throw new Error('There is no session here.')
  return signedIn
}

export function signedInWith(session: Session, ways: Pick<SignedIn, 'signOut' | 'renew'>): SignedIn {
  const has = new Set(session.permissions)
  return {
    session,
    may: permission => has.has(permission),
    reason: permission =>
      has.has(permission) ? undefined : `Your roles do not include ${permission}, which this asks for.`,
    ...ways,
  }
}
