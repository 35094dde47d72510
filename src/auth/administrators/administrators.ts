import type { Log } from '../../kernel/log.ts'
import { type Clock, formatDuration } from '../../kernel/time.ts'
import type { Records } from '../../store/port.ts'
import { type NewPerson, openPeople, type Person, type PersonChange } from '../people/people.ts'
import { FailureLimit } from '../token-server/failure-limit.ts'
import { checkPassword } from '../token-server/password-check.ts'
import { tokenLimits } from '../token-server/token-limits.ts'
import type { Vault } from '../vault.ts'
import { adminErrors } from './admin-errors.ts'
import { administratorRole, adminRoles } from './admin-roles.ts'
import { openTotpBook } from './totp-book.ts'

/** Somebody who looks after the hub. */
export interface Administrator extends Person {
  /** Logs in with a code of an authenticator beside the password. */
  readonly hasTotp: boolean
  /** Codes that stand in for the authenticator and are left. */
  readonly recoveryCodesLeft: number
}

export interface LogIn {
  readonly name: string
  readonly password: string
  readonly code?: string | undefined
  readonly address: string
}

/**
 * Who may log in at the admin API. They are no users of the token server: no grant takes their passwords. All of it is
 * in memory; a change is durable before its promise resolves, and counts from the next call on.
 */
export interface Administrators {
  list(): readonly Administrator[]
  find(name: string): Administrator | undefined
  /** Throws USER_UNKNOWN. */
  get(name: string): Administrator
  /** Throws USER_…, ADMIN_ROLE_UNKNOWN, ADMIN_NAME_RESERVED. */
  create(input: NewPerson): Promise<Administrator>
  /** Throws ADMIN_LAST_ONE beside the errors of `create`. */
  update(name: string, change: PersonChange): Promise<Administrator>
  delete(name: string): Promise<void>
  /** Throws ADMIN_LOGIN_REFUSED, whatever was wrong, and ADMIN_LOGIN_TOO_OFTEN. */
  logIn(attempt: LogIn): Promise<Administrator>
  /** A secret for an authenticator; no code is asked for until one was shown. Throws ADMIN_TOTP_STANDS. */
  beginTotp(name: string): Promise<{ readonly secret: string; readonly uri: string }>
  /** Returns recovery codes, shown this once. Throws ADMIN_CODE_WRONG, ADMIN_TOTP_UNKNOWN. */
  confirmTotp(name: string, code: string): Promise<readonly string[]>
  /** New recovery codes for who shows a code; the old ones end. Throws ADMIN_CODE_WRONG, ADMIN_TOTP_MISSING. */
  renewRecoveryCodes(name: string, code: string): Promise<readonly string[]>
  removeTotp(name: string): Promise<void>
  /** Seals the secrets of authenticators anew. Returns how many records. */
  reseal(): Promise<number>
}

/** Stands in the audit log for whoever has the token of the machine. */
const reservedNames = ['admin', 'browser', 'setup']

interface AdministratorsOptions {
  readonly records: Pick<Records, 'list' | 'write' | 'remove'>
  readonly vault: Vault
  readonly clock: Clock
  readonly log: Log
}

export async function openAdministrators({
  records,
  vault,
  clock,
  log,
}: AdministratorsOptions): Promise<Administrators> {
  const people = await openPeople({ records, clock, kind: 'admin' })
  const totp = await openTotpBook({ records, vault, clock })
  const limits = {
    passwordFailures: new FailureLimit(tokenLimits.passwordFailures, clock),
    addressFailures: new FailureLimit(tokenLimits.addressFailures, clock),
  }
  // By name alone: only who has the password comes here, from however many addresses.
  const codeFailures = new FailureLimit(tokenLimits.passwordFailures, clock)
  // Of its own: whoever has a session and guesses there does not keep the person out.
  const renewalFailures = new FailureLimit(tokenLimits.passwordFailures, clock)

  const asAdministrator = (person: Person): Administrator => ({
    ...person,
    hasTotp: totp.isConfirmed(person.name),
    recoveryCodesLeft: totp.recoveryLeft(person.name),
  })

  // One change after the other: of two that take the role from the last two each would see the other still have it.
  let lastChange: Promise<unknown> = Promise.resolve()
  function inTurn<Result>(change: () => Promise<Result>): Promise<Result> {
    const next = lastChange.then(change)
    lastChange = next.catch(() => {})
    return next
  }

  /** Throws when nobody could do everything any more. */
  function keepOne(name: string, after: Pick<Administrator, 'roles' | 'disabledAt'> | undefined): void {
    const doesAll = (person: Pick<Person, 'roles' | 'disabledAt'>) =>
      person.disabledAt === undefined && person.roles.includes(administratorRole)
    const before = people.get(name)
    if (!doesAll(before) || (after && doesAll(after))) return
    if (people.list().some(other => other.name !== before.name && doesAll(other))) return
    throw adminErrors.LAST_ONE({ name: before.name, role: administratorRole })
  }

  /** Counted before the answer is known: a burst of guesses at the same moment is counted whole. */
  async function limited<Answer>(failures: FailureLimit, name: string, guess: () => Promise<Answer>): Promise<Answer> {
    const waitMs = failures.waitMs(name)
    if (waitMs !== undefined) throw tooOften(waitMs)
    failures.note(name)
    return guess()
  }

  async function isCodeRight(failures: FailureLimit, name: string, code: string): Promise<boolean> {
    const kind = await limited(failures, name, () => totp.useCode(name, code))
    if (kind === 'recovery')
      log.warn('admin.recovery-code-used', { administrator: name, left: totp.recoveryLeft(name) })
    if (kind !== undefined) failures.forget(name)
    return kind !== undefined
  }

  return {
    list: () => people.list().map(asAdministrator),
    find(name) {
      const person = people.find(name)
      return person && asAdministrator(person)
    },
    get: name => asAdministrator(people.get(name)),
    async create(input) {
      refuseReserved(input.name)
      refuseUnknownRoles(input.roles)
      return asAdministrator(await people.create(input))
    },
    update: (name, change) =>
      inTurn(async () => {
        refuseUnknownRoles(change.roles)
        const before = people.get(name)
        const { roles = before.roles, disabled = before.disabledAt !== undefined } = change
        keepOne(name, { roles, disabledAt: disabled ? clock.now() : undefined })
        return asAdministrator(await people.update(name, change))
      }),
    delete: name =>
      inTurn(async () => {
        keepOne(name, undefined)
        const person = people.get(name)
        await people.delete(person.name)
        await totp.remove(person.name)
      }),
    async logIn({ name, password, code, address }) {
      const result = await checkPassword({ people, ...limits, log }, address, name, password)
      if (!('person' in result)) {
        log.warn('admin.log-in-refused', { administrator: name, address, isTooOften: result.waitMs !== undefined })
        if (result.waitMs !== undefined) throw tooOften(result.waitMs)
        throw adminErrors.LOGIN_REFUSED()
      }
      const { person } = result
      if (totp.isConfirmed(person.name) && !(await isCodeRight(codeFailures, person.name, code ?? ''))) {
        log.warn('admin.code-refused', { administrator: person.name, address })
        throw adminErrors.LOGIN_REFUSED()
      }
      return asAdministrator(people.get(person.name))
    },
    beginTotp: async name => totp.begin(people.get(name).name),
    async confirmTotp(name, code) {
      const person = people.get(name)
      const codes = await limited(codeFailures, person.name, () => totp.confirm(person.name, code))
      codeFailures.forget(person.name)
      return codes
    },
    async renewRecoveryCodes(name, code) {
      const person = people.get(name)
      if (!totp.isConfirmed(person.name)) throw adminErrors.TOTP_MISSING({ name: person.name })
      if (!(await isCodeRight(renewalFailures, person.name, code))) {
        log.warn('admin.code-refused', { administrator: person.name, at: 'recovery codes' })
        throw adminErrors.CODE_WRONG({ name: person.name })
      }
      return totp.renewRecovery(person.name)
    },
    removeTotp: async name => totp.remove(people.get(name).name),
    reseal: totp.reseal,
  }
}

function tooOften(waitMs: number) {
  return adminErrors.LOGIN_TOO_OFTEN({ wait: formatDuration(waitMs) }, { retryAfterMs: waitMs })
}

function refuseReserved(name: string): void {
  if (reservedNames.includes(name.trim().toLowerCase())) throw adminErrors.NAME_RESERVED({ name })
}

function refuseUnknownRoles(roles: readonly string[] = []): void {
  const role = roles.find(each => !adminRoles.has(each))
  if (role !== undefined) throw adminErrors.ROLE_UNKNOWN({ role, roles: [...adminRoles.keys()].join(', ') })
}
