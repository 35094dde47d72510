import type { DeliveryDetail, StoredBody } from '../store/port.ts'
import type { ApiParts, Loss } from './parts.ts'

type Parts = Pick<ApiParts, 'store' | 'lossOf' | 'repairBytesMax'>

export async function* readStored({ store }: Pick<Parts, 'store'>, body: StoredBody): AsyncGenerator<Uint8Array> {
  if (body.inline) yield body.inline
  else yield* store.bodies.read(body)
}

/** What is lost with a message that is skipped; undefined: nothing is known to be. */
export async function lossOf(parts: Parts, { attributes, body }: DeliveryDetail): Promise<Loss | undefined> {
  if (!parts.lossOf || body.bytes > parts.repairBytesMax) return undefined
  return parts.lossOf(attributes, async () => {
    const chunks: Uint8Array[] = []
    for await (const chunk of readStored(parts, body)) chunks.push(chunk)
    return Buffer.concat(chunks)
  })
}
