import type { JsonObject } from '../../kernel/json.ts'
import type { C4CClient } from './client.ts'
import { equals } from './client.ts'
import { c4cErrors } from './errors.ts'

/** A person of the company in Cloud for Customer. */
export interface Employee {
  /** Number by which activities name their owner (`OwnerPartyID`, `ProcessorPartyID`). */
  readonly partyId: string
  /** Number by which contacts and accounts name theirs (`ContactOwnerID`, `OwnerID`). */
  readonly employeeId: string
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
  return employeeOf(only, email.toLowerCase())
}

/** All employees; those without a mail address left out. */
export async function listEmployees(
  client: C4CClient,
  signal: AbortSignal,
): Promise<readonly (Employee & { readonly isLocked: boolean })[]> {
  const employees: (Employee & { readonly isLocked: boolean })[] = []
  const select = ['ObjectID', 'BusinessPartnerID', 'EmployeeID', 'FormattedName', 'Email', 'UserLockedIndicator']
  for await (const { values } of client.list('EmployeeBasicData', { select }, signal)) {
    const email = String(values['Email'] ?? '').toLowerCase()
    if (email !== '') employees.push({ ...employeeOf(values, email), isLocked: values['UserLockedIndicator'] === true })
  }
  return employees
}

function employeeOf(values: JsonObject, email: string): Employee {
  const { BusinessPartnerID: party, EmployeeID: employee, FormattedName: name } = values
  return {
    partyId: String(party || employee || ''),
    employeeId: String(employee || party || ''),
    email,
    name: String(name ?? ''),
  }
}
