import type { Records } from '../../store/port.ts'
import type { Plan, Role, Space } from './model.ts'
import { predefinedRoles, roleNamePattern } from './roles.ts'
import { serviceErrors } from './service-errors.ts'
import { serviceLimits } from './service-limits.ts'

type BookRecords = Pick<Records, 'list' | 'write' | 'remove'>

const roleArea = 'role'
const spaceArea = 'space'

/** The space that instances are made in when nobody names one. */
export const defaultSpace = 'default'

/** Roles that people made, beside those that come with the hub. */
export class RoleBook {
  readonly #records: BookRecords
  readonly #roles = new Map<string, Role>(predefinedRoles)

  private constructor(records: BookRecords) {
    this.#records = records
  }

  static async open(records: BookRecords): Promise<RoleBook> {
    const book = new RoleBook(records)
    for (const { id, value } of await records.list(roleArea)) {
      const { about } = value as { readonly about?: string }
      if (!predefinedRoles.has(id)) book.#roles.set(id, made(id, about ?? ''))
    }
    return book
  }

  list(): readonly Role[] {
    return [...this.#roles.values()].toSorted((one, other) => (one.name < other.name ? -1 : 1))
  }

  find(name: string): Role | undefined {
    return this.#roles.get(name)
  }

  async create(name: string, about: string): Promise<Role> {
    if (!roleNamePattern.test(name)) throw serviceErrors.ROLE_INVALID({ role: name.slice(0, 100) })
    if (this.#roles.has(name)) throw serviceErrors.ROLE_EXISTS({ role: name })
    if (this.#roles.size >= serviceLimits.roles) {
      throw serviceErrors.TOO_MANY({ what: 'roles', count: serviceLimits.roles })
    }
    return this.#write(made(name, about))
  }

  async update(name: string, about: string): Promise<Role> {
    return this.#write(made(this.get(name).name, about))
  }

  /** A role that can be changed; throws SERVICE_ROLE_UNKNOWN, SERVICE_ROLE_PREDEFINED. */
  get(name: string): Role {
    const role = this.#roles.get(name)
    if (!role) throw serviceErrors.ROLE_UNKNOWN({ role: name.slice(0, 100) })
    if (role.isPredefined) throw serviceErrors.ROLE_PREDEFINED({ role: name })
    return role
  }

  async remove(name: string): Promise<void> {
    await this.#records.remove(roleArea, name)
    this.#roles.delete(name)
  }

  async #write(role: Role): Promise<Role> {
    await this.#records.write(roleArea, role.name, { v: 1, about: role.about })
    this.#roles.set(role.name, role)
    return role
  }
}

/** Spaces and their quotas; one is always there. */
export class SpaceBook {
  readonly #records: BookRecords
  readonly #spaces = new Map<string, Space>([[defaultSpace, { name: defaultSpace, about: '', quotas: {} }]])

  private constructor(records: BookRecords) {
    this.#records = records
  }

  static async open(records: BookRecords): Promise<SpaceBook> {
    const book = new SpaceBook(records)
    for (const { id, value } of await records.list(spaceArea)) {
      const { about, quotas } = value as unknown as Partial<Space>
      book.#spaces.set(id, { name: id, about: about ?? '', quotas: quotas ?? {} })
    }
    return book
  }

  list(): readonly Space[] {
    return [...this.#spaces.values()].toSorted((one, other) => (one.name < other.name ? -1 : 1))
  }

  get(name: string): Space {
    const space = this.#spaces.get(name)
    if (!space) throw serviceErrors.SPACE_UNKNOWN({ space: name.slice(0, 64) })
    return space
  }

  /** How many instances of a plan a space may hold. */
  quotaOf(name: string, plan: Plan): number {
    return this.get(name).quotas[plan] ?? serviceLimits.instancesPerPlan
  }

  async write(space: Space): Promise<Space> {
    if (!this.#spaces.has(space.name) && this.#spaces.size >= serviceLimits.spaces) {
      throw serviceErrors.TOO_MANY({ what: 'spaces', count: serviceLimits.spaces })
    }
    const { name, about, quotas } = space
    await this.#records.write(spaceArea, name, { v: 1, about, quotas })
    this.#spaces.set(name, space)
    return space
  }

  async remove(name: string): Promise<void> {
    if (name === defaultSpace) throw serviceErrors.SPACE_PREDEFINED({ space: name })
    this.get(name)
    await this.#records.remove(spaceArea, name)
    this.#spaces.delete(name)
  }
}

function made(name: string, about: string): Role {
  return { name, about: about.slice(0, 500), plan: 'integration-flow', isPredefined: false }
}
