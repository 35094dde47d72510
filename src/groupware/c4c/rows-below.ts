import { HubError } from '../../kernel/error.ts'
import type { C4CClient, C4CRow, C4CStep } from '../../protocols/c4c/client.ts'
import type { Update } from '../drivers.ts'
import { isBelow, partsOf } from './kinds.ts'
import type { Place } from './places.ts'
import { isOfSeries } from './series.ts'

/** The entities whose parts are to be changed, as they are now, by the place of the change. */
export async function rowsBelow(
  client: C4CClient,
  changes: readonly Update[],
  places: readonly Place[],
  signal: AbortSignal,
): Promise<ReadonlyMap<number, C4CRow>> {
  const wanted = [...changes.keys()].filter(index => {
    const change = changes[index]
    return change && (isBelow(change.after, change.fields) || isOfSeries(change))
  })
  const steps = wanted.flatMap((index): C4CStep[] => {
    const place = places[index]
    return place ? [{ read: { entity: place.entity, id: place.id, expand: partsOf(place.entity) } }] : []
  })
  const rows = await client.run(steps, signal)
  const found = new Map<number, C4CRow>()
  for (const [at, index] of wanted.entries()) {
    const row = rows[at]
    if (row instanceof HubError) throw row
    if (row) found.set(index, row)
  }
  return found
}
