import type { Json } from '../../kernel/json.ts'
import type { Side } from '../drivers.ts'
import { numbersOf } from '../occurrences.ts'
import type { Item, Moment } from './items.ts'
import { changesBetween, type PartChanges, type Parts, partsOf, withParts } from './parts.ts'
import { absentStamp, type Stamps, stampsOf, unknownStamp } from './stamps.ts'

export interface MergeInput {
  /** The last common state. */
  readonly base: Stamps
  /** Both items in the form that both sides can hold. */
  readonly exchange: Item
  readonly crm: Item
  /** Stamps that we wrote to a side since the base was common, without knowing whether they arrived. */
  readonly pending: {
    readonly exchange: Readonly<Record<string, readonly string[]>>
    readonly crm: Readonly<Record<string, readonly string[]>>
  }
  /** Whose value stands where both sides changed a part; one way: where nobody knows who did. */
  readonly winner: Side
  /** The one side that is read, where items go one way. */
  readonly onlyFrom: Side | undefined
  /** Parts of which the CRM has lost what it knew: no change of a person's. */
  readonly isLostInCrm?: (path: string) => boolean
}

export interface Merge {
  /** What must be written so that both sides are in the merged state. */
  readonly toExchange: PartChanges
  readonly toCrm: PartChanges
  /** The common state once that is written. */
  readonly base: Stamps
  /** Parts that both sides changed, each to something else. */
  readonly conflicts: readonly string[]
}

/**
 * Three-way merge, part by part, against the last common state. A side has changed a part when it differs from the base
 * and is nothing that we wrote there ourselves; only where both changed it the rule decides.
 */
export function mergeItems(input: MergeInput): Merge {
  if (input.onlyFrom) return mergeOneWay(input, input.onlyFrom)
  const exchange = stateOf(input.exchange)
  const crm = stateOf(input.crm)

  const conflicts: string[] = []
  const taken = new Map<string, Side>()
  for (const path of new Set([...exchange.parts.keys(), ...crm.parts.keys()])) {
    if (exchange.stamps[path] === crm.stamps[path]) continue
    const choice = choose(input, path, exchange.stamps, crm.stamps)
    if (choice.isConflict) conflicts.push(path)
    taken.set(path, choice.side)
  }
  // Built as an item and taken apart again, so that parts which hang together (an answer without its attendee) stay so.
  const fromCrm = new Map([...taken].flatMap(([path, side]) => (side === 'crm' ? [[path, crm.parts.get(path)]] : [])))
  const merged = partsOf(withParts(input.exchange, withinSeries(input.exchange, fromCrm)))
  const stamps: Stamps = stampsOf(merged)
  const toExchange = changesBetween(exchange.parts, merged, path => exchange.stamps[path] === stamps[path])
  const toCrm = changesBetween(crm.parts, merged, path => crm.stamps[path] === stamps[path])
  return { toExchange, toCrm, base: stamps, conflicts }
}

/** Without exceptions of occurrences that the merged series has no more: the mailbox has shortened it meanwhile. */
function withinSeries(exchange: Item, fromCrm: PartChanges): PartChanges {
  const originals = [...fromCrm.keys()].flatMap(path => originalOf(path) ?? [])
  const merged = withParts(exchange, fromCrm)
  if (originals.length === 0 || merged.kind !== 'appointment' || !merged.recurrence) return fromCrm
  const numbers = numbersOf(merged, originals)
  return new Map([...fromCrm].filter(([path]) => numbers.has(originalOf(path) ?? '') || originalOf(path) === undefined))
}

function originalOf(path: string): Moment | undefined {
  return /^exceptions\/([^/]+)\//.exec(path)?.[1]
}

function stateOf(item: Item): { readonly parts: Parts; readonly stamps: Stamps } {
  const parts = partsOf(item)
  return { parts, stamps: stampsOf(parts) }
}

/**
 * One way only: what was changed on the side that is read is written to the other one; what people changed there
 * stands until the same part changes on the side that is read.
 */
function mergeOneWay(input: MergeInput, from: Side): Merge {
  const parts = { exchange: partsOf(input.exchange), crm: partsOf(input.crm) }
  const stamps = { exchange: stampsOf(parts.exchange), crm: stampsOf(parts.crm) }
  const to: Side = from === 'exchange' ? 'crm' : 'exchange'
  const changes = new Map<string, Json | undefined>()
  const conflicts: string[] = []
  for (const [path, value] of changesBetween(parts[to], parts[from], path => stamps[to][path] === stamps[from][path])) {
    const before = input.base[path] ?? absentStamp
    if ((stamps[from][path] ?? absentStamp) === before) continue
    if (from === 'crm' && input.isLostInCrm?.(path)) continue
    const there = stamps[to][path] ?? absentStamp
    const isOurs = input.pending[to][path]?.includes(there) ?? false
    // Where nobody knows what it was, an edit of the other side would be taken back by what was there before it.
    if (before === unknownStamp && input.winner !== from && !isOurs) continue
    if (there !== before && !isOurs) conflicts.push(path)
    changes.set(path, value)
  }
  const nothing: PartChanges = new Map()
  const writes = to === 'crm' ? { toExchange: nothing, toCrm: changes } : { toExchange: changes, toCrm: nothing }
  return { ...writes, base: stamps[from], conflicts }
}

/** Which side's value a part takes that differs between them. */
function choose(
  { base, pending, winner, isLostInCrm }: MergeInput,
  path: string,
  exchange: Stamps,
  crm: Stamps,
): { readonly side: Side; readonly isConflict: boolean } {
  if (isLostInCrm?.(path)) return { side: 'exchange', isConflict: false }
  const before = base[path] ?? absentStamp
  const inExchange = exchange[path] ?? absentStamp
  const inCrm = crm[path] ?? absentStamp
  const isOursInExchange =
    (pending.exchange[path]?.includes(inExchange) ?? false) || lagsBehind(path, { base, pending, exchange })
  const isOursInCrm = pending.crm[path]?.includes(inCrm) ?? false
  const changedInExchange = inExchange !== before && !isOursInExchange
  const changedInCrm = inCrm !== before && !isOursInCrm
  if (changedInExchange && changedInCrm) return { side: winner, isConflict: true }
  if (changedInExchange) return { side: 'exchange', isConflict: false }
  if (changedInCrm) return { side: 'crm', isConflict: false }
  // Nobody changed it, so one value is ours, written from what the other side had then: the other side's word counts,
  // also where it has gone back to the old value since.
  return { side: isOursInCrm && !isOursInExchange ? 'exchange' : 'crm', isConflict: false }
}

/**
 * Whether an occurrence still says what its series said before we wrote the series: exceptions have texts of their own in
 * Exchange, which are written after it.
 */
function lagsBehind(
  path: string,
  { base, pending, exchange }: Pick<MergeInput, 'base' | 'pending'> & { readonly exchange: Stamps },
): boolean {
  const name = originalOf(path) === undefined ? '' : path.slice(path.lastIndexOf('/') + 1)
  const series = exchange[name]
  const isSeriesOurs = series !== undefined && pending.exchange[name]?.includes(series) === true
  return isSeriesOurs && base[path] === undefined && exchange[path] === base[name]
}
