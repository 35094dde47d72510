import { type Clock, SECOND } from '../../kernel/time.ts'
import type { People, Person } from '../people/people.ts'
import type { TrustedIssuers } from './trusted-issuers.ts'

// Names of people have no colon, so an account of a trusted issuer can never be taken for a person of the hub.
const foreignPrefix = 'idp:'

interface Directory {
  readonly people: People
  readonly trusted: TrustedIssuers
}

/** The account of a user whom a trusted issuer vouched for. */
export function foreignAccount(issuerName: string, subject: string): string {
  return `${foreignPrefix}${issuerName}:${subject}`
}

/** What stands of an account in a token: `sub`, and the trusted issuer whose word it is. */
export function subjectOf(accountId: string): { readonly sub: string; readonly idp?: string } {
  const foreign = partsOf(accountId)
  return foreign ? { sub: foreign.subject, idp: foreign.issuerName } : { sub: accountId }
}

/** The account of a token's subject. */
export function accountIdOf(subject: string, trustedIssuer: string | undefined): string {
  return trustedIssuer === undefined ? subject : foreignAccount(trustedIssuer, subject)
}

/** The roles that limit what a client may do for the account; undefined: nothing limits it. */
export function rolesOfAccount({ people, trusted }: Directory, accountId: string): readonly string[] | undefined {
  const foreign = partsOf(accountId)
  if (!foreign) return people.find(accountId)?.roles ?? []
  const issuer = trusted.get(foreign.issuerName)
  return issuer ? issuer.roles : []
}

/**
 * Whether a token or session is older than the password of the person: given to somebody who knew one that counts no
 * more, or to somebody deleted who had the same name. `issuedAt`: seconds since 1970, as tokens have it.
 */
export function isOlderThan({ passwordAt }: Person, issuedAt: number, clock: Clock): boolean {
  // Somebody entered while the clock was ahead of the time would not get in until that time comes.
  return (issuedAt + 1) * SECOND <= passwordAt && passwordAt <= clock.now()
}

/** The account in oidc-provider's shape; undefined when it may not sign in any more, or is another one by now. */
export function accountOf(directory: Directory & { readonly clock: Clock }, accountId: string, issuedAt?: number) {
  const foreign = partsOf(accountId)
  if (foreign) {
    if (!directory.trusted.has(foreign.issuerName)) return undefined
    return { accountId, claims: () => ({ sub: foreign.subject }) }
  }
  const person = directory.people.find(accountId)
  if (!person || person.disabledAt !== undefined) return undefined
  if (issuedAt !== undefined && isOlderThan(person, issuedAt, directory.clock)) return undefined
  const { name, displayName, email } = person
  return { accountId, claims: () => ({ sub: name, preferred_username: name, name: displayName ?? name, email }) }
}

function partsOf(accountId: string): { readonly issuerName: string; readonly subject: string } | undefined {
  if (!accountId.startsWith(foreignPrefix)) return undefined
  const rest = accountId.slice(foreignPrefix.length)
  const at = rest.indexOf(':')
  return { issuerName: rest.slice(0, at), subject: rest.slice(at + 1) }
}
