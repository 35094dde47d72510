import { createReadStream, existsSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { MiB } from '../../kernel/size.ts'
import { systemClock } from '../../kernel/time.ts'
import { numberOf, optionalBytesOf, type Row, rowReceiptsOf, textOf, wordsOf } from '../columns.ts'
import { storeErrors } from '../errors.ts'
import { receiptOf } from '../receipt-row.ts'
import { pieceOf } from '../sqlite/contents.ts'
import { lockFolder } from '../sqlite/lock.ts'
import { migrate as migrateSqlite } from '../sqlite/migrations.ts'
import { readPieces } from '../sqlite/segment-file.ts'
import { ChunkWriter } from './bodies.ts'
import { connectOwner, type PostgresAddress, type Sql, storableKey, type Value } from './connection.ts'
import { asStoreError } from './failure.ts'
import { postgresLimits } from './limits.ts'
import { migrate } from './migrations.ts'
import { takeOwnership } from './ownership.ts'
import { putReceipt } from './receipts.ts'

export interface CopyRequest {
  /** The data folder of the embedded store; no hub may run with it. */
  readonly folder: string
  readonly address: PostgresAddress
  readonly owner: string
  /** Ends the copy; nothing of it stays. */
  readonly signal: AbortSignal
  /** Told now and then, and at the end of each table. */
  readonly onProgress: (table: string, rows: number) => void
}

export interface CopyResult {
  /** Rows by table, bodies beside them. */
  readonly rows: Readonly<Record<string, number>>
  /** Bodies whose bytes were missing or damaged in the folder already; all else of their deliveries came along. */
  readonly damaged: number
}

/** Rows, and bytes of bodies, that are on their way to the server without an answer. */
const rowsUnderWay = 500
const bytesUnderWay = 8 * MiB
const progressRows = 10_000

/**
 * Copies all that an embedded store holds into a schema that is still empty, in one transaction: it is there whole, or not
 * at all. The data folder is left as it is. Throws STORE_LOCKED while a hub has the folder, STORE_OWNED, STORE_UNREACHABLE,
 * STORE_NOT_EMPTY, STORE_NOT_EMBEDDED.
 */
export async function copyFromSqlite(request: CopyRequest): Promise<CopyResult> {
  const { folder, address, owner, signal } = request
  if (!existsSync(join(folder, 'isthmus.db'))) throw storeErrors.NOT_EMBEDDED({ folder })
  const unlock = lockFolder(folder)
  const source = new DatabaseSync(join(folder, 'isthmus.db'))
  try {
    migrateSqlite(source)
    const connection = await connectOwner(address, `isthmus ${owner}`, postgresLimits)
    try {
      const { answerMs } = postgresLimits
      await takeOwnership(connection, { ...address, clock: systemClock, answerMs, standby: undefined })
      await migrate(connection, address.schema)
      await connection.command('begin')
      await refuseUnlessEmpty(connection, address)
      const result = await new Copy(source, connection, request).run()
      await connection.command('commit')
      return result
    } finally {
      // Without a commit nothing of the transaction stays.
      await connection.close()
    }
  } catch (thrown) {
    throw signal.aborted ? signal.reason : asStoreError(thrown)
  } finally {
    source.close()
    unlock()
  }
}

const anything = {
  name: 'anything',
  text: `
    select exists (select from delivery) or exists (select from record) or exists (select from audit)
      or exists (select from key_map) as found`,
}

async function refuseUnlessEmpty(sql: Sql, { database, schema }: PostgresAddress): Promise<void> {
  const [row] = await sql.query(anything)
  if (String(row?.['found']) === 'true') throw storeErrors.NOT_EMPTY({ database, schema })
}

/** Tables whose rows are the same on both sides. */
const alike: Readonly<Record<string, readonly string[]>> = {
  flow: ['number', 'name', 'queued', 'delivered', 'dropped', 'rejected', 'set_aside', 'skipped', 'last_accepted_at'],
  attempt: ['seq', 'attempt', 'at', 'error'],
  body_use: ['seq', 'sha256'],
  record: ['area', 'id', 'value', 'revision'],
  audit: ['number', 'at', 'who', 'action', 'detail', 'hash'],
  fact: ['name', 'value'],
  key_map: ['map', 'key', 'value', 'revision', 'at'],
}
const deliveryColumns = [
  'seq',
  'flow',
  'state',
  'at',
  'order_key',
  'flags',
  'attempts',
  'since',
  'accepted_at',
  'bytes',
  'type',
  'sha256',
  'replay_of',
  'summary',
  'error',
]

class Copy {
  readonly #source: DatabaseSync
  readonly #target: Sql
  readonly #bodies: string
  readonly #signal: AbortSignal
  readonly #onProgress: CopyRequest['onProgress']
  readonly #rows: Record<string, number> = {}
  #underWay: Promise<unknown>[] = []
  #bytesUnderWay = 0
  #damaged = 0

  constructor(source: DatabaseSync, target: Sql, { folder, signal, onProgress }: CopyRequest) {
    this.#source = source
    this.#target = target
    this.#bodies = join(folder, 'bodies')
    this.#signal = signal
    this.#onProgress = onProgress
  }

  async run(): Promise<CopyResult> {
    for (const [table, columns] of Object.entries(alike)) {
      await this.#table(table, row => [
        this.#put(
          table,
          columns,
          columns.map(column => storedValue(row[column])),
        ),
      ])
    }
    // The next new flow gets the number behind these.
    await this.#target.query({
      name: 'copy-numbers',
      text: `select setval(pg_get_serial_sequence('flow', 'number'), (select max(number) from flow))`,
    })
    await this.#table('once', row => [
      this.#put(
        'once',
        ['flow', 'key', 'seq'],
        [numberOf(row['flow']), storableKey(textOf(row['key'])), numberOf(row['seq'])],
      ),
    ])
    await this.#table('receipt', row => [putReceipt(this.#target, numberOf(row['seq']), receiptOf(row))])
    await this.#table('delivery', row => this.#delivery(row))
    for (const table of ['content', 'original']) await this.#table(table, row => this.#content(table, row))
    await this.#largeBodies()
    return { rows: this.#rows, damaged: this.#damaged }
  }

  #delivery(row: Row): readonly Promise<unknown>[] {
    const columns = [...deliveryColumns, 'once_keys', 'terms']
    const words = wordsOf(row['terms'] ?? null)
    const lists = [wordsOf(row['once_keys'] ?? null).map(storableKey), words]
    const values = [...deliveryColumns.map(column => storedValue(row[column])), ...lists]
    const seq = numberOf(row['seq'])
    return [
      this.#put('delivery', columns, values),
      // The index of the embedded store lacks the newest.
      ...words.map(word => this.#put('term', ['word', 'seq'], [word, seq])),
      // Those of the row are the newer ones.
      ...rowReceiptsOf(row['receipts']).map(receipt => putReceipt(this.#target, seq, receipt)),
    ]
  }

  async #content(table: string, row: Row): Promise<readonly Promise<unknown>[]> {
    const piece = pieceOf(row)
    const [placed] = piece ? await readPieces(join(this.#bodies, 'segments'), [piece]) : []
    if (piece && !placed) this.#damaged += 1
    const bytes = placed ?? optionalBytesOf(row['body'])
    this.#bytesUnderWay += bytes?.length ?? 0
    const columns = table === 'content' ? ['attributes'] : ['bytes', 'type', 'sha256']
    return [
      this.#put(
        table,
        ['seq', 'headers', ...columns, 'body'],
        [
          numberOf(row['seq']),
          textOf(row['headers']),
          ...columns.map(column => storedValue(row[column])),
          bytes ?? null,
        ],
      ),
    ]
  }

  async #largeBodies(): Promise<void> {
    let count = 0
    for (const row of this.#source.prepare('select distinct sha256 from body_use').iterate()) {
      await this.#largeBody(textOf(row['sha256']))
      count += 1
      this.#onProgress('body', count)
    }
    this.#rows['body'] = count
  }

  async #largeBody(sha256: string): Promise<void> {
    const file = join(this.#bodies, sha256.slice(0, 2), sha256)
    if (!existsSync(file)) {
      this.#damaged += 1
      return
    }
    const insert = { name: 'copy-body', text: 'insert into body (sha256) values ($1) returning number' }
    const [row] = await this.#target.query(insert, [sha256])
    const number = numberOf(row?.['number'])
    const chunks = new ChunkWriter(postgresLimits.bodyChunkBytes, (index, bytes) =>
      this.#put('body_chunk', ['body', 'number', 'bytes'], [number, index, bytes]),
    )
    for await (const chunk of createReadStream(file)) await chunks.add(chunk as Uint8Array)
    await chunks.end()
    this.#signal.throwIfAborted()
  }

  async #table(
    table: string,
    write: (row: Row) => readonly Promise<unknown>[] | Promise<readonly Promise<unknown>[]>,
  ): Promise<void> {
    let count = 0
    for (const row of this.#source.prepare(`select * from ${table}`).iterate()) {
      this.#underWay.push(...(await write(row)))
      count += 1
      if (this.#underWay.length >= rowsUnderWay || this.#bytesUnderWay >= bytesUnderWay) await this.#settle()
      if (count % progressRows === 0) this.#onProgress(table, count)
    }
    await this.#settle()
    this.#rows[table] = count
    this.#onProgress(table, count)
  }

  #put(table: string, columns: readonly string[], values: readonly Value[]): Promise<unknown> {
    const places = columns.map((_, index) => `$${index + 1}`)
    const text = `insert into ${table} (${columns.join(', ')}) overriding system value values (${places.join(', ')})`
    return this.#target.query({ name: `copy-${table}`, text }, values)
  }

  async #settle(): Promise<void> {
    this.#bytesUnderWay = 0
    await Promise.all(this.#underWay.splice(0))
    this.#signal.throwIfAborted()
  }
}

function storedValue(column: Row[string] | undefined): Value {
  return typeof column === 'bigint' ? Number(column) : (column ?? null)
}
