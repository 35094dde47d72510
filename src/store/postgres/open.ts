import { defaultLimits } from '../../kernel/limit.ts'
import { type Clock, systemClock } from '../../kernel/time.ts'
import { flagNumbers, optionalNumberOf, stateNumbers } from '../columns.ts'
import type { Store } from '../port.ts'
import { entryOfRow } from '../queue/entry-of-row.ts'
import { makeFences } from '../queue/fences.ts'
import { DeliveryQueue } from '../queue/queue.ts'
import { RecentContents } from '../recent-contents.ts'
import { DeliverySequence } from '../sequence.ts'
import { WordLimits } from '../word-limits.ts'
import { openWorkBell } from '../work-bell.ts'
import { openAudit } from './audit.ts'
import { openBodies, removeUnfinished } from './bodies.ts'
import { Committer } from './committer.ts'
import {
  connectOwner,
  type OwnerConnection,
  openReads,
  type PostgresAddress,
  type ReadConnections,
  type Sql,
} from './connection.ts'
import { openDeliveries } from './deliveries.ts'
import { Facts } from './facts.ts'
import { asStoreError } from './failure.ts'
import { FlowBook } from './flow-book.ts'
import { openInspection } from './inspection.ts'
import { openKeyMaps } from './key-maps.ts'
import { endLeases, openLeases } from './leases.ts'
import { type PostgresLimits, postgresLimits } from './limits.ts'
import { migrate } from './migrations.ts'
import { type OwnershipOptions, takeOwnership } from './ownership.ts'
import type { StoreParts } from './parts.ts'
import { openRecords } from './records.ts'

export interface PostgresStoreOptions {
  readonly address: PostgresAddress
  /** How the hub calls itself in the database, for other hubs and for people. */
  readonly owner: string
  /** Waits until no other hub has the store; left out: STORE_OWNED at once when one has it. */
  readonly standby?: Omit<NonNullable<OwnershipOptions['standby']>, 'everyMs'> | undefined
  readonly limits?: { readonly inlineBytes?: number } & Partial<PostgresLimits>
  readonly clock?: Clock
}

const selectNewest = { name: 'newest', text: 'select max(seq) as seq from delivery' }
// Compared as rows, as in `find`.
const selectQueue = {
  name: 'queue',
  text: `
    select seq, flow, state, at, order_key, flags, attempts, since, accepted_at from delivery
    where (flow, state, seq) > ($1, $2, $3) and (flow, state) <= ($1, $2)
      and (state = ${stateNumbers.queued} or order_key is not null and flags & ${flagNumbers.holds} <> 0)
    order by flow, state, seq limit $4`,
}
// Those that hold their order key go in before the queued ones that wait for them.
const statesOfQueue = [stateNumbers['set-aside'], stateNumbers.queued]
const syncAtLeast = {
  name: 'durable',
  text: `
    select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') = 'off'`,
}
const queueRowsPerPage = 10_000

/**
 * Opens the store in a schema of a PostgreSQL database (14 or later). One hub at a time has it. Throws STORE_UNREACHABLE,
 * STORE_OWNED when another hub has it and this one does not stand by, and STORE_NEWER.
 */
export async function openPostgresStore(options: PostgresStoreOptions): Promise<Store> {
  const { address, owner, clock = systemClock } = options
  const limits = { ...postgresLimits, inlineBytes: defaultLimits.inlineBytes, ...options.limits }
  const name = `isthmus ${owner}`
  const connection = await connectOwner(address, name, limits)
  const reads = openReads(address, name, limits)
  const committer = new Committer(connection, limits)
  try {
    await takeOwnership(connection, {
      clock,
      schema: address.schema,
      database: address.database,
      answerMs: limits.answerMs,
      standby: options.standby && { ...options.standby, everyMs: limits.standbyEveryMs },
    })
    // Accepted means durable, whatever is the custom of this server.
    await connection.query(syncAtLeast)
    await migrate(connection, address.schema)
    const port = await assemble({ connection, reads, committer, limits, clock })
    return {
      ...port,
      async close() {
        await committer.close()
        await reads.close()
        await connection.close()
      },
    }
  } catch (thrown) {
    await reads.close()
    await connection.close()
    throw asStoreError(thrown)
  }
}

interface Assembly {
  readonly connection: OwnerConnection
  readonly reads: ReadConnections
  readonly committer: Committer
  readonly limits: PostgresLimits & { readonly inlineBytes: number }
  readonly clock: Clock
}

async function assemble({ connection, reads, committer, limits, clock }: Assembly): Promise<Omit<Store, 'close'>> {
  await connection.query(endLeases)
  await connection.query(removeUnfinished)
  const [facts, flows, [newest]] = await Promise.all([
    Facts.load(connection),
    FlowBook.load(connection),
    connection.query(selectNewest),
  ])
  committer.join(facts)
  committer.join(flows)
  const work = openWorkBell()
  const bodies = openBodies(reads, committer, limits, clock)
  const parts: StoreParts = {
    reads,
    committer,
    limits,
    facts,
    flows,
    sequence: new DeliverySequence(optionalNumberOf(newest?.['seq']) ?? 0, facts),
    queue: new DeliveryQueue(),
    recent: new RecentContents(limits.cacheBytes),
    words: new WordLimits(limits),
    bodies,
    nextFence: makeFences(facts),
    announceWork: work.ring,
  }
  await readQueue(connection, parts)
  // Makes the number of this start durable.
  await committer.flush()
  const { write, read, collect } = bodies
  return {
    onWork: work.listen,
    ...openDeliveries(parts),
    ...openInspection(parts),
    ...openRecords(reads, committer),
    ...openAudit(reads, committer),
    ...openLeases(committer),
    ...openKeyMaps(reads, committer),
    bodies: { write, read, collect },
  }
}

async function readQueue(sql: Sql, { flows, queue }: StoreParts): Promise<void> {
  for (const { name, number } of flows.all()) {
    for (const state of statesOfQueue) {
      for (let last = 0, isMore = true; isMore; ) {
        const rows = await sql.query(selectQueue, [number, state, last, queueRowsPerPage])
        for (const row of rows) queue.add(entryOfRow(row, name))
        last = optionalNumberOf(rows.at(-1)?.['seq']) ?? last
        isMore = rows.length === queueRowsPerPage
      }
    }
  }
}
