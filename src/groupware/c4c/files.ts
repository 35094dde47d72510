import { HubError } from '../../kernel/error.ts'
import type { JsonObject } from '../../kernel/json.ts'
import { KiB } from '../../kernel/size.ts'
import type { C4CClient, C4CRow } from '../../protocols/c4c/client.ts'
import { c4cErrors } from '../../protocols/c4c/errors.ts'
import type { Creation } from '../drivers.ts'
import type { Attachment, Item } from '../plan/items.ts'
import { fileCategory } from './codes.ts'
import { mailFiles } from './mail.ts'
import { textAt } from './values.ts'

/** Properties of a file without its bytes: those of several mails would be more than one answer may have. */
const facts = ['ObjectID', 'Name', 'MimeType']

/** The files of a new mail, with their bytes: they travel with it. Throws C4C_ATTACHMENT_TOO_LARGE. */
export async function filesOf({ item, openAttachment }: Creation, bytesMax: number): Promise<readonly JsonObject[]> {
  if (item.kind !== 'mail') return []
  // What is refused in the end need not travel before.
  const refusal = filesRefusal(item, bytesMax)
  if (refusal) throw refusal
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

/** Exchange counts the properties of a file along with its bytes. */
const propertyBytes = 16 * KiB

/** C4C_ATTACHMENT_TOO_LARGE for a mail whose files are too large by what its mailbox says of them. */
export function filesRefusal(item: Item, bytesMax: number) {
  if (item.kind !== 'mail') return undefined
  let bytes = 0
  for (const attachment of item.attachments) {
    bytes += Math.max(0, attachment.bytes - propertyBytes)
    if (bytes > bytesMax) return c4cErrors.ATTACHMENT_TOO_LARGE({ name: attachment.name, bytes, bytesMax })
  }
  return undefined
}

/** Mails with what is known of their files. */
export async function withFiles(
  client: C4CClient,
  mails: readonly (C4CRow | undefined)[],
  signal: AbortSignal,
): Promise<readonly (C4CRow | undefined)[]> {
  const ids = mails.flatMap(mail => mail?.id ?? [])
  const lists = await client.findBelow('EMail', ids, mailFiles, facts, signal)
  return mails.map(mail => {
    const files = lists[ids.indexOf(mail?.id ?? '')] ?? []
    return mail && { ...mail, values: { ...mail.values, [mailFiles]: files.map(fileOf) } }
  })
}

function fileOf({ id, values }: C4CRow): JsonObject {
  return { ...values, ObjectID: id }
}

export async function fileBytes(client: C4CClient, { id, name }: Attachment, signal: AbortSignal): Promise<Buffer> {
  const path = `EMail/${mailFiles}`
  const [file] = await client.run([{ read: { entity: 'EMail', part: mailFiles, id, expand: [] } }], signal)
  if (file instanceof HubError) throw file
  if (!file) throw c4cErrors.GONE({ server: client.server, path, text: `the file ${name} is not there` })
  return Buffer.from(textAt(file.values, 'Binary'), 'base64')
}
