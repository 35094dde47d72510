import { createHash, randomUUID } from 'node:crypto'
import { HubError } from '../kernel/error.ts'
import type { Json, JsonObject } from '../kernel/json.ts'
import type { Records, StoredError } from '../store/port.ts'
import type { CredentialKind, CredentialSettings, SecretField, Secrets } from './credential-input.ts'
import { credentialErrors } from './errors.ts'
import type { Sealed, Vault } from './vault.ts'

export type CredentialRecords = Pick<Records, 'read' | 'list' | 'write' | 'remove'>

export interface StoredCredential {
  readonly name: string
  readonly kind: CredentialKind
  readonly revision: number
  /** Another one after each change, also after deleting and creating anew. */
  readonly version: string
  readonly changedAt: number
  readonly secretNames: readonly string[]
  settings(): CredentialSettings
  /** Opens the sealed secrets; throws VAULT_UNREADABLE. */
  secrets(): Secrets
}

/** What a sign-in gave. */
export interface StoredGrant {
  readonly revision: number
  /** Server and application that the refresh token belongs to; it is never sent to another. */
  readonly binding: string
  readonly user: string | undefined
  readonly authorisedAt: number
  readonly refreshedAt: number
  /** Why the server refused it the last time. */
  readonly refusal: StoredRefusal | undefined
  refreshToken(): string
}

interface StoredRefusal extends StoredError {
  readonly at: number
}

export interface NewGrant extends Omit<StoredGrant, 'revision' | 'refreshToken'> {
  readonly refreshToken: string
}

const credentialArea = 'credential'
const grantArea = 'credential-grant'

/** Credentials and grants as records, their secrets sealed for the very revision they are written with. */
export class CredentialStore {
  readonly #records: CredentialRecords
  readonly #vault: Vault

  constructor(records: CredentialRecords, vault: Vault) {
    this.#records = records
    this.#vault = vault
  }

  async read(name: string): Promise<StoredCredential | undefined> {
    const record = await this.#records.read(credentialArea, name)
    return record && this.#credential(name, record)
  }

  async list(): Promise<readonly StoredCredential[]> {
    const records = await this.#records.list(credentialArea)
    return records.map(record => this.#credential(record.id, record)).toSorted((a, b) => (a.name < b.name ? -1 : 1))
  }

  /** Writes settings and secrets; `expected` is the revision that is replaced (0 for a new one). */
  async write(
    name: string,
    settings: CredentialSettings,
    secrets: Secrets,
    at: number,
    expected: number,
  ): Promise<void> {
    const sealed: Record<string, Sealed> = {}
    for (const [field, secret] of Object.entries(secrets)) {
      sealed[field] = this.#vault.seal(secret, { type: credentialArea, id: name, field, revision: expected + 1 })
    }
    const value = { v: 1, version: randomUUID(), changedAt: at, settings: settings as unknown as Json, secrets: sealed }
    await this.#write(credentialArea, name, value, expected)
  }

  async remove(name: string): Promise<boolean> {
    await this.#records.remove(grantArea, name)
    return this.#records.remove(credentialArea, name)
  }

  async readGrant(name: string): Promise<StoredGrant | undefined> {
    const record = await this.#records.read(grantArea, name)
    if (!record) return undefined
    const { revision } = record
    const value = record.value as unknown as GrantValue
    const { refreshToken, ...rest } = value
    return {
      user: undefined,
      refusal: undefined,
      ...rest,
      revision,
      refreshToken: () =>
        this.#vault.open(refreshToken, { type: grantArea, id: name, field: 'refreshToken', revision }),
    }
  }

  async writeGrant(name: string, grant: NewGrant, expected: number): Promise<void> {
    const place = { type: grantArea, id: name, field: 'refreshToken', revision: expected + 1 }
    const { user, refusal, refreshToken, ...rest } = grant
    const value: GrantValue = {
      v: 1,
      ...rest,
      ...(user !== undefined && { user }),
      ...(refusal && { refusal: { ...refusal } }),
      refreshToken: this.#vault.seal(refreshToken, place),
    }
    await this.#write(grantArea, name, value as unknown as JsonObject, expected)
  }

  /**
   * Seals everything anew with the active master key and lets the older ones go; `resealOthers` does so for the records
   * of other areas. Returns how many records. Throws VAULT_KEY_NOT_LOADED.
   */
  async rotateMasterKey(resealOthers: () => Promise<number>): Promise<number> {
    await this.#vault.refuseUnlessNewest()
    let count = await resealOthers()
    for (const credential of await this.list()) {
      const { name, revision, changedAt } = credential
      await this.write(name, credential.settings(), credential.secrets(), changedAt, revision)
      const grant = await this.readGrant(name)
      if (grant) await this.writeGrant(name, { ...grant, refreshToken: grant.refreshToken() }, grant.revision)
      count += grant ? 2 : 1
    }
    await this.#vault.retireOldKeys()
    return count
  }

  #credential(name: string, record: { readonly value: Json; readonly revision: number }): StoredCredential {
    const value = record.value as unknown as CredentialValueRecord
    const { revision } = record
    const secrets = (): Secrets =>
      Object.fromEntries(
        Object.entries(value.secrets).map(([field, sealed]) => [
          field,
          this.#vault.open(sealed, { type: credentialArea, id: name, field, revision }),
        ]),
      )
    return {
      name,
      kind: value.settings.kind,
      revision,
      version: value.version,
      changedAt: value.changedAt,
      secretNames: Object.keys(value.secrets),
      settings: () => value.settings,
      secrets,
    }
  }

  async #write(area: string, name: string, value: JsonObject, expected: number): Promise<void> {
    try {
      await this.#records.write(area, name, value, expected)
    } catch (thrown) {
      if (thrown instanceof HubError && thrown.code === 'STORE_CHANGED_MEANWHILE') {
        throw credentialErrors.CHANGED_MEANWHILE({ credential: name }, { cause: thrown })
      }
      throw thrown
    }
  }
}

/** Tells server and application apart that a refresh token belongs to. */
export function bindingOf(tokenUrl: string, clientId: string): string {
  return createHash('sha256').update(`${tokenUrl}\n${clientId}`).digest('base64url')
}

// The shapes that `write` and `writeGrant` above put into a record; nobody else writes these areas.
interface CredentialValueRecord {
  readonly version: string
  readonly changedAt: number
  readonly settings: CredentialSettings
  readonly secrets: Readonly<Partial<Record<SecretField, Sealed>>>
}

interface GrantValue {
  readonly v: 1
  readonly binding: string
  readonly user?: string
  readonly authorisedAt: number
  readonly refreshedAt: number
  readonly refusal?: StoredRefusal
  readonly refreshToken: Sealed
}
