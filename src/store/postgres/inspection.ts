import { parseId } from '../../kernel/id.ts'
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
import { findDeliveries, findOldestSetAside } from './find.ts'
import type { StoreParts } from './parts.ts'
import { openPurge } from './purge.ts'
import { forgetIntents, readReceipts } from './receipts.ts'

type Requeue = Parameters<Inspection['requeue']>[1]

const selectRow = {
  name: 'delivery',
  text: 'select *, array_to_json(terms)::text as words from delivery where seq = $1',
}
const selectContent = {
  name: 'content',
  text: `
    select headers, attributes, body, bytes, type, sha256
    from content join delivery on delivery.seq = content.seq where content.seq = $1`,
}
const selectOriginal = { name: 'original', text: 'select * from original where seq = $1' }
// Compared as rows, as in `find`.
const selectOldest = {
  name: 'oldest-queued',
  text: `
    select accepted_at from delivery
    where (flow, state) >= ($1, ${stateNumbers.queued}) and (flow, state) <= ($1, ${stateNumbers.queued})
      and flags & ${flagNumbers.probe} = 0
    order by flow, state, seq limit 1`,
}
const queueAgain = {
  name: 'requeue',
  text: `
    update delivery set state = ${stateNumbers.queued}, at = $2, since = $2, attempts = 0, summary = null, error = null,
      flags = (flags & ~${flagNumbers.awaitsChange}) + ${flagNumbers.requeued} where seq = $1 returning *`,
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
const skipRow = {
  name: 'skip',
  text: `
    update delivery set state = ${stateNumbers.skipped}, at = $2, summary = $3,
      flags = flags & ~${flagNumbers.awaitsChange} where seq = $1`,
}

/** What people see of deliveries and do with them. */
export function openInspection(parts: StoreParts): Inspection {
  const { reads, committer, flows, queue, recent, bodies } = parts

  async function get(id: string): Promise<DeliveryDetail | undefined> {
    const seq = parseId(id)
    return seq === undefined ? undefined : reads.snapshot(sql => readDetail(sql, seq))
  }

  async function readDetail(sql: Sql, seq: number): Promise<DeliveryDetail | undefined> {
    const [row] = await sql.query(selectRow, [seq])
    if (!row) return undefined
    const seen = rowOf(parts, row)
    const [content] = await sql.query(selectContent, [seq])
    if (!content) throw storeErrors.DAMAGED({ text: `delivery ${seen.id} has no content` })
    const [original] = await sql.query(selectOriginal, [seq])
    const receipts = await readReceipts(sql, [seq])
    return {
      ...seen,
      headers: headersOf(content['headers']),
      attributes: objectOf(content['attributes']),
      body: bodyOf(content),
      original: original && { headers: headersOf(original['headers']), body: bodyOf(original) },
      receipts: receipts.get(seq) ?? [],
      attempts: await readAttempts(sql, seq),
    }
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
        if (change.forgetIntents) await forgetIntents(sql, seq)
        if (change.headers || change.body) await repair(sql, seq, change)
        const [queued] = await sql.query(queueAgain, [seq, Math.round(change.now)])
        count(row, 'queued')
        return { seq, queued: queued ?? row }
      },
      {
        isAlone: true,
        committed({ seq, queued }) {
          if (change.body) bodies.settle(change.body)
          recent.forget(seq)
          const held = queue.get(seq)
          if (held) queue.remove(held)
          queue.add(entryOfRow(queued, flowOf(queued)))
          parts.announceWork()
        },
      },
    )
  }

  async function repair(sql: Sql, seq: number, { headers, body }: Requeue): Promise<void> {
    await sql.query(keepOriginal, [seq])
    if (headers) await sql.query(replaceHeaders, [seq, JSON.stringify(headers)])
    if (!body) return
    await sql.query(replaceBody, [seq, body.inline ?? null])
    await sql.query(describeBody, [seq, body.bytes, body.type, body.sha256 ?? null])
    if (!body.inline && body.sha256) await sql.query(useBody, [seq, body.sha256])
  }

  async function skip(id: string, now: number, reason: string, only?: 'set-aside'): Promise<void> {
    const waiting = queue.get(parseId(id) ?? -1)
    if (waiting?.place === 'running') throw storeErrors.RUNNING({ id })
    const wasHeld = waiting?.place === 'held'
    // Out of reach at once: until the skip is durable nobody may begin to deliver it.
    if (waiting) queue.reserve(waiting)
    await committer.commit(
      async sql => {
        const { seq, row, state } = await existing(sql, id)
        if (only && state !== only) throw storeErrors.NOT_SET_ASIDE({ id, state })
        if (state !== 'queued' && state !== 'set-aside') throw storeErrors.FINISHED({ id, state })
        await sql.query(skipRow, [seq, Math.round(now), reason])
        count(row, 'skipped')
        return seq
      },
      {
        isAlone: true,
        committed(seq) {
          recent.forget(seq)
          const entry = queue.get(seq)
          if (entry) queue.remove(entry)
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

  function count(row: Row, to: DeliveryState): void {
    const isProbe = (numberOf(row['flags']) & flagNumbers.probe) !== 0
    if (!isProbe) flows.move(flows.known(flowOf(row)), stateOf(row['state']), to)
  }

  function flowOf(row: Row): string {
    return flows.nameOf(numberOf(row['flow']))
  }

  return {
    find: query => findDeliveries(parts, query),
    oldestSetAside: (flow, after, limit) => findOldestSetAside(parts, flow, after, limit),
    get,
    async flowNames() {
      return [...flows.all()].map(({ name }) => name)
    },
    counts,
    requeue,
    skip,
    purge: openPurge(parts),
  }
}
