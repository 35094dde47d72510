import type { Clock } from '../../kernel/time.ts'
import { type Arrival, takeBody } from '../body-intake.ts'
import { numberOf, optionalBytesOf, optionalTextOf } from '../columns.ts'
import { storeErrors } from '../errors.ts'
import type { BodyStore, StoredBody } from '../port.ts'
import { UnclaimedBodies } from '../unclaimed-bodies.ts'
import type { Committer } from './committer.ts'
import type { Sql } from './connection.ts'
import type { PostgresLimits } from './limits.ts'

const begin = { name: 'body-begin', text: 'insert into body default values returning number' }
const addChunk = { name: 'body-chunk', text: 'insert into body_chunk values ($1, $2, $3)' }
const find = { name: 'body-find', text: 'select number from body where sha256 = $1' }
const nameIt = { name: 'body-name', text: 'update body set sha256 = $2 where number = $1' }
const readChunk = { name: 'body-read', text: 'select bytes from body_chunk where body = $1 and number = $2' }
const isUnused = 'sha256 is not null and not exists (select from body_use where body_use.sha256 = body.sha256)'
const unused = { name: 'body-unused', text: `select number from body where ${isUnused} order by number` }
const stillUnused = {
  name: 'body-still-unused',
  text: `select number, sha256 from body where number = any ($1::bigint[]) and ${isUnused}`,
}
// From then on it counts as unfinished.
const unname = { name: 'body-unname', text: 'update body set sha256 = null where number = any ($1::bigint[])' }
const remove = {
  name: 'body-remove',
  text: `
    with chunks as (delete from body_chunk where body = any ($1::bigint[]))
    delete from body where number = any ($1::bigint[])`,
}

/** Bodies that an earlier owner of the store did not bring to their end. */
export const removeUnfinished = {
  name: 'body-unfinished',
  text: `
    with unfinished as (delete from body where sha256 is null returning number)
    delete from body_chunk where body in (select number from unfinished)`,
}

export interface BodyTable extends BodyStore {
  /** The delivery of a written body is accepted or refused: from now on references alone keep it. After the commit. */
  settle(body: StoredBody): void
}

/**
 * Bodies: small ones pass through, larger ones become rows of `body_chunk`, durable under their hash before `write`
 * resolves. Equal bodies share one.
 */
export function openBodies(
  reads: Sql,
  committer: Committer,
  limits: PostgresLimits & { readonly inlineBytes: number },
  clock: Clock,
): BodyTable {
  const unclaimed = new UnclaimedBodies(limits, clock)

  async function open(): Promise<Arrival> {
    const [row] = await reads.query(begin)
    const number = numberOf(row?.['number'])
    const chunks = new ChunkWriter(limits.bodyChunkBytes, (index, bytes) =>
      reads.query(addChunk, [number, index, bytes]),
    )
    return {
      add: chunk => chunks.add(chunk),
      async finish(sha256) {
        await chunks.end()
        unclaimed.add(sha256)
        // By the connection that waits for the disk: what other connections wrote before is there, too, then.
        const isKnown = await committer.commit(
          async sql => {
            const known = await sql.query(find, [sha256])
            if (known.length === 0) await sql.query(nameIt, [number, sha256])
            return known.length > 0
          },
          { isAlone: true },
        )
        if (isKnown) await reads.query(remove, [[number]])
      },
      async discard() {
        // The first failure is the one that is told; this one can only be its consequence.
        await reads.query(remove, [[number]]).catch(() => {})
      },
    }
  }

  async function* read(body: StoredBody, into?: Uint8Array): AsyncGenerator<Uint8Array> {
    if (body.inline) {
      yield body.inline
      return
    }
    const sha256 = body.sha256 ?? ''
    const [row] = await reads.query(find, [sha256])
    if (!row) throw storeErrors.BODY_MISSING({ sha256 })
    let left = body.bytes
    for (let index = 0; left > 0; index++) {
      const [chunk] = await reads.query(readChunk, [numberOf(row['number']), index])
      const bytes = optionalBytesOf(chunk?.['bytes'])
      if (!bytes) throw storeErrors.BODY_MISSING({ sha256 })
      left -= bytes.length
      if (into) yield* windowsOf(bytes, into)
      else yield bytes
    }
  }

  /**
   * Searched and removed by connections that read: a large body is many rows, and every write would wait for them. The
   * owner only takes the names away, a few at a time; what a crash leaves of such a body goes at the next start.
   */
  async function collect(): Promise<number> {
    const numbers = (await reads.query(unused)).map(row => numberOf(row['number']))
    let removed = 0
    for (let start = 0; start < numbers.length; start += limits.collectBatch) {
      const gone = await committer.commit(
        async sql => {
          const rows = await sql.query(stillUnused, [numbers.slice(start, start + limits.collectBatch)])
          const free = rows.filter(row => !unclaimed.has(optionalTextOf(row['sha256']) ?? ''))
          const freed = free.map(row => numberOf(row['number']))
          if (freed.length > 0) await sql.query(unname, [freed])
          return freed
        },
        { isAlone: true },
      )
      for (const number of gone) await reads.query(remove, [[number]])
      removed += gone.length
    }
    return removed
  }

  return {
    write: (source, options) => takeBody(source, { ...options, inlineBytes: limits.inlineBytes, open }),
    read,
    collect,
    settle: body => unclaimed.settle(body),
  }
}

/** Gathers what comes into chunks of one size. */
export class ChunkWriter {
  readonly #chunkBytes: number
  readonly #write: (index: number, bytes: Uint8Array) => Promise<unknown>
  #gathered: Uint8Array[] = []
  #bytes = 0
  #index = 0

  constructor(chunkBytes: number, write: (index: number, bytes: Uint8Array) => Promise<unknown>) {
    this.#chunkBytes = chunkBytes
    this.#write = write
  }

  async add(chunk: Uint8Array): Promise<void> {
    for (let offset = 0; offset < chunk.length; ) {
      const part = chunk.subarray(offset, offset + this.#chunkBytes - this.#bytes)
      offset += part.length
      this.#bytes += part.length
      const isFull = this.#bytes === this.#chunkBytes
      // What waits for the next call is copied: the memory of the chunk may be used again then.
      this.#gathered.push(isFull ? part : Uint8Array.from(part))
      if (isFull) await this.end()
    }
  }

  async end(): Promise<void> {
    if (this.#bytes === 0) return
    const bytes = Buffer.concat(this.#gathered)
    this.#gathered = []
    this.#bytes = 0
    await this.#write(this.#index++, bytes)
  }
}

function* windowsOf(bytes: Uint8Array, into: Uint8Array): Generator<Uint8Array> {
  for (let offset = 0; offset < bytes.length; offset += into.length) {
    const part = bytes.subarray(offset, offset + into.length)
    into.set(part)
    yield into.subarray(0, part.length)
  }
}
