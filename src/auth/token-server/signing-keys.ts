import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type JsonWebKey,
  type KeyObject,
  randomBytes,
} from 'node:crypto'
import type { Clock } from '../../kernel/time.ts'
import type { Records } from '../../store/port.ts'
import type { Sealed, Vault } from '../vault.ts'
import { tokenErrors } from './token-errors.ts'
import { type SigningAlgorithm, tokenLimits } from './token-limits.ts'

/** A signing key as people see it. */
export interface SigningKeyView {
  readonly kid: string
  readonly algorithm: SigningAlgorithm
  /** `announced`: published, not yet used. `active`: signs. `retired`: only checks what it signed. */
  readonly state: 'announced' | 'active' | 'retired'
  readonly createdAt: number
  readonly activeFrom: number
}

/** The keys that sign tokens: sealed in the store, published before they are used and until nothing needs them. */
export interface SigningKeys {
  list(): readonly SigningKeyView[]
  /** The key that signs now. */
  active(): SigningKeyView
  /** Every published key with its private part, the active one first, in the shape of a JWK set. */
  jwks(): readonly JsonWebKey[]
  /** For checking a signature; undefined for a key that is not published. */
  publicKey(kid: string): { readonly algorithm: SigningAlgorithm; readonly key: KeyObject } | undefined
  /** Signs cookies and forms. */
  readonly cookieSecret: string
  rotate(now: boolean): Promise<SigningKeyView>
  /** Calls back when the published keys, or which of them signs, have changed. */
  onChange(listener: () => void): void
  purge(): Promise<number>
  reseal(): Promise<number>
  close(): void
}

interface SigningKeyOptions {
  readonly records: Pick<Records, 'read' | 'list' | 'write' | 'remove'>
  readonly vault: Vault
  readonly clock: Clock
  readonly algorithm: SigningAlgorithm
}

interface KeyRecord {
  readonly kid: string
  readonly algorithm: SigningAlgorithm
  readonly createdAt: number
  readonly activeFrom: number
  readonly privateKey: KeyObject
}

/** The area stands among the sealed areas of the vault. */
const area = 'token-key'
const cookieId = 'cookies'

export async function openSigningKeys(options: SigningKeyOptions): Promise<SigningKeys> {
  const { records, vault, clock, algorithm } = options
  const listeners: (() => void)[] = []
  let keys = await readKeys()
  let cancelSwitch = () => {}
  if (activeKey(keys)?.algorithm !== algorithm) await add(algorithm, clock.now())
  const cookieSecret = await readCookieSecret()
  awaitSwitch()

  function activeKey(all: readonly KeyRecord[]): KeyRecord | undefined {
    return all.findLast(({ activeFrom }) => activeFrom <= clock.now())
  }

  function active(): KeyRecord {
    const key = activeKey(keys)
    if (!key) throw tokenErrors.KEY_UNREADABLE({ kid: 'active', reason: 'there is none' })
    return key
  }

  function viewOf(key: KeyRecord): SigningKeyView {
    const { kid, createdAt, activeFrom } = key
    const state = key === active() ? 'active' : activeFrom > clock.now() ? 'announced' : 'retired'
    return { kid, algorithm: key.algorithm, state, createdAt, activeFrom }
  }

  async function add(kind: SigningAlgorithm, activeFrom: number): Promise<KeyRecord> {
    const kid = `${kind}-${randomBytes(6).toString('hex')}`
    const key = { kid, algorithm: kind, createdAt: clock.now(), activeFrom, privateKey: makeKey(kind) }
    await write(key, 0)
    // A key that was announced and never used gives way to the newer one.
    for (const old of keys.filter(each => each.activeFrom > clock.now())) await records.remove(area, old.kid)
    keys = [...keys.filter(each => each.activeFrom <= clock.now()), key]
    return key
  }

  async function write(key: KeyRecord, revision: number): Promise<void> {
    const { kid, createdAt, activeFrom, privateKey } = key
    const place = { type: area, id: kid, field: 'private', revision: revision + 1 }
    const sealed = vault.seal(privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(), place)
    const value = { v: 1, algorithm: key.algorithm, createdAt, activeFrom, sealed }
    await records.write(area, kid, value, revision)
  }

  async function readKeys(): Promise<KeyRecord[]> {
    const found = (await records.list(area)).filter(({ id }) => id !== cookieId)
    const read = found.map(({ id: kid, value, revision }) => {
      const { sealed, ...rest } = value as unknown as Omit<KeyRecord, 'privateKey'> & { readonly sealed: Sealed }
      try {
        const pem = vault.open(sealed, { type: area, id: kid, field: 'private', revision })
        return { ...rest, kid, privateKey: createPrivateKey(pem) }
      } catch (cause) {
        const reason = cause instanceof Error ? cause.message : String(cause)
        throw tokenErrors.KEY_UNREADABLE({ kid, reason }, { cause })
      }
    })
    return read.toSorted((a, b) => a.activeFrom - b.activeFrom)
  }

  async function readCookieSecret(): Promise<string> {
    const record = await records.read(area, cookieId)
    if (record) {
      const { sealed } = record.value as unknown as { readonly sealed: Sealed }
      return vault.open(sealed, { type: area, id: cookieId, field: 'secret', revision: record.revision })
    }
    const secret = randomBytes(32).toString('base64url')
    await writeCookieSecret(secret, 0)
    return secret
  }

  async function writeCookieSecret(secret: string, revision: number): Promise<void> {
    const sealed = vault.seal(secret, { type: area, id: cookieId, field: 'secret', revision: revision + 1 })
    await records.write(area, cookieId, { v: 1, sealed }, revision)
  }

  function changed(): void {
    awaitSwitch()
    for (const listener of listeners) listener()
  }

  /** An announced key begins to sign by itself. */
  function awaitSwitch(): void {
    cancelSwitch()
    const next = keys.find(({ activeFrom }) => activeFrom > clock.now())
    cancelSwitch = next ? clock.after(next.activeFrom - clock.now(), changed) : () => {}
  }

  return {
    list: () => keys.map(viewOf),
    active: () => viewOf(active()),
    jwks() {
      const first = active()
      const others = keys.filter(key => key !== first).toReversed()
      return [first, ...others].map(({ kid, algorithm: alg, privateKey }) => ({
        ...privateKey.export({ format: 'jwk' }),
        kid,
        alg,
        use: 'sig',
      }))
    },
    publicKey(kid) {
      const found = keys.find(key => key.kid === kid)
      return found && { algorithm: found.algorithm, key: publicOf(found.privateKey) }
    },
    cookieSecret,
    async rotate(now) {
      const key = await add(algorithm, now ? clock.now() : clock.now() + tokenLimits.announceMs)
      changed()
      return viewOf(key)
    },
    onChange: listener => void listeners.push(listener),
    async purge() {
      // Retired when its successor became active; what it signed has run out one token life later.
      const over = keys.filter((_key, index) => {
        const successor = keys[index + 1]
        return successor && successor.activeFrom + tokenLimits.accessTokenMsMax < clock.now()
      })
      if (over.length === 0) return 0
      for (const { kid } of over) await records.remove(area, kid)
      keys = keys.filter(key => !over.includes(key))
      changed()
      return over.length
    },
    async reseal() {
      for (const { id, revision } of await records.list(area)) {
        const key = keys.find(({ kid }) => kid === id)
        if (key) await write(key, revision)
        else if (id === cookieId) await writeCookieSecret(cookieSecret, revision)
      }
      return keys.length + 1
    },
    close: () => cancelSwitch(),
  }
}

function makeKey(algorithm: SigningAlgorithm): KeyObject {
  if (algorithm === 'RS256') return generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
  if (algorithm === 'EdDSA') return generateKeyPairSync('ed25519').privateKey
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
}

const publicKeys = new WeakMap<KeyObject, KeyObject>()

function publicOf(privateKey: KeyObject): KeyObject {
  const known = publicKeys.get(privateKey)
  if (known) return known
  const made = createPublicKey(privateKey)
  publicKeys.set(privateKey, made)
  return made
}
