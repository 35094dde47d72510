import { randomBytes } from 'node:crypto'
import type { CertificateAuthority, IssuedCertificate } from '../../auth/certificate-authority.ts'
import { HubError } from '../../kernel/error.ts'
import type { Clock } from '../../kernel/time.ts'
import type { Records } from '../../store/port.ts'
import { locationErrors } from './errors.ts'
import { hubLimits } from './limits.ts'

/** A connector that was enrolled. Times are milliseconds since 1970 UTC. */
export interface StoredConnector {
  /** `c-` and 12 hexadecimal digits; the CN of its certificates. */
  readonly id: string
  readonly location: string
  readonly name: string
  readonly enrolledAt: number
  /** Serial numbers of its certificates: the newest, the one it was asked for with, and some of those before. */
  readonly serials: readonly string[]
  readonly certificateEndsAt: number
  readonly lastSeenAt?: number
  readonly version?: string
  readonly mode?: 'active' | 'shadow'
  readonly revoked?: { readonly at: number; readonly reason: string; readonly by: string }
}

const area = 'connector'

/** The connectors of this hub: in the records, and in memory for every look at a certificate. */
export class ConnectorBook {
  readonly #records: Pick<Records, 'read' | 'write' | 'list'>
  readonly #authority: CertificateAuthority
  readonly #clock: Pick<Clock, 'now'>
  #known: ReadonlyMap<string, StoredConnector> = new Map()

  constructor(
    records: Pick<Records, 'read' | 'write' | 'list'>,
    authority: CertificateAuthority,
    clock: Pick<Clock, 'now'>,
  ) {
    this.#records = records
    this.#authority = authority
    this.#clock = clock
  }

  /** Reads what is in the records, also what other nodes wrote. */
  async refresh(): Promise<void> {
    const records = await this.#records.list(area)
    this.#known = new Map(records.map(({ id, value }) => [id, value as unknown as StoredConnector]))
  }

  list(): readonly StoredConnector[] {
    return [...this.#known.values()].toSorted((a, b) => compare(a.location, b.location) || compare(a.name, b.name))
  }

  find(id: string): StoredConnector | undefined {
    return this.#known.get(id)
  }

  /** Throws LOCATION_CONNECTOR_UNKNOWN. */
  get(id: string): StoredConnector {
    const connector = this.#known.get(id)
    if (!connector) throw locationErrors.CONNECTOR_UNKNOWN({ connector: id.slice(0, 100) })
    return connector
  }

  /** Enrols a new connector: its first certificate and its record. */
  async enrol(
    id: string,
    { location, name, csr }: { readonly location: string; readonly name: string; readonly csr: string },
  ): Promise<{ readonly connector: StoredConnector; readonly issued: IssuedCertificate }> {
    const issued = await this.#issue(id, location, csr)
    const connector: StoredConnector = {
      id,
      location,
      name,
      enrolledAt: this.#clock.now(),
      serials: [issued.serial],
      certificateEndsAt: issued.endsAt,
    }
    await this.#records.write(area, id, { v: 1, ...connector }, 0)
    await this.refresh()
    return { connector, issued }
  }

  /**
   * A further certificate. The one that was shown stays good until it ends, however often this is asked for: the answer
   * may get lost on its way, or the disk over there may not take it.
   */
  async renew(
    id: string,
    { csr, shown }: { readonly csr: string; readonly shown: string },
  ): Promise<{ connector: StoredConnector; issued: IssuedCertificate }> {
    const { location } = this.get(id)
    const issued = await this.#issue(id, location, csr)
    const outdated: string[] = []
    const connector = await this.#change(id, before => {
      const inUse = before.serials.filter(serial => serial === shown)
      const serials = [issued.serial, ...inUse, ...before.serials.filter(serial => serial !== shown)]
      outdated.push(...serials.slice(hubLimits.certificatesKept))
      return { serials: serials.slice(0, hubLimits.certificatesKept), certificateEndsAt: issued.endsAt }
    })
    if (connector.revoked) {
      // It was revoked while this certificate was being made.
      await this.#authority.revoke(issued.serial, 'the connector was revoked')
      throw locationErrors.CONNECTOR_UNKNOWN({ connector: id })
    }
    for (const serial of outdated) await this.#authority.revoke(serial, 'replaced by newer certificates')
    return { connector, issued }
  }

  /** Revokes the connector and every certificate it has. Revoking twice keeps the first reason. */
  async revoke(id: string, reason: string, by: string): Promise<StoredConnector> {
    this.get(id)
    const connector = await this.#change(id, before => ({
      revoked: before.revoked ?? { at: this.#clock.now(), reason, by },
    }))
    for (const serial of connector.serials) await this.#authority.revoke(serial, reason)
    return connector
  }

  async noteSeen(id: string, seen: Pick<StoredConnector, 'lastSeenAt' | 'version' | 'mode'>): Promise<void> {
    await this.#change(id, () => seen)
  }

  async #issue(id: string, location: string, csr: string): Promise<IssuedCertificate> {
    const { certificateDays } = hubLimits
    const subject = { name: id, unit: location }
    return this.#authority.issue({ key: { csr }, subject, days: certificateDays, usage: 'client' })
  }

  async #change(id: string, change: (before: StoredConnector) => Partial<StoredConnector>): Promise<StoredConnector> {
    for (let turn = 1; ; turn++) {
      const record = await this.#records.read(area, id)
      if (!record) throw locationErrors.CONNECTOR_UNKNOWN({ connector: id })
      const before = record.value as unknown as StoredConnector
      const after = { ...before, ...change(before) }
      try {
        await this.#records.write(area, id, { v: 1, ...after }, record.revision)
        await this.refresh()
        return after
      } catch (thrown) {
        // Somebody else changed it meanwhile; what they wrote is kept, and changed again.
        const isRace = thrown instanceof HubError && thrown.code === 'STORE_CHANGED_MEANWHILE'
        if (!isRace || turn === changesMax) throw thrown
      }
    }
  }
}

const changesMax = 5

export function newConnectorId(): string {
  return `c-${randomBytes(6).toString('hex')}`
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b)
}
