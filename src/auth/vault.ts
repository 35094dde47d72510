import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { HubError } from '../kernel/error.ts'
import type { Json } from '../kernel/json.ts'
import type { Records } from '../store/port.ts'
import { createKeyFile, type KeyRing, loadKeyRing, type MasterKey } from './master-key.ts'
import { vaultErrors } from './vault-errors.ts'

/** A secret at rest: AES-256-GCM under a key of its own, which is wrapped with the master key `kek`. */
export type Sealed = {
  readonly v: 1
  readonly kek: string
  /** base64 of iv (12), tag (16), wrapped key. */
  readonly w: string
  /** base64 of iv (12), tag (16), ciphertext. */
  readonly c: string
}

/** Where a secret lies. A sealed secret opens only at its own place and revision. */
export interface SecretPlace {
  readonly type: string
  readonly id: string
  readonly field: string
  readonly revision: number
}

export interface Vault {
  seal(secret: string, place: SecretPlace): Sealed
  /** Throws VAULT_UNREADABLE for anything that was not sealed at this very place. */
  open(sealed: Sealed, place: SecretPlace): string
  /** Throws VAULT_KEY_NOT_LOADED when a new key stands in front since the hub began; call it before all is sealed anew. */
  refuseUnlessNewest(): Promise<void>
  /** Forgets every master key but the active one; call it once every secret was sealed anew. */
  retireOldKeys(): Promise<void>
}

export interface VaultOptions {
  readonly records: Pick<Records, 'read' | 'write' | 'list'>
  /** Made on the first start of a hub without secrets. */
  readonly keyFile: string
  /** Value of ISTHMUS_MASTER_KEY; it goes before the file. */
  readonly masterKey?: string | undefined
}

/** Areas whose records hold sealed secrets. */
const sealedAreas = [
  'administrator-totp',
  'credential',
  'credential-grant',
  'credential-sign-in',
  'certificate-authority',
  'service-pepper',
  'token-key',
] as const

const checkArea = 'vault'
const checkId = 'key-check'

/**
 * Opens the vault, or says why the hub must not start: VAULT_KEY_MISSING, VAULT_KEY_WRONG, VAULT_KEY_MALFORMED,
 * VAULT_KEY_FILE_OPEN. A key is made only where nothing was ever sealed.
 */
export async function openVault(options: VaultOptions): Promise<Vault> {
  try {
    return await openOnce(options)
  } catch (thrown) {
    // Another hub on the same store started at the same moment and noted the key first: now it is there to read.
    if (thrown instanceof HubError && thrown.code === 'STORE_CHANGED_MEANWHILE') return openOnce(options)
    throw thrown
  }
}

async function openOnce({ records, keyFile, masterKey }: VaultOptions): Promise<Vault> {
  const stored = await records.read(checkArea, checkId)
  const checks = stored ? checksOf(stored.value) : {}
  const ring = (await loadKeyRing(keyFile, masterKey)) ?? (await makeFirstKey())
  for (const [id, check] of Object.entries(checks)) {
    const key = ring.keys.get(id)
    if (!key) throw vaultErrors.KEY_MISSING({ id, file: keyFile })
    if (key.check !== check) throw vaultErrors.KEY_WRONG({ id, source: ring.source })
  }
  const wanted = Object.fromEntries([...ring.keys.values()].map(key => [key.id, key.check]))
  if (Object.keys(wanted).some(id => !(id in checks))) {
    await records.write(checkArea, checkId, { v: 1, checks: wanted }, stored?.revision ?? 0)
  }
  return {
    seal: (secret, place) => seal(ring.active, secret, place),
    open: (sealed, place) => open(ring, sealed, place),
    async refuseUnlessNewest() {
      const { active } = (await loadKeyRing(keyFile, masterKey)) ?? ring
      if (active.check !== ring.active.check) throw vaultErrors.KEY_NOT_LOADED({ id: active.id, file: keyFile })
    },
    async retireOldKeys() {
      await records.write(checkArea, checkId, { v: 1, checks: { [ring.active.id]: ring.active.check } })
    },
  }

  async function makeFirstKey(): Promise<KeyRing> {
    const [known] = Object.keys(checks)
    if (known !== undefined) throw vaultErrors.KEY_MISSING({ id: known, file: keyFile })
    for (const area of sealedAreas) {
      if ((await records.list(area)).length > 0) throw vaultErrors.KEY_MISSING({ id: 'unknown', file: keyFile })
    }
    await createKeyFile(keyFile)
    const made = await loadKeyRing(keyFile, undefined)
    if (!made) throw vaultErrors.KEY_MISSING({ id: 'just made', file: keyFile })
    return made
  }
}

const ivBytes = 12
const tagBytes = 16

function seal(key: MasterKey, secret: string, place: SecretPlace): Sealed {
  const recordKey = randomBytes(32)
  return {
    v: 1,
    kek: key.id,
    w: encrypt(key.wrapKey, recordKey, [key.id, ...placeParts(place)]),
    c: encrypt(recordKey, Buffer.from(secret), placeParts(place)),
  }
}

function open(ring: KeyRing, sealed: Sealed, place: SecretPlace): string {
  try {
    return decrypt(unwrap(ring, sealed, place), sealed.c, placeParts(place)).toString()
  } catch (thrown) {
    throw unreadable(place, thrown)
  }
}

function unwrap(ring: KeyRing, sealed: Sealed, place: SecretPlace): Buffer {
  const key = ring.keys.get(sealed.kek)
  if (!key) throw new Error(`master key ${sealed.kek} is not known here`)
  return decrypt(key.wrapKey, sealed.w, [key.id, ...placeParts(place)])
}

function encrypt(key: Buffer, plain: Buffer, bound: readonly string[]): string {
  const iv = randomBytes(ivBytes)
  const cipher = createCipheriv('aes-256-gcm', key, iv, { authTagLength: tagBytes })
  cipher.setAAD(Buffer.from(bound.join('\0')))
  const text = Buffer.concat([cipher.update(plain), cipher.final()])
  return Buffer.concat([iv, cipher.getAuthTag(), text]).toString('base64')
}

function decrypt(key: Buffer, encoded: string, bound: readonly string[]): Buffer {
  const bytes = Buffer.from(encoded, 'base64')
  // base64 is lenient: another spelling of the same bytes would pass for the same record.
  if (bytes.toString('base64') !== encoded || bytes.length < ivBytes + tagBytes) throw new Error('it is damaged')
  const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, ivBytes), { authTagLength: tagBytes })
  decipher.setAAD(Buffer.from(bound.join('\0')))
  decipher.setAuthTag(bytes.subarray(ivBytes, ivBytes + tagBytes))
  return Buffer.concat([decipher.update(bytes.subarray(ivBytes + tagBytes)), decipher.final()])
}

function placeParts(place: SecretPlace): string[] {
  return ['isthmus/secret/v1', place.type, place.id, place.field, String(place.revision)]
}

function unreadable(place: SecretPlace, thrown: unknown) {
  const reason = thrown instanceof Error ? thrown.message : String(thrown)
  return vaultErrors.UNREADABLE({ type: place.type, id: place.id, field: place.field, reason }, { cause: thrown })
}

function checksOf(value: Json): Record<string, string> {
  const checks = isObject(value) ? value.checks : undefined
  if (!isObject(checks)) return {}
  return Object.fromEntries(
    Object.entries(checks).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  )
}

function isObject(value: Json | undefined): value is { readonly [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
