import { formatId, parseId } from '../../kernel/id.ts'
import { flagNumbers, numberOf, optionalNumberOf, type Row, stateNumbers, stateOf } from '../columns.ts'
import { rowOf } from '../delivery-row.ts'
import { storeErrors } from '../errors.ts'
import { shownCounts } from '../flow-counts.ts'
import type { DeliveryDetail, DeliveryState, FlowCounts, Inspection } from '../port.ts'
import { entryOfRow } from '../queue/entry-of-row.ts'
import { isDamaged } from './contents.ts'
import { findDeliveries, findOldestSetAside } from './find.ts'
import type { StoreParts } from './parts.ts'
import { openPurge } from './purge.ts'
import type { Piece } from './segment-book.ts'

type Requeue = Parameters<Inspection['requeue']>[1]

/** What people see of deliveries and do with them. */
export function openInspection(parts: StoreParts): Inspection {
  const { database, committer, flows, queue, contents, receipts, attempts, bodies, placing } = parts
  const selectRow = database.prepare('select * from delivery where seq = ?')
  const selectOldest = database.prepare(`
    select accepted_at from delivery
    where flow = ? and state = ${stateNumbers.queued} and flags & ${flagNumbers.probe} = 0 order by seq limit 1`)
  const queueAgain = database.prepare(`
    update delivery set state = ${stateNumbers.queued}, at = ?, since = ?, attempts = 0, summary = null, error = null,
      receipts = null, flags = (flags & ~${flagNumbers.awaitsChange}) + ${flagNumbers.requeued} where seq = ?`)
  const describeBody = database.prepare('update delivery set bytes = ?, type = ?, sha256 = ? where seq = ?')
  const skipRow = database.prepare(`
    update delivery set state = ${stateNumbers.skipped}, at = ?, summary = ?,
      flags = flags & ~${flagNumbers.awaitsChange} where seq = ?`)

  async function get(id: string): Promise<DeliveryDetail | undefined> {
    const seq = parseId(id)
    // Senders learn from this how a delivery ended.
    await committer.durable()
    const row = seq === undefined ? undefined : selectRow.get(seq)
    if (seq === undefined || !row) return undefined
    // The row first and at once, so that what is shown belongs to one moment; only bytes are waited for.
    const seen = {
      ...rowOf(parts, row),
      receipts: receipts.read(seq, row['receipts']),
      attempts: attempts.read(seq),
    }
    const [[content], original] = await Promise.all([contents.find([seq]), contents.findOriginal(seq)])
    if (!content) throw storeErrors.DAMAGED({ text: `delivery ${id} has no content` })
    return {
      ...seen,
      headers: content.headers,
      attributes: content.attributes,
      body: content.body,
      original,
    }
  }

  async function getAll(ids: readonly string[]): Promise<readonly DeliveryDetail[]> {
    // One that is damaged must not hide the others.
    const details = await Promise.all(ids.map(id => get(id).catch(() => undefined)))
    return details.flatMap(detail => detail ?? [])
  }

  async function counts(flow: string): Promise<FlowCounts> {
    const booked = flows.find(flow)
    const oldest = booked && booked.counts.queued > 0 ? selectOldest.get(booked.number) : undefined
    return shownCounts(booked, optionalNumberOf(oldest?.['accepted_at']))
  }

  async function requeue(id: string, change: Requeue): Promise<void> {
    if (!change.body) return requeuePlaced(id, change, undefined)
    if (isDamaged(change.body)) throw storeErrors.BODY_DAMAGED({ bytes: change.body.bytes })
    return placing.atOnce(change.body, ([piece]) => requeuePlaced(id, change, piece))
  }

  function requeuePlaced(id: string, change: Requeue, piece: Piece | undefined): Promise<void> {
    return committer
      .commit(
        () => {
          const { seq, row, state } = existing(id)
          if (state !== 'set-aside') throw storeErrors.NOT_SET_ASIDE({ id, state })
          writeRequeue(row, change, piece)
          return seq
        },
        seq => {
          if (change.body) bodies.settle(change.body)
          addAgain(seq)
          parts.announceWork()
        },
      )
      .then(() => {})
  }

  async function requeueAll(ids: readonly string[], now: number): Promise<readonly string[]> {
    const seqs = await committer.commit(
      () =>
        setAsideOf(ids).map(row => {
          writeRequeue(row, { now, forgetIntents: true }, undefined)
          return numberOf(row['seq'])
        }),
      queued => {
        for (const seq of queued) addAgain(seq)
        parts.announceWork()
      },
    )
    return seqs.map(formatId)
  }

  function writeRequeue(row: Row, change: Requeue, piece: Piece | undefined): void {
    const seq = numberOf(row['seq'])
    receipts.unfold(seq, row['receipts'])
    if (change.forgetIntents) receipts.forgetIntents(seq)
    if (change.headers || change.body) repair(seq, change, piece)
    queueAgain.run(Math.round(change.now), Math.round(change.now), seq)
    count(row, 'queued')
  }

  function addAgain(seq: number): void {
    contents.forget(seq)
    const held = queue.get(seq)
    if (held) queue.remove(held)
    const row = selectRow.get(seq)
    if (row) queue.add(entryOfRow(row, flows.nameOf(numberOf(row['flow']))))
  }

  function repair(seq: number, { headers, body }: Requeue, piece: Piece | undefined): void {
    contents.replace(seq, headers, body && { stored: body, piece })
    if (!body) return
    describeBody.run(body.bytes, body.type, body.sha256 ?? null, seq)
    bodies.use(seq, body)
  }

  async function skip(id: string, now: number, reason: string): Promise<void> {
    const waiting = queue.get(parseId(id) ?? -1)
    if (waiting?.place === 'running') throw storeErrors.RUNNING({ id })
    const wasHeld = waiting?.place === 'held'
    // Out of reach at once: until the skip is durable nobody may begin to deliver it.
    if (waiting) queue.reserve(waiting)
    return committer
      .commit(
        () => {
          const { seq, row, state } = existing(id)
          if (state !== 'queued' && state !== 'set-aside') throw storeErrors.FINISHED({ id, state })
          skipRow.run(Math.round(now), reason, seq)
          count(row, 'skipped')
          return seq
        },
        seq => {
          takeOut(seq)
          parts.announceWork()
        },
        () => {
          if (!waiting) return
          if (wasHeld) queue.hold(waiting)
          else queue.putBack(waiting)
          parts.announceWork()
        },
      )
      .then(() => {})
  }

  async function skipAll(ids: readonly string[], now: number, reason: string): Promise<readonly string[]> {
    const seqs = await committer.commit(
      () =>
        setAsideOf(ids).map(row => {
          const seq = numberOf(row['seq'])
          skipRow.run(Math.round(now), reason, seq)
          count(row, 'skipped')
          return seq
        }),
      skipped => {
        for (const seq of skipped) takeOut(seq)
        parts.announceWork()
      },
    )
    return seqs.map(formatId)
  }

  function takeOut(seq: number): void {
    contents.forget(seq)
    const entry = queue.get(seq)
    if (entry) queue.remove(entry)
  }

  /** Those of these that the running transaction sees set aside, the oldest first. */
  function setAsideOf(ids: readonly string[]): readonly Row[] {
    const rows = [...new Set(ids.map(parseId))].map(seq => (seq === undefined ? undefined : selectRow.get(seq)))
    return rows
      .flatMap(row => (row && stateOf(row['state']) === 'set-aside' ? [row] : []))
      .toSorted((one, other) => numberOf(one['seq']) - numberOf(other['seq']))
  }

  /** A delivery as the running transaction sees it. Throws STORE_NOT_FOUND. */
  function existing(id: string): { readonly seq: number; readonly row: Row; readonly state: DeliveryState } {
    const seq = parseId(id)
    const row = seq === undefined ? undefined : selectRow.get(seq)
    if (seq === undefined || !row) throw storeErrors.NOT_FOUND({ id })
    return { seq, row, state: stateOf(row['state']) }
  }

  function count(row: Row, to: DeliveryState): void {
    const isProbe = (numberOf(row['flags']) & flagNumbers.probe) !== 0
    if (!isProbe) flows.move(flows.named(flows.nameOf(numberOf(row['flow']))), stateOf(row['state']), to)
  }

  return {
    async find(query) {
      return findDeliveries(parts, query)
    },
    async oldestSetAside(flow, after, limit) {
      return findOldestSetAside(parts, flow, after, limit)
    },
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
