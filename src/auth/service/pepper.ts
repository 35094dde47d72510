import { createSecretKey, type KeyObject, randomBytes } from 'node:crypto'
import type { Records } from '../../store/port.ts'
import type { Sealed, Vault } from '../vault.ts'
import { serviceErrors } from './service-errors.ts'

/** Record area of the peppers; the vault knows it as one that holds sealed secrets. */
export const pepperArea = 'service-pepper'

/** What the MACs of secrets are made with; without it a copy of the database is of no use. */
export interface Peppers {
  /** For new secrets. */
  readonly active: string
  /** Throws SERVICE_STORE_UNREADABLE for one that is not there. */
  get(id: string): KeyObject
  /** Seals them anew with the first master key of the ring. */
  reseal(): Promise<number>
}

export interface PepperOptions {
  readonly records: Pick<Records, 'list' | 'write'>
  readonly vault: Pick<Vault, 'seal' | 'open'>
}

/** The peppers of the hub; the first is made where there is none. Throws VAULT_UNREADABLE. */
export async function openPeppers({ records, vault }: PepperOptions): Promise<Peppers> {
  const placeOf = (id: string, revision: number) => ({ type: pepperArea, id, field: 'pepper', revision })
  const known = new Map<string, Pepper>()
  for (const { id, value, revision } of await records.list(pepperArea)) {
    const { pepper } = value as unknown as { readonly pepper: Sealed }
    known.set(id, readPepper(Buffer.from(vault.open(pepper, placeOf(id, revision)), 'base64'), revision))
  }
  async function write(id: string, bytes: Buffer, before: number): Promise<void> {
    const pepper = vault.seal(bytes.toString('base64'), placeOf(id, before + 1))
    const revision = await records.write(pepperArea, id, { v: 1, pepper }, before)
    known.set(id, readPepper(bytes, revision))
  }
  if (known.size === 0) await write('p1', randomBytes(32), 0)
  const active = [...known.keys()].toSorted().at(-1) ?? 'p1'
  return {
    active,
    get(id) {
      const pepper = known.get(id)
      if (!pepper) throw serviceErrors.STORE_UNREADABLE({ what: 'pepper', id, reason: 'it is not there' })
      return pepper.key
    },
    async reseal() {
      for (const [id, { bytes, revision }] of known) await write(id, bytes, revision)
      return known.size
    },
  }
}

interface Pepper {
  readonly bytes: Buffer
  readonly revision: number
  readonly key: KeyObject
}

// A MAC with a key that is made once takes a fifth of the time of one with its bytes.
function readPepper(bytes: Buffer, revision: number): Pepper {
  return { bytes, revision, key: createSecretKey(bytes) }
}
