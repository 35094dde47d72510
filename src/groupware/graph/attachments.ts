import type { JsonObject } from '../../kernel/json.ts'
import { graphErrors } from '../../protocols/graph/errors.ts'
import { graphLimits } from '../../protocols/graph/limits.ts'
import type { Attachment } from '../plan/items.ts'

type Open = (attachment: Attachment) => AsyncIterable<Uint8Array>

/** Files as they travel inside a new message, so that it is there whole or not at all. Throws GRAPH_TOO_LARGE. */
export async function inlineFiles(
  path: string,
  attachments: readonly Attachment[],
  open: Open,
): Promise<readonly JsonObject[]> {
  const bytesMax = graphLimits.inlineAttachmentBytes
  const files: JsonObject[] = []
  let bytes = 0
  for (const attachment of attachments) {
    const chunks: Uint8Array[] = []
    for await (const chunk of open(attachment)) {
      bytes += chunk.length
      if (bytes > bytesMax) {
        const text = `its attachments have more than ${bytesMax} bytes`
        throw graphErrors.TOO_LARGE({ path, code: 'attachments', text })
      }
      chunks.push(chunk)
    }
    files.push({
      '@odata.type': '#microsoft.graph.fileAttachment',
      name: attachment.name || 'attachment',
      contentType: attachment.type,
      contentBytes: Buffer.concat(chunks).toString('base64'),
      isInline: attachment.isInline,
    })
  }
  return files
}
