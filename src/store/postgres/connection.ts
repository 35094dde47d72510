import pg from 'pg'
import type { Row } from '../columns.ts'
import { storeErrors } from '../errors.ts'
import { hashedKey } from '../word-limits.ts'
import { asStoreError, textOf } from './failure.ts'
import type { PostgresLimits } from './limits.ts'

/** Where the database is, and who asks. */
export interface PostgresAddress {
  /** Name or address of the server, or the folder of its UNIX socket. */
  readonly host: string
  readonly port: number
  readonly database: string
  readonly user: string
  readonly password?: string | undefined
  /** Tables lie in this schema; hubs with different ones have nothing to do with each other. */
  readonly schema: string
  /** With a certificate that is checked; false for a connection in the clear. */
  readonly tls: boolean
}

/** A statement, which the server keeps prepared under its name. */
export interface Statement {
  readonly name: string
  readonly text: string
}

export type Value = string | number | null | Uint8Array | readonly (string | number)[]

/** Anything that statements can be run on. */
export interface Sql {
  query(statement: Statement, values?: readonly Value[]): Promise<readonly Row[]>
}

/** The connection that owns the store and writes. Statements are sent without waiting for those before them. */
export interface OwnerConnection extends Sql {
  /** begin, commit, rollback; the word that the server answers with. */
  command(text: string): Promise<string>
  /** Called once, when the connection has ended by itself. */
  onEnd(callback: (cause: unknown) => void): void
  /** Ends it at once, whatever is under way. */
  cut(): void
  close(): Promise<void>
}

export interface ReadConnections extends Sql {
  /** Statements that all see one moment. */
  snapshot<T>(read: (sql: Sql) => Promise<T>): Promise<T>
  close(): Promise<void>
}

// Each statement is written for an index. How the server goes about one is chosen by the rows that it last counted, and is
// kept: read as a whole while it has few rows, a table would be so for each message of a burst, until it is counted anew.
const planOptions = ['enable_seqscan=off', 'enable_hashjoin=off', 'enable_mergejoin=off', 'jit=off']
// What an administrator set for other programs must not end the connection that holds the lock, and a hub whose machine
// is gone must lose it soon.
const ownerOptions = [
  ...planOptions,
  'statement_timeout=0',
  'lock_timeout=0',
  'idle_in_transaction_session_timeout=0',
  'idle_session_timeout=0',
  'plan_cache_mode=force_generic_plan',
  'tcp_keepalives_idle=10',
  'tcp_keepalives_interval=5',
  'tcp_keepalives_count=3',
]
// Chunks of large bodies are made durable by the commit that names them.
const readOptions = [...planOptions, 'statement_timeout=0', 'idle_session_timeout=0', 'synchronous_commit=off']

export async function connectOwner(
  address: PostgresAddress,
  name: string,
  limits: PostgresLimits,
): Promise<OwnerConnection> {
  const client = new pg.Client({ ...configOf(address, name, limits, ownerOptions), pipeline: true })
  let isOver = false
  let cause: unknown = new Error('the connection ended')
  const listeners: ((cause: unknown) => void)[] = []
  client.on('error', error => {
    cause = error
  })
  client.on('end', () => {
    if (isOver) return
    isOver = true
    for (const listener of listeners) listener(cause)
  })
  await client.connect().catch((thrown: unknown) => unreachable(address, thrown))
  return {
    query: (statement, values) => run(client, statement, values),
    command: async text => (await client.query(text)).command,
    onEnd(callback) {
      if (isOver) callback(cause)
      else listeners.push(callback)
    },
    cut: () => client.connection.stream.destroy(),
    async close() {
      isOver = true
      await client.end().catch(() => {})
    },
  }
}

export function openReads(address: PostgresAddress, name: string, limits: PostgresLimits): ReadConnections {
  const pool = new pg.Pool({
    ...configOf(address, name, limits, readOptions),
    max: limits.readConnections,
    query_timeout: limits.answerMs,
  })
  // A connection that ends while nobody uses it is simply replaced; the owner's end is what counts.
  pool.on('error', () => {})
  // One in use for a snapshot has nobody else who hears of its end, and that would end the hub; its statements fail by it.
  pool.on('connect', client => client.on('error', () => {}))
  return {
    async query(statement, values) {
      if (pool.ending) throw storeErrors.CLOSED()
      return run(pool, statement, values).catch(refuse)
    },
    async snapshot(read) {
      if (pool.ending) throw storeErrors.CLOSED()
      const client = await pool.connect().catch(refuse)
      try {
        await client.query('begin isolation level repeatable read, read only')
        const result = await read({ query: (statement, values) => run(client, statement, values) })
        await client.query('commit')
        client.release()
        return result
      } catch (thrown) {
        client.release(true)
        throw asStoreError(thrown)
      }
    },
    close: () => pool.end(),
  }
}

async function run(
  on: pg.Client | pg.Pool | pg.PoolClient,
  { name, text }: Statement,
  values: readonly Value[] = [],
): Promise<readonly Row[]> {
  return (await on.query<Row>({ name, text, values: values.map(storable) })).rows
}

function configOf(
  { host, port, database, user, password, schema, tls }: PostgresAddress,
  name: string,
  { connectMs }: PostgresLimits,
  options: readonly string[],
): pg.ClientConfig {
  return {
    host,
    port,
    database,
    user,
    ...(password !== undefined && { password }),
    application_name: name,
    options: [`search_path=${schema}`, ...options].map(option => `-c ${option}`).join(' '),
    connectionTimeoutMillis: connectMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: connectMs,
    ssl: tls,
    types: { getTypeParser: parserOf },
  }
}

const int8 = 20

// Every number of ours is below 2^53.
const parserOf: typeof pg.types.getTypeParser = (oid: number, format?: 'text' | 'binary') =>
  oid === int8 && format !== 'binary' ? Number : pg.types.getTypeParser(oid, format)

function storable(value: Value): Value {
  if (typeof value === 'string') return storableText(value)
  return Array.isArray(value) ? value.map(each => storable(each) as string | number) : value
}

/** PostgreSQL has no place for U+0000 in a text: it lies there as the picture of it. */
export function storableText(text: string): string {
  return text.includes('\0') ? text.replaceAll('\0', '\u2400') : text
}

/** An idempotency key has to stay one of its own, so one with a U+0000 is kept as its hash. */
export function storableKey(key: string): string {
  return key.includes('\0') ? hashedKey(key) : key.toWellFormed()
}

function unreachable({ host, port, database }: PostgresAddress, cause: unknown): never {
  throw storeErrors.UNREACHABLE({ database, address: `${host}:${port}`, text: textOf(cause) }, { cause })
}

function refuse(thrown: unknown): never {
  throw asStoreError(thrown)
}
