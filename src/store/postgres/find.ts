import { parseId } from '../../kernel/id.ts'
import { numberOf, stateColumns, stateNumbers } from '../columns.ts'
import { rowOf } from '../delivery-row.ts'
import type { DeliveryQuery, DeliveryRow, SetAsideRow } from '../port.ts'
import type { StoreParts } from './parts.ts'

const row = '*, array_to_json(terms)::text as words'
const bounds = `
  seq < $1 and seq >= $2 and accepted_at >= $3 and seq <= $4 and accepted_at <= $5`

// One search per flow and state, each along the index; a page of each is enough to find the newest of all. Compared as a
// row, for only the index of flows is in that order: for an order by seq the planner walks through the whole table.
const byFlow = {
  name: 'find',
  text: `
    select found.* from unnest($6::integer[]) as asked (flow) cross join unnest($7::integer[]) as wanted (state)
    cross join lateral (
      select ${row} from delivery
      where (delivery.flow, delivery.state, seq) >= (asked.flow, wanted.state, $2)
        and (delivery.flow, delivery.state, seq) <= (asked.flow, wanted.state, least($1::bigint - 1, $4::bigint))
        and accepted_at >= $3 and accepted_at <= $5
      order by delivery.flow desc, delivery.state desc, seq desc limit $8) as found
    order by seq desc limit $8`,
}
const everything = {
  name: 'find-newest',
  text: `select ${row} from delivery where ${bounds} order by seq desc limit $6`,
}
// The greatest letter of Unicode closes the range of everything that begins with the word. One look at the index for each
// delivery found, newest first, until there are enough: a join is left to what the server believes of the tables, which is
// nothing after a burst or a restore, and took minutes then. The limit within keeps it from making one.
const byTerm = {
  name: 'find-term',
  text: `
    select one.* from (
      select distinct seq from term where word >= $8 and word <= $9 and seq < $1 and seq >= $2 and seq <= $4
      order by seq desc
    ) as found cross join lateral (
      select ${row} from delivery
      where seq = found.seq and flow = any ($6::integer[]) and state = any ($7::integer[])
        and accepted_at >= $3 and accepted_at <= $5
      limit 1) as one
    order by found.seq desc limit $10`,
}

/** Finds deliveries, newest first. Every way in ends at an index, so a page costs its length and not the store's. */
export async function findDeliveries(parts: StoreParts, query: DeliveryQuery): Promise<readonly DeliveryRow[]> {
  const { reads, flows, sequence, words, limits } = parts
  const limit = Math.max(0, Math.min(Math.floor(query.limit), limits.findRows))
  const booked = query.flow === undefined ? undefined : flows.find(query.flow)
  if (query.flow !== undefined && !booked) return []
  const before = query.before === undefined ? Number.MAX_SAFE_INTEGER : parseId(query.before)
  if (before === undefined) return []

  // The number follows the time closely, so it keeps the search short.
  const { acceptedFrom, acceptedTo, term, state } = query
  const range = [
    before,
    acceptedFrom === undefined ? 0 : sequence.lowest(acceptedFrom),
    acceptedFrom === undefined ? Number.MIN_SAFE_INTEGER : Math.ceil(acceptedFrom),
    acceptedTo === undefined ? Number.MAX_SAFE_INTEGER : sequence.highest(acceptedTo),
    acceptedTo === undefined ? Number.MAX_SAFE_INTEGER : Math.floor(acceptedTo),
  ]
  const numbers = booked ? [booked.number] : [...flows.all()].map(({ number }) => number)
  const states = (state === undefined ? stateColumns.map(([each]) => each) : [state]).map(each => stateNumbers[each])
  const rows =
    term !== undefined
      ? await reads.query(byTerm, [...range, numbers, states, ...wordRange(words.storedTerm(term)), limit])
      : booked || state !== undefined
        ? await reads.query(byFlow, [...range, numbers, states, limit])
        : await reads.query(everything, [...range, limit])
  return rows.map(row => rowOf(parts, row))
}

// Compared as rows, as above; `offset 0` keeps the planner from reading all receipts that there are.
const setAsideFrom = {
  name: 'find-oldest-set-aside',
  text: `
    select ${row}, exists (
      select from receipt where receipt.seq = delivery.seq and receipt.state = 'intended' offset 0)::integer as has_intent
    from delivery
    where (flow, state, seq) > ($1, ${stateNumbers['set-aside']}, $2) and (flow, state) <= ($1, ${stateNumbers['set-aside']})
    order by flow, state, seq limit $3`,
}

/** Set-aside deliveries of a flow, the oldest first: whoever goes through all of them sees each once. */
export async function findOldestSetAside(
  parts: StoreParts,
  flow: string,
  after: string | undefined,
  limit: number,
): Promise<readonly SetAsideRow[]> {
  const { reads, flows, limits } = parts
  const booked = flows.find(flow)
  const from = after === undefined ? 0 : parseId(after)
  if (!booked || from === undefined) return []
  const rows = await reads.query(setAsideFrom, [booked.number, from, Math.min(limit, limits.findRows)])
  return rows.map(found => ({ ...rowOf(parts, found), hasIntent: numberOf(found['has_intent']) === 1 }))
}

function wordRange(term: string): readonly [string, string] {
  const word = term.endsWith('*') ? term.slice(0, -1) : term
  return [word, term.endsWith('*') ? `${word}\u{10FFFF}` : word]
}
