import { X509Certificate } from 'node:crypto'
import { z } from 'zod'
import type { KeyKind } from './model.ts'
import { serviceErrors } from './service-errors.ts'
import { serviceLimits } from './service-limits.ts'

export const keyNamePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/

const days = (max: number) => z.number().int().min(1).max(max).meta({ description: 'Days.' })

/** The JSON of SAP's service keys. */
export const keyParameters = z.preprocess(
  // Without a type it is a secret.
  given => withKind(given, 'secret'),
  z.discriminatedUnion('key-type', [
    z.strictObject({
      'key-type': z.literal('secret'),
      validity: days(serviceLimits.secretDays).optional(),
    }),
    z.strictObject({
      'key-type': z.literal('certificate'),
      validity: days(serviceLimits.certificateDays).default(serviceLimits.certificateDays),
      'key-length': z
        .union([z.literal(2048), z.literal(3072), z.literal(4096)], 'an RSA key has 2048, 3072 or 4096 bits')
        .optional()
        .meta({ description: 'Bits of an RSA key; left out, the key is on the curve P-256.' }),
    }),
    z.strictObject({
      'key-type': z.literal('certificate_external'),
      'X.509': z.string().max(20_000).meta({ description: 'The certificate of the caller (PEM), without its chain.' }),
      'pin-certificate': z.boolean().default(true).meta({
        description: 'true: this very certificate. false: any of the same subject and issuer that is not older.',
      }),
    }),
  ]),
)

export type KeySettings = z.output<typeof keyParameters>

/** Throws SERVICE_KEY_INVALID. `kind`: what a key is when nothing is said. */
export function readKeyParameters(key: string, given: unknown, kind: KeyKind = 'secret'): KeySettings {
  const parsed = keyParameters.safeParse(withKind(given ?? {}, kind))
  if (!parsed.success) throw serviceErrors.KEY_INVALID({ key, reason: z.prettifyError(parsed.error) })
  return parsed.data
}

/** The certificate a caller brings. People copy it out of JSON, where its line breaks are two letters. */
export function readCertificate(key: string, pem: string): X509Certificate {
  const text = pem.replaceAll('\\n', '\n')
  const refuse = (reason: string) => serviceErrors.KEY_INVALID({ key, reason })
  if (text.includes('PRIVATE KEY')) throw refuse('X.509 holds a private key, which must stay with the caller')
  if (text.split('-----BEGIN CERTIFICATE-----').length !== 2) throw refuse('X.509 is not one certificate in PEM')
  try {
    return new X509Certificate(text)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw serviceErrors.KEY_INVALID({ key, reason: `X.509 cannot be read (${reason})` }, { cause })
  }
}

function withKind(given: unknown, kind: KeyKind): unknown {
  if (typeof given !== 'object' || given === null || 'key-type' in given) return given
  return { 'key-type': kind, ...given }
}
