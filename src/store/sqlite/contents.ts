import type { DatabaseSync } from 'node:sqlite'
import type { JsonObject } from '../../kernel/json.ts'
import type { StoredBody } from '../port.ts'
import { headersOf, numberOf, objectOf, optionalBytesOf, optionalTextOf, type Row, textOf } from './columns.ts'

/** The part of a delivery that does not change while it travels. */
export interface Content {
  readonly headers: Readonly<Record<string, string>>
  readonly attributes: JsonObject
  readonly body: StoredBody
}

/**
 * Contents of deliveries. Those accepted a moment ago stay at hand, so that their claim reads nothing back: bounded by
 * bytes, the oldest goes first, and a miss costs one read.
 */
export class Contents {
  readonly #bytesMax: number
  readonly #recent = new Map<number, Content>()
  #bytes = 0
  readonly #insert
  readonly #update
  readonly #select
  readonly #delete
  readonly #keepOriginal
  readonly #selectOriginal
  readonly #deleteOriginal

  constructor(database: DatabaseSync, bytesMax: number) {
    this.#bytesMax = bytesMax
    this.#insert = database.prepare('insert into content values (?, ?, ?, ?)')
    this.#update = database.prepare('update content set headers = ?, body = ? where seq = ?')
    this.#select = database.prepare(`
      select headers, attributes, body, bytes, type, sha256
      from content join delivery on delivery.seq = content.seq where content.seq = ?`)
    this.#delete = database.prepare('delete from content where seq = ?')
    this.#keepOriginal = database.prepare(`
      insert into original select content.seq, headers, bytes, type, sha256, body
      from content join delivery on delivery.seq = content.seq where content.seq = ? on conflict do nothing`)
    this.#selectOriginal = database.prepare('select * from original where seq = ?')
    this.#deleteOriginal = database.prepare('delete from original where seq = ?')
  }

  insert(seq: number, { headers, attributes, body }: Content): void {
    this.#insert.run(seq, JSON.stringify(headers), JSON.stringify(attributes), body.inline ?? null)
  }

  /** Keeps a new delivery's content at hand; called after the commit. */
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

  read(seq: number): Content | undefined {
    return this.#recent.get(seq) ?? this.#stored(seq)
  }

  original(seq: number): Omit<Content, 'attributes'> | undefined {
    const row = this.#selectOriginal.get(seq)
    return row && { headers: headersOf(row['headers']), body: bodyOf(row, row['body']) }
  }

  /** Replaces headers and body of a repaired delivery; what was accepted is kept once. */
  replace(seq: number, headers: Readonly<Record<string, string>>, body: StoredBody): void {
    this.#keepOriginal.run(seq)
    this.#update.run(JSON.stringify(headers), body.inline ?? null, seq)
  }

  purge(seq: number): void {
    this.#delete.run(seq)
    this.#deleteOriginal.run(seq)
  }

  #stored(seq: number): Content | undefined {
    const row = this.#select.get(seq)
    if (!row) return undefined
    return {
      headers: headersOf(row['headers']),
      attributes: objectOf(row['attributes']),
      body: bodyOf(row, row['body']),
    }
  }
}

function bodyOf(row: Row, bytes: Row[string] | undefined): StoredBody {
  return {
    bytes: numberOf(row['bytes']),
    type: textOf(row['type']),
    sha256: optionalTextOf(row['sha256']),
    inline: optionalBytesOf(bytes),
  }
}

// Headers and attributes are not measured letter by letter: a kilobyte stands for them.
const headerBytesGuess = 1024

function costOf(content: Content): number {
  // A body may be a small view on a large buffer, which it keeps alive as a whole.
  return headerBytesGuess + (content.body.inline?.buffer.byteLength ?? 0)
}
