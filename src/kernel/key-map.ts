import type { Json } from './json.ts'
import { KiB } from './size.ts'

/**
 * What flows keep of one key over messages: the id that another system gave to a customer, a hash of what was sent last.
 * Maps have names and are shared by all flows of a hub. Writes go with a receipt (Receipt.remember), so that they are
 * durable together with it.
 */
export interface KeyMap {
  get(map: string, key: string): Promise<KeyMapEntry | undefined>
}

/** Reaching one is an error of the step, or a call that is refused. */
export const keyMapLimits = { mapLetters: 128, keyLetters: 512, valueBytes: 64 * KiB } as const

export interface KeyMapEntry {
  readonly value: Json
  /** Grows by one at each write. */
  readonly revision: number
  /** When it was written last, milliseconds since 1970 UTC. */
  readonly at: number
}

/** One write into a key map; undefined forgets the key. */
export interface KeyMapWrite {
  readonly map: string
  readonly key: string
  readonly value: Json | undefined
}
