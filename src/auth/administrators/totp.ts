import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { SECOND } from '../../kernel/time.ts'

const digits = 6
/** How long a code counts (RFC 6238 section 5.2). */
const stepMs = 30 * SECOND
/** Clocks differ and people type slowly: the step before and the one after count too. */
const stepsAround = 1
/** As long as the hash, which RFC 4226 section 4 recommends. */
const secretBytes = 20
const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

/** A new secret as people type it into an authenticator: base32 (RFC 4648 section 6), 32 letters. */
export function makeTotpSecret(): string {
  const bits = [...randomBytes(secretBytes)].map(byte => byte.toString(2).padStart(8, '0')).join('')
  return (bits.match(/.{5}/g) ?? []).map(five => alphabet[Number.parseInt(five, 2)]).join('')
}

/** What authenticators read from a QR code (Key Uri Format). */
export function totpUri(secret: string, issuer: string, name: string): string {
  const query = new URLSearchParams({ secret, issuer, algorithm: 'SHA1', digits: String(digits), period: '30' })
  return `otpauth://totp/${encodeURIComponent(issuer)}:${encodeURIComponent(name)}?${query.toString()}`
}

/** The code of a time (RFC 6238 section 4, HMAC-SHA-1). `at`: milliseconds since 1970 UTC. */
export function totpCode(secret: string, at: number): string {
  return codeOfStep(keyOf(secret), Math.floor(at / stepMs))
}

/**
 * The step whose code it is, which must be remembered as `lastStep`: no code counts twice (RFC 6238 section 5.2).
 * Undefined for a wrong, old or used one.
 */
export function matchTotp(secret: string, code: string, at: number, lastStep = -1): number | undefined {
  const sent = code.replaceAll(' ', '')
  if (!/^\d{6}$/.test(sent)) return undefined
  const key = keyOf(secret)
  const now = Math.floor(at / stepMs)
  let found: number | undefined
  for (let step = now - stepsAround; step <= now + stepsAround; step++) {
    const isEqual = timingSafeEqual(Buffer.from(sent), Buffer.from(codeOfStep(key, step)))
    if (isEqual && step > lastStep) found ??= step
  }
  return found
}

/** RFC 4226 section 5.3: 31 bits from where the last four bits of the hash say. */
function codeOfStep(key: Buffer, step: number): string {
  const counter = Buffer.alloc(8)
  counter.writeBigUInt64BE(BigInt(Math.max(0, step)))
  const hash = createHmac('sha1', key).update(counter).digest()
  const number = hash.readUInt32BE((hash.at(-1) ?? 0) & 0x0f) & 0x7fff_ffff
  return String(number % 10 ** digits).padStart(digits, '0')
}

function keyOf(secret: string): Buffer {
  const bits = secret.replaceAll(/./g, letter => alphabet.indexOf(letter).toString(2).padStart(5, '0'))
  return Buffer.from((bits.match(/.{8}/g) ?? []).map(byte => Number.parseInt(byte, 2)))
}
