import type { JsonObject } from '../kernel/json.ts'
import { TransientMap } from '../kernel/transient-map.ts'
import { numberOf, optionalBytesOf, optionalTextOf, type Row, textOf } from './columns.ts'
import type { StoredBody } from './port.ts'

/** The part of a delivery that does not change while it travels. */
export interface Content {
  readonly headers: Readonly<Record<string, string>>
  readonly attributes: JsonObject
  readonly body: StoredBody
}

/** Contents of deliveries accepted a moment ago, so that their claim reads nothing back. The oldest goes first. */
export class RecentContents {
  readonly #bytesMax: number
  readonly #recent = new TransientMap<number, Content>()
  #bytes = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  get(seq: number): Content | undefined {
    return this.#recent.get(seq)
  }

  remember(seq: number, content: Content): void {
    this.#recent.set(seq, content)
    this.#bytes += costOf(content)
    if (this.#bytes <= this.#bytesMax) return
    for (const oldest of this.#recent.keys()) {
      this.forget(oldest)
      if (this.#bytes <= this.#bytesMax) return
    }
  }

  forget(seq: number): void {
    const content = this.#recent.get(seq)
    if (!content) return
    this.#recent.delete(seq)
    this.#bytes -= costOf(content)
  }
}

/** The body of a row with the columns `bytes`, `type`, `sha256` and `body`. */
export function bodyOf(row: Row): StoredBody {
  return {
    bytes: numberOf(row['bytes']),
    type: textOf(row['type']),
    sha256: optionalTextOf(row['sha256']),
    inline: optionalBytesOf(row['body']),
  }
}

// Headers and attributes are not measured letter by letter: a kilobyte stands for them.
const headerBytesGuess = 1024

function costOf(content: Content): number {
  // A body may be a small view on a large buffer, which it keeps alive as a whole.
  return headerBytesGuess + (content.body.inline?.buffer.byteLength ?? 0)
}
