import type { SQLInputValue } from 'node:sqlite'
import { parseId } from '../../kernel/id.ts'
import { numberOf, type Row, stateColumns, stateNumbers, wordsOf } from '../columns.ts'
import { rowOf } from '../delivery-row.ts'
import type { DeliveryQuery, DeliveryRow, SetAsideRow } from '../port.ts'
import type { StoreParts } from './parts.ts'

/** Finds deliveries, newest first. Every way in ends at an index, so a page costs its length and not the store's. */
export function findDeliveries(parts: StoreParts, query: DeliveryQuery): readonly DeliveryRow[] {
  const limit = Math.max(0, Math.min(Math.floor(query.limit), parts.limits.findRows))
  const booked = query.flow === undefined ? undefined : parts.flows.find(query.flow)
  if (query.flow !== undefined && !booked) return []
  const before = query.before === undefined ? undefined : parseId(query.before)
  if (query.before !== undefined && before === undefined) return []

  const bounds = boundsOf(parts, query, before)
  const found =
    query.term === undefined
      ? byFlow(parts, query, booked?.number, bounds, limit)
      : byTerm(parts, query.term, query, booked?.number, bounds, limit)
  return found.map(row => rowOf(parts, row))
}

/** Set-aside deliveries of a flow, the oldest first: whoever goes through all of them sees each once. */
export function findOldestSetAside(
  parts: StoreParts,
  flow: string,
  after: string | undefined,
  limit: number,
): readonly SetAsideRow[] {
  const booked = parts.flows.find(flow)
  const from = after === undefined ? 0 : parseId(after)
  if (!booked || from === undefined) return []
  const search = parts.database.prepare(`
    select * from delivery where flow = ? and state = ${stateNumbers['set-aside']} and seq > ? order by seq limit ?`)
  return search.all(booked.number, from, Math.min(limit, parts.limits.findRows)).map(row => {
    const receipts = parts.receipts.read(numberOf(row['seq']), row['receipts'])
    return { ...rowOf(parts, row), hasIntent: receipts.some(receipt => receipt.state === 'intended') }
  })
}

interface Condition {
  readonly sql: string
  readonly values: readonly SQLInputValue[]
}

/** Conditions on number and time. The number follows the time closely, so it keeps the search short. */
function boundsOf({ sequence }: StoreParts, query: DeliveryQuery, before: number | undefined): Condition {
  const sql: string[] = []
  const values: number[] = []
  const add = (condition: string, value: number) => {
    sql.push(condition)
    values.push(value)
  }
  if (before !== undefined) add('seq < ?', before)
  if (query.acceptedFrom !== undefined) {
    add('seq >= ?', sequence.lowest(query.acceptedFrom))
    add('accepted_at >= ?', Math.ceil(query.acceptedFrom))
  }
  if (query.acceptedTo !== undefined) {
    add('seq <= ?', sequence.highest(query.acceptedTo))
    add('accepted_at <= ?', Math.floor(query.acceptedTo))
  }
  return { sql: sql.map(condition => ` and ${condition}`).join(''), values }
}

function byFlow(
  { database }: StoreParts,
  query: DeliveryQuery,
  flow: number | undefined,
  bounds: Condition,
  limit: number,
): readonly Row[] {
  if (flow === undefined && query.state === undefined) {
    const sql = `select * from delivery where 1${bounds.sql} order by seq desc limit ?`
    return database.prepare(sql).all(...bounds.values, limit)
  }
  // One search per flow and state, each along the index; a page of each is enough to find the newest of all.
  const states = query.state === undefined ? stateColumns.map(([state]) => state) : [query.state]
  const flows =
    flow === undefined
      ? database
          .prepare('select number from flow')
          .all()
          .map(row => numberOf(row['number']))
      : [flow]
  const search = database.prepare(
    `select * from delivery where flow = ? and state = ?${bounds.sql} order by seq desc limit ?`,
  )
  return newest(
    flows.flatMap(number => states.flatMap(state => search.all(number, stateNumbers[state], ...bounds.values, limit))),
    limit,
  )
}

function newest(rows: readonly Row[], limit: number): readonly Row[] {
  return rows.toSorted((one, other) => numberOf(other['seq']) - numberOf(one['seq'])).slice(0, limit)
}

function byTerm(
  parts: StoreParts,
  term: string,
  query: DeliveryQuery,
  flow: number | undefined,
  bounds: Condition,
  limit: number,
): readonly Row[] {
  const { database, words, terms, limits } = parts
  const isBeginning = term.endsWith('*')
  const word = words.storedTerm(isBeginning ? term.slice(0, -1) : term)
  if (isBeginning) {
    // Of a beginning that many have, the newest are among the newest of all; to gather all that have it takes seconds.
    const near = byFlow(parts, query, flow, bounds, limits.walkRows)
    const found = near.filter(row => wordsOf(row['terms']).some(each => each.startsWith(word)))
    if (found.length >= limit) return found.slice(0, limit)
  }
  // The greatest letter of Unicode closes the range of everything that begins with the word.
  const match: Condition = isBeginning
    ? { sql: 'word >= ? and word <= ?', values: [word, `${word}\u{10FFFF}`] }
    : { sql: 'word = ?', values: [word] }
  const behind = terms.behind(each => (isBeginning ? each.startsWith(word) : each === word))
  const filter = `${flow === undefined ? '' : ' and flow = ?'}${query.state === undefined ? '' : ' and state = ?'}`
  const sql = `
    select * from delivery where seq in (select seq from term where ${match.sql} union select value from json_each(?))
      ${filter}${bounds.sql}
    order by seq desc limit ?`
  return database
    .prepare(sql)
    .all(
      ...match.values,
      JSON.stringify(behind),
      ...(flow === undefined ? [] : [flow]),
      ...(query.state === undefined ? [] : [stateNumbers[query.state]]),
      ...bounds.values,
      limit,
    )
}
