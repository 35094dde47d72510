import { createPublicKey, type KeyObject } from 'node:crypto'
import { asHubError, HubError } from '../kernel/error.ts'
import { certificateErrors } from './certificate-errors.ts'
import { Pkcs10CertificateRequest } from './x509.ts'

/** A PKCS #10 request or a bare public key (SubjectPublicKeyInfo), as PEM. */
export type KeyToCertify = { readonly csr: string } | { readonly publicKey: string }

/** Bytes of PEM text; a request with RSA 8192 and a dozen attributes is below 8 KiB. */
const pemBytesMax = 20_000
const rsaBits = { min: 2048, max: 8192 }
const curves = new Set(['prime256v1', 'secp384r1', 'secp521r1'])

/**
 * The key to certify as DER (SubjectPublicKeyInfo). Of a request only the key counts, and that the request was signed
 * with it (RFC 2986); the names in it are not read. Throws CERTIFICATE_REQUEST_REFUSED.
 */
export async function readPublicKey(input: KeyToCertify): Promise<Uint8Array<ArrayBuffer>> {
  const what = 'csr' in input ? 'request' : 'public key'
  const text = 'csr' in input ? input.csr : input.publicKey
  try {
    if (text.length > pemBytesMax) throw refused(what, `it is longer than ${pemBytesMax} characters`)
    const key = 'csr' in input ? await keyOfRequest(text) : createPublicKey(onlyPublic(text))
    const weakness = findWeakness(key)
    if (weakness) throw refused(what, weakness)
    return new Uint8Array(key.export({ type: 'spki', format: 'der' }))
  } catch (thrown) {
    if (thrown instanceof HubError) throw thrown
    throw refused(what, `it cannot be read (${asHubError(thrown).message})`, thrown)
  }
}

async function keyOfRequest(pem: string): Promise<KeyObject> {
  if (!/-----BEGIN (?:NEW )?CERTIFICATE REQUEST-----/.test(pem)) throw refused('request', 'it is not a PEM text')
  const request = new Pkcs10CertificateRequest(pem)
  if (!(await request.verify())) throw refused('request', 'its signature is not of its own key')
  return createPublicKey({ key: Buffer.from(request.publicKey.rawData), format: 'der', type: 'spki' })
}

// createPublicKey also takes a private key and derives the public one; nobody should send us one.
function onlyPublic(pem: string): string {
  if (!pem.includes('-----BEGIN PUBLIC KEY-----')) throw refused('public key', 'it is not a PEM text')
  if (pem.includes('PRIVATE KEY')) throw refused('public key', 'it holds a private key, which must stay where it is')
  return pem
}

function findWeakness(key: KeyObject): string | undefined {
  const { modulusLength = 0, publicExponent = 0n, namedCurve = '' } = key.asymmetricKeyDetails ?? {}
  const kind = key.asymmetricKeyType
  if (kind === 'ed25519') return undefined
  if (kind === 'ec') return curves.has(namedCurve) ? undefined : `the curve ${namedCurve || '?'} is not supported`
  if (kind !== 'rsa') return `keys of the kind ${kind ?? '?'} are not supported`
  if (modulusLength < rsaBits.min || modulusLength > rsaBits.max) return `RSA with ${modulusLength} bits`
  return publicExponent < 65_537n ? `the RSA exponent ${publicExponent} is too small` : undefined
}

function refused(what: string, reason: string, cause?: unknown): HubError {
  return certificateErrors.REQUEST_REFUSED({ what, reason }, { cause })
}
