import { formatId } from '../../kernel/id.ts'
import { systemClock } from '../../kernel/time.ts'
import { errorColumn, flagNumbers, numberOf, optionalNumberOf, stateNumbers, textOf } from '../columns.ts'
import { storeErrors } from '../errors.ts'
import { lifeRecord } from '../life-record.ts'
import { writeAudit } from './audit.ts'
import { connectOwner, type OwnerConnection, type PostgresAddress } from './connection.ts'
import { asStoreError } from './failure.ts'
import { postgresLimits } from './limits.ts'
import { migrate } from './migrations.ts'
import { takeOwnership } from './ownership.ts'

export interface AsideRequest {
  readonly address: PostgresAddress
  /** Whoever says that the database was put back, for the audit log and for hubs that ask who has the store. */
  readonly who: string
  readonly now: number
  /** What rests until a person lets it go on: a yes or no in each record of an area. */
  readonly switches: readonly { readonly area: string; readonly field: string }[]
  /** Ends it; nothing of it stays. */
  readonly signal: AbortSignal
  /** Told now and then: so many messages are set aside. */
  readonly onProgress: (count: number) => void
}

export interface Aside {
  readonly setAside: number
  /** Ids of the records whose switch was set. */
  readonly paused: readonly string[]
  /** When the last happened that the database knows of; undefined for an empty one. */
  readonly knownTo: number | undefined
}

const selectKnownTo = {
  name: 'aside-known-to',
  text: 'select greatest((select max(accepted_at) from delivery), (select max(at) from audit)) as at',
}
const selectFlows = { name: 'aside-flows', text: 'select number from flow order by number' }
// Compared as rows, as in `find`.
const selectWaiting = {
  name: 'aside-waiting',
  text: `
    select seq, flags from delivery
    where (flow, state, seq) > ($1, ${stateNumbers.queued}, $2) and (flow, state) <= ($1, ${stateNumbers.queued})
    order by flow, state, seq limit $3`,
}
const setAside = {
  name: 'aside-set',
  text: `
    update delivery set state = ${stateNumbers['set-aside']}, at = $1, flags = flags & ~${flagNumbers.awaitsChange},
      summary = $2, error = one.error
    from unnest($3::bigint[], $4::text[]) as one (seq, error) where delivery.seq = one.seq`,
}
const count = {
  name: 'aside-count',
  text: 'update flow set queued = queued - $1, set_aside = set_aside + $1 where number = $2',
}
const pause = {
  name: 'aside-pause',
  text: `
    update record set value = jsonb_set(value::jsonb, array[$2::text], 'true')::text, revision = revision + 1
    where area = $1 and value::jsonb -> $2 = 'false' returning id`,
}
const removeLife = { name: 'aside-life', text: 'delete from record where area = $1 and id = $2' }

/**
 * For a database that was put back to an earlier state, before a hub works with it: what waited then may have arrived
 * since, so it is set aside, where it goes on holding its order key. Probes go on: they carry nothing. What has a switch
 * rests. One transaction; noted in the audit log. Throws STORE_OWNED while a hub has the store, STORE_UNREACHABLE, STORE_NEWER.
 */
export async function setWaitingAside(request: AsideRequest): Promise<Aside> {
  const { address, who, signal } = request
  const connection = await connectOwner(address, `isthmus ${who} setting aside`, postgresLimits)
  try {
    const { answerMs } = postgresLimits
    await takeOwnership(connection, { ...address, clock: systemClock, answerMs, standby: undefined })
    await migrate(connection, address.schema)
    await connection.command('begin')
    const [row] = await connection.query(selectKnownTo)
    const knownTo = optionalNumberOf(row?.['at'])
    const held = knownTo === undefined ? { setAside: 0, paused: [] } : await holdAll(connection, request, knownTo)
    await connection.command('commit')
    return { ...held, knownTo }
  } catch (thrown) {
    throw signal.aborted ? signal.reason : asStoreError(thrown)
  } finally {
    // Without a commit nothing of the transaction stays.
    await connection.close()
  }
}

async function holdAll(
  connection: OwnerConnection,
  { who, now, switches, signal, onProgress }: AsideRequest,
  knownTo: number,
): Promise<Omit<Aside, 'knownTo'>> {
  const at = new Date(knownTo).toISOString()
  let total = 0
  for (const { number } of await connection.query(selectFlows)) {
    const flow = numberOf(number)
    for (let last = 0; ; ) {
      const page = await connection.query(selectWaiting, [flow, last, postgresLimits.asideBatch])
      signal.throwIfAborted()
      const seqs = page
        .filter(row => (numberOf(row['flags']) & flagNumbers.probe) === 0)
        .map(row => numberOf(row['seq']))
      const errors = seqs.map(seq => storeErrors.RESTORED({ at, id: formatId(seq) }))
      const columns = errors.map(({ code, side, message, next }) => errorColumn({ code, side, message, next }) ?? '')
      await connection.query(setAside, [now, errors[0]?.message ?? null, seqs, columns])
      await connection.query(count, [seqs.length, flow])
      total += seqs.length
      onProgress(total)
      if (page.length < postgresLimits.asideBatch) break
      last = numberOf(page.at(-1)?.['seq'])
    }
  }
  // The hub that worked when the database was backed up has not died.
  await connection.query(removeLife, [lifeRecord.area, lifeRecord.id])
  const paused: string[] = []
  for (const { area, field } of switches) {
    for (const { id } of await connection.query(pause, [area, field])) paused.push(textOf(id))
  }
  const detail = { takenAt: at, setAside: total, ...(paused.length > 0 && { paused }) }
  await writeAudit(connection, [{ at: now, who, action: 'store.restore', detail }])
  return { setAside: total, paused: paused.toSorted() }
}
