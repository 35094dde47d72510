import type { Clock } from '../../kernel/time.ts'
import type { Records } from '../../store/port.ts'
import type { Sealed, Vault } from '../vault.ts'
import { adminErrors } from './admin-errors.ts'
import { hashRecoveryCode, makeRecoveryCodes } from './recovery-codes.ts'
import { makeTotpSecret, matchTotp, totpUri } from './totp.ts'

const area = 'administrator-totp'
/** As authenticators show it above the name. */
const issuer = 'Isthmus'

interface Entry {
  readonly secret: string
  readonly isConfirmed: boolean
  /** Of the last code that counted. */
  readonly lastStep: number
  /** Hashes of the recovery codes that are left. */
  readonly recovery: readonly string[]
  readonly revision: number
}

interface StoredEntry extends Pick<Entry, 'isConfirmed' | 'lastStep'> {
  readonly sealed: Sealed
  /** Missing where the authenticator is older than recovery codes are. */
  readonly recovery?: readonly string[]
}

/** How somebody showed that it is them. */
export type CodeKind = 'totp' | 'recovery'

/** The authenticators of administrators, and codes for when one is lost: each secret sealed, each code once. */
export interface TotpBook {
  isConfirmed(name: string): boolean
  begin(name: string): Promise<{ readonly secret: string; readonly uri: string }>
  /** Returns recovery codes, which nobody can read again. */
  confirm(name: string, code: string): Promise<readonly string[]>
  /** Undefined when the code is wrong; a right one does not count again, also after a restart. */
  useCode(name: string, code: string): Promise<CodeKind | undefined>
  /** New recovery codes; the old ones count no more. Throws ADMIN_TOTP_MISSING. */
  renewRecovery(name: string): Promise<readonly string[]>
  /** How many recovery codes are left. */
  recoveryLeft(name: string): number
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
    const { sealed, recovery = [], ...rest } = value as unknown as StoredEntry
    entries.set(id, { ...rest, recovery, secret: vault.open(sealed, placeOf(id, revision)), revision })
  }

  async function write(name: string, entry: Entry): Promise<void> {
    const { secret, isConfirmed, lastStep, recovery, revision } = entry
    // In memory first: of two calls with one code the second must find it used.
    entries.set(name, { ...entry, revision: revision + 1 })
    const sealed = vault.seal(secret, placeOf(name, revision + 1))
    await records.write(area, name, { v: 1, sealed, isConfirmed, lastStep, recovery: [...recovery] }, revision)
  }

  async function writeWithNewCodes(name: string, entry: Entry): Promise<readonly string[]> {
    const codes = makeRecoveryCodes()
    await write(name, { ...entry, recovery: codes.flatMap(code => hashRecoveryCode(code) ?? []) })
    return codes
  }

  return {
    isConfirmed: name => entries.get(name)?.isConfirmed === true,
    async begin(name) {
      const before = entries.get(name)
      if (before?.isConfirmed) throw adminErrors.TOTP_STANDS({ name })
      const secret = makeTotpSecret()
      await write(name, { secret, isConfirmed: false, lastStep: -1, recovery: [], revision: before?.revision ?? 0 })
      return { secret, uri: totpUri(secret, issuer, name) }
    },
    async confirm(name, code) {
      const entry = entries.get(name)
      if (!entry || entry.isConfirmed) throw adminErrors.TOTP_UNKNOWN({ name })
      const step = matchTotp(entry.secret, code, clock.now())
      if (step === undefined) throw adminErrors.CODE_WRONG({ name })
      return writeWithNewCodes(name, { ...entry, isConfirmed: true, lastStep: step })
    },
    async useCode(name, code) {
      const entry = entries.get(name)
      if (!entry) return undefined
      const step = matchTotp(entry.secret, code, clock.now(), entry.lastStep)
      if (step !== undefined) {
        await write(name, { ...entry, lastStep: step })
        return 'totp'
      }
      const hash = hashRecoveryCode(code)
      if (hash === undefined || !entry.recovery.includes(hash)) return undefined
      await write(name, { ...entry, recovery: entry.recovery.filter(kept => kept !== hash) })
      return 'recovery'
    },
    async renewRecovery(name) {
      const entry = entries.get(name)
      if (!entry?.isConfirmed) throw adminErrors.TOTP_MISSING({ name })
      return writeWithNewCodes(name, entry)
    },
    recoveryLeft: name => entries.get(name)?.recovery.length ?? 0,
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
