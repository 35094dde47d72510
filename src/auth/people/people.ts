import type { Json } from '../../kernel/json.ts'
import type { Clock } from '../../kernel/time.ts'
import type { Records } from '../../store/port.ts'
import { hashPassword, isPasswordOf } from './password-hash.ts'
import { peopleErrors } from './people-errors.ts'

export const peopleLimits = {
  people: 10_000,
  rolesPerPerson: 100,
  passwordLettersMin: 12,
  passwordLettersMax: 256,
} as const

/** Somebody who signs in at the token server and calls flows through a client. Times are milliseconds since 1970. */
export interface Person {
  /** Lower case; stands in tokens as `sub`. */
  readonly name: string
  readonly displayName: string | undefined
  readonly email: string | undefined
  /** What a client may do for this person is what both of them may. */
  readonly roles: readonly string[]
  readonly createdAt: number
  readonly changedAt: number
  /** When the present password was set; what was given out before it counts no more. */
  readonly passwordAt: number
  readonly disabledAt: number | undefined
}

export interface NewPerson {
  readonly name: string
  readonly displayName?: string | undefined
  readonly email?: string | undefined
  readonly roles?: readonly string[] | undefined
  readonly password: string
}

/** What is changed; what is left out stays. */
export interface PersonChange {
  readonly displayName?: string | undefined
  readonly email?: string | undefined
  readonly roles?: readonly string[] | undefined
  readonly disabled?: boolean | undefined
  readonly password?: string | undefined
}

/**
 * The people who may sign in. They are in memory, so finding one costs no I/O and each change counts at once; a change
 * is durable before its promise resolves. Throws USER_… errors.
 */
export interface People {
  list(): readonly Person[]
  find(name: string): Person | undefined
  /** Throws USER_UNKNOWN. */
  get(name: string): Person
  create(input: NewPerson): Promise<Person>
  update(name: string, change: PersonChange): Promise<Person>
  delete(name: string): Promise<void>
  /** Names of those who have the role. */
  withRole(role: string): readonly string[]
  /** Takes the role from everybody who has it. */
  takeRole(role: string): Promise<void>
  /** The person, when the password is right and the person not disabled. Takes as long for a name nobody has. */
  signIn(name: string, password: string): Promise<Person | undefined>
}

/** Those who sign in at the token server, or those who look after the hub; neither can be the other. */
const areas = { user: 'person', admin: 'administrator' } as const

type Stored = Person & { readonly passwordHash: string }

interface PeopleOptions {
  readonly records: Pick<Records, 'list' | 'write' | 'remove'>
  readonly clock: Clock
  /** Whom to keep, by the command line's word; users when left out. */
  readonly kind?: keyof typeof areas
}

export async function openPeople({ records, clock, kind = 'user' }: PeopleOptions): Promise<People> {
  const area = areas[kind]
  const people = new Map<string, Stored>()
  for (const { id, value } of await records.list(area)) people.set(id, readStored(value))

  async function write(stored: Stored, isNew = false): Promise<Person> {
    const { displayName, email, disabledAt, ...rest } = stored
    const value = {
      v: 1,
      ...rest,
      ...(displayName !== undefined && { displayName }),
      ...(email !== undefined && { email }),
      ...(disabledAt !== undefined && { disabledAt }),
    }
    await records.write(area, stored.name, value)
    // Somebody who was deleted while this was written stays so.
    if (isNew || people.has(stored.name)) people.set(stored.name, stored)
    return personOf(stored)
  }

  function known(name: string): Stored {
    const stored = people.get(nameOf(name))
    if (!stored) throw peopleErrors.UNKNOWN({ kind, user: name })
    return stored
  }

  // One change after the other: each begins with what the one before has written.
  let lastChange: Promise<unknown> = Promise.resolve()
  function inTurn<T>(change: () => Promise<T>): Promise<T> {
    const next = lastChange.then(change)
    lastChange = next.catch(() => {})
    return next
  }

  const holdersOf = (role: string) => [...people.values()].filter(({ roles }) => roles.includes(role))

  return {
    list: () => [...people.values()].map(personOf).toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    find(name) {
      const stored = people.get(name)
      return stored && personOf(stored)
    },
    get: name => personOf(known(name)),
    async create(input) {
      const name = nameOf(input.name)
      check(name, input)
      if (people.size >= peopleLimits.people) throw peopleErrors.TOO_MANY({ kind, count: people.size })
      if (people.has(name)) throw peopleErrors.EXISTS({ kind, user: name })
      const passwordHash = await hashPassword(input.password)
      // Somebody may have been quicker while the hash was worked out.
      if (people.has(name)) throw peopleErrors.EXISTS({ kind, user: name })
      const now = clock.now()
      const { displayName, email, roles = [] } = input
      return write(
        {
          name,
          displayName,
          email,
          roles: [...new Set(roles)],
          createdAt: now,
          changedAt: now,
          passwordAt: now,
          disabledAt: undefined,
          passwordHash,
        },
        true,
      )
    },
    async update(name, change) {
      check(nameOf(name), change)
      known(name)
      const passwordHash = change.password === undefined ? undefined : await hashPassword(change.password)
      return inTurn(() => {
        const stored = known(name)
        const { displayName = stored.displayName, email = stored.email, roles = stored.roles } = change
        const disabledAt =
          change.disabled === undefined
            ? stored.disabledAt
            : change.disabled
              ? (stored.disabledAt ?? clock.now())
              : undefined
        return write({
          ...stored,
          displayName,
          email,
          roles: [...new Set(roles)],
          disabledAt,
          changedAt: clock.now(),
          ...(passwordHash !== undefined && { passwordHash, passwordAt: clock.now() }),
        })
      })
    },
    async delete(name) {
      const stored = known(name)
      people.delete(stored.name)
      await records.remove(area, stored.name)
    },
    withRole: role => holdersOf(role).map(({ name }) => name),
    takeRole: role =>
      inTurn(async () => {
        // Looked for anew each time: somebody may be deleted meanwhile.
        for (let holder = holdersOf(role)[0]; holder; holder = holdersOf(role)[0]) {
          const roles = holder.roles.filter(each => each !== role)
          await write({ ...holder, roles, changedAt: clock.now() })
        }
      }),
    async signIn(name, password) {
      const isTooLong = password.length > peopleLimits.passwordLettersMax
      const stored = people.get(nameOf(name))
      const isRight = await isPasswordOf(isTooLong ? '' : password, stored?.passwordHash)
      const now = stored && people.get(stored.name)
      return isRight && now && now.passwordHash === stored.passwordHash && now.disabledAt === undefined
        ? personOf(now)
        : undefined
    },
  }
}

function nameOf(name: string): string {
  return name.trim().toLowerCase()
}

function check(name: string, input: PersonChange): void {
  const refuse = (reason: string) => peopleErrors.INVALID({ user: name, reason })
  if (!/^[a-z0-9][a-z0-9._@-]{0,127}$/.test(name)) {
    throw refuse('a name has 1 to 128 letters, digits or any of . _ @ - and begins with a letter or digit.')
  }
  if (input.roles && input.roles.length > peopleLimits.rolesPerPerson) {
    throw refuse(`${peopleLimits.rolesPerPerson} roles are the most.`)
  }
  if (input.roles?.some(role => !/^[A-Za-z0-9_.]{1,128}$/.test(role))) {
    throw refuse('a role has letters, digits, _ and . only.')
  }
  const { password } = input
  if (password === undefined) return
  const { passwordLettersMin, passwordLettersMax } = peopleLimits
  if (password.length < passwordLettersMin || password.length > passwordLettersMax) {
    throw refuse(`a password has ${passwordLettersMin} to ${passwordLettersMax} characters.`)
  }
  if (password.toLowerCase().includes(name) && name.length > 3) throw refuse('the password contains the name.')
}

function personOf({ passwordHash: _kept, ...person }: Stored): Person {
  return person
}

// The shape that `write` puts into the record; nobody else writes this area.
function readStored(value: Json): Stored {
  const { displayName, email, disabledAt, passwordAt, ...rest } = value as unknown as Stored
  // Those kept before it was noted count as if they had the password that they were entered with.
  return { ...rest, displayName, email, disabledAt, passwordAt: passwordAt ?? rest.createdAt }
}
