import { findOverlongNumber } from './control-columns.ts'
import { type Idoc, idocNames, type Segment } from './idoc.ts'
import { FieldPlaces, PlainFields, resolveReferences } from './plain-fields.ts'

/** Longer documents go through the streaming reader, which has a limit for everything. */
const lettersMax = 1024 * 1024
/** Segments inside each other; SAP's own types have fewer than ten levels. */
const depthMax = 30
/** SAP's own names have 30 letters at most. */
const nameLettersMax = 100

const declaration = /<\?xml version="1\.0"(?: encoding="[A-Za-z][A-Za-z0-9._-]*")?(?: standalone="(?:yes|no)")?\?>/y
/** Characters that XML lacks or changes. */
const notPlain = /[\u0000-\u0008\u000b-\u001f\ufffe\uffff]/
/** The two attributes that SAP writes, each with its one value. */
const marks: readonly string[] = [' SEGMENT="1">', ' BEGIN="1">', ' SEGMENT="1"/>', ' BEGIN="1"/>']

interface OpenSegment extends Segment {
  readonly fields: PlainFields
  readonly children: Segment[]
}

/**
 * The IDocs of a document as SAP itself writes it, several times as fast as the reader for all of XML: names of ASCII
 * letters, no attributes but `SEGMENT` and `BEGIN`, no comments, no CDATA, no references but the five names, fields before
 * segments. Undefined for everything else, right or wrong: then the strict reader takes its turn, and says what is wrong
 * and where.
 */
export function readPlainIdocs(text: string): readonly Idoc[] | undefined {
  if (text.length > lettersMax || notPlain.test(text) || text.includes(']]>')) return undefined
  declaration.lastIndex = 0
  let at = skipBlank(text, declaration.test(text) ? declaration.lastIndex : 0)
  const typeEnd = endOfName(text, at + 1)
  if (text.charCodeAt(at) !== lessThan || text.charCodeAt(typeEnd) !== greaterThan) return undefined
  const type = text.slice(at + 1, typeEnd)
  if (type === '' || type === idocNames.record || type === 'Envelope') return undefined
  const idocs: Idoc[] = []
  const lines = countLines(text)
  const places = new FieldPlaces(text)
  at = skipBlank(text, typeEnd + 1)
  while (!text.startsWith('</', at)) {
    const idoc = readIdoc(places, at)
    if (!idoc) return undefined
    const [control, ...segments] = idoc.record.children
    if (!control || (control.name !== idocNames.control && control.name !== idocNames.control3)) return undefined
    if (findOverlongNumber(control.fields) !== undefined) return undefined
    const data = { name: idocNames.record, fields: idoc.record.fields, children: segments }
    idocs.push({ type, control: control.fields, data, line: lines(idoc.bodyAt) })
    at = skipBlank(text, idoc.end)
  }
  if (!text.startsWith(`</${type}>`, at) || idocs.length === 0) return undefined
  return skipBlank(text, at + type.length + 3) === text.length ? idocs : undefined
}

/** The record that begins at `at`, where its inside begins, and where it has ended; undefined where it is not plain. */
function readIdoc(places: FieldPlaces, at: number) {
  const { text, hasReferences } = places
  if (!text.startsWith('<IDOC', at)) return undefined
  const bodyAt = endOfMarks(text, at + 5)
  if (bodyAt === undefined || text.charCodeAt(bodyAt - 2) === slash) return undefined
  const record: OpenSegment = { name: idocNames.record, fields: new PlainFields(places), children: [] }
  const above: OpenSegment[] = []
  let segment = record
  let cursor = bodyAt
  for (;;) {
    cursor = skipBlank(text, cursor)
    if (text.charCodeAt(cursor) !== lessThan) return undefined
    if (text.charCodeAt(cursor + 1) === slash) {
      if (!closes(text, cursor, segment.name)) return undefined
      cursor += segment.name.length + 3
      if (segment.children.length === 0) segment.fields.end()
      const outer = above.pop()
      if (!outer) return { record, bodyAt, end: cursor }
      segment = outer
      continue
    }
    const nameAt = cursor + 1
    const nameEnd = endOfName(text, nameAt)
    if (nameEnd === nameAt) return undefined
    if (text.charCodeAt(nameEnd) !== greaterThan) {
      const bodyStart = endOfMarks(text, nameEnd)
      if (bodyStart === undefined) return undefined
      if (segment.children.length === 0) segment.fields.end()
      const child = { name: text.slice(nameAt, nameEnd), fields: new PlainFields(places), children: [] }
      segment.children.push(child)
      cursor = bodyStart
      if (text.charCodeAt(bodyStart - 2) === slash) continue
      if (above.length >= depthMax) return undefined
      above.push(segment)
      segment = child
      continue
    }
    // Without a mark it is a field. One with elements inside is a segment without its mark, which SAP does not write.
    const valueEnd = text.indexOf('<', nameEnd + 1)
    if (segment.children.length > 0 || !closesField(text, nameAt, nameEnd, valueEnd)) return undefined
    if (hasReferences && resolveReferences(text.slice(nameEnd + 1, valueEnd)) === undefined) return undefined
    places.add(nameAt, nameEnd)
    cursor = valueEnd + nameEnd - nameAt + 3
  }
}

/** True when the end tag of the name that stands before stands at `at`. */
function closesField(text: string, nameAt: number, nameEnd: number, at: number): boolean {
  if (text.charCodeAt(at + 1) !== slash) return false
  // Letter by letter: names are short, and a call of the engine costs more than they do.
  let end = at + 2
  for (let letterAt = nameAt; letterAt <= nameEnd; letterAt++, end++) {
    if (text.charCodeAt(letterAt) !== text.charCodeAt(end)) return false
  }
  return true
}

/** True when `</name>` stands there. */
function closes(text: string, at: number, name: string): boolean {
  return (
    text.charCodeAt(at + 1) === slash &&
    text.startsWith(name, at + 2) &&
    text.charCodeAt(at + 2 + name.length) === greaterThan
  )
}

/** Where a tag ends whose name ends at `at`; undefined where it has other attributes than those of SAP. */
function endOfMarks(text: string, at: number): number | undefined {
  for (const mark of marks) if (text.startsWith(mark, at)) return at + mark.length
  return undefined
}

/** The end of a name as SAP has them: ASCII letters, `_`, and further on digits, `-` and `.`; `at` where there is none. */
function endOfName(text: string, at: number): number {
  if (nameLetters[text.charCodeAt(at)] !== firstOrLater) return at
  let end = at + 1
  while ((nameLetters[text.charCodeAt(end)] ?? 0) !== 0) end += 1
  return end - at > nameLettersMax ? at : end
}

function skipBlank(text: string, at: number): number {
  let end = at
  for (let code = text.charCodeAt(end); code === 0x20 || code === 0x0a || code === 0x09; code = text.charCodeAt(end)) {
    end += 1
  }
  return end
}

/** Tells the line of places that come one after the other. */
function countLines(text: string): (place: number) => number {
  let line = 1
  let next = text.indexOf('\n')
  return place => {
    for (; next >= 0 && next < place; next = text.indexOf('\n', next + 1)) line += 1
    return line
  }
}

/** By character code: where in a name it may stand, if it may. */
const nameLetters = new Uint8Array(128)
const later = 1
const firstOrLater = 2
for (const letter of '0123456789-.') nameLetters[letter.charCodeAt(0)] = later
for (const letter of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_') {
  nameLetters[letter.charCodeAt(0)] = firstOrLater
}

const lessThan = 0x3c
const greaterThan = 0x3e
const slash = 0x2f
