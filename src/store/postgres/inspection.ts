import { formatId, parseId } from '../../kernel/id.ts'
import {
  flagNumbers,
  headersOf,
  numberOf,
  objectOf,
  optionalNumberOf,
  type Row,
  stateNumbers,
  stateOf,
} from '../columns.ts'
import { rowOf } from '../delivery-row.ts'
import { storeErrors } from '../errors.ts'
import { shownCounts } from '../flow-counts.ts'
import type { DeliveryDetail, DeliveryState, FlowCounts, Inspection } from '../port.ts'
import { entryOfRow } from '../queue/entry-of-row.ts'
import { bodyOf } from '../recent-contents.ts'
import { readAttempts } from './attempts.ts'
import type { Sql } from './connection.ts'
import { selectContents } from './deliveries.ts'
import { findDeliveries, findOldestSetAside } from './find.ts'
import type { StoreParts } from './parts.ts'
import { openPurge } from './purge.ts'
import { forgetIntents, readReceipts } from './receipts.ts'

type Requeue = Parameters<Inspection['requeue']>[1]

const selectRow = { name: 'delivery', text: 'select * from delivery where seq = $1' }
const selectRows = {
  name: 'deliveries',
  text: 'select *, array_to_json(terms)::text as words from delivery where seq = any ($1::bigint[])',
}
const selectOriginals = { name: 'originals', text: 'select * from original where seq = any ($1::bigint[])' }
// Compared as rows, as in `find`.
const selectOldest = {
  name: 'oldest-queued',
  text: `
    select accepted_at from delivery
    where (flow, state) >= ($1, ${stateNumbers.queued}) and (flow, state) <= ($1, ${stateNumbers.queued})
      and flags & ${flagNumbers.probe} = 0
    order by flow, state, seq limit 1`,
}
const toQueued = `
  state = ${stateNumbers.queued}, at = $2, since = $2, attempts = 0, summary = null, error = null,
  flags = (flags & ~${flagNumbers.awaitsChange}) + ${flagNumbers.requeued}`
const queueAgain = { name: 'requeue', text: `update delivery set ${toQueued} where seq = $1 returning *` }
// By the number of each; by the state the planner may walk through all that is set aside.
const areSetAside = `seq = any ($1::bigint[]) and state + 0 = ${stateNumbers['set-aside']}`
const queueAllAgain = {
  name: 'requeue-all',
  text: `
    update delivery set ${toQueued} where ${areSetAside}
    returning seq, flow, state, at, order_key, flags, attempts, since, accepted_at`,
}
const keepOriginal = {
  name: 'keep-original',
  text: `
    insert into original
      select content.seq, headers, bytes, type, sha256, body
      from content join delivery on delivery.seq = content.seq where content.seq = $1
    on conflict do nothing`,
}
const replaceHeaders = { name: 'replace-headers', text: 'update content set headers = $2 where seq = $1' }
const replaceBody = { name: 'replace-body', text: 'update content set body = $2 where seq = $1' }
const describeBody = {
  name: 'describe-body',
  text: 'update delivery set bytes = $2, type = $3, sha256 = $4 where seq = $1',
}
const useBody = { name: 'use-body', text: 'insert into body_use values ($1, $2) on conflict do nothing' }
const toSkipped = `
  state = ${stateNumbers.skipped}, at = $2, summary = $3, flags = flags & ~${flagNumbers.awaitsChange}`
const skipRow = { name: 'skip', text: `update delivery set ${toSkipped} where seq = $1` }
const skipRows = {
  name: 'skip-all',
  text: `
    update delivery set ${toSkipped} where ${areSetAside} returning seq, flow, flags`,
}

/** What people see of deliveries and do with them. */
export function openInspection(parts: StoreParts): Inspection {
  const { reads, committer, flows, queue, recent, bodies } = parts

  async function get(id: string): Promise<DeliveryDetail | undefined> {
    const { details, damaged } = await readDetails([id])
    if (damaged.length > 0) throw storeErrors.DAMAGED({ text: `delivery ${damaged.join()} has no content` })
    return details[0]
  }

  async function getAll(ids: readonly string[]): Promise<readonly DeliveryDetail[]> {
    return (await readDetails(ids)).details
  }

  /** A statement for each table, however many they are. */
  async function readDetails(
    ids: readonly string[],
  ): Promise<{ readonly details: readonly DeliveryDetail[]; readonly damaged: readonly string[] }> {
    const seqs = seqsOf(ids)
    const details: DeliveryDetail[] = []
    const damaged: string[] = []
    if (seqs.length === 0) return { details, damaged }
    const found = await reads.snapshot(async sql => ({
      rows: bySeq(await sql.query(selectRows, [seqs])),
      contents: bySeq(await sql.query(selectContents, [seqs])),
      originals: bySeq(await sql.query(selectOriginals, [seqs])),
      receipts: await readReceipts(sql, seqs),
      attempts: await readAttempts(sql, seqs),
    }))
    for (const seq of seqs) {
      const row = found.rows.get(seq)
      if (!row) continue
      const content = found.contents.get(seq)
      if (!content) {
        damaged.push(formatId(seq))
        continue
      }
      const original = found.originals.get(seq)
      details.push({
        ...rowOf(parts, row),
        headers: headersOf(content['headers']),
        attributes: objectOf(content['attributes']),
        body: bodyOf(content),
        original: original && { headers: headersOf(original['headers']), body: bodyOf(original) },
        receipts: found.receipts.get(seq) ?? [],
        attempts: found.attempts.get(seq) ?? [],
      })
    }
    return { details, damaged }
  }

  async function counts(flow: string): Promise<FlowCounts> {
    const booked = flows.find(flow)
    const rows = booked && booked.counts.queued > 0 ? await reads.query(selectOldest, [booked.number]) : []
    return shownCounts(booked, optionalNumberOf(rows[0]?.['accepted_at']))
  }

  async function requeue(id: string, change: Requeue): Promise<void> {
    await committer.commit(
      async sql => {
        const { seq, row, state } = await existing(sql, id)
        if (state !== 'set-aside') throw storeErrors.NOT_SET_ASIDE({ id, state })
        if (change.forgetIntents) await forgetIntents(sql, [seq])
        if (change.headers || change.body) await repair(sql, seq, change)
        const [queued] = await sql.query(queueAgain, [seq, Math.round(change.now)])
        count(row, state, 'queued')
        return { seq, queued: queued ?? row }
      },
      {
        isAlone: true,
        committed({ seq, queued }) {
          if (change.body) bodies.settle(change.body)
          takeOut(seq)
          queue.add(entryOfRow(queued, flowOf(queued)))
          parts.announceWork()
        },
      },
    )
  }

  async function requeueAll(ids: readonly string[], now: number): Promise<readonly string[]> {
    const rows = await committer.commit(
      async sql => {
        const queued = inOrder(await sql.query(queueAllAgain, [seqsOf(ids), Math.round(now)]))
        await forgetIntents(sql, queued.map(seqOf))
        for (const row of queued) count(row, 'set-aside', 'queued')
        return queued
      },
      {
        isAlone: true,
        committed(queued) {
          for (const row of queued) {
            takeOut(seqOf(row))
            queue.add(entryOfRow(row, flowOf(row)))
          }
          parts.announceWork()
        },
      },
    )
    return rows.map(row => formatId(seqOf(row)))
  }

  async function repair(sql: Sql, seq: number, { headers, body }: Requeue): Promise<void> {
    await sql.query(keepOriginal, [seq])
    if (headers) await sql.query(replaceHeaders, [seq, JSON.stringify(headers)])
    if (!body) return
    await sql.query(replaceBody, [seq, body.inline ?? null])
    await sql.query(describeBody, [seq, body.bytes, body.type, body.sha256 ?? null])
    if (!body.inline && body.sha256) await sql.query(useBody, [seq, body.sha256])
  }

  async function skip(id: string, now: number, reason: string): Promise<void> {
    const waiting = queue.get(parseId(id) ?? -1)
    if (waiting?.place === 'running') throw storeErrors.RUNNING({ id })
    const wasHeld = waiting?.place === 'held'
    // Out of reach at once: until the skip is durable nobody may begin to deliver it.
    if (waiting) queue.reserve(waiting)
    await committer.commit(
      async sql => {
        const { seq, row, state } = await existing(sql, id)
        if (state !== 'queued' && state !== 'set-aside') throw storeErrors.FINISHED({ id, state })
        await sql.query(skipRow, [seq, Math.round(now), reason])
        count(row, state, 'skipped')
        return seq
      },
      {
        isAlone: true,
        committed(seq) {
          takeOut(seq)
          parts.announceWork()
        },
        failed() {
          if (!waiting) return
          if (wasHeld) queue.hold(waiting)
          else queue.putBack(waiting)
          parts.announceWork()
        },
      },
    )
  }

  async function skipAll(ids: readonly string[], now: number, reason: string): Promise<readonly string[]> {
    const rows = await committer.commit(
      async sql => {
        const skipped = inOrder(await sql.query(skipRows, [seqsOf(ids), Math.round(now), reason]))
        for (const row of skipped) count(row, 'set-aside', 'skipped')
        return skipped
      },
      {
        isAlone: true,
        committed(skipped) {
          for (const row of skipped) takeOut(seqOf(row))
          parts.announceWork()
        },
      },
    )
    return rows.map(row => formatId(seqOf(row)))
  }

  function takeOut(seq: number): void {
    recent.forget(seq)
    const entry = queue.get(seq)
    if (entry) queue.remove(entry)
  }

  /** A delivery as the running transaction sees it. Throws STORE_NOT_FOUND. */
  async function existing(
    sql: Sql,
    id: string,
  ): Promise<{ readonly seq: number; readonly row: Row; readonly state: DeliveryState }> {
    const seq = parseId(id)
    const [row] = seq === undefined ? [] : await sql.query(selectRow, [seq])
    if (seq === undefined || !row) throw storeErrors.NOT_FOUND({ id })
    return { seq, row, state: stateOf(row['state']) }
  }

  function count(row: Row, from: DeliveryState, to: DeliveryState): void {
    const isProbe = (numberOf(row['flags']) & flagNumbers.probe) !== 0
    if (!isProbe) flows.move(flows.known(flowOf(row)), from, to)
  }

  function flowOf(row: Row): string {
    return flows.nameOf(numberOf(row['flow']))
  }

  return {
    find: query => findDeliveries(parts, query),
    oldestSetAside: (flow, after, limit) => findOldestSetAside(parts, flow, after, limit),
    get,
    getAll,
    async flowNames() {
      return [...flows.all()].map(({ name }) => name)
    },
    counts,
    requeue,
    requeueAll,
    skip,
    skipAll,
    purge: openPurge(parts),
  }
}

function seqOf(row: Row): number {
  return numberOf(row['seq'])
}

function seqsOf(ids: readonly string[]): readonly number[] {
  return ids.flatMap(id => parseId(id) ?? [])
}

function bySeq(rows: readonly Row[]): ReadonlyMap<number, Row> {
  return new Map(rows.map(row => [seqOf(row), row]))
}

/** The oldest first. */
function inOrder(rows: readonly Row[]): readonly Row[] {
  return rows.toSorted((one, other) => seqOf(one) - seqOf(other))
}
