import { readFile } from 'node:fs/promises'
import type { ErrorOptions, HubError } from '../kernel/error.ts'

type Unreadable = (fields: { readonly file: string; readonly reason: string }, options?: ErrorOptions) => HubError

/** The PEM text of a certificate authority; throws what `unreadable` makes of a file that is none. */
export async function readAuthority(file: string, unreadable: Unreadable): Promise<string> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (thrown) {
    throw unreadable({ file, reason: thrown instanceof Error ? thrown.message : String(thrown) }, { cause: thrown })
  }
  if (text.includes('-----BEGIN CERTIFICATE-----')) return text
  throw unreadable({ file, reason: 'it is not PEM' })
}
