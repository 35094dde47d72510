import { createHash } from 'node:crypto'
import { makeTotpSecret } from './totp.ts'

/** Enough for years of lost phones; each counts once. */
const codeCount = 10
/** 80 bits: nobody guesses one, and its hash is as good as a secret. */
const letters = 16

/** New codes as people write them down: `ABCD-EFGH-2345-6MNO`, in base32. */
export function makeRecoveryCodes(): readonly string[] {
  return Array.from({ length: codeCount }, () =>
    makeTotpSecret()
      .slice(0, letters)
      .replaceAll(/.{4}(?=.)/g, '$&-'),
  )
}

/** What is kept of a code; undefined for what cannot be one. Small letters, blanks and missing hyphens do not matter. */
export function hashRecoveryCode(typed: string): string | undefined {
  const code = typed.toUpperCase().replaceAll(/[\s-]/g, '')
  if (!/^[A-Z2-7]{16}$/.test(code)) return undefined
  return createHash('sha256').update(code).digest('base64url')
}
