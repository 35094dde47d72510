import { SharedAnswer } from '../../kernel/shared-answer.ts'
import { MINUTE } from '../../kernel/time.ts'
import type { C4CClient } from '../../protocols/c4c/client.ts'
import { type Employee, findEmployee, listEmployees } from '../../protocols/c4c/employees.ts'

export const peopleLimits = {
  /** For how long an employee is remembered. */
  employeeMs: 10 * MINUTE,
  /** So many are asked for one by one; whoever comes next is looked up in the list of all, a request for each thousand. */
  singles: 20,
} as const

interface Remembered<T> {
  readonly at: number
  readonly shared: SharedAnswer<T>
}

interface Everybody {
  /** Mail addresses by both numbers of an employee. */
  readonly addresses: ReadonlyMap<string, string>
  /** Those whose address belongs to nobody else, and who are not locked. */
  readonly byAddress: ReadonlyMap<string, Employee>
}

/** The employees of a tenant, by mail address and by number; asked for once, and anew after a while. */
export class People {
  readonly #client: C4CClient
  readonly #now: () => number
  readonly #employees = new Map<string, Remembered<Employee>>()
  #everybody: Remembered<Everybody> | undefined

  constructor(client: C4CClient, now: () => number) {
    this.#client = client
    this.#now = now
  }

  /** The employee of a mail address. Throws C4C_EMPLOYEE_… */
  async employee(email: string, signal: AbortSignal): Promise<Employee> {
    const known = this.#employees.get(email)
    if (known && this.#isFresh(known)) return known.shared.waitFor(signal, () => this.employee(email, signal))
    this.#forgetOld()
    if (this.#isFresh(this.#everybody) || this.#employees.size >= peopleLimits.singles) {
      const { byAddress } = await this.#all(signal)
      const found = byAddress.get(email.toLowerCase())
      // Who is not in it is asked for alone, which also says what is wrong.
      if (found) return found
    }
    const answer = findEmployee(this.#client, email, signal)
    const asked = { at: this.#now(), shared: new SharedAnswer(answer, signal) }
    this.#employees.set(email, asked)
    // What failed is asked for again by the next one, not remembered.
    answer.catch(() => {
      if (this.#employees.get(email) === asked) this.#employees.delete(email)
    })
    return answer
  }

  /** Mail addresses of all employees by their numbers. */
  async addresses(signal: AbortSignal): Promise<ReadonlyMap<string, string>> {
    return (await this.#all(signal)).addresses
  }

  #all(signal: AbortSignal): Promise<Everybody> {
    const known = this.#everybody
    if (known && this.#isFresh(known)) return known.shared.waitFor(signal, () => this.#all(signal))
    const answer = this.#list(signal)
    const asked = { at: this.#now(), shared: new SharedAnswer(answer, signal) }
    this.#everybody = asked
    answer.catch(() => {
      if (this.#everybody === asked) this.#everybody = undefined
    })
    return answer
  }

  async #list(signal: AbortSignal): Promise<Everybody> {
    const addresses = new Map<string, string>()
    const byAddress = new Map<string, Employee>()
    const unclear = new Set<string>()
    for (const { isLocked, ...employee } of await listEmployees(this.#client, signal)) {
      const { partyId, employeeId, email } = employee
      for (const id of [partyId, employeeId]) if (id !== '') addresses.set(id, email)
      if (isLocked || byAddress.has(email)) unclear.add(email)
      byAddress.set(email, employee)
    }
    for (const email of unclear) byAddress.delete(email)
    return { addresses, byAddress }
  }

  #forgetOld(): void {
    for (const [email, remembered] of this.#employees) if (!this.#isFresh(remembered)) this.#employees.delete(email)
  }

  #isFresh(remembered: Remembered<unknown> | undefined): boolean {
    return remembered !== undefined && this.#now() - remembered.at < peopleLimits.employeeMs
  }
}
