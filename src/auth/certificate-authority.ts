import { randomBytes, X509Certificate } from 'node:crypto'
import { HubError } from '../kernel/error.ts'
import { type Clock, DAY } from '../kernel/time.ts'
import type { Records } from '../store/port.ts'
import { certificateErrors } from './certificate-errors.ts'
import {
  type CertificateSubject,
  type CertificateUsage,
  makeAuthority,
  makeSerial,
  signCertificate,
  subjectOf,
} from './certificate-signing.ts'
import { type KeyToCertify, readPublicKey } from './public-key.ts'
import type { Sealed, Vault } from './vault.ts'

export const certificateLimits = {
  /** The longest life of a certificate that the hub issues. */
  daysMax: 365,
  /** Life of an authority; its successor is made and handed out long before it signs, and signs long before the end. */
  authorityDays: 3650,
  successorMadeDays: 800,
  successorSignsDays: 400,
  /** How long the hub remembers a certificate that has ended. */
  endedKeptDays: 365,
} as const

export interface IssueRequest {
  /** A request is checked to be signed with its own key; its names are not read. */
  readonly key: KeyToCertify
  readonly subject: CertificateSubject
  /** 1 to 365. */
  readonly days: number
  readonly usage: CertificateUsage
  /** Names and addresses of a server (subjectAltName). */
  readonly hosts?: readonly string[]
}

/** A certificate of the hub, as it remembers it. */
export interface IssuedCertificate {
  /** 32 lower-case hexadecimal digits. */
  readonly serial: string
  readonly subject: CertificateSubject
  readonly usage: CertificateUsage
  readonly startsAt: number
  readonly endsAt: number
  /** PEM */
  readonly certificate: string
  readonly revoked?: { readonly at: number; readonly reason: string } | undefined
}

/** One authority of the hub: a newer one takes over before the older one ends. */
export interface Authority {
  readonly generation: number
  /** PEM */
  readonly certificate: string
  /** SHA-256 of the DER form, lower-case hexadecimal digits. */
  readonly fingerprint: string
  readonly startsAt: number
  readonly endsAt: number
}

/** The hub's own certificate authority: for connectors and for service keys with a client certificate. */
export interface CertificateAuthority {
  /** Those that are trusted now, the one that signs first. Give all of them to `tls` as `ca`. */
  authorities(): readonly Authority[]
  /** Throws CERTIFICATE_REQUEST_REFUSED, CERTIFICATE_DAYS_REFUSED. */
  issue(request: IssueRequest): Promise<IssuedCertificate>
  lookup(serial: string): Promise<IssuedCertificate | undefined>
  /** Newest first. */
  list(): Promise<readonly IssuedCertificate[]>
  /** Takes effect at once; revoking twice keeps the first reason. Throws CERTIFICATE_UNKNOWN. */
  revoke(serial: string, reason: string): Promise<IssuedCertificate>
  /** From memory. The serial number may be written as node writes it (upper case). */
  isRevoked(serial: string): boolean
  /**
   * Serial number and subject of a certificate that one of the authorities signed for this use, that is valid now and
   * not revoked. Throws CERTIFICATE_NOT_OURS, CERTIFICATE_NOT_VALID_NOW, CERTIFICATE_REVOKED.
   */
  verify(certificate: X509Certificate, usage: CertificateUsage): { serial: string; subject: CertificateSubject }
  /** Calls back after a certificate was revoked, also by another node. Returns what ends it. */
  onRevoked(listener: (serial: string) => void): () => void
  /** Reads what other nodes wrote, and makes a successor where it is time. The hub calls it every few seconds. */
  refresh(): Promise<void>
  /** Seals the keys anew with the first master key of the ring. Returns how many records. */
  resealKeys(): Promise<number>
}

export interface CertificateAuthorityOptions {
  readonly records: Pick<Records, 'read' | 'write' | 'list' | 'remove'>
  readonly vault: Pick<Vault, 'seal' | 'open'>
  readonly clock: Pick<Clock, 'now'>
}

const authorityArea = 'certificate-authority'
const issuedArea = 'issued-certificate'
// Apart from the certificates: this list is read every few seconds.
const revokedArea = 'revoked-certificate'
/** The clocks of two machines differ, by hours where one takes its local time for UTC. */
const startsEarlierMs = DAY

interface HeldAuthority extends Authority {
  readonly x509: X509Certificate
  readonly key: string
  readonly revision: number
}

/** Opens the authority of this hub; it is made on first use. Throws VAULT_UNREADABLE. */
export async function openCertificateAuthority(options: CertificateAuthorityOptions): Promise<CertificateAuthority> {
  const { records, vault, clock } = options
  let held: readonly HeldAuthority[] = []
  const revoked = new Set<string>()
  const listeners = new Set<(serial: string) => void>()

  async function refresh(): Promise<void> {
    held = await readAuthorities()
    const newest = held[0]
    const restMs = (newest?.endsAt ?? 0) - clock.now()
    if (restMs < certificateLimits.successorMadeDays * DAY) {
      await makeNext((newest?.generation ?? 0) + 1)
      held = await readAuthorities()
    }
    for (const { id } of await records.list(revokedArea)) noteRevoked(id)
  }

  async function readAuthorities(): Promise<readonly HeldAuthority[]> {
    const known = new Map(held.map(authority => [`${authority.generation}/${authority.revision}`, authority]))
    return (await records.list(authorityArea))
      .map(({ id, value, revision }) => known.get(`${id}/${revision}`) ?? unsealed(id, value, revision))
      .toSorted((a, b) => b.generation - a.generation)
  }

  function unsealed(id: string, value: unknown, revision: number): HeldAuthority {
    const { certificate, key } = value as AuthorityRecord
    return {
      ...authorityOf(Number(id), certificate),
      x509: new X509Certificate(certificate),
      key: vault.open(key, { type: authorityArea, id, field: 'key', revision }),
      revision,
    }
  }

  async function makeNext(generation: number): Promise<void> {
    const now = clock.now()
    const made = await makeAuthority(
      { name: `Isthmus authority ${generation} ${randomBytes(4).toString('hex')}` },
      { notBefore: new Date(now - DAY), notAfter: new Date(now + certificateLimits.authorityDays * DAY) },
    )
    try {
      await writeAuthority(String(generation), made.certificate, made.key, 0)
    } catch (thrown) {
      // Another node made it at the same moment: that one counts.
      if (!(thrown instanceof HubError && thrown.code === 'STORE_CHANGED_MEANWHILE')) throw thrown
    }
  }

  async function writeAuthority(id: string, certificate: string, key: string, expected: number): Promise<void> {
    const place = { type: authorityArea, id, field: 'key', revision: expected + 1 }
    await records.write(authorityArea, id, { v: 1, certificate, key: vault.seal(key, place) }, expected)
  }

  /** The one that signs first; those that have ended are not trusted any more. */
  function trusted(): readonly HeldAuthority[] {
    const now = clock.now()
    const alive = held.filter(({ endsAt }) => endsAt > now)
    const mayRest = certificateLimits.successorSignsDays * DAY
    // The oldest that still has time to outlive everything it signs: by then everybody knows its successor.
    const signer = alive.findLast(({ endsAt }) => endsAt - now > mayRest) ?? alive[0]
    return signer ? [signer, ...alive.filter(authority => authority !== signer)] : []
  }

  function noteRevoked(serial: string): void {
    if (revoked.has(serial)) return
    revoked.add(serial)
    for (const listener of listeners) listener(serial)
  }

  async function lookup(serialText: string): Promise<IssuedCertificate | undefined> {
    const serial = normalSerial(serialText)
    const record = await records.read(issuedArea, serial)
    if (!record) return undefined
    const revocation = await records.read(revokedArea, serial)
    return issuedOf(record.value, revocation?.value)
  }

  await refresh()
  await forgetEnded(options)

  return {
    authorities: () => trusted().map(publicPart),
    async issue({ key, subject, days, usage, hosts = [] }) {
      const { daysMax } = certificateLimits
      if (!Number.isInteger(days) || days < 1 || days > daysMax) throw certificateErrors.DAYS_REFUSED({ days, daysMax })
      checkSubject(subject)
      const publicKey = await readPublicKey(key)
      const [signer] = trusted()
      if (!signer) throw new Error('the hub has no authority')
      const now = Math.floor(clock.now() / 1000) * 1000
      const serial = makeSerial()
      const startsAt = now - startsEarlierMs
      const endsAt = now + days * DAY
      const certificate = await signCertificate(signer, {
        serial,
        subject,
        publicKey,
        usage,
        hosts,
        notBefore: new Date(startsAt),
        notAfter: new Date(endsAt),
      })
      const { name, unit } = subject
      const names = { name, ...(unit !== undefined && { unit }) }
      const issued = { serial, subject: names, usage, startsAt, endsAt, certificate }
      await records.write(issuedArea, serial, { v: 1, ...issued }, 0)
      return issued
    },
    lookup,
    async list() {
      const revocations = new Map((await records.list(revokedArea)).map(({ id, value }) => [id, value]))
      return (await records.list(issuedArea))
        .map(({ id, value }) => issuedOf(value, revocations.get(id)))
        .toSorted((a, b) => b.startsAt - a.startsAt)
    },
    async revoke(serialText, reason) {
      const serial = normalSerial(serialText)
      const issued = await lookup(serial)
      if (!issued) throw certificateErrors.UNKNOWN({ serial })
      if (!issued.revoked) await records.write(revokedArea, serial, { v: 1, at: clock.now(), reason })
      noteRevoked(serial)
      return (await lookup(serial)) ?? issued
    },
    isRevoked: serial => revoked.has(normalSerial(serial)),
    verify(certificate, usage) {
      const subject = subjectOf(certificate)
      const serial = normalSerial(certificate.serialNumber)
      const named = { subject: subject.name.slice(0, subjectCharactersMax) || 'nobody' }
      // The signature is checked, not only the name: anybody can write our name into an authority of his own.
      const isOurs = trusted().some(({ x509 }) => certificate.checkIssued(x509) && certificate.verify(x509.publicKey))
      if (!isOurs) throw certificateErrors.NOT_OURS({ ...named, reason: 'no authority of this hub signed it' })
      if (certificate.ca || !certificate.keyUsage?.includes(usageIds[usage])) {
        throw certificateErrors.NOT_OURS({ ...named, reason: `it is not meant for a ${usage}` })
      }
      const now = clock.now()
      const { validFromDate: from, validToDate: to } = certificate
      if (now < from.getTime() || now > to.getTime()) {
        throw certificateErrors.NOT_VALID_NOW({ ...named, from: from.toISOString(), to: to.toISOString() })
      }
      if (revoked.has(serial)) throw certificateErrors.REVOKED(named)
      return { serial, subject }
    },
    onRevoked(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    refresh,
    async resealKeys() {
      for (const { generation, certificate, key, revision } of held) {
        await writeAuthority(String(generation), certificate, key, revision)
      }
      await refresh()
      return held.length
    },
  }
}

/** A serial number as it is kept, however it is written: without colons and leading zeros, lower case. */
export function normalSerial(text: string): string {
  return text.replaceAll(':', '').toLowerCase().replace(/^0+/, '')
}

// RFC 5280 section 4.2.1.12
const usageIds: Record<CertificateUsage, string> = { server: '1.3.6.1.5.5.7.3.1', client: '1.3.6.1.5.5.7.3.2' }

/** Upper bound of a common name (RFC 5280, ub-common-name). */
const subjectCharactersMax = 64

function checkSubject(subject: CertificateSubject): void {
  for (const text of [subject.name, subject.unit ?? 'none']) {
    if (text.length > 0 && text.length <= subjectCharactersMax && !/\p{Cc}/u.test(text)) continue
    const reason = `its names are 1 to ${subjectCharactersMax} characters without control characters`
    throw certificateErrors.REQUEST_REFUSED({ what: 'subject', reason })
  }
}

function authorityOf(generation: number, certificate: string): Authority {
  const x509 = new X509Certificate(certificate)
  return {
    generation,
    certificate,
    fingerprint: x509.fingerprint256.replaceAll(':', '').toLowerCase(),
    startsAt: x509.validFromDate.getTime(),
    endsAt: x509.validToDate.getTime(),
  }
}

function publicPart({ generation, certificate, fingerprint, startsAt, endsAt }: Authority): Authority {
  return { generation, certificate, fingerprint, startsAt, endsAt }
}

function issuedOf(value: unknown, revocation: unknown): IssuedCertificate {
  const { v: _, ...issued } = value as IssuedCertificate & { readonly v: 1 }
  const { at, reason } = (revocation ?? {}) as Partial<{ at: number; reason: string }>
  return { ...issued, ...(at !== undefined && { revoked: { at, reason: reason ?? '' } }) }
}

async function forgetEnded({ records, clock }: CertificateAuthorityOptions): Promise<void> {
  const before = clock.now() - certificateLimits.endedKeptDays * DAY
  for (const { id, value } of await records.list(issuedArea)) {
    if (issuedOf(value, undefined).endsAt >= before) continue
    // The certificate first: without it, a revocation that stays behind does no harm.
    await records.remove(issuedArea, id)
    await records.remove(revokedArea, id)
  }
}

// What `writeAuthority` above puts into a record; nobody else writes this area.
interface AuthorityRecord {
  readonly certificate: string
  readonly key: Sealed
}
