import { expect, test } from 'vitest'
import { makeTotpSecret, matchTotp, totpCode, totpUri } from './totp.ts'

/** The ASCII key 12345678901234567890 of RFC 6238 appendix B, in base32. */
const secret = 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ'

/** RFC 6238 appendix B, SHA-1: the last six of eight digits. */
const published: [number, string][] = [
  [59, '287082'],
  [1_111_111_109, '081804'],
  [1_111_111_111, '050471'],
  [1_234_567_890, '005924'],
  [2_000_000_000, '279037'],
  [20_000_000_000, '353130'],
]
test.each(published)('at second %i the code is %s', (seconds, code) => {
  expect(totpCode(secret, seconds * 1000)).toBe(code)
  expect(matchTotp(secret, code, seconds * 1000)).toBe(Math.floor(seconds / 30))
})

test('a code counts one step early and late, no further, and never twice', () => {
  const at = 1_234_567_890_000
  const step = Math.floor(at / 30_000)
  const code = totpCode(secret, at)
  expect(matchTotp(secret, code, at + 30_000)).toBe(step)
  expect(matchTotp(secret, code, at - 30_000)).toBe(step)
  expect(matchTotp(secret, code, at + 60_000)).toBeUndefined()
  expect(matchTotp(secret, code, at - 60_000)).toBeUndefined()
  expect(matchTotp(secret, code, at, step)).toBeUndefined()
  expect(matchTotp(secret, totpCode(secret, at - 30_000), at, step)).toBeUndefined()
  expect(matchTotp(secret, `${code.slice(0, 3)} ${code.slice(3)}`, at)).toBe(step)
})

test.each(['', '12345', '1234567', 'abcdef', '١٢٣٤٥٦', '-12345', '1e5000'])('%j is no code', code => {
  expect(matchTotp(secret, code, 0)).toBeUndefined()
})

test('a secret is 160 random bits that an authenticator can read', () => {
  const made = new Set(Array.from({ length: 50 }, makeTotpSecret))
  expect(made.size).toBe(50)
  for (const each of made) expect(each).toMatch(/^[A-Z2-7]{32}$/)
  expect(totpUri(secret, 'Isthmus', 'anna@x')).toBe(
    `otpauth://totp/Isthmus:anna%40x?secret=${secret}&issuer=Isthmus&algorithm=SHA1&digits=6&period=30`,
  )
})
