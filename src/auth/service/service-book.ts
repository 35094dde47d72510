import { z } from 'zod'
import type { Json } from '../../kernel/json.ts'
import type { Records } from '../../store/port.ts'
import { readGrantType } from './grant-types.ts'
import type { ServiceInstance, ServiceKey } from './model.ts'
import { serviceErrors } from './service-errors.ts'

/** A key and, of a secret, what it is recognised by; the two stay apart, so that nothing shows a MAC by mistake. */
export interface KeptKey {
  readonly key: ServiceKey
  readonly proof: SecretProof | undefined
}

export interface SecretProof {
  /** HMAC-SHA256 of the secret. */
  readonly mac: Buffer
  /** The pepper it was made with. */
  readonly pepper: string
}

/** An instance with all its keys: one record, so that a rotation or a deletion happens as a whole or not at all. */
export interface Entry {
  readonly instance: ServiceInstance
  /** Oldest first. */
  readonly keys: readonly KeptKey[]
}

export type BookRecords = Pick<Records, 'list' | 'write' | 'remove'>

const area = 'service-instance'

/** All instances in memory, found by what callers send, with the records behind them. */
export class ServiceBook {
  readonly #records: BookRecords
  readonly #entries = new Map<string, Entry>()
  readonly #byClient = new Map<string, Entry>()
  readonly #byKey = new Map<string, KeptKey & { readonly entry: Entry }>()
  readonly #byThumbprint = new Map<string, ServiceKey>()
  /** Keys that stand for any certificate of a subject and issuer. */
  readonly #byNames = new Map<string, ServiceKey>()

  private constructor(records: BookRecords) {
    this.#records = records
  }

  /** Throws SERVICE_STORE_UNREADABLE. */
  static async open(records: BookRecords): Promise<ServiceBook> {
    const book = new ServiceBook(records)
    for (const { id, value, revision } of await records.list(area)) book.#show(readEntry(id, value, revision))
    return book
  }

  list(): readonly Entry[] {
    return [...this.#entries.values()]
  }

  byId = (id: string): Entry | undefined => this.#entries.get(id)
  byClient = (clientId: string): Entry | undefined => this.#byClient.get(clientId)
  byKey = (keyId: string) => this.#byKey.get(keyId)
  byThumbprint = (thumbprint: string): ServiceKey | undefined => this.#byThumbprint.get(thumbprint)
  byNames = (subject: string, issuer: string): ServiceKey | undefined => this.#byNames.get(namesOf(subject, issuer))

  /** Durable when it resolves, and in force from then on. The revision of the instance becomes the record's. */
  async write(entry: Entry): Promise<Entry> {
    const { id, revision } = entry.instance
    const keys = entry.keys.map(({ key, proof }) => ({
      ...key,
      ...(proof && { mac: proof.mac.toString('base64'), pepper: proof.pepper }),
    }))
    const value = { v: 1, instance: entry.instance, keys } as unknown as Json
    const written = await this.#records.write(area, id, value, revision)
    const shown = { ...entry, instance: { ...entry.instance, revision: written } }
    this.#show(shown)
    return shown
  }

  async remove(id: string): Promise<void> {
    await this.#records.remove(area, id)
    this.#hide(id)
  }

  #show(entry: Entry): void {
    this.#hide(entry.instance.id)
    this.#entries.set(entry.instance.id, entry)
    this.#byClient.set(entry.instance.clientId, entry)
    for (const { key, proof } of entry.keys) {
      this.#byKey.set(key.id, { entry, key, proof })
      if (!key.certificate) continue
      const { thumbprint, isPinned, subject, issuer } = key.certificate
      if (isPinned) showYoungest(this.#byThumbprint, thumbprint, key)
      else if (key.revokedAt === undefined) showYoungest(this.#byNames, namesOf(subject, issuer), key)
    }
  }

  #hide(id: string): void {
    const entry = this.#entries.get(id)
    if (!entry) return
    this.#entries.delete(id)
    this.#byClient.delete(entry.instance.clientId)
    for (const { key } of entry.keys) {
      this.#byKey.delete(key.id)
      if (!key.certificate) continue
      const { thumbprint, subject, issuer } = key.certificate
      if (this.#byThumbprint.get(thumbprint)?.id === key.id) this.#byThumbprint.delete(thumbprint)
      const names = namesOf(subject, issuer)
      if (this.#byNames.get(names)?.id === key.id) this.#byNames.delete(names)
    }
  }
}

/**
 * Of several keys with one certificate the youngest that was not revoked counts: a certificate is free for another key,
 * of another instance too, once the key that had it has ended.
 */
function showYoungest(keys: Map<string, ServiceKey>, by: string, key: ServiceKey): void {
  const before = keys.get(by)
  const isOlder = before !== undefined && before.revokedAt === undefined && before.createdAt > key.createdAt
  if (!isOlder && (key.revokedAt === undefined || !before)) keys.set(by, key)
}

/** A name may hold anything but a NUL. */
function namesOf(subject: string, issuer: string): string {
  return `${subject}\0${issuer}`
}

const optionalNumber = z.number().optional()
const optionalText = z.string().optional()

const storedEntry = z.object({
  v: z.literal(1),
  instance: z.object({
    clientId: z.string(),
    name: z.string(),
    space: z.string(),
    plan: z.enum(['integration-flow', 'api']),
    roles: z.array(z.string()),
    grantTypes: z.array(z.string()),
    redirectUris: z.array(z.string()),
    tokenValiditySeconds: z.number(),
    refreshTokenValiditySeconds: z.number(),
    createdAt: z.number(),
    changedAt: z.number(),
    disabledAt: optionalNumber,
  }),
  keys: z.array(
    z.object({
      id: z.string(),
      name: z.string(),
      kind: z.enum(['secret', 'certificate', 'certificate_external']),
      createdAt: z.number(),
      expiresAt: optionalNumber,
      revokedAt: optionalNumber,
      replacedBy: optionalText,
      mac: optionalText,
      pepper: optionalText,
      certificate: z
        .object({
          subject: z.string(),
          issuer: z.string(),
          serialNumber: z.string(),
          notBefore: z.number(),
          notAfter: z.number(),
          thumbprint: z.string(),
          rsaBits: optionalNumber,
          isPinned: z.boolean(),
        })
        .optional(),
    }),
  ),
})

function readEntry(id: string, value: unknown, revision: number): Entry {
  const parsed = storedEntry.safeParse(value)
  if (!parsed.success) {
    throw serviceErrors.STORE_UNREADABLE({ what: 'service instance', id, reason: z.prettifyError(parsed.error) })
  }
  const { instance, keys } = parsed.data
  return {
    instance: {
      ...instance,
      id,
      revision,
      disabledAt: instance.disabledAt,
      grantTypes: instance.grantTypes.flatMap(text => readGrantType(text) ?? []),
    },
    keys: keys.map(({ mac, pepper, ...key }) => ({
      key: {
        ...key,
        instanceId: id,
        expiresAt: key.expiresAt,
        revokedAt: key.revokedAt,
        replacedBy: key.replacedBy,
        certificate: key.certificate,
      },
      proof: mac !== undefined && pepper !== undefined ? { mac: Buffer.from(mac, 'base64'), pepper } : undefined,
    })),
  }
}
