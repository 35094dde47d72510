import { connectorErrors } from './errors.ts'

/** What the one-time token of `isthmus connector enrol` says; the hub reads the whole text. */
export interface EnrolToken {
  readonly text: string
  /** sha256 of the hub's CA certificate (DER), lower case hex. */
  readonly authorityHash: string
}

/** `isthmus-enrol.<id, 12 hex>.<secret, 43 base62>.<sha256 of the CA certificate, 64 hex>` */
export function parseEnrolToken(input: string): EnrolToken {
  const text = input.trim()
  if (text === '') throw connectorErrors.TOKEN_WRONG({ text: 'nothing was given.' })
  const match = /^isthmus-enrol\.[0-9a-f]{12}\.[0-9A-Za-z]{43}\.([0-9a-f]{64})$/.exec(text)
  // The text itself stays out of the message: it may be a secret after all.
  if (!match) throw connectorErrors.TOKEN_WRONG({ text: `${text.length} letters of another form.` })
  return { text, authorityHash: match[1] ?? '' }
}
