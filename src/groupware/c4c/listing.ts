import type { C4CClient, C4CRow } from '../../protocols/c4c/client.ts'
import type { C4CEntity } from '../../protocols/c4c/types.ts'
import { partsOf } from './kinds.ts'

export const listingLimits = {
  /** Items of each set that a first listing brings whole. */
  listedWhole: 100,
  /** Changes of each of several sets that one request brings; where there are more, they are asked for set by set. */
  changedAtOnce: 500,
} as const

/** A set, which of its entities, and the property that says whose they are. */
export interface Asked {
  readonly entity: C4CEntity
  readonly filter: string
  readonly owner: string
}

export interface Listed {
  readonly entity: C4CEntity
  readonly row: C4CRow
  /** The row has everything that an item is read from; else it has key and version. */
  readonly isWhole: boolean
}

const keyAndTag = ['ObjectID', 'ETag']
/** An occurrence of a series is told as its series. */
const ofOccurrences = ['GroupwareItemID', 'RecurringBusinessActivityNodeID']

/**
 * Everything there is. The first entities of each set come whole, all sets in one request, which is all of it for most
 * people; where there are more they are named, and those that are wanted are read in batches, without the slow expansion.
 */
export async function listAll(client: C4CClient, asked: readonly Asked[], signal: AbortSignal): Promise<Listed[]> {
  const { listedWhole } = listingLimits
  const queries = asked.map(({ entity, filter }) => {
    // Mails are read one by one, with their files, and most of them are not wanted.
    const query = entity === 'EMail' ? { filter, select: keyAndTag } : { filter, expand: partsOf(entity) }
    return { entity, query: { ...query, top: listedWhole + 1 } }
  })
  const pages = await client.findEach(queries, signal)
  const listed: Listed[] = []
  for (const [index, { entity, filter }] of asked.entries()) {
    const rows = pages[index] ?? []
    const first = rows.slice(0, listedWhole).map(row => ({ entity, row, isWhole: entity !== 'EMail' }))
    if (rows.length <= listedWhole) listed.push(...first)
    else {
      const known = new Map(first.map(each => [each.row.id, each]))
      const select = entity === 'Appointment' ? [...keyAndTag, ...ofOccurrences] : keyAndTag
      for await (const row of client.list(entity, { filter, select }, signal)) {
        listed.push(known.get(row.id) ?? { entity, row, isWhole: false })
      }
    }
  }
  return listed
}

/** Whole entities, or what says which and whose they are: of several sets in one request, as long as they are not many. */
export async function listChanged(
  client: C4CClient,
  asked: readonly Asked[],
  signal: AbortSignal,
  isBrief = false,
): Promise<Listed[]> {
  const { changedAtOnce } = listingLimits
  const listed: Listed[] = []
  const queries = asked.map(({ entity, filter, owner }) => {
    // A mail is read with its files.
    const isWhole = !isBrief && entity !== 'EMail'
    const query = { filter, ...(isWhole ? { expand: partsOf(entity) } : { select: [...keyAndTag, owner] }) }
    return { entity, query, isWhole }
  })
  const along = queries.map(({ entity, query }) => ({ entity, query: { ...query, top: changedAtOnce + 1 } }))
  // Our own writes, which come back, are many: of one set they are listed at once.
  const pages = along.length > 1 || !isBrief ? await client.findEach(along, signal) : []
  for (const [index, { entity, query, isWhole }] of queries.entries()) {
    const rows = pages[index]
    if (rows && rows.length <= changedAtOnce) listed.push(...rows.map(row => ({ entity, row, isWhole })))
    else for await (const row of client.list(entity, query, signal)) listed.push({ entity, row, isWhole })
  }
  return listed
}
