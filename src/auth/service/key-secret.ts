import { createHmac, type KeyObject, randomBytes, timingSafeEqual } from 'node:crypto'

/** Scanners for leaked secrets find ours by it. */
export const secretPrefix = 'hubk'
const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const secretShape = /^hubk([0-9a-f]{12})[0-9A-Za-z]{43}$/

export function makeKeyId(): string {
  return randomBytes(6).toString('hex')
}

/** 43 letters of 62 carry 256 random bits; only letters and digits, so that raw and encoded spelling are the same. */
export function makeSecret(keyId: string): string {
  let random = ''
  while (random.length < 43) {
    // 248 is the largest multiple of 62 in a byte: above it, the first letters would come up more often.
    for (const byte of randomBytes(64)) if (byte < 248 && random.length < 43) random += alphabet[byte % 62]
  }
  return `${secretPrefix}${keyId}${random}`
}

/** The key id in a secret of ours; undefined for every other text. */
export function keyIdIn(secret: string): string | undefined {
  return secretShape.exec(secret)?.[1]
}

/** What is stored of a secret: HMAC-SHA256 under the pepper. 256 random bits need no slow hash. */
export function macOf(pepper: KeyObject, secret: string): Buffer {
  return createHmac('sha256', pepper).update(secret).digest()
}

export function isSameMac(one: Buffer, other: Buffer): boolean {
  return one.length === other.length && timingSafeEqual(one, other)
}
