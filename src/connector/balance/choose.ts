import { balanceLimits } from './limits.ts'
import type { Target } from './target.ts'

/** A number from 0 to below 1, each time another. */
export type Random = () => number

export type Choice =
  | { readonly target: Target }
  /** `full`: those that are usable have as many connections as they may; `none`: no target is usable. */
  | { readonly target: undefined; readonly because: 'full' | 'none' }

/**
 * Which target takes the next stream: of two that are drawn by chance (so that several connectors do not all run to
 * the same one) the one with the lower cost. Targets in `tried` are left out. Panic rule: ejected targets are used when
 * no other is left, since an ejection is a guess and a refusal is certain.
 */
export function chooseTarget(
  targets: readonly Target[],
  now: number,
  random: Random,
  tried: ReadonlySet<Target> = new Set(),
): Choice {
  const left = targets.filter(target => !tried.has(target))
  const usable = left.filter(target => target.isUsable(now))
  const candidates = usable.length > 0 ? usable : left.filter(target => target.state(now) === 'ejected')
  const free = candidates.filter(target => !target.isFull)
  const [first] = free
  if (!first) return { target: undefined, because: candidates.length > 0 ? 'full' : 'none' }
  if (free.length === 1) return { target: first }
  return { target: betterOf(free, now, random) }
}

function betterOf(free: readonly Target[], now: number, random: Random): Target {
  const one = draw(free, now, random)
  const other = draw(
    free.filter(target => target !== one),
    now,
    random,
  )
  const usualMs = usualResponse(free, now)
  const priceOf = (target: Target) =>
    Math.max(balanceLimits.responseFloorMs, target.responseMs(now) ?? usualMs) * target.penalty(now)
  const [onePrice, otherPrice] = [priceOf(one), priceOf(other)]
  const mean = free.reduce((sum, target) => sum + target.effectiveWeight(now), 0) / free.length
  const wait = (target: Target, price: number) => price * ((target.open * mean) / target.effectiveWeight(now) + 1)
  // Equally good, so far as one can tell: the draw stands, which was by weight. Without this rule a server that is a
  // hair faster, or heavier, would get everything while there is little to do.
  if (isNear(wait(one, onePrice), wait(other, otherPrice))) return one
  const cost = (target: Target, price: number) => (price * (target.open + 1)) / target.effectiveWeight(now)
  return cost(one, onePrice) <= cost(other, otherPrice) ? one : other
}

function isNear(one: number, other: number): boolean {
  return Math.max(one, other) <= Math.min(one, other) * balanceLimits.nearFactor
}

function draw(from: readonly Target[], now: number, random: Random): Target {
  let rest = random() * from.reduce((sum, target) => sum + target.effectiveWeight(now), 0)
  for (const target of from) {
    rest -= target.effectiveWeight(now)
    if (rest < 0) return target
  }
  const last = from.at(-1)
  if (!last) throw new RangeError('nothing to draw from')
  return last
}

/** What a target of which nothing is known is taken for: one like the others. */
function usualResponse(free: readonly Target[], now: number): number {
  const known = free.map(target => target.responseMs(now)).filter(ms => ms !== undefined)
  return known.length === 0 ? 0 : known.reduce((sum, ms) => sum + ms, 0) / known.length
}

/** Whether one more target may be ejected: never more than `share` of them are left out at a time. */
export function mayEject(targets: readonly Target[], now: number, share: number): boolean {
  const out = targets.filter(target => target.state(now) === 'ejected').length
  return out + 1 <= Math.floor(targets.length * share)
}
