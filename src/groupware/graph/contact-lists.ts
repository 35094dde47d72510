import { HubError } from '../../kernel/error.ts'
import type { JsonObject } from '../../kernel/json.ts'
import type { GraphClient } from '../../protocols/graph/client.ts'
import { graphErrors } from '../../protocols/graph/errors.ts'
import type { Update } from '../drivers.ts'

/**
 * The lists of contacts that Graph replaces as a whole, as they stand now: more than the item of the sync has. The version
 * of the change is its condition, so they are those that the change is about. By id.
 */
export async function readContactLists(
  client: GraphClient,
  collection: string,
  changes: readonly Update[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, JsonObject>> {
  const isOfList = ({ fields }: Update) => fields.includes('phones') || fields.includes('emails')
  const ids = changes.filter(change => change.after.kind === 'contact' && isOfList(change)).map(({ id }) => id)
  if (ids.length === 0) return new Map()
  const select = '$select=emailAddresses,businessPhones,homePhones'
  const paths = ids.map(id => `${collection}/${encodeURIComponent(id)}?${select}`)
  const answers = await client.batch(
    paths.map(path => ({ method: 'GET', path }) as const),
    signal,
  )
  return new Map(
    answers.map((answer, index) => {
      // One that is gone is told by its change; without its lists nothing may be written to any other.
      if (answer instanceof HubError && answer.code !== graphErrors.GONE.code) throw answer
      const lists = answer instanceof HubError ? {} : ((answer.body ?? {}) as JsonObject)
      return [ids[index] ?? '', lists]
    }),
  )
}
