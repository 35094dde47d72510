import type { X509Certificate } from 'node:crypto'
import type { CertificateAuthority } from '../../auth/certificate-authority.ts'
import { readPublicKey } from '../../auth/public-key.ts'
import { HubError } from '../../kernel/error.ts'
import type { JsonObject } from '../../kernel/json.ts'
import type { Log } from '../../kernel/log.ts'
import type { Clock } from '../../kernel/time.ts'
import { type CertificateAnswer, enrolRequest, locationName, renewRequest } from '../wire.ts'
import { type ConnectorBook, newConnectorId, type StoredConnector } from './connector-book.ts'
import type { EnrolTokens, NewToken } from './enrol-token.ts'
import { enrolErrors, locationErrors } from './errors.ts'

export type Audit = (who: string, action: string, detail: JsonObject) => Promise<void>

export interface EnrolmentOptions {
  readonly tokens: EnrolTokens
  readonly book: ConnectorBook
  readonly authority: CertificateAuthority
  readonly clock: Clock
  readonly log: Log
  readonly audit: Audit
  /** host:port of every node, as connectors dial it. */
  readonly nodes: () => readonly string[]
}

/** Who may come in: tokens, first certificates, renewals, and the check of each certificate that is shown. */
export interface Enrolment {
  /** Throws LOCATION_LOCATION_INVALID. */
  makeToken(location: string, name: string | undefined): Promise<NewToken>
  /** Answers POST /connector/enrol. Throws ENROL_…, CERTIFICATE_REQUEST_REFUSED. */
  enrol(body: unknown, address: string): Promise<CertificateAnswer>
  /** Answers POST /connector/renew of whoever showed this certificate. */
  renew(certificate: X509Certificate | undefined, body: unknown, address: string): Promise<CertificateAnswer>
  /** The connector that a certificate belongs to. Throws ENROL_CERTIFICATE_REFUSED. */
  admit(
    certificate: X509Certificate | undefined,
  ): Promise<{ readonly connector: StoredConnector; readonly serial: string }>
}

export function createEnrolment(options: EnrolmentOptions): Enrolment {
  const { tokens, book, authority, log, audit } = options

  function answer(connector: StoredConnector, certificate: string): CertificateAnswer {
    const { id, location } = connector
    const authorities = authority.authorities().map(each => each.certificate)
    return { connector: id, location, certificate, authorities, nodes: [...options.nodes()] }
  }

  async function admit(certificate: X509Certificate | undefined) {
    if (!certificate) throw enrolErrors.CERTIFICATE_REFUSED({ reason: 'none was shown' })
    const { serial, subject } = verify(certificate)
    // It may have enrolled or renewed at another node a moment ago.
    if (!book.find(subject.name)?.serials.includes(serial)) await book.refresh()
    const connector = book.find(subject.name)
    if (!connector) throw enrolErrors.CERTIFICATE_REFUSED({ reason: `no connector ${subject.name} is enrolled here` })
    if (connector.revoked) throw enrolErrors.CERTIFICATE_REFUSED({ reason: `connector ${connector.id} was revoked` })
    if (connector.location !== subject.unit || !connector.serials.includes(serial)) {
      throw enrolErrors.CERTIFICATE_REFUSED({ reason: `it is not the one that connector ${connector.id} has now` })
    }
    return { connector, serial }
  }

  function verify(certificate: X509Certificate) {
    try {
      return authority.verify(certificate, 'client')
    } catch (cause) {
      if (!(cause instanceof HubError)) throw cause
      throw enrolErrors.CERTIFICATE_REFUSED({ reason: cause.message }, { cause })
    }
  }

  return {
    admit,
    async makeToken(location, name) {
      if (!locationName.safeParse(location).success) {
        throw locationErrors.LOCATION_INVALID({ text: location.slice(0, 100) })
      }
      const [signer] = authority.authorities()
      return tokens.make(location, name, signer?.fingerprint ?? '')
    },
    async enrol(body, address) {
      const { token, csr, name } = parse(enrolRequest, body)
      const { id: tokenId, location, name: wanted } = await tokens.read(token)
      // A request that cannot be signed must not use the token up.
      await readPublicKey({ csr })
      const id = newConnectorId()
      await tokens.use(token, { address, connector: id })
      const { connector, issued } = await book.enrol(id, { location, name: wanted ?? name, csr })
      await audit(`connector:${id}@${address}`, 'connector.enrolled', {
        connector: id,
        location,
        name: connector.name,
        token: tokenId,
        serial: issued.serial,
      })
      log.info('connector.enrolled', { connector: id, location, name: connector.name, address })
      return answer(connector, issued.certificate)
    },
    async renew(certificate, body, address) {
      const { connector: before, serial: shown } = await admit(certificate)
      const { csr } = parse(renewRequest, body)
      const { connector, issued } = await book.renew(before.id, { csr, shown })
      const { id, location } = connector
      await audit(`connector:${id}@${address}`, 'connector.renewed', { connector: id, location, serial: issued.serial })
      log.info('connector.renewed', { connector: id, location, endsAt: new Date(issued.endsAt).toISOString() })
      return answer(connector, issued.certificate)
    },
  }
}

function parse<T>(
  schema: {
    safeParse(
      value: unknown,
    ):
      | { success: true; data: T }
      | { success: false; error: { issues: readonly { path: readonly PropertyKey[]; message: string }[] } }
  },
  body: unknown,
): T {
  const parsed = schema.safeParse(body)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw enrolErrors.REQUEST_INVALID({ reason: `${issue?.path.join('.') || 'body'}: ${issue?.message ?? 'invalid'}` })
}
