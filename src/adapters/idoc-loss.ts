import type { JsonObject } from '../kernel/json.ts'
import type { Segment } from '../protocols/idoc/idoc.ts'
import { parseIdocs } from '../protocols/idoc/read-idocs.ts'

/** What is lost when an IDoc is skipped: no later one out of change pointers carries it again by itself. */
export interface IdocLoss {
  /** `MATMAS 4711` */
  readonly object: string
  /** Segments by path, with the fields that say something. */
  readonly segments: readonly { readonly segment: string; readonly fields: readonly string[] }[]
  /** What it means, and what brings it back. */
  readonly words: string
}

/** Segments that are named; a whole object may have hundreds. */
const segmentsMax = 20

/** Transactions that send an object once more as a whole. */
const sendWhole: Readonly<Record<string, string>> = { MATMAS: 'BD10', DEBMAS: 'BD12', CREMAS: 'BD14' }

/**
 * What the IDoc of a message tells that others do not. The first segment of master data is whole in each IDoc, so the next
 * one brings it again; those below it come again only when they change. Undefined for a message that is no such IDoc;
 * its body is not even read, for of many that are skipped together each is asked.
 */
export async function lossOfIdoc(
  attributes: JsonObject,
  readBody: () => Promise<Uint8Array>,
): Promise<IdocLoss | undefined> {
  const { mestyp, objectKey, docnum } = attributes
  if (typeof mestyp !== 'string' || typeof docnum !== 'string') return undefined
  const roots = rootsOf(await readBody())
  const found = new Map<string, Set<string>>()
  for (const root of roots) for (const child of root.children) collect(child, root.name, found)
  const object = `${mestyp} ${typeof objectKey === 'string' && objectKey !== '' ? objectKey : docnum}`
  const segments = [...found].slice(0, segmentsMax).map(([segment, fields]) => ({ segment, fields: [...fields] }))
  const [root] = roots
  if (!root?.fields.has('MSGFN')) {
    const words = `Nothing of ${object} comes again by itself; where it is wanted, send it once more from its source (BD87).`
    return { object, segments, words }
  }
  const by = sendWhole[mestyp]
  const again = `send the object as a whole${by === undefined ? '' : ` (${by})`}`
  const names = segments.map(({ segment }) => segment.split('/').at(-1)).join(', ')
  const below = names === '' ? '' : ` What stands in ${names} comes again only when it changes: ${again}.`
  return { object, segments, words: `${root.name} of ${object} comes again with its next IDoc.${below}` }
}

function rootsOf(bytes: Uint8Array): readonly Segment[] {
  try {
    return parseIdocs(bytes).flatMap(({ data }) => data.children)
  } catch {
    // A body that is no IDoc any more, for example one that a person repaired: nothing is known of it.
    return []
  }
}

/** Fields that tell something: `/` alone says no data, MSGFN what happened to the row. */
function collect({ name, fields, children }: Segment, above: string, found: Map<string, Set<string>>): void {
  const path = `${above}/${name}`
  const known = found.get(path) ?? new Set()
  for (const [field, value] of fields) if (field !== 'MSGFN' && value !== '/') known.add(field)
  found.set(path, known)
  for (const child of children) collect(child, path, found)
}
