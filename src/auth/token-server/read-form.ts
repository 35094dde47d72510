import type { IncomingMessage } from 'node:http'

/** The form of a request; undefined when it is larger than allowed or ends too early. */
export async function readForm(request: IncomingMessage, bytesMax: number): Promise<URLSearchParams | undefined> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > bytesMax) return undefined
    chunks.push(chunk)
  }
  return request.complete ? new URLSearchParams(Buffer.concat(chunks).toString('utf8')) : undefined
}
