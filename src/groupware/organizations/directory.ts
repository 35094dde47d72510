import { z } from 'zod'
import type { Clock } from '../../kernel/time.ts'
import type { SyncRules } from '../plan/rules.ts'
import { organizationErrors } from './errors.ts'
import { keptMailbox, keptOrganization, keptProfile } from './kept.ts'
import { organizationLimits as limits, organizationArea } from './limits.ts'
import type { Cause, Mailbox, MailboxState, Organization, Profile } from './model.ts'
import { groupwareName, type MailboxInput, organizationInput, profileInput } from './organization-input.ts'
import { type BookRecords, RecordBook } from './record-book.ts'
import { type RulesInput, resolveRules } from './rules-input.ts'
import { Turns } from './turns.ts'

export const defaultProfile = 'default'

export interface DirectoryOptions {
  readonly records: BookRecords
  readonly clock: Clock
}

/** Organizations, profiles and mailboxes, as people write them down. It knows nothing of servers. */
export class Directory {
  readonly #clock: Clock
  readonly #organizations: RecordBook<Organization>
  readonly #profiles: RecordBook<Profile>
  readonly #mailboxes: RecordBook<Mailbox>
  /** Addresses by organization, so that ten thousand others are not walked through. */
  readonly #members = new Map<string, Set<string>>()
  /** Jobs, rounds and people write to the same mailbox: each begins with what the one before it wrote. */
  readonly #turns = new Turns()

  private constructor(
    clock: Clock,
    organizations: RecordBook<Organization>,
    profiles: RecordBook<Profile>,
    mailboxes: RecordBook<Mailbox>,
  ) {
    this.#clock = clock
    this.#organizations = organizations
    this.#profiles = profiles
    this.#mailboxes = mailboxes
    for (const mailbox of mailboxes.list()) this.#membersOf(mailbox.organization).add(mailbox.address)
  }

  /** Throws ORGANIZATION_STORE_UNREADABLE. */
  static async open({ records, clock }: DirectoryOptions): Promise<Directory> {
    return new Directory(
      clock,
      await RecordBook.open<Organization>(records, organizationArea, keptOrganization),
      await RecordBook.open<Profile>(records, 'groupware-profile', keptProfile),
      await RecordBook.open<Mailbox>(records, 'groupware-mailbox', keptMailbox),
    )
  }

  // ---- organizations ----

  organizations(): readonly Organization[] {
    return this.#organizations.list().toSorted((one, other) => (one.name < other.name ? -1 : 1))
  }

  hasOrganization(name: string): boolean {
    return this.#organizations.get(name) !== undefined
  }

  organization(name: string): Organization {
    const found = this.#organizations.get(name)
    if (!found) throw organizationErrors.UNKNOWN({ organization: name.slice(0, 64) })
    return found
  }

  /** What the settings would come to, not written yet. Throws ORGANIZATION_INVALID, ORGANIZATION_PROFILE_UNKNOWN. */
  draft(name: string, given: unknown): Organization {
    const { exchange, crm, every, testMailbox, ...rest } = parse(organizationInput, name, given)
    const { overlap: overlapMs, ...ofCrm } = crm
    parse(groupwareName, name, name)
    this.profile(rest.profile)
    const before = this.#organizations.get(name)
    return {
      ...rest,
      name,
      exchange: { url: exchange.url, auth: exchange.auth, via: exchange.via, logIn: exchange.logIn },
      crm: { ...ofCrm, overlapMs },
      everyMs: every,
      testMailbox,
      isPaused: before?.isPaused ?? false,
      changedAt: this.#clock.now(),
      revision: before?.revision ?? 0,
    }
  }

  async create(draft: Organization): Promise<Organization> {
    if (this.#organizations.get(draft.name)) throw organizationErrors.EXISTS({ organization: draft.name })
    refuseAbove(limits.organizations, this.#organizations.size + 1, 'organizations')
    return this.#organizations.write(draft.name, { ...draft, revision: 0 })
  }

  /** `revision` of the draft is the one that it was made from. */
  async update(draft: Organization): Promise<Organization> {
    this.organization(draft.name)
    return this.#organizations.write(draft.name, draft)
  }

  async setPaused(name: string, isPaused: boolean): Promise<Organization> {
    const organization = this.organization(name)
    if (organization.isPaused === isPaused) return organization
    return this.#organizations.write(name, { ...organization, isPaused, changedAt: this.#clock.now() })
  }

  async removeOrganization(name: string): Promise<void> {
    this.organization(name)
    const { size: count } = this.#membersOf(name)
    if (count > 0) throw organizationErrors.IN_USE({ organization: name, count })
    await this.#organizations.remove(name)
  }

  // ---- profiles ----

  profiles(): readonly Profile[] {
    const all = this.#profiles.list()
    const named = all.some(({ name }) => name === defaultProfile) ? all : [...all, this.profile(defaultProfile)]
    return named.toSorted((one, other) => (one.name < other.name ? -1 : 1))
  }

  profile(name: string): Profile {
    const found = this.#profiles.get(name)
    if (found) return found
    if (name !== defaultProfile) throw organizationErrors.PROFILE_UNKNOWN({ profile: name.slice(0, 64) })
    return { name, about: 'What is usual, until somebody changes it.', rules: {}, changedAt: 0, revision: 0 }
  }

  /** Creates or changes a profile; its rules count from the next round on. */
  async writeProfile(name: string, given: unknown, revision?: number): Promise<Profile> {
    const { about } = parse(profileInput, name, given)
    parse(groupwareName, name, name)
    const before = this.#profiles.get(name)
    if (!before) refuseAbove(limits.profiles, this.#profiles.size + 1, 'profiles')
    // Kept as it was written, in words.
    const { rules = {} } = given as { rules?: RulesInput }
    const changedAt = this.#clock.now()
    return this.#profiles.write(name, { name, about, rules, changedAt, revision: revision ?? before?.revision ?? 0 })
  }

  async removeProfile(name: string): Promise<void> {
    this.profile(name)
    const users = this.organizations().filter(({ profile }) => profile === name)
    if (users.length > 0 && name !== defaultProfile) {
      throw organizationErrors.PROFILE_IN_USE({ profile: name, users: users.map(user => user.name).join(', ') })
    }
    await this.#profiles.remove(name)
  }

  // ---- mailboxes ----

  mailboxes(organization?: string): readonly Mailbox[] {
    const all =
      organization === undefined
        ? this.#mailboxes.list()
        : [...this.#membersOf(organization)].flatMap(address => this.#mailboxes.get(address) ?? [])
    return all.toSorted((one, other) => (one.address < other.address ? -1 : 1))
  }

  findMailbox(address: string): Mailbox | undefined {
    return this.#mailboxes.get(address.toLowerCase())
  }

  mailbox(address: string): Mailbox {
    const found = this.findMailbox(address)
    if (!found) throw organizationErrors.MAILBOX_UNKNOWN({ mailbox: address.slice(0, 254) })
    return found
  }

  /** Throws ORGANIZATION_TOO_MANY when so many further mailboxes do not fit. */
  refuseMore(organization: string, count: number): void {
    const { size } = this.#membersOf(organization)
    refuseAbove(limits.mailboxesPerOrganization, size + count, 'mailboxes of one organization')
  }

  /** Adds a mailbox, or changes what is said of it; its state stays. */
  putMailbox(organization: string, input: MailboxInput, given: { readonly rules?: RulesInput } = {}): Promise<Mailbox> {
    return this.#turns.alone(input.address, () => this.#putMailbox(organization, input, given))
  }

  async #putMailbox(
    organization: string,
    { address, crmAddress, auth }: MailboxInput,
    given: { readonly rules?: RulesInput },
  ): Promise<Mailbox> {
    this.organization(organization)
    const before = this.#mailboxes.get(address)
    if (before && before.organization !== organization) {
      throw organizationErrors.MAILBOX_ELSEWHERE({ mailbox: address, organization: before.organization })
    }
    const members = this.#membersOf(organization)
    if (!before) this.refuseMore(organization, 1)
    const written = await this.#mailboxes.write(address, {
      state: 'not-activated',
      stateSince: this.#clock.now(),
      cause: undefined,
      revision: 0,
      ...before,
      address,
      organization,
      crmAddress: crmAddress ?? before?.crmAddress ?? address,
      auth: auth ?? before?.auth,
      rules: given.rules ?? before?.rules ?? {},
    })
    members.add(address)
    return written
  }

  /** A mailbox that is not meant (any more) stays as it is. */
  setState(
    address: string,
    state: MailboxState,
    cause?: Cause,
    isMeant: (mailbox: Mailbox) => boolean = () => true,
  ): Promise<Mailbox> {
    return this.#turns.alone(address.toLowerCase(), async () => {
      const mailbox = this.mailbox(address)
      const isSame = mailbox.state === state && mailbox.cause?.code === cause?.code
      if (!isMeant(mailbox) || (isSame && mailbox.cause?.message === cause?.message)) return mailbox
      const stateSince = mailbox.state === state ? mailbox.stateSince : this.#clock.now()
      return this.#mailboxes.write(mailbox.address, { ...mailbox, state, stateSince, cause })
    })
  }

  removeMailbox(address: string): Promise<void> {
    return this.#turns.alone(address.toLowerCase(), async () => {
      const mailbox = this.mailbox(address)
      await this.#mailboxes.remove(mailbox.address)
      this.#membersOf(mailbox.organization).delete(mailbox.address)
    })
  }

  /** The rules that count for a mailbox: its own, over its organization's profile, over what is usual. */
  rulesOf(mailbox: Mailbox): SyncRules {
    const { profile } = this.organization(mailbox.organization)
    return resolveRules(this.profile(profile).rules, mailbox.rules)
  }

  #membersOf(organization: string): Set<string> {
    const members = this.#members.get(organization) ?? new Set<string>()
    this.#members.set(organization, members)
    return members
  }
}

function parse<T extends z.ZodType>(schema: T, name: string, given: unknown): z.output<T> {
  const parsed = schema.safeParse(given)
  if (parsed.success) return parsed.data
  throw organizationErrors.INVALID({ name: name.slice(0, 64), reason: z.prettifyError(parsed.error) })
}

function refuseAbove(max: number, count: number, what: string): void {
  if (count > max) throw organizationErrors.TOO_MANY({ max, what })
}
