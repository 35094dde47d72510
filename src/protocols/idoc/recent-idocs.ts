import { KiB } from '../../kernel/size.ts'
import { TransientMap } from '../../kernel/transient-map.ts'
import type { Idoc } from './idoc.ts'

/** Bytes whose IDocs stay at hand; each takes several times as much when it is read. */
const bytesMax = 512 * KiB

const recent = new TransientMap<Uint8Array, Idoc>()
let bytesKept = 0

/**
 * Keeps what was read out of these very bytes: whoever checked an IDoc at the door need not read it again when it goes on
 * its way a moment later. The oldest go first; nobody may change the bytes afterwards.
 */
export function keepRecent(bytes: Uint8Array, idoc: Idoc): void {
  if (recent.has(bytes) || bytes.length > bytesMax) return
  recent.set(bytes, idoc)
  bytesKept += bytes.length
  for (const oldest of recent.keys()) {
    if (bytesKept <= bytesMax) return
    recent.delete(oldest)
    bytesKept -= oldest.length
  }
}

/**
 * The one IDoc of these very bytes, where it was read a moment ago. It is let go: what stays longer is moved about by the
 * garbage collector again and again, which soon costs more than to read it anew.
 */
export function takeRecent(bytes: Uint8Array): Idoc | undefined {
  const idoc = recent.get(bytes)
  if (!idoc) return undefined
  recent.delete(bytes)
  bytesKept -= bytes.length
  return idoc
}
