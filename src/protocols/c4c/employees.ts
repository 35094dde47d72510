import type { C4CClient } from './client.ts'
import { equals } from './client.ts'
import { c4cErrors } from './errors.ts'

/** A person of the company in Cloud for Customer. */
export interface Employee {
  /** Number by which activities name their owner (`OwnerPartyID`, `ProcessorPartyID`). */
  readonly partyId: string
  readonly email: string
  readonly name: string
}

/**
 * The employee behind a mail address; the service compares addresses letter by letter, so they are asked for as given and
 * in lower case. Throws C4C_EMPLOYEE_UNKNOWN, C4C_EMPLOYEE_AMBIGUOUS, C4C_EMPLOYEE_LOCKED.
 */
export async function findEmployee(client: C4CClient, email: string, signal: AbortSignal): Promise<Employee> {
  const spellings = [...new Set([email, email.toLowerCase()])]
  const lists = await client.find(
    'EmployeeBasicData',
    spellings.map(spelling => ({ filter: equals('Email', spelling) })),
    signal,
  )
  const found = new Map(lists.flat().map(row => [row.id, row.values]))
  const [only] = found.values()
  if (!only) throw c4cErrors.EMPLOYEE_UNKNOWN({ email })
  if (found.size > 1) throw c4cErrors.EMPLOYEE_AMBIGUOUS({ email, count: found.size })
  if (only['UserLockedIndicator'] === true) throw c4cErrors.EMPLOYEE_LOCKED({ email })
  const partyId = only['BusinessPartnerID'] || only['EmployeeID']
  return { partyId: String(partyId ?? ''), email: email.toLowerCase(), name: String(only['FormattedName'] ?? '') }
}
