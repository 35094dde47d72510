import { randomBytes } from 'node:crypto'
import { isSameMac, keyIdIn, macOf } from './key-secret.ts'
import type { Check } from './model.ts'
import type { Peppers } from './pepper.ts'
import type { ServiceBook } from './service-book.ts'
import { serviceLimits } from './service-limits.ts'

export interface SecretCheckParts {
  readonly book: ServiceBook
  readonly peppers: Peppers
  readonly checkKey: (clientId: string, keyId: string) => Check
}

/** Makes the check of client id and secret. Whatever is wrong, one MAC is made and compared. */
export function makeSecretCheck({ book, peppers, checkKey }: SecretCheckParts) {
  const nobody = { mac: randomBytes(32), pepper: peppers.active }

  return (clientId: string, secret: string): Check => {
    const keyId = keyIdIn(secret) ?? ''
    const kept = book.byKey(keyId)
    const proof = kept?.proof ?? nobody
    const given = macOf(peppers.get(proof.pepper), secret.slice(0, serviceLimits.secretLetters))
    const isSame = isSameMac(given, proof.mac)
    // The MAC of nobody is random: it fits to nothing, and is asked for all the same.
    if (isSame && kept?.proof) return checkKey(clientId, keyId)
    const isKnown = book.byClient(clientId) !== undefined
    return {
      ok: false,
      reason: isKnown ? 'wrong-secret' : 'unknown-client',
      ...(kept && { keyId }),
      ...(isKnown && { clientId }),
    }
  }
}
