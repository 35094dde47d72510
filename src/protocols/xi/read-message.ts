import { heldBody } from '../../kernel/body.ts'
import { parseContentType } from '../mime/content-type.ts'
import { decodeTransfer, type MimePart, MultipartReader } from '../mime/read-multipart.ts'
import { xiMessageErrors } from './errors.ts'
import { xiLimits } from './limits.ts'
import { readXiEnvelope } from './read-envelope.ts'
import type { XiEnvelope, XiPayload } from './xi.ts'

/** A payload on its way in. */
export interface XiPart {
  /** What the manifest says of it; undefined for a part that it does not name. */
  readonly payload: XiPayload | undefined
  /** Its Content-Type as it stood there. */
  readonly type: string
  /** To be read before the next part is asked for. */
  readonly body: AsyncIterable<Uint8Array>
}

/** A message whose envelope was read; the payloads come one after the other, never held whole. */
export interface XiMessageReader {
  readonly envelope: XiEnvelope
  /**
   * The next payload, or undefined at the end: by then the source is read to its end, and every payload that the
   * manifest names has come. Throws XIMESSAGE_PAYLOAD_MISSING, MULTIPART_BROKEN.
   */
  nextPart(): Promise<XiPart | undefined>
}

/**
 * Reads an XI message: multipart/related with the envelope as its first part or the one that `start` names, or the envelope
 * alone. Throws the errors of the areas XIMESSAGE, MULTIPART and XML.
 */
export async function openXiMessage(source: AsyncIterable<Uint8Array>, contentType: string): Promise<XiMessageReader> {
  const { type, parameters } = parseContentType(contentType)
  if (type !== 'multipart/related') {
    if (type !== 'text/xml' && type !== 'application/xml' && type !== 'application/soap+xml') {
      throw xiMessageErrors.SHAPE({ text: `its Content-Type is ${type.slice(0, 60) || 'missing'}` })
    }
    const envelope = readXiEnvelope(await collect(source, 'envelopeBytes'), parameters.get('charset'))
    return withParts(envelope, async () => undefined)
  }
  const reader = new MultipartReader(source, parameters.get('boundary') ?? '')
  const early: MimePart[] = []
  const root = await findRoot(reader, parameters.get('start'), early)
  const charset = parseContentType(root.headers['content-type'] ?? '').parameters.get('charset')
  const bytes = await collect(decodeTransfer(root), 'envelopeBytes')
  return withParts(readXiEnvelope(bytes, charset), async () => early.shift() ?? reader.next())
}

/** The part that `start` names, else the first (RFC 2387 section 3.2); those before it are held in `early`. */
async function findRoot(reader: MultipartReader, start: string | undefined, early: MimePart[]): Promise<MimePart> {
  let bytes = 0
  for (let part = await reader.next(); part; part = await reader.next()) {
    const id = contentId(part)
    const isFirst = early.length === 0
    if (start === undefined || id === bare(start) || (isFirst && id === '')) return part
    const held = await collect(part.body, 'earlyBytes', bytes)
    bytes += held.length
    early.push({ headers: part.headers, body: heldBody(held, '').stream() })
  }
  throw xiMessageErrors.SHAPE({ text: start === undefined ? 'it has no parts' : 'no part is the one that start names' })
}

function withParts(envelope: XiEnvelope, next: () => Promise<MimePart | undefined>): XiMessageReader {
  const missing = new Map(envelope.payloads.map(payload => [payload.id, payload]))
  return {
    envelope,
    async nextPart() {
      const part = await next()
      if (!part) {
        const [first] = missing.values()
        if (first) throw xiMessageErrors.PAYLOAD_MISSING({ payload: first.name || first.id })
        return undefined
      }
      const payload = missing.get(contentId(part))
      if (payload) missing.delete(payload.id)
      return { payload, type: part.headers['content-type'] ?? 'application/xml', body: decodeTransfer(part) }
    },
  }
}

function contentId({ headers }: MimePart): string {
  return bare(headers['content-id'] ?? '')
}

function bare(id: string): string {
  return id.trim().replace(/^<(.*)>$/, '$1')
}

async function collect(
  source: AsyncIterable<Uint8Array>,
  limit: 'envelopeBytes' | 'earlyBytes',
  bytesBefore = 0,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let bytes = bytesBefore
  for await (const chunk of source) {
    bytes += chunk.length
    if (bytes > xiLimits[limit]) throw xiMessageErrors.TOO_LARGE({ limit, max: xiLimits[limit] })
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
