import type { Idoc, Segment } from './idoc.ts'

/** The same segment with its fields in a `Map`, as tests compare them, whichever reader it comes from. */
export function withMaps({ name, fields, children }: Segment): Segment {
  return { name, fields: new Map(fields), children: children.map(withMaps) }
}

export function idocWithMaps(idoc: Idoc): Idoc {
  return { ...idoc, control: new Map(idoc.control), data: withMaps(idoc.data) }
}
