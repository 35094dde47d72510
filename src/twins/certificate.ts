// tsyringe, which @peculiar/x509 is built with, refuses to load without it.
import 'reflect-metadata'
import { webcrypto } from 'node:crypto'
import { isIP } from 'node:net'
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from '@peculiar/x509'
import { DAY } from '../kernel/time.ts'

/** PEM texts: a certificate with its private key, and the certificate of the authority that signed it. */
export interface TwinCertificate {
  readonly cert: string
  readonly key: string
  readonly ca: string
}

export interface TwinCertificateOptions {
  /** `ec` (P-256, quick to make) for TLS; `rsa` (2048 bits) where a token assertion is signed with PS256 or RS256. */
  readonly keys?: 'ec' | 'rsa'
  /** How long it is valid from now, in milliseconds; a negative value makes one that has expired. */
  readonly validForMs?: number
}

/** A throw-away authority and a certificate of its making for these names; nothing of it is kept anywhere. */
export async function makeTwinCertificate(
  names: readonly string[] = ['localhost', '127.0.0.1'],
  { keys = 'ec', validForMs = 30 * DAY }: TwinCertificateOptions = {},
): Promise<TwinCertificate> {
  const algorithm = keys === 'ec' ? ec : rsa
  // The authority's key is of the quick kind in any case.
  const [caKeys, serverKeys] = await Promise.all([makeKeys(ec), makeKeys(algorithm)])
  const validity = {
    // A day back: the clocks of two machines differ, and an expired certificate must have been valid once.
    notBefore: new Date(Date.now() + Math.min(0, validForMs) - DAY),
    notAfter: new Date(Date.now() + validForMs),
  }
  const caName = 'CN=Isthmus twin authority'
  const ca = await X509CertificateGenerator.createSelfSigned({
    name: caName,
    keys: caKeys,
    signingAlgorithm: ec,
    ...validity,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
    ],
  })
  const cert = await X509CertificateGenerator.create({
    subject: `CN=${names[0] ?? 'localhost'}`,
    issuer: caName,
    publicKey: serverKeys.publicKey,
    signingKey: caKeys.privateKey,
    signingAlgorithm: ec,
    ...validity,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature | KeyUsageFlags.keyEncipherment, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
      new SubjectAlternativeNameExtension(names.map(name => ({ type: isIP(name) ? 'ip' : 'dns', value: name }))),
    ],
  })
  const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', serverKeys.privateKey)
  return { cert: cert.toString('pem'), key: PemConverter.encode(pkcs8, 'PRIVATE KEY'), ca: ca.toString('pem') }
}

const ec = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const rsa = {
  name: 'RSASSA-PKCS1-v1_5',
  modulusLength: 2048,
  publicExponent: new Uint8Array([1, 0, 1]),
  hash: 'SHA-256',
}

function makeKeys(algorithm: typeof ec | typeof rsa): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
}
