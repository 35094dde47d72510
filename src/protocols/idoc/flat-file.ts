import { type MendMode, mendText } from '../xml/mend-characters.ts'
import { isXmlText } from '../xml/write-xml.ts'
import { type Column, controlColumns } from './control-columns.ts'
import { idocErrors } from './errors.ts'
import { type Idoc, type Segment, xmlNameOf } from './idoc.ts'

/** Where the fields of a segment lie in its 1,000 characters, as transaction WE60 prints it for a release. */
export interface SegmentLayout {
  /** Segment type (`E1MARAM`), which the XML and the mapping use; `/` of a namespace is `_-` there (xmlNameOf). */
  readonly type: string
  /** Offset and length in characters, from the start of SDATA. */
  readonly fields: readonly { readonly name: string; readonly offset: number; readonly length: number }[]
}

/** Layouts by segment definition (`E2MARAM009`). */
export type FlatLayouts = Readonly<Record<string, SegmentLayout>>

/** What stands before the 1,000 characters of a data record EDI_DD40. */
const dataColumns: readonly Column[] = [
  { name: 'SEGNAM', length: 30 },
  { name: 'MANDT', length: 3 },
  { name: 'DOCNUM', length: 16 },
  { name: 'SEGNUM', length: 6 },
  { name: 'PSGNUM', length: 6 },
  { name: 'HLEVEL', length: 2 },
]
/** Segments without a parent have level 1 or 2, others one more than their parent (data element EDI_HLEVEL). */
const topLevels = 2
const dataOffset = lengthOf(dataColumns)
const dataLength = 1000

export const flatFileLimits = {
  /** Data records of one IDoc. */
  segments: 500_000,
  /** Kinds of segments that no layout is about, in one file. */
  unknownSegments: 100,
  /** Characters of one line. */
  lineLength: 8192,
} as const

interface OpenSegment {
  readonly name: string
  readonly fields: Map<string, string>
  readonly children: OpenSegment[]
}

/**
 * IDocs of a flat file (port type file), one after the other. Lines end with LF or CRLF; trailing blanks of a line may be
 * missing. `mend` takes characters out of the way that XML cannot hold; without it they are refused. A segment that no layout
 * is about is kept under the name of its definition, with what stands in it as one field SDATA; `onUnknown` hears of it, once
 * for each name. Throws IDOC_FLAT_FILE with the number of the record.
 */
export async function* readFlatFile(
  lines: AsyncIterable<string> | Iterable<string>,
  layouts: FlatLayouts,
  mend?: MendMode,
  onUnknown?: (definition: string) => void,
): AsyncGenerator<Idoc> {
  let record = 0
  let current:
    | { readonly control: ReadonlyMap<string, string>; readonly root: OpenSegment; readonly line: number }
    | undefined
  let byNumber = new Map<number, OpenSegment>()
  /** The last segment and those above it, by their levels. */
  let byLevel: (OpenSegment | undefined)[] = []
  const wrong = (text: string) => idocErrors.FLAT_FILE({ record, text })
  const inXml = (line: string, segment: string, fields: Map<string, string>): Map<string, string> => {
    if (isXmlText(line)) return fields
    for (const [name, value] of fields) {
      if (isXmlText(value)) continue
      if (!mend) throw wrong(`${segment}/${name} has a character that XML cannot hold`)
      fields.set(name, mendText(value, mend))
    }
    return fields
  }
  const refuseMore = (line: string, length: number): void => {
    if (line.slice(length).trim() === '') return
    throw wrong(`it goes on behind its ${length} characters; each record is a line of its own`)
  }
  const unknown = new Map<string, SegmentLayout>()
  const layoutOf = (definition: string): SegmentLayout => {
    const known = layouts[definition] ?? unknown.get(definition)
    if (known) return known
    const own = layoutOfUnknown(definition, layouts)
    if (!own) throw wrong(`the layout of segment ${definition} is not known`)
    const countMax = flatFileLimits.unknownSegments
    if (unknown.size >= countMax) throw wrong(`the layouts of more than ${countMax} segments are not known`)
    unknown.set(definition, own)
    onUnknown?.(definition)
    return own
  }
  const parentOf = (root: OpenSegment, given: string | undefined, level: number | undefined): OpenSegment => {
    const above = wholeNumber(given)
    if (given !== undefined && above === undefined) throw wrong(`its parent (PSGNUM) ${given} is no number`)
    if (above !== undefined) {
      const parent = above === 0 ? root : byNumber.get(above)
      if (!parent) throw wrong(`its parent ${above} does not stand before it`)
      return parent
    }
    // SAP finds it in the definition of the type, which nobody has here.
    if (level === undefined) {
      if (byNumber.size === 0) return root
      throw wrong('it names neither its parent (PSGNUM) nor its level (HLEVEL), so what it belongs to is not known')
    }
    if (level <= topLevels) return root
    const parent = byLevel[level - 1]
    if (!parent) throw wrong(`nothing of level ${level - 1} stands before it, which has level ${level}`)
    return parent
  }
  const finish = (): Idoc | undefined =>
    current && { type: typeOf(current.control), control: current.control, data: current.root, line: current.line }

  for await (const line of lines) {
    record += 1
    if (line.length > flatFileLimits.lineLength)
      throw wrong(`it is longer than ${flatFileLimits.lineLength} characters`)
    if (line.trim() === '') continue
    if (line.startsWith('EDI_DC40')) {
      const idoc = finish()
      if (idoc) yield idoc
      if (line.includes('\r')) throw wrong('a CR stands in it; lines end with LF or CRLF')
      refuseMore(line, lengthOf(controlColumns))
      const control = inXml(line, 'EDI_DC40', readColumns(line, controlColumns))
      if (typeOf(control) === '') throw wrong('the control record names no basic type (IDOCTYP)')
      current = { control, root: { name: 'IDOC', fields: new Map(), children: [] }, line: record }
      byNumber = new Map()
      byLevel = []
      continue
    }
    if (!current) throw wrong('it does not begin with a control record EDI_DC40')
    const head = readColumns(line, dataColumns)
    const layout = layoutOf(head.get('SEGNAM') ?? '')
    refuseMore(line, dataOffset + dataLength)
    const number = wholeNumber(head.get('SEGNUM')) ?? byNumber.size + 1
    if (byNumber.has(number)) throw wrong(`the segment number ${number} stands twice`)
    if (byNumber.size >= flatFileLimits.segments)
      throw wrong(`the IDoc has more than ${flatFileLimits.segments} segments`)
    const level = wholeNumber(head.get('HLEVEL'))
    const parent = parentOf(current.root, head.get('PSGNUM'), level)
    const segment = {
      name: xmlNameOf(layout.type),
      fields: inXml(line, layout.type, readData(line, layout)),
      children: [],
    }
    parent.children.push(segment)
    byNumber.set(number, segment)
    if (level === undefined) continue
    byLevel.length = level
    byLevel.push(segment)
  }
  const idoc = finish()
  if (!idoc) throw idocErrors.FLAT_FILE({ record, text: 'there is no IDoc in it' })
  yield idoc
}

/**
 * The lines of a flat file. Layouts name the definition (`E2MARAM009`) for each segment type. HLEVEL stays blank: whether
 * a segment without a parent has level 1 or 2 says the definition of the IDoc type, which nobody has here. SAP fills it in
 * and wants it of nobody else (data element EDI4HLEVEC); a wrong one is a syntax error (E0 077). Throws IDOC_CANNOT_WRITE.
 */
export function* writeFlatFile(idoc: Pick<Idoc, 'control' | 'data'>, layouts: FlatLayouts): Generator<string> {
  const definitions = new Map(
    Object.entries(layouts).map(([definition, layout]) => [xmlNameOf(layout.type), { definition, layout }]),
  )
  yield controlColumns.map(column => fitColumn(idoc.control.get(column.name) ?? '', column)).join('')
  let number = 0
  const write = function* (segment: Segment, parent: number): Generator<string> {
    const known = definitions.get(xmlNameOf(segment.name))
    if (!known) throw idocErrors.CANNOT_WRITE({ text: `the layout of segment ${segment.name} is not known` })
    number += 1
    const own = number
    const head: Readonly<Record<string, string>> = {
      SEGNAM: known.definition,
      MANDT: idoc.control.get('MANDT') ?? '',
      DOCNUM: idoc.control.get('DOCNUM') ?? '',
      SEGNUM: String(own).padStart(6, '0'),
      PSGNUM: String(parent).padStart(6, '0'),
    }
    yield dataColumns.map(column => fitColumn(head[column.name] ?? '', column)).join('') +
      writeData(segment, known.layout)
    for (const child of segment.children) yield* write(child, own)
  }
  for (const segment of idoc.data.children) yield* write(segment, 0)
}

/** Undefined for another version of a segment that is known: what flows need of it would not be seen any more. */
function layoutOfUnknown(definition: string, layouts: FlatLayouts): SegmentLayout | undefined {
  const typeOfDefinition = (name: string) => name.replace(/\d{3}$/, '')
  const isKnownType = Object.keys(layouts).some(known => typeOfDefinition(known) === typeOfDefinition(definition))
  if (isKnownType || !/^[A-Z/][\w/]*$/.test(definition)) return undefined
  return { type: definition, fields: [{ name: 'SDATA', offset: 0, length: dataLength }] }
}

function lengthOf(columns: readonly Column[]): number {
  return columns.reduce((sum, { length }) => sum + length, 0)
}

function typeOf(control: ReadonlyMap<string, string>): string {
  return xmlNameOf(control.get('CIMTYP') || (control.get('IDOCTYP') ?? ''))
}

function readColumns(line: string, columns: readonly Column[]): Map<string, string> {
  const fields = new Map<string, string>()
  let offset = 0
  for (const { name, length } of columns) {
    const value = line.slice(offset, offset + length).trimEnd()
    if (value !== '') fields.set(name, value)
    offset += length
  }
  return fields
}

/** Blanks at the end are filling; a field of blanks alone is empty and is left out, as SAP's XML port does. */
function readData(line: string, layout: SegmentLayout): Map<string, string> {
  const fields = new Map<string, string>()
  for (const { name, offset, length } of layout.fields) {
    const value = line.slice(dataOffset + offset, dataOffset + offset + length).trimEnd()
    if (value !== '') fields.set(xmlNameOf(name), value)
  }
  return fields
}

function writeData(segment: Segment, layout: SegmentLayout): string {
  const known = new Set(layout.fields.map(({ name }) => xmlNameOf(name)))
  const values = new Map([...segment.fields].map(([name, value]) => [xmlNameOf(name), value]))
  for (const name of values.keys()) {
    if (!known.has(name)) throw idocErrors.CANNOT_WRITE({ text: `${segment.name} has no field ${name} in its layout` })
  }
  let data = ''
  for (const field of layout.fields.toSorted((left, right) => left.offset - right.offset)) {
    const value = fitColumn(values.get(xmlNameOf(field.name)) ?? '', {
      name: `${segment.name}/${field.name}`,
      length: field.length,
    })
    data = data.padEnd(field.offset) + value
  }
  if (data.length > dataLength)
    throw idocErrors.CANNOT_WRITE({ text: `the layout of ${segment.name} is longer than ${dataLength}` })
  return data.padEnd(dataLength)
}

function fitColumn(value: string, { name, length }: Column): string {
  if (value.length > length)
    throw idocErrors.CANNOT_WRITE({ text: `${name} takes ${length} characters, not ${value.length}` })
  if (/[\r\n]/.test(value)) throw idocErrors.CANNOT_WRITE({ text: `${name} has a line break` })
  return value.padEnd(length)
}

function wholeNumber(text: string | undefined): number | undefined {
  if (text === undefined || text.trim() === '') return undefined
  return /^\s*\d+$/.test(text) ? Number(text) : undefined
}
