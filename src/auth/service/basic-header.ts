import { guardLimits } from './guard-limits.ts'

export interface BasicCredential {
  readonly clientId: string
  readonly secret: string
}

/**
 * Reads `Basic base64(id:secret)`. The readings in the order in which to try them: as it stands, and form-encoded as
 * RFC 6749 section 2.3.1 has it; some clients do the one, some the other. Empty: it is neither.
 */
export function readBasic(encoded: string): readonly BasicCredential[] {
  // Node reads base64 leniently; one credential has one spelling here (padding or not).
  if (encoded.length > guardLimits.basicBytes || !/^[A-Za-z0-9+/]+={0,2}$/.test(encoded)) return []
  const text = Buffer.from(encoded, 'base64').toString('utf8')
  const colon = text.indexOf(':')
  if (colon < 1 || hasControls(text)) return []
  const raw = { clientId: text.slice(0, colon), secret: text.slice(colon + 1) }
  const isEncoded = /[%+]/.test(text)
  const decoded = isEncoded ? formDecoded(raw) : undefined
  return decoded ? [raw, decoded] : [raw]
}

function formDecoded({ clientId, secret }: BasicCredential): BasicCredential | undefined {
  try {
    const decode = (text: string) => decodeURIComponent(text.replaceAll('+', ' '))
    return { clientId: decode(clientId), secret: decode(secret) }
  } catch {
    // Not every text with a percent sign is encoded; then it has the one reading.
    return undefined
  }
}

function hasControls(text: string): boolean {
  for (let index = 0; index < text.length; index++) {
    const letter = text.charCodeAt(index)
    if (letter < 0x20 || letter === 0x7f) return true
  }
  return false
}
