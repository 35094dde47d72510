import type { GraphClient } from '../../protocols/graph/client.ts'
import { graphErrors } from '../../protocols/graph/errors.ts'
import { graphLimits } from '../../protocols/graph/limits.ts'
import type { Attachment } from '../plan/items.ts'

type Open = (attachment: Attachment) => AsyncIterable<Uint8Array>

/** Adds files to an item whose path is given; those that are too large for one request are refused. */
export async function addAttachments(
  client: GraphClient,
  path: string,
  attachments: readonly Attachment[],
  open: Open,
  signal: AbortSignal,
): Promise<void> {
  for (const attachment of attachments) {
    const bytes = await collect(path, attachment, open)
    const body = {
      '@odata.type': '#microsoft.graph.fileAttachment',
      name: attachment.name || 'attachment',
      contentType: attachment.type,
      contentBytes: bytes.toString('base64'),
      isInline: attachment.isInline,
    }
    await client.send({ method: 'POST', path: `${path}/attachments`, body }, signal)
  }
}

async function collect(path: string, attachment: Attachment, open: Open): Promise<Buffer> {
  const bytesMax = graphLimits.inlineAttachmentBytes
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of open(attachment)) {
    bytes += chunk.length
    if (bytes > bytesMax) {
      const text = `the attachment ${attachment.name} has more than ${bytesMax} bytes`
      throw graphErrors.TOO_LARGE({ path, code: 'attachment', text })
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
