import { createHash, type Hash, hash as hashOf } from 'node:crypto'
import { bodyErrors } from '../kernel/body.ts'
import type { BodyStore, StoredBody } from './port.ts'

/** A large body on its way into the body store. */
export interface Arrival {
  add(chunk: Uint8Array): Promise<void>
  /** All is there: durable under its hash when the promise resolves. */
  finish(sha256: string, bytes: number): Promise<void>
  /** Leaves nothing behind; never throws. */
  discard(): Promise<void>
}

interface IntakeOptions {
  readonly type: string
  readonly bytesMax: number
  readonly hash: boolean
  /** Bodies up to this stay in memory. */
  readonly inlineBytes: number
  open(): Promise<Arrival>
}

/** `BodyStore.write`: keeps a small body in memory, and hands a larger one on as it comes. */
export async function takeBody(
  source: Parameters<BodyStore['write']>[0],
  { type, bytesMax, hash, inlineBytes, open }: IntakeOptions,
): Promise<StoredBody> {
  const small: Uint8Array[] = []
  let arrival: Arrival | undefined
  let sha256: Hash | undefined
  let bytes = 0
  try {
    for await (const chunk of source instanceof Uint8Array ? [source] : source) {
      bytes += chunk.length
      if (bytes > bytesMax) throw bodyErrors.TOO_LARGE({ bytes, bytesMax, purpose: 'one message (messageBytes)' })
      if (!arrival) small.push(source instanceof Uint8Array ? chunk : Uint8Array.from(chunk))
      if (!arrival && bytes <= inlineBytes) continue
      const early = small.splice(0)
      sha256 ??= createHash('sha256')
      arrival ??= await open()
      for (const each of early.length > 0 ? early : [chunk]) {
        sha256.update(each)
        await arrival.add(each)
      }
    }
    if (!arrival || !sha256) return inlineBody(small, type, hash)
    const name = sha256.digest('hex')
    await arrival.finish(name, bytes)
    return { bytes, type, sha256: name, inline: undefined }
  } catch (thrown) {
    await arrival?.discard()
    throw thrown
  }
}

function inlineBody(chunks: readonly Uint8Array[], type: string, hash: boolean): StoredBody {
  const [only] = chunks
  const inline = chunks.length === 1 && only ? only : Buffer.concat(chunks)
  const sha256 = hash ? hashOf('sha256', inline) : undefined
  return { bytes: inline.length, type, sha256, inline }
}
