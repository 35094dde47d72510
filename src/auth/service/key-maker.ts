import { generateKeyPair, type KeyObject, X509Certificate } from 'node:crypto'
import { promisify } from 'node:util'
import type { Clock } from '../../kernel/time.ts'
import { DAY } from '../../kernel/time.ts'
import type { CertificateAuthority } from '../certificate-authority.ts'
import { certificateFacts } from './client-certificate.ts'
import type { Proof } from './credential-document.ts'
import { type KeySettings, readCertificate } from './key-input.ts'
import { macOf, makeKeyId, makeSecret } from './key-secret.ts'
import type { ServiceInstance } from './model.ts'
import type { Peppers } from './pepper.ts'
import type { KeptKey } from './service-book.ts'
import { serviceErrors } from './service-errors.ts'

export interface KeyMakerParts {
  readonly peppers: Peppers
  readonly authority: Pick<CertificateAuthority, 'issue'>
  readonly clock: Pick<Clock, 'now'>
}

export interface MadeKey {
  readonly kept: KeptKey
  /** What only the caller keeps. */
  readonly proof: Proof
}

/** Makes a key of the wanted kind; nothing is stored yet. Throws SERVICE_KEY_INVALID. */
export async function makeKey(
  instance: ServiceInstance,
  name: string,
  settings: KeySettings,
  { peppers, authority, clock }: KeyMakerParts,
): Promise<MadeKey> {
  const id = makeKeyId()
  const now = clock.now()
  const base = { id, instanceId: instance.id, name, createdAt: now, revokedAt: undefined, replacedBy: undefined }
  switch (settings['key-type']) {
    case 'secret': {
      const secret = makeSecret(id)
      const expiresAt = settings.validity === undefined ? undefined : now + settings.validity * DAY
      const proof = { mac: macOf(peppers.get(peppers.active), secret), pepper: peppers.active }
      return { kept: { key: { ...base, kind: 'secret', expiresAt, certificate: undefined }, proof }, proof: { secret } }
    }
    case 'certificate': {
      const { publicKey, privateKey } = await makeKeyPair(settings['key-length'])
      const issued = await authority.issue({
        key: { publicKey: publicKey.export({ type: 'spki', format: 'pem' }).toString() },
        subject: { name: `${instance.clientId} ${id}`, unit: 'service key' },
        days: settings.validity,
        usage: 'client',
      })
      const certificate = certificateFacts(new X509Certificate(issued.certificate), true)
      const key = { ...base, kind: 'certificate' as const, expiresAt: certificate.notAfter, certificate }
      // RSA keys as SAP's service keys have them; PKCS #1 knows no other kind.
      const type = privateKey.asymmetricKeyType === 'rsa' ? 'pkcs1' : 'pkcs8'
      const pem = privateKey.export({ type, format: 'pem' }).toString()
      return { kept: { key, proof: undefined }, proof: { certificate: issued.certificate, privateKey: pem } }
    }
    case 'certificate_external': {
      const x509 = readCertificate(name, settings['X.509'])
      const certificate = certificateFacts(x509, settings['pin-certificate'])
      // Self-signed ones of openssl say that they are authorities; pinned, only their own key counts all the same.
      if (x509.ca && !certificate.isPinned) {
        throw serviceErrors.KEY_INVALID({ key: name, reason: 'X.509 is of an authority, not of a caller' })
      }
      if (certificate.notAfter <= now) {
        const ended = new Date(certificate.notAfter).toISOString()
        throw serviceErrors.KEY_INVALID({ key: name, reason: `X.509 ended on ${ended}` })
      }
      const key = { ...base, kind: 'certificate_external' as const, expiresAt: certificate.notAfter, certificate }
      return { kept: { key, proof: undefined }, proof: { certificate: x509.toString() } }
    }
  }
}

const generate = promisify(generateKeyPair)

async function makeKeyPair(rsaBits: number | undefined): Promise<{ publicKey: KeyObject; privateKey: KeyObject }> {
  if (rsaBits === undefined) return generate('ec', { namedCurve: 'P-256' })
  return generate('rsa', { modulusLength: rsaBits })
}
