import type { JsonObject } from '../../kernel/json.ts'
import { c4cErrors } from '../../protocols/c4c/errors.ts'
import type { Creation } from '../drivers.ts'
import type { Item } from '../plan/items.ts'
import { fileCategory } from './codes.ts'

/** The files of a new mail, with their bytes: they travel with it. Throws C4C_ATTACHMENT_TOO_LARGE. */
export async function filesOf({ item, openAttachment }: Creation, bytesMax: number): Promise<readonly JsonObject[]> {
  if (item.kind !== 'mail') return []
  const files: JsonObject[] = []
  let bytes = 0
  for (const attachment of item.attachments) {
    const { name, type } = attachment
    const chunks: Uint8Array[] = []
    for await (const chunk of openAttachment(attachment)) {
      bytes += chunk.length
      if (bytes > bytesMax) throw c4cErrors.ATTACHMENT_TOO_LARGE({ name, bytes, bytesMax })
      chunks.push(chunk)
    }
    const Binary = Buffer.concat(chunks).toString('base64')
    files.push({ CategoryCode: fileCategory, Name: name || 'attachment', MimeType: type, Binary })
  }
  return files
}

/** C4C_ATTACHMENT_TOO_LARGE for a mail whose files are too large by what its mailbox says of them. */
export function filesRefusal(item: Item, bytesMax: number) {
  if (item.kind !== 'mail') return undefined
  let bytes = 0
  for (const attachment of item.attachments) {
    bytes += attachment.bytes
    if (bytes > bytesMax) return c4cErrors.ATTACHMENT_TOO_LARGE({ name: attachment.name, bytes, bytesMax })
  }
  return undefined
}
