import { formatId, parseId } from '../../kernel/id.ts'
import { errorColumn, flagsOf, stateNumbers, wordsColumn } from '../columns.ts'
import { storeErrors } from '../errors.ts'
import type { BookedFlow } from '../flow-counts.ts'
import type {
  Claimed,
  ClaimRef,
  DeliveryStore,
  Finish,
  KnownDelivery,
  NewDelivery,
  Retry,
  StoredBody,
  StoredReceipt,
} from '../port.ts'
import { makeFences } from '../queue/fences.ts'
import { newEntry, type QueueEntry } from '../queue/queue.ts'
import type { Content } from '../recent-contents.ts'
import { isDamaged } from './contents.ts'
import { asStoreError } from './failure.ts'
import type { StoreParts } from './parts.ts'
import type { Piece } from './segment-book.ts'

/** The hot path: every method here is a handful of prepared statements, and a claim is none at all. */
export function openDeliveries(parts: StoreParts): Omit<DeliveryStore, 'onWork'> {
  const { database, committer, flows, sequence, queue, contents, words, terms, receipts, attempts, bodies, placing } =
    parts
  const { keyMaps } = parts
  const insert = database.prepare(`
    insert into delivery (seq, flow, state, at, order_key, flags, attempts, since, accepted_at, bytes, type, sha256,
      once_keys, terms, replay_of)
    values (?, ?, ${stateNumbers.queued}, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?)`)
  const end = database.prepare(
    'update delivery set state = ?, at = ?, flags = ?, attempts = ?, summary = ?, error = ?, receipts = ? where seq = ?',
  )
  const defer = database.prepare(
    'update delivery set at = ?, since = ?, flags = ?, attempts = ?, error = ? where seq = ?',
  )
  const hasten = database.prepare('update delivery set at = ?, flags = ? where seq = ?')
  const begin = database.prepare('begin')
  const commit = database.prepare('commit')
  const nextFence = makeFences(parts.facts)

  async function accept(delivery: NewDelivery): ReturnType<DeliveryStore['accept']> {
    refuseDamaged(delivery.body)
    return placing.inOrder(delivery.flow, [delivery.body], async ([piece]) => {
      const { write, committed } = acceptance(delivery, piece)
      return committer.commit(write, committed)
    })
  }

  async function acceptAll(flow: string, deliveries: readonly NewDelivery[]): ReturnType<DeliveryStore['acceptAll']> {
    const bodiesOfAll = deliveries.map(({ body }) => body)
    for (const body of bodiesOfAll) refuseDamaged(body)
    return placing.inOrder(flow, bodiesOfAll, async pieces => {
      const all = deliveries.map((delivery, index) => acceptance(delivery, pieces[index]))
      const written = await committer.commit(
        () => all.map(({ write, committed }) => ({ accepted: write(), committed })),
        each => {
          for (const { accepted, committed } of each) committed(accepted)
        },
      )
      return written.map(({ accepted }) => accepted)
    })
  }

  /** The bytes of the body are durable already, or small enough for the row. */
  function acceptance(delivery: NewDelivery, piece: Piece | undefined) {
    const flow = bookedFlow(delivery.flow)
    let seq = 0
    return {
      write() {
        const keys = delivery.keys.length === 0 ? delivery.keys : delivery.keys.map(key => words.storedKey(key))
        seq = sequence.next(delivery.acceptedAt)
        const earlier = words.takeKeys(flow.number, keys, seq)
        if (earlier !== undefined) return { id: formatId(earlier), duplicate: true }
        insertRows(seq, flow.number, keys, delivery, piece)
        if (!delivery.isProbe) flows.accepted(flow, Math.round(delivery.acceptedAt))
        return { id: formatId(seq), duplicate: false }
      },
      committed({ duplicate }: { readonly duplicate: boolean }) {
        bodies.settle(delivery.body)
        if (duplicate) return
        contents.remember(seq, delivery)
        const entry = newEntry(seq, delivery)
        entry.dueAt = delivery.dueAt ?? 0
        queue.add(entry)
        parts.announceWork()
      },
    }
  }

  function bookedFlow(name: string): BookedFlow {
    try {
      return flows.named(name)
    } catch (thrown) {
      throw asStoreError(thrown)
    }
  }

  function insertRows(
    seq: number,
    flow: number,
    keys: readonly string[],
    delivery: NewDelivery,
    piece: Piece | undefined,
  ): void {
    const { body } = delivery
    const acceptedAt = Math.round(delivery.acceptedAt)
    const remembered = delivery.remember.length === 0 ? [] : delivery.remember.map(key => words.storedKey(key))
    const stored = words.storedTerms(delivery.terms)
    insert.run(
      seq,
      flow,
      delivery.dueAt === undefined ? acceptedAt : Math.round(delivery.dueAt),
      delivery.orderKey ?? null,
      flagsOf(delivery, false),
      acceptedAt,
      acceptedAt,
      body.bytes,
      body.type,
      body.sha256 ?? null,
      wordsColumn(remembered.length === 0 ? keys : [...new Set([...keys, ...remembered])]),
      wordsColumn(stored),
      delivery.replayOf === undefined ? null : (parseId(delivery.replayOf) ?? null),
    )
    contents.insert(seq, delivery, piece)
    words.remember(flow, remembered, seq)
    terms.follow(seq, stored)
    bodies.use(seq, body)
  }

  async function claim(request: Parameters<DeliveryStore['claim']>[0]): ReturnType<DeliveryStore['claim']> {
    if (placing.isClosed || committer.isClosed) throw storeErrors.CLOSED()
    const { taken, nextDueAt } = queue.take(request.max, request.now, request.places)
    // From here on no write of an earlier claim is taken.
    for (const entry of taken) entry.fence = nextFence()
    try {
      const deliveries = await readAll(taken, request.now)
      if (placing.isClosed && taken.length > 0) throw storeErrors.CLOSED()
      return { deliveries, nextDueAt }
    } catch (thrown) {
      // Others were set aside meanwhile, and are no longer in the queue.
      for (const entry of taken) if (entry.place === 'running') queue.putBack(entry)
      throw asStoreError(thrown)
    }
  }

  /** One that cannot be read must not keep the others from going: it is set aside, with what is wrong with it. */
  async function readAll(taken: readonly QueueEntry[], now: number): Promise<readonly Claimed[]> {
    try {
      const found = await contents.find(taken.map(({ seq }) => seq))
      return taken.map((entry, index) => claimed(entry, found[index]))
    } catch (thrown) {
      const [only, ...others] = taken
      if (!only || others.length > 0) {
        // All of them first: one that is being set aside must not be put back meanwhile.
        const each = await Promise.allSettled(taken.map(entry => readAll([entry], now)))
        return each.flatMap(read => {
          if (read.status === 'rejected') throw read.reason
          return read.value
        })
      }
      const error = asStoreError(thrown)
      if (error.code === storeErrors.FULL.code || error.code === storeErrors.CLOSED.code) throw error
      const { code, side, message, next } = error
      await finish(
        { id: formatId(only.seq), fence: only.fence },
        {
          state: 'set-aside',
          at: now,
          summary: message,
          error: { code, side, message, next },
          receipts: [],
          terms: [],
        },
      )
      return []
    }
  }

  function claimed(entry: QueueEntry, content: Content | undefined): Claimed {
    const { seq, flow, orderKey, attemptCount, requeueCount, acceptedAt, since, plannedAt, isProbe } = entry
    if (!content) throw storeErrors.NOT_FOUND({ id: formatId(seq) })
    return {
      id: formatId(seq),
      fence: entry.fence,
      flow,
      orderKey,
      attemptCount,
      requeueCount,
      acceptedAt,
      since,
      plannedAt,
      isProbe,
      headers: content.headers,
      attributes: content.attributes,
      body: content.body,
      receipts: entry.mayHaveReceipts ? receipts.read(seq) : [],
    }
  }

  function finish(ref: ClaimRef, finish: Finish): Promise<void> {
    const entry = queue.ending(ref)
    if (!entry) return Promise.reject(storeErrors.FENCED({ id: ref.id }))
    const { seq } = entry
    const holds = finish.state === 'set-aside' && entry.holds && entry.orderKey !== undefined
    return committer.commit(
      () => {
        const attempt = entry.attemptCount + 1
        const { rowIntent } = entry
        const isReplaced = finish.receipts.some(({ effect }) => effect === rowIntent)
        if (rowIntent !== undefined && !isReplaced) receipts.unfoldRow(seq)
        const rowReceipts = receipts.putAtEnd(seq, finish.receipts)
        keyMaps.apply(finish.receipts)
        const { error } = finish
        end.run(
          stateNumbers[finish.state],
          Math.round(finish.at),
          flagsOf(entry, false),
          attempt,
          finish.summary,
          errorColumn(error),
          rowReceipts,
          seq,
        )
        if (error) attempts.add(seq, attempt, finish.at, error)
        if (finish.terms.length > 0) words.addTerms(seq, finish.terms)
        if (!entry.isProbe) flows.move(flows.named(entry.flow), 'queued', finish.state)
      },
      () => {
        contents.forget(seq)
        if (holds) queue.hold(entry)
        else queue.remove(entry)
        parts.announceWork()
      },
      () => queue.reopen(entry),
    )
  }

  function retry(ref: ClaimRef, { at, dueAt, since, error, awaitsChange }: Retry) {
    const entry = queue.ending(ref)
    if (!entry) return Promise.reject(storeErrors.FENCED({ id: ref.id }))
    const attempt = entry.attemptCount + 1
    return committer.commit<void>(
      () => {
        const flags = flagsOf(entry, awaitsChange)
        defer.run(Math.round(dueAt), Math.round(since), flags, attempt, errorColumn(error), entry.seq)
        attempts.add(entry.seq, attempt, at, error)
      },
      () => {
        entry.attemptCount = attempt
        entry.dueAt = dueAt
        entry.plannedAt = dueAt
        entry.since = since
        entry.awaitsChange = awaitsChange
        entry.mayHaveReceipts = true
        queue.putBack(entry)
        parts.announceWork()
      },
      () => queue.reopen(entry),
    )
  }

  function receipt(ref: ClaimRef, stored: StoredReceipt): Promise<void> {
    const entry = queue.claimed(ref)
    if (!entry) return Promise.reject(storeErrors.FENCED({ id: ref.id }))
    if (stored.state === 'intended' && !entry.mayHaveReceipts && entry.rowIntent === undefined)
      return intend(entry, stored)
    // From here on, so that no intent goes into the row behind this one.
    entry.mayHaveReceipts = true
    return committer.commit(
      () => {
        if (entry.rowIntent !== undefined) receipts.unfoldRow(entry.seq)
        receipts.put(entry.seq, stored)
        keyMaps.apply([stored])
      },
      () => {
        entry.rowIntent = undefined
      },
    )
  }

  /** The first note of a delivery is mostly the only one before its end, which writes the row anyway. */
  function intend(entry: QueueEntry, stored: StoredReceipt): Promise<void> {
    entry.rowIntent = stored.effect
    return committer.commit(
      () => receipts.putInRow(entry.seq, stored),
      () => {
        entry.mayHaveReceipts = true
      },
      () => {
        entry.rowIntent = undefined
      },
    )
  }

  function release(ref: ClaimRef): Promise<void> {
    const entry = queue.ending(ref)
    if (!entry) return Promise.reject(storeErrors.FENCED({ id: ref.id }))
    // Behind the receipts that this claim still writes, so that the next one sees them.
    return committer.commit<void>(
      () => {},
      () => {
        entry.dueAt = 0
        queue.putBack(entry)
        parts.announceWork()
      },
      () => queue.reopen(entry),
    )
  }

  async function wake(now: number, flow?: string, every = false): Promise<number> {
    // Failures that are on their way to the disk count as waiting already.
    await committer.flush()
    return committer
      .commit(
        () => {
          const woken = [...queue.waiting(flow, every ? now : undefined)]
          for (const entry of woken) hasten.run(Math.round(now), flagsOf(entry, false), entry.seq)
          return woken
        },
        woken => {
          for (const entry of woken) {
            entry.awaitsChange = false
            queue.hasten(entry)
          }
          if (woken.length > 0) parts.announceWork()
        },
      )
      .then(woken => woken.length)
  }

  async function known(flow: string, keys: readonly string[]): ReturnType<DeliveryStore['known']> {
    const found = new Map<string, KnownDelivery>()
    const booked = flows.find(flow)
    if (!booked) return found
    // A sender lets go of what is known here.
    await committer.durable()
    // Within one transaction: else SQLite takes and gives back its locks for each of a thousand keys.
    begin.run()
    try {
      for (const key of keys) {
        const delivery = words.known(booked.number, key)
        if (!delivery) continue
        const { seq, state } = delivery
        found.set(key, { id: formatId(seq), state, isHeld: queue.isHeld(seq) })
      }
    } finally {
      commit.run()
    }
    return found
  }

  async function renew(claims: readonly ClaimRef[]): Promise<readonly string[]> {
    return queue.lost(claims)
  }

  return { accept, acceptAll, claim, renew, receipt, finish, retry, release, wake, known }
}

function refuseDamaged(body: StoredBody): void {
  if (isDamaged(body)) throw storeErrors.BODY_DAMAGED({ bytes: body.bytes })
}
