import { randomBytes } from 'node:crypto'
import { HubError } from '../../kernel/error.ts'
import type { Log } from '../../kernel/log.ts'
import type { Clock } from '../../kernel/time.ts'
import type { CertificateAuthority } from '../certificate-authority.ts'
import type { People } from '../people/people.ts'
import type { Vault } from '../vault.ts'
import { makeCertificateCheck } from './certificate-check.ts'
import type { HubAddresses } from './credential-document.ts'
import { instanceNamePattern, readParameters, type Settings, spaceNamePattern } from './instance-input.ts'
import { type KeyChanges, makeKeyChanges } from './key-changes.ts'
import { KeyUses } from './key-uses.ts'
import type { Check, KeyCertificate, Plan, ServiceEvent, ServiceInstance, ServiceUsers, Space } from './model.ts'
import { openPeppers } from './pepper.ts'
import { defaultSpace, RoleBook, SpaceBook } from './role-book.ts'
import { makeSecretCheck } from './secret-check.ts'
import { type BookRecords, type Entry, ServiceBook } from './service-book.ts'
import { serviceErrors } from './service-errors.ts'

export interface ServiceUsersOptions {
  readonly records: BookRecords
  readonly vault: Pick<Vault, 'seal' | 'open'>
  readonly clock: Clock
  readonly log: Log
  readonly authority: Pick<CertificateAuthority, 'issue' | 'isRevoked' | 'revoke'>
  /** What stands in credential documents; asked at each, since a free port is known only later. */
  readonly addresses: () => HubAddresses
  /** Flows that ask for a role, so that it is not deleted under them. */
  readonly flowsAskingFor?: (role: string) => readonly string[]
  /** Users of the token server have roles, too. */
  readonly people?: Pick<People, 'withRole' | 'takeRole'>
  /** Authorities (PEM) that issue client certificates of others. */
  readonly externalAuthorities?: readonly string[]
}

/** Opens what the hub knows of its callers. Throws SERVICE_STORE_UNREADABLE, VAULT_UNREADABLE. */
export async function openServiceUsers(options: ServiceUsersOptions): Promise<ServiceUsers> {
  const { records, clock, log, authority } = options
  const book = await ServiceBook.open(records)
  const roles = await RoleBook.open(records)
  const spaces = await SpaceBook.open(records)
  const peppers = await openPeppers({ records, vault: options.vault })
  const uses = await KeyUses.open({ records, clock, log })
  const listeners = new Set<(event: ServiceEvent) => void>()
  let turn: Promise<unknown> = Promise.resolve()

  /** One change after the other: quotas and names are counted over all instances. */
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = turn.then(work, work)
    turn = mine.catch(() => {})
    return mine
  }

  function emit(event: ServiceEvent): void {
    for (const listener of listeners) listener(event)
  }

  function entryOf(id: string): Entry {
    const entry = book.byId(id)
    if (!entry) throw serviceErrors.INSTANCE_UNKNOWN({ instance: id.slice(0, 64) })
    return entry
  }

  async function write(entry: Entry): Promise<Entry> {
    try {
      return await book.write(entry)
    } catch (thrown) {
      const isOlder = thrown instanceof HubError && thrown.code === 'STORE_CHANGED_MEANWHILE'
      if (isOlder) throw serviceErrors.INSTANCE_CHANGED_MEANWHILE({ instance: entry.instance.name }, { cause: thrown })
      throw thrown
    }
  }

  function checkKey(clientId: string, keyId: string): Check {
    const kept = book.byKey(keyId)
    if (!kept) return { ok: false, reason: book.byClient(clientId) ? 'unknown-key' : 'unknown-client', keyId }
    const { key } = kept
    const { instance } = kept.entry
    if (instance.clientId !== clientId) return { ok: false, reason: 'key-of-other-instance', keyId }
    if (instance.disabledAt !== undefined) return { ok: false, reason: 'instance-disabled', keyId, clientId }
    if (key.revokedAt !== undefined) return { ok: false, reason: 'key-revoked', keyId, clientId }
    const isOver = key.expiresAt !== undefined && clock.now() >= key.expiresAt
    return isOver ? { ok: false, reason: 'key-expired', keyId, clientId } : { ok: true, instance, key }
  }

  function checkRoles(wanted: readonly string[], plan: Plan): void {
    const unknown = wanted.filter(role => roles.find(role)?.plan !== plan)
    if (unknown.length > 0) throw serviceErrors.ROLES_UNKNOWN({ roles: unknown.join(', '), plan })
  }

  function checkName(name: string, space: string): void {
    if (!instanceNamePattern.test(name)) {
      const reason = 'its name is up to 32 letters, digits, dots, underscores and hyphens'
      throw serviceErrors.INSTANCE_INVALID({ instance: name.slice(0, 64), reason })
    }
    const isTaken = book.list().some(({ instance }) => instance.space === space && instance.name === name)
    if (isTaken) throw serviceErrors.INSTANCE_EXISTS({ space, instance: name })
  }

  function takeNewer(keyId: string, certificate: KeyCertificate): void {
    changeKeys.takeNewer(keyId, certificate).catch((thrown: unknown) => {
      // The call it came with counts; the next one with this certificate tries to note it again.
      log.warn('service-key.not-renewed', { key: keyId, error: thrown })
    })
  }

  const changeKeys: KeyChanges = makeKeyChanges({
    book,
    peppers,
    uses,
    authority,
    clock,
    log,
    addresses: options.addresses,
    inTurn,
    write,
    entryOf,
    emit,
  })

  return {
    createInstance: ({ name, space = defaultSpace, plan = 'integration-flow', parameters }) =>
      inTurn(async () => {
        const quota = spaces.quotaOf(space, plan)
        checkName(name, space)
        const settings = readParameters(name, plan, parameters)
        checkRoles(settings.roles, plan)
        const held = book.list().filter(({ instance }) => instance.space === space && instance.plan === plan)
        if (held.length >= quota) throw serviceErrors.QUOTA_REACHED({ space, plan, count: quota })
        const { instance } = await write({
          instance: newInstance({ name, space, plan }, settings, clock.now()),
          keys: [],
        })
        emit({ type: 'instance.created', clientId: instance.clientId })
        return instance
      }),
    listInstances: space =>
      book
        .list()
        .map(({ instance }) => instance)
        .filter(instance => space === undefined || instance.space === space)
        .toSorted((one, other) => (`${one.space} ${one.name}` < `${other.space} ${other.name}` ? -1 : 1)),
    getInstance: id => entryOf(id).instance,
    instanceOfClient: clientId => book.byClient(clientId)?.instance,
    updateInstance: (id, change) =>
      inTurn(async () => {
        const entry = entryOf(id)
        const before = entry.instance
        const { revision = before.revision, name = before.name, disabled } = change
        if (revision !== before.revision) throw serviceErrors.INSTANCE_CHANGED_MEANWHILE({ instance: before.name })
        if (name !== before.name) checkName(name, before.space)
        const settings = readParameters(name, before.plan, change.parameters, before)
        // Roles that are gone may stay in a change of something else.
        checkRoles(
          settings.roles.filter(role => !before.roles.includes(role)),
          before.plan,
        )
        changeKeys.refuseOtherKinds(entry, settings.grantTypes)
        const now = clock.now()
        const disabledAt =
          disabled === undefined ? before.disabledAt : disabled ? (before.disabledAt ?? now) : undefined
        const instance = { ...before, ...settings, name, disabledAt, changedAt: now }
        const after = (await write({ ...entry, instance })).instance
        emit({ type: 'instance.changed', clientId: after.clientId })
        return after
      }),
    deleteInstance: id =>
      inTurn(async () => {
        const entry = entryOf(id)
        await book.remove(id)
        emit({ type: 'instance.deleted', clientId: entry.instance.clientId })
        await changeKeys.tidyAfter(entry.keys.map(({ key }) => key))
      }),

    ...changeKeys.exposed,
    lastUseOf: keyId => uses.of(keyId),
    noteUse: (keyId, address) => uses.note(keyId, address),

    createRole: (name, about) =>
      inTurn(async () => {
        // A role of that name may have been deleted while a hub died: nobody gets it back by that.
        if (!roles.find(name)) await takeRole(name)
        const role = await roles.create(name, about)
        emit({ type: 'role.changed', role: name })
        return role
      }),
    updateRole: (name, about) => inTurn(() => roles.update(name, about)),
    listRoles: () => roles.list(),
    hasRole: name => roles.find(name) !== undefined,
    deleteRole: (name, force) =>
      inTurn(async () => {
        roles.get(name)
        const holders = book.list().filter(({ instance }) => instance.roles.includes(name))
        const users = [
          ...(options.flowsAskingFor?.(name) ?? []).map(flow => `flow ${flow}`),
          ...holders.map(({ instance }) => `service instance ${instance.name}`),
          ...(options.people?.withRole(name) ?? []).map(user => `user ${user}`),
        ]
        if (users.length > 0 && !force) throw serviceErrors.ROLE_IN_USE({ role: name, users: inWords(users) })
        await roles.remove(name)
        emit({ type: 'role.deleted', role: name })
        await takeRole(name)
      }),

    listSpaces: () => spaces.list(),
    writeSpace: space =>
      inTurn(async () => {
        checkSpace(space)
        const written = await spaces.write(space)
        emit({ type: 'space.changed', space: space.name })
        return written
      }),
    deleteSpace: name =>
      inTurn(async () => {
        const { length: count } = book.list().filter(({ instance }) => instance.space === name)
        if (count > 0) throw serviceErrors.SPACE_IN_USE({ space: name, count })
        await spaces.remove(name)
        emit({ type: 'space.deleted', space: name })
      }),

    checkSecret: makeSecretCheck({ book, peppers, checkKey }),
    checkCertificate: makeCertificateCheck({
      book,
      authority,
      clock,
      externalAuthorities: options.externalAuthorities ?? [],
      checkKey,
      takeNewer,
    }),
    checkKey,
    effectiveRoles: ({ roles: given, plan }) => given.filter(role => roles.find(role)?.plan === plan),

    on(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    reseal: () => inTurn(() => peppers.reseal()),
    async close() {
      await turn
      listeners.clear()
      await uses.close()
    },
  }

  async function takeRole(role: string): Promise<void> {
    await options.people?.takeRole(role)
    for (const entry of book.list()) {
      const { instance } = entry
      if (!instance.roles.includes(role)) continue
      const left = instance.roles.filter(each => each !== role)
      await write({ ...entry, instance: { ...instance, roles: left, changedAt: clock.now() } })
      emit({ type: 'instance.changed', clientId: instance.clientId })
    }
  }
}

function newInstance(
  named: Pick<ServiceInstance, 'name' | 'space' | 'plan'>,
  settings: Settings,
  now: number,
): ServiceInstance {
  return {
    id: randomBytes(8).toString('hex'),
    clientId: `ci${randomBytes(12).toString('hex')}`,
    ...named,
    ...settings,
    createdAt: now,
    changedAt: now,
    disabledAt: undefined,
    revision: 0,
  }
}

function checkSpace({ name, quotas }: Space): void {
  const refuse = (reason: string) => serviceErrors.SPACE_INVALID({ space: name.slice(0, 64), reason })
  if (!spaceNamePattern.test(name)) throw refuse('its name has other letters, or too many')
  for (const [plan, quota] of Object.entries(quotas)) {
    if (quota !== undefined && !(Number.isInteger(quota) && quota >= 0))
      throw refuse(`the quota of ${plan} is ${quota}`)
  }
}

const shownUsers = 5

function inWords(users: readonly string[]): string {
  const rest = users.length - shownUsers
  return `${users.slice(0, shownUsers).join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`
}
