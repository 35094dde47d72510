import type { Clock } from '../../kernel/time.ts'
import type { Records } from '../../store/port.ts'
import type { Sealed, Vault } from '../vault.ts'
import { adminErrors } from './admin-errors.ts'
import { makeTotpSecret, matchTotp, totpUri } from './totp.ts'

const area = 'administrator-totp'
/** As authenticators show it above the name. */
const issuer = 'Isthmus'

interface Entry {
  readonly secret: string
  readonly isConfirmed: boolean
  /** Of the last code that counted. */
  readonly lastStep: number
  readonly revision: number
}

/** The authenticators of administrators: each secret sealed, each code once. */
export interface TotpBook {
  isConfirmed(name: string): boolean
  begin(name: string): Promise<{ readonly secret: string; readonly uri: string }>
  confirm(name: string, code: string): Promise<void>
  /** True when the code is right; it does not count again, also after a restart. */
  useCode(name: string, code: string): Promise<boolean>
  remove(name: string): Promise<void>
  reseal(): Promise<number>
}

interface TotpBookOptions {
  readonly records: Pick<Records, 'list' | 'write' | 'remove'>
  readonly vault: Pick<Vault, 'seal' | 'open'>
  readonly clock: Clock
}

export async function openTotpBook({ records, vault, clock }: TotpBookOptions): Promise<TotpBook> {
  const entries = new Map<string, Entry>()
  const placeOf = (id: string, revision: number) => ({ type: area, id, field: 'secret', revision })
  for (const { id, value, revision } of await records.list(area)) {
    // The shape that `write` gives it; nobody else writes this area.
    const { sealed, ...rest } = value as unknown as Omit<Entry, 'secret' | 'revision'> & { readonly sealed: Sealed }
    entries.set(id, { ...rest, secret: vault.open(sealed, placeOf(id, revision)), revision })
  }

  async function write(name: string, entry: Entry): Promise<void> {
    const { secret, isConfirmed, lastStep, revision } = entry
    // In memory first: of two calls with one code the second must find it used.
    entries.set(name, { ...entry, revision: revision + 1 })
    const sealed = vault.seal(secret, placeOf(name, revision + 1))
    await records.write(area, name, { v: 1, sealed, isConfirmed, lastStep }, revision)
  }

  return {
    isConfirmed: name => entries.get(name)?.isConfirmed === true,
    async begin(name) {
      const before = entries.get(name)
      if (before?.isConfirmed) throw adminErrors.TOTP_STANDS({ name })
      const secret = makeTotpSecret()
      await write(name, { secret, isConfirmed: false, lastStep: -1, revision: before?.revision ?? 0 })
      return { secret, uri: totpUri(secret, issuer, name) }
    },
    async confirm(name, code) {
      const entry = entries.get(name)
      if (!entry || entry.isConfirmed) throw adminErrors.TOTP_UNKNOWN({ name })
      const step = matchTotp(entry.secret, code, clock.now())
      if (step === undefined) throw adminErrors.CODE_WRONG({ name })
      await write(name, { ...entry, isConfirmed: true, lastStep: step })
    },
    async useCode(name, code) {
      const entry = entries.get(name)
      if (!entry) return false
      const step = matchTotp(entry.secret, code, clock.now(), entry.lastStep)
      if (step === undefined) return false
      await write(name, { ...entry, lastStep: step })
      return true
    },
    async remove(name) {
      entries.delete(name)
      await records.remove(area, name)
    },
    async reseal() {
      for (const [name, entry] of entries) await write(name, entry)
      return entries.size
    },
  }
}
