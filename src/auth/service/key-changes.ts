import { HubError } from '../../kernel/error.ts'
import type { Log } from '../../kernel/log.ts'
import { type Clock, DAY } from '../../kernel/time.ts'
import type { CertificateAuthority } from '../certificate-authority.ts'
import { credentialDocument, type HubAddresses } from './credential-document.ts'
import { type KeySettings, keyNamePattern, readKeyParameters } from './key-input.ts'
import { type MadeKey, makeKey } from './key-maker.ts'
import type { KeyUses } from './key-uses.ts'
import type {
  CreatedKey,
  GrantType,
  KeyCertificate,
  KeyState,
  ServiceEvent,
  ServiceInstance,
  ServiceKey,
  ServiceUsers,
} from './model.ts'
import type { Peppers } from './pepper.ts'
import type { Entry, KeptKey, ServiceBook } from './service-book.ts'
import { serviceErrors } from './service-errors.ts'
import { serviceLimits } from './service-limits.ts'

export interface KeyChangeParts {
  readonly book: ServiceBook
  readonly peppers: Peppers
  readonly uses: KeyUses
  readonly authority: Pick<CertificateAuthority, 'issue' | 'revoke'>
  readonly clock: Clock
  readonly log: Log
  readonly addresses: () => HubAddresses
  readonly inTurn: <T>(work: () => Promise<T>) => Promise<T>
  readonly write: (entry: Entry) => Promise<Entry>
  readonly entryOf: (instanceId: string) => Entry
  readonly emit: (event: ServiceEvent) => void
}

/** What becomes of keys: made, rotated, revoked, forgotten. */
export interface KeyChanges {
  readonly exposed: Pick<
    ServiceUsers,
    'createKey' | 'listKeys' | 'keysExpiringWithin' | 'getKey' | 'stateOf' | 'rotateKey' | 'revokeKey'
  >
  /** Throws when the instance has keys that these grant types leave no use for. */
  refuseOtherKinds(entry: Entry, grantTypes: readonly GrantType[]): void
  takeNewer(keyId: string, certificate: KeyCertificate): Promise<void>
  /** Certificates and times of use of keys that are gone. */
  tidyAfter(keys: readonly ServiceKey[]): Promise<void>
}

export function makeKeyChanges(parts: KeyChangeParts): KeyChanges {
  const { book, clock, inTurn, write, entryOf, emit } = parts

  function stateOf(key: ServiceKey): KeyState {
    const now = clock.now()
    if (key.revokedAt !== undefined) return 'revoked'
    if (key.expiresAt !== undefined && now >= key.expiresAt) return 'expired'
    return key.certificate && now < key.certificate.notBefore ? 'not-yet-valid' : 'active'
  }

  /** It counts, or will count. */
  function isAlive(key: ServiceKey): boolean {
    return !['revoked', 'expired'].includes(stateOf(key))
  }

  function keptOf(keyId: string) {
    const kept = book.byKey(keyId)
    if (!kept) throw serviceErrors.KEY_UNKNOWN({ key: keyId.slice(0, 64) })
    return kept
  }

  function documentOf(instance: ServiceInstance, { kept, proof }: MadeKey): CreatedKey {
    return { key: kept.key, document: credentialDocument(instance, kept.key, proof, parts.addresses()) }
  }

  async function make(instance: ServiceInstance, name: string, settings: KeySettings): Promise<MadeKey> {
    if (instance.grantTypes.includes('client_x509') && settings['key-type'] === 'secret') {
      const reason = 'its instance has the grant type client_x509, which takes certificates only'
      throw serviceErrors.KEY_INVALID({ key: name, reason })
    }
    const made = await makeKey(instance, name, settings, parts)
    refuseTaken(made.kept.key)
    return made
  }

  function refuseTaken({ certificate }: ServiceKey): void {
    if (!certificate) return
    const { thumbprint, subject, issuer, isPinned } = certificate
    const others = [book.byThumbprint(thumbprint), ...(isPinned ? [] : [book.byNames(subject, issuer)])]
    const taken = others.find(other => other !== undefined && isAlive(other))
    if (taken) throw serviceErrors.CERTIFICATE_TAKEN({ subject: subject.replaceAll('\n', ', '), key: taken.id })
  }

  /** The keys of an instance with another one; of those that ended only the newest stay. */
  function withKey(keys: readonly KeptKey[], added: KeptKey, name: string): readonly KeptKey[] {
    const active = keys.filter(({ key }) => isAlive(key))
    if (active.length >= serviceLimits.keysPerInstance) {
      throw serviceErrors.KEYS_TOO_MANY({ instance: name, count: active.length })
    }
    const ended = keys.filter(({ key }) => !isAlive(key)).slice(-serviceLimits.endedKeysKept)
    return [...keys.filter(kept => active.includes(kept) || ended.includes(kept)), added]
  }

  async function change(entry: Entry, keyId: string, change: Partial<ServiceKey>): Promise<ServiceKey> {
    const keys = entry.keys.map(kept => (kept.key.id === keyId ? { ...kept, key: { ...kept.key, ...change } } : kept))
    await write({ ...entry, keys })
    return keptOf(keyId).key
  }

  async function revokeCertificates(keys: readonly ServiceKey[]): Promise<void> {
    for (const { kind, certificate, id } of keys) {
      if (kind !== 'certificate' || !certificate) continue
      await parts.authority
        .revoke(certificate.serialNumber, `service key ${id} was revoked`)
        .catch((thrown: unknown) => {
          // The key is gone, so nobody gets in with it; the list of the authority only tells others.
          parts.log.warn('service-key.certificate-not-revoked', { key: id, error: thrown })
        })
    }
  }

  const exposed: KeyChanges['exposed'] = {
    createKey: (instanceId, { name, parameters }) =>
      inTurn(async () => {
        const entry = entryOf(instanceId)
        const { instance } = entry
        if (!keyNamePattern.test(name)) {
          const reason = 'its name is up to 64 letters, digits, dots, underscores and hyphens'
          throw serviceErrors.KEY_INVALID({ key: name.slice(0, 64), reason })
        }
        const namesake = entry.keys.find(({ key }) => key.name === name && key.replacedBy === undefined)?.key
        if (namesake && isAlive(namesake)) {
          throw serviceErrors.KEY_EXISTS({ instance: instance.name, key: name })
        }
        const isCertificateOnly = instance.grantTypes.includes('client_x509')
        const settings = readKeyParameters(name, parameters, isCertificateOnly ? 'certificate' : 'secret')
        const made = await make(instance, name, settings)
        await write({ ...entry, keys: withKey(entry.keys, made.kept, instance.name) })
        emit({ type: 'key.created', clientId: instance.clientId, keyId: made.kept.key.id })
        return documentOf(instance, made)
      }),

    listKeys: instanceId => entryOf(instanceId).keys.map(({ key }) => key),
    keysExpiringWithin: ms =>
      book
        .list()
        .flatMap(({ keys }) => keys.map(({ key }) => key))
        .filter(key => isAlive(key) && key.expiresAt !== undefined && key.expiresAt - clock.now() <= ms)
        .toSorted((one, other) => (one.expiresAt ?? 0) - (other.expiresAt ?? 0)),
    getKey: keyId => keptOf(keyId).key,
    stateOf,

    rotateKey: (keyId, { overlapMs, parameters }) =>
      inTurn(async () => {
        const { entry, key } = keptOf(keyId)
        const { instance } = entry
        if (key.replacedBy !== undefined) {
          throw serviceErrors.KEY_ROTATED_ALREADY({ key: keyId, successor: key.replacedBy })
        }
        if (!isAlive(key)) throw serviceErrors.KEY_ENDED({ key: keyId, state: stateOf(key) })
        if (!(overlapMs >= 0 && overlapMs <= serviceLimits.overlapMs)) {
          throw serviceErrors.KEY_INVALID({ key: keyId, reason: 'the overlap is 0 to 90 days' })
        }
        const made = await make(instance, key.name, settingsLike(key, parameters))
        const now = clock.now()
        const expiresAt = Math.min(key.expiresAt ?? Number.POSITIVE_INFINITY, now + overlapMs)
        const old = { ...key, expiresAt, replacedBy: made.kept.key.id }
        const kept = entry.keys.map(each => (each.key.id === keyId ? { ...each, key: old } : each))
        await write({ ...entry, keys: withKey(kept, made.kept, instance.name) })
        emit({ type: 'key.rotated', clientId: instance.clientId, keyId })
        emit({ type: 'key.created', clientId: instance.clientId, keyId: made.kept.key.id })
        return documentOf(instance, made)
      }),

    revokeKey: keyId =>
      inTurn(async () => {
        const { entry, key } = keptOf(keyId)
        if (key.revokedAt !== undefined) return key
        const revoked = await change(entry, keyId, { revokedAt: clock.now() })
        emit({ type: 'key.revoked', clientId: entry.instance.clientId, keyId })
        await revokeCertificates([revoked])
        return revoked
      }),
  }

  return {
    exposed,
    refuseOtherKinds({ instance, keys }, grantTypes) {
      if (!grantTypes.includes('client_x509')) return
      const secret = keys.find(({ key }) => key.kind === 'secret' && isAlive(key))
      if (!secret) return
      const reason = `client_x509 takes certificates only, and key ${secret.key.name} is a secret`
      throw serviceErrors.INSTANCE_INVALID({ instance: instance.name, reason })
    },
    takeNewer: (keyId, certificate) =>
      inTurn(async () => {
        const kept = book.byKey(keyId)
        if (!kept?.key.certificate || certificate.notBefore <= kept.key.certificate.notBefore) return
        await change(kept.entry, keyId, { certificate, expiresAt: certificate.notAfter })
      }),
    async tidyAfter(keys) {
      await revokeCertificates(keys.filter(key => isAlive(key)))
      await parts.uses.forget(keys.map(({ id }) => id)).catch((thrown: unknown) => {
        if (!(thrown instanceof HubError)) throw thrown
        parts.log.warn('service-key.use-not-forgotten', { error: thrown })
      })
    },
  }
}

/** A successor is of the kind of its predecessor, and is good for as long, unless something else is asked for. */
function settingsLike(key: ServiceKey, parameters: unknown): KeySettings {
  if (key.certificate && !key.certificate.isPinned) {
    const reason = 'a key for subject and issuer takes the next certificate of these names by itself'
    throw serviceErrors.KEY_INVALID({ key: key.id, reason })
  }
  return readKeyParameters(key.name, parameters ?? parametersOf(key), key.kind)
}

function parametersOf({ kind, createdAt, expiresAt, certificate }: ServiceKey): object {
  if (kind === 'certificate_external') return {}
  return {
    ...(expiresAt !== undefined && { validity: Math.max(1, Math.round((expiresAt - createdAt) / DAY)) }),
    ...(certificate?.rsaBits !== undefined && { 'key-length': certificate.rsaBits }),
  }
}
