import { MINUTE } from '../../kernel/time.ts'
import type { C4CClient } from '../../protocols/c4c/client.ts'
import { type Employee, findEmployee, listEmployees } from '../../protocols/c4c/employees.ts'

export const peopleLimits = {
  /** For how long an employee is remembered. */
  employeeMs: 10 * MINUTE,
} as const

interface Remembered<T> {
  readonly at: number
  readonly value: Promise<T>
}

/** The employees of a tenant, by mail address and by number; asked for once, and anew after a while. */
export class People {
  readonly #client: C4CClient
  readonly #now: () => number
  readonly #employees = new Map<string, Remembered<Employee>>()
  #addresses: Remembered<ReadonlyMap<string, string>> | undefined

  constructor(client: C4CClient, now: () => number) {
    this.#client = client
    this.#now = now
  }

  /** The employee of a mail address. Throws C4C_EMPLOYEE_… */
  employee(email: string, signal: AbortSignal): Promise<Employee> {
    const known = this.#employees.get(email)
    if (known && this.#isFresh(known)) return known.value
    const value = findEmployee(this.#client, email, signal)
    this.#employees.set(email, { at: this.#now(), value })
    // What failed is asked for again by the next one, not remembered.
    value.catch(() => this.#employees.delete(email))
    return value
  }

  /** Mail addresses of all employees by their numbers. */
  addresses(signal: AbortSignal): Promise<ReadonlyMap<string, string>> {
    if (this.#addresses && this.#isFresh(this.#addresses)) return this.#addresses.value
    const value = listEmployees(this.#client, signal)
    this.#addresses = { at: this.#now(), value }
    value.catch(() => {
      this.#addresses = undefined
    })
    return value
  }

  #isFresh({ at }: Remembered<unknown>): boolean {
    return this.#now() - at < peopleLimits.employeeMs
  }
}
