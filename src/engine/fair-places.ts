/** A flow as far as its places count. */
export interface PlaceTaker {
  readonly name: string
  /** Places that its document allows it. */
  readonly parallel: number
  /** Places that it has taken. */
  readonly running: number
}

export interface PlaceOffer {
  /** Places for all flows together. */
  readonly max: number
  /** Places by flow; flows without any are left out. */
  readonly places: ReadonlyMap<string, number>
}

/** Part of all places that is divided among the flows in advance; the rest goes to whoever has work. */
const reservedPart = 0.5

/**
 * Places that flows may take now, one offer after the other: ask for the next one when the deliveries of the last one
 * run. Each flow has a share of its own that no other can take, so that one whose receiver never answers cannot use up
 * the places of the hub (`runningMax`); beyond its share it takes from the common rest. Each flow has one place at
 * least, even where there are more flows than places, and one that starts while others run on all places has its share
 * at once: for that time more than `runningMax` run.
 */
export function* offerPlaces(look: () => readonly PlaceTaker[], runningMax: number): Generator<PlaceOffer> {
  const flows = look()
  const wanted = flows.reduce((sum, { parallel }) => sum + parallel, 0)
  if (flows.length === 1 || wanted <= runningMax) {
    yield offerOf(flows, () => runningMax, runningMax - runningOf(flows))
    return
  }
  const share = Math.max(1, Math.floor((runningMax * reservedPart) / flows.length))
  yield offerOf(flows, ({ running }) => share - running, Number.POSITIVE_INFINITY)
  // A flow that left places of its share free has no more work.
  const busy = look().filter(({ running }) => running >= share)
  const common = runningMax - share * flows.length - runningOf(busy) + share * busy.length
  yield offerOf(busy, () => common, common)
}

function offerOf(flows: readonly PlaceTaker[], freeOf: (flow: PlaceTaker) => number, max: number): PlaceOffer {
  const places = new Map<string, number>()
  let sum = 0
  for (const flow of flows) {
    const count = Math.min(flow.parallel - flow.running, freeOf(flow))
    if (count <= 0) continue
    places.set(flow.name, count)
    sum += count
  }
  return { max: Math.max(0, Math.min(sum, max)), places }
}

function runningOf(flows: readonly PlaceTaker[]): number {
  return flows.reduce((sum, { running }) => sum + running, 0)
}
