import { formatId, parseId } from '../../kernel/id.ts'
import { errorColumn, flagNumbers, flagsOf, headersOf, numberOf, objectOf, stateNumbers, stateOf } from '../columns.ts'
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
  StoredReceipt,
} from '../port.ts'
import { newEntry, type QueueEntry } from '../queue/queue.ts'
import { bodyOf, type Content } from '../recent-contents.ts'
import { addAttempt } from './attempts.ts'
import { type Sql, storableKey, storableText } from './connection.ts'
import { asStoreError } from './failure.ts'
import { applyRemembered } from './key-maps.ts'
import type { StoreParts } from './parts.ts'
import { putReceipt, readReceipts } from './receipts.ts'

// A delivery in one statement: nothing of it is written when one of its keys is known, and that one's owner comes back.
// `offset 0` keeps the planner from joining with all keys of the flow: each key is one look at the index.
const insert = {
  name: 'accept',
  text: `
    with earlier as (
      select owned.seq from unnest($16::text[]) with ordinality as asked (key, place)
      cross join lateral (
        select seq from once where once.flow = $2::integer and once.key = asked.key offset 0) as owned
      order by place limit 1
    ), fresh as (
      insert into delivery (seq, flow, state, at, order_key, flags, attempts, since, accepted_at, bytes, type, sha256,
        once_keys, terms, replay_of)
      select $1::bigint, $2::integer, ${stateNumbers.queued}, $3::bigint, $4::text, $5::integer, 0, $6::bigint,
        $6::bigint, $7::bigint, $8::text, $9::text, $10::text[], $11::text[], $12::bigint
      where not exists (select from earlier)
      returning seq, flow
    ), written as (
      insert into content select seq, $13::text, $14::text, $15::bytea from fresh
    ), taken as (
      insert into once select flow, key, seq from fresh, unnest($16::text[]) as key
    ), remembered as (
      insert into once select flow, key, seq from fresh, unnest($17::text[]) as key
      on conflict (flow, key) do update set seq = excluded.seq
    ), worded as (
      insert into term select word, seq from fresh, unnest($11::text[]) as word
    ), used as (
      insert into body_use select seq, $9::text from fresh where $18::boolean
    )
    select seq from earlier`,
}
const end = {
  name: 'finish',
  text: `
    update delivery set state = $2, at = $3, flags = $4, attempts = $5, summary = $6, error = $7 where seq = $1`,
}
const addTerms = {
  name: 'terms-add',
  text: `
    with added as (
      update delivery set terms = terms || array(select word from unnest($2::text[]) as word where word <> all (terms))
      where seq = $1)
    insert into term select word, $1 from unnest($2::text[]) as word on conflict do nothing`,
}
const defer = {
  name: 'retry',
  text: 'update delivery set at = $2, since = $3, flags = $4, attempts = $5, error = $6 where seq = $1',
}
const hasten = {
  name: 'wake',
  text: `
    update delivery set at = $2, flags = flags & ~${flagNumbers.awaitsChange} where seq = any ($1::bigint[])`,
}
const selectKnown = {
  name: 'known',
  text: `
    select key, once.seq, state from once join delivery on delivery.seq = once.seq
    where once.flow = $1 and key = any ($2::text[])`,
}
export const selectContents = {
  name: 'contents',
  text: `
    select content.seq, headers, attributes, body, bytes, type, sha256
    from content join delivery on delivery.seq = content.seq where content.seq = any ($1::bigint[])`,
}

/** The hot path: a statement for an acceptance, a receipt or an end each, and none for a claim. */
export function openDeliveries(parts: StoreParts): Omit<DeliveryStore, 'onWork'> {
  const { reads, committer, flows, sequence, queue, recent, words, bodies, limits } = parts

  const storedKey = (key: string) => storableKey(words.storedKey(key))
  // Each once as it lies there: half a letter or a U+0000 becomes another, which may be a word of its own.
  const storedTerms = (terms: readonly string[]) => [
    ...new Set(words.storedTerms(terms).map(term => storableText(term.toWellFormed()))),
  ]

  async function accept(delivery: NewDelivery): ReturnType<DeliveryStore['accept']> {
    const flow = flows.find(delivery.flow) ?? (await flows.add(delivery.flow, committer))
    const { write, committed } = acceptance(flow, delivery)
    return committer.commit(write, { committed })
  }

  async function acceptAll(flow: string, deliveries: readonly NewDelivery[]): ReturnType<DeliveryStore['acceptAll']> {
    const booked = flows.find(flow) ?? (await flows.add(flow, committer))
    const all = deliveries.map(delivery => acceptance(booked, delivery))
    return committer.commit(sql => Promise.all(all.map(({ write }) => write(sql))), {
      committed(accepted) {
        for (const [index, { committed }] of all.entries()) committed(accepted[index])
      },
    })
  }

  function acceptance(flow: BookedFlow, delivery: NewDelivery) {
    let seq = 0
    return {
      async write(sql: Sql) {
        seq = sequence.next(delivery.acceptedAt)
        const [earlier] = await sql.query(insert, valuesOf(seq, flow.number, delivery))
        if (earlier) return { id: formatId(numberOf(earlier['seq'])), duplicate: true }
        if (!delivery.isProbe) flows.accepted(flow, Math.round(delivery.acceptedAt))
        return { id: formatId(seq), duplicate: false }
      },
      committed(accepted: { readonly duplicate: boolean } | undefined) {
        bodies.settle(delivery.body)
        if (accepted?.duplicate) return
        recent.remember(seq, delivery)
        const entry = newEntry(seq, delivery)
        entry.dueAt = delivery.dueAt ?? 0
        queue.add(entry)
        parts.announceWork()
      },
    }
  }

  function valuesOf(seq: number, flow: number, delivery: NewDelivery) {
    const { body } = delivery
    const acceptedAt = Math.round(delivery.acceptedAt)
    const keys = [...new Set(delivery.keys.map(storedKey))]
    const remembered = [...new Set(delivery.remember.map(storedKey))].filter(key => !keys.includes(key))
    return [
      seq,
      flow,
      delivery.dueAt === undefined ? acceptedAt : Math.round(delivery.dueAt),
      delivery.orderKey ?? null,
      flagsOf(delivery, false),
      acceptedAt,
      body.bytes,
      body.type,
      body.sha256 ?? null,
      [...keys, ...remembered],
      storedTerms(delivery.terms),
      delivery.replayOf === undefined ? null : (parseId(delivery.replayOf) ?? null),
      JSON.stringify(delivery.headers),
      JSON.stringify(delivery.attributes),
      body.inline ?? null,
      keys,
      remembered,
      String(!body.inline && body.sha256 !== undefined),
    ]
  }

  async function claim(request: Parameters<DeliveryStore['claim']>[0]): ReturnType<DeliveryStore['claim']> {
    if (committer.isClosed) throw storeErrors.CLOSED()
    const { taken, nextDueAt } = queue.take(request.max, request.now, request.places)
    // From here on no write of an earlier claim is taken.
    for (const entry of taken) entry.fence = parts.nextFence()
    try {
      const deliveries = await readClaims(taken, request.now)
      if (committer.isClosed && taken.length > 0) throw storeErrors.CLOSED()
      return { deliveries, nextDueAt }
    } catch (thrown) {
      for (const entry of taken) queue.putBack(entry)
      throw asStoreError(thrown)
    }
  }

  async function readClaims(taken: readonly QueueEntry[], now: number): Promise<readonly Claimed[]> {
    const contents = await contentsOf(taken.map(({ seq }) => seq))
    const receipts = await readReceipts(
      reads,
      taken.flatMap(({ seq, mayHaveReceipts }) => (mayHaveReceipts ? [seq] : [])),
    )
    const claims = await Promise.all(
      taken.map(async (entry): Promise<Claimed | undefined> => {
        const { seq, fence, flow, orderKey, attemptCount, requeueCount, acceptedAt, since, plannedAt, isProbe } = entry
        const content = contents.get(seq)
        // One that cannot be read must not keep the others from going.
        if (!content) return setAsideUnread(entry, now)
        const { headers, attributes, body } = content
        const id = formatId(seq)
        const facts = { id, fence, flow, orderKey, attemptCount, requeueCount, acceptedAt, since, plannedAt, isProbe }
        return { ...facts, headers, attributes, body, receipts: receipts.get(seq) ?? [] }
      }),
    )
    return claims.flatMap(claimed => claimed ?? [])
  }

  async function contentsOf(seqs: readonly number[]): Promise<ReadonlyMap<number, Content>> {
    const found = new Map<number, Content>()
    for (const seq of seqs) {
      const content = recent.get(seq)
      if (content) found.set(seq, content)
    }
    const others = seqs.filter(seq => !found.has(seq))
    if (others.length === 0) return found
    for (const row of await reads.query(selectContents, [others])) {
      found.set(numberOf(row['seq']), {
        headers: headersOf(row['headers']),
        attributes: objectOf(row['attributes']),
        body: bodyOf(row),
      })
    }
    return found
  }

  async function setAsideUnread({ seq, fence }: QueueEntry, now: number): Promise<undefined> {
    const id = formatId(seq)
    const { code, side, message, next } = storeErrors.DAMAGED({ text: `delivery ${id} has no content` })
    const error = { code, side, message, next }
    await finish({ id, fence }, { state: 'set-aside', at: now, summary: message, error, receipts: [], terms: [] })
  }

  function finish(ref: ClaimRef, finish: Finish): Promise<void> {
    const entry = queue.ending(ref)
    if (!entry) return Promise.reject(storeErrors.FENCED({ id: ref.id }))
    const holds = finish.state === 'set-aside' && entry.holds && entry.orderKey !== undefined
    return committer.commit(
      async sql => {
        await Promise.all(writeEnd(sql, entry, finish))
        if (!entry.isProbe) flows.move(flows.known(entry.flow), 'queued', finish.state)
      },
      {
        committed() {
          recent.forget(entry.seq)
          if (holds) queue.hold(entry)
          else queue.remove(entry)
          parts.announceWork()
        },
        failed: () => queue.reopen(entry),
      },
    )
  }

  function writeEnd(sql: Sql, entry: QueueEntry, finish: Finish): readonly Promise<unknown>[] {
    const { seq } = entry
    const { state, at, summary, error, receipts, terms } = finish
    const attempt = entry.attemptCount + 1
    const stored = storedTerms(terms)
    return [
      ...receipts.map(receipt => putReceipt(sql, seq, receipt)),
      ...applyRemembered(sql, receipts),
      sql.query(end, [
        seq,
        stateNumbers[state],
        Math.round(at),
        flagsOf(entry, false),
        attempt,
        summary,
        errorColumn(error),
      ]),
      ...(error ? addAttempt(sql, seq, { attempt, at, error }, limits.attempts) : []),
      ...(stored.length > 0 ? [sql.query(addTerms, [seq, stored])] : []),
    ]
  }

  function retry(ref: ClaimRef, { at, dueAt, since, error, awaitsChange }: Retry) {
    const entry = queue.ending(ref)
    if (!entry) return Promise.reject(storeErrors.FENCED({ id: ref.id }))
    const attempt = entry.attemptCount + 1
    return committer.commit<void>(
      async sql => {
        const flags = flagsOf(entry, awaitsChange)
        await Promise.all([
          sql.query(defer, [entry.seq, Math.round(dueAt), Math.round(since), flags, attempt, errorColumn(error)]),
          ...addAttempt(sql, entry.seq, { attempt, at, error }, limits.attempts),
        ])
      },
      {
        committed() {
          entry.attemptCount = attempt
          entry.dueAt = dueAt
          entry.plannedAt = dueAt
          entry.since = since
          entry.awaitsChange = awaitsChange
          entry.mayHaveReceipts = true
          queue.putBack(entry)
          parts.announceWork()
        },
        failed: () => queue.reopen(entry),
      },
    )
  }

  function receipt(ref: ClaimRef, stored: StoredReceipt): Promise<void> {
    const entry = queue.claimed(ref)
    if (!entry) return Promise.reject(storeErrors.FENCED({ id: ref.id }))
    entry.mayHaveReceipts = true
    return committer.commit(async sql => {
      await Promise.all([putReceipt(sql, entry.seq, stored), ...applyRemembered(sql, [stored])])
    })
  }

  function release(ref: ClaimRef): Promise<void> {
    const entry = queue.ending(ref)
    if (!entry) return Promise.reject(storeErrors.FENCED({ id: ref.id }))
    // Behind the receipts that this claim still writes, so that the next one sees them.
    return committer.commit<void>(async () => {}, {
      committed() {
        entry.dueAt = 0
        queue.putBack(entry)
        parts.announceWork()
      },
      failed: () => queue.reopen(entry),
    })
  }

  async function wake(now: number, flow?: string, every = false): Promise<number> {
    // Failures that are on their way to the disk count as waiting already.
    await committer.flush()
    const woken = await committer.commit(
      async sql => {
        const waiting = [...queue.waiting(flow, every ? now : undefined)]
        if (waiting.length > 0) await sql.query(hasten, [waiting.map(({ seq }) => seq), Math.round(now)])
        return waiting
      },
      {
        committed(waiting) {
          for (const entry of waiting) {
            entry.awaitsChange = false
            queue.hasten(entry)
          }
          if (waiting.length > 0) parts.announceWork()
        },
      },
    )
    return woken.length
  }

  async function known(flow: string, keys: readonly string[]): ReturnType<DeliveryStore['known']> {
    const found = new Map<string, KnownDelivery>()
    const booked = flows.find(flow)
    if (!booked || keys.length === 0) return found
    const byStored = new Map(keys.map(key => [storedKey(key), key]))
    for (const row of await reads.query(selectKnown, [booked.number, [...byStored.keys()]])) {
      const key = byStored.get(String(row['key']))
      if (key === undefined) continue
      const seq = numberOf(row['seq'])
      found.set(key, { id: formatId(seq), state: stateOf(row['state']), isHeld: queue.isHeld(seq) })
    }
    return found
  }

  async function renew(claims: readonly ClaimRef[]): Promise<readonly string[]> {
    return queue.lost(claims)
  }

  return { accept, acceptAll, claim, renew, receipt, finish, retry, release, wake, known }
}
