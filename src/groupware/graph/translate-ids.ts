import { HubError } from '../../kernel/error.ts'
import type { GraphClient } from '../../protocols/graph/client.ts'
import { graphErrors } from '../../protocols/graph/errors.ts'
import { userPath } from './places.ts'
import { listAt, textAt } from './row.ts'

/** Ids of one request; Graph takes no more. */
const idsMax = 1000

const untold: ReadonlySet<string> = new Set([
  graphErrors.PERMISSION_MISSING.code,
  graphErrors.OUT_OF_SCOPE.code,
  graphErrors.REFUSED.code,
  graphErrors.GONE.code,
])

/**
 * Ids of EWS as those of Graph that stay when an item moves. Graph does not let every application ask for this: ids that
 * it does not tell are undefined, and their items are found by their marks.
 */
export async function translateIds(
  client: GraphClient,
  mailbox: string,
  ids: readonly string[],
  signal: AbortSignal,
): Promise<readonly (string | undefined)[]> {
  const found = new Map<string, string>()
  const path = `${userPath(mailbox)}/translateExchangeIds`
  for (let from = 0; from < ids.length; from += idsMax) {
    const inputIds = ids.slice(from, from + idsMax)
    const body = { inputIds, sourceIdType: 'ewsId', targetIdType: 'restImmutableEntryId' }
    try {
      const answer = await client.object({ method: 'POST', path, body }, signal)
      for (const row of listAt(answer, 'value')) {
        const target = textAt(row, 'targetId')
        if (target !== '') found.set(textAt(row, 'sourceId'), target)
      }
    } catch (thrown) {
      if (!(thrown instanceof HubError) || !untold.has(thrown.code)) throw thrown
      break
    }
  }
  return ids.map(id => found.get(id))
}
