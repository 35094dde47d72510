import { decodeXml, decodeXmlBytes } from '../xml/decode-xml.ts'
import { createMender, type MendMode } from '../xml/mend-characters.ts'
import { createXmlReader, localName, type XmlLimits, xmlLimits } from '../xml/xml-reader.ts'
import { findOverlongNumber } from './control-columns.ts'
import { idocErrors } from './errors.ts'
import { type Idoc, idocNames, isIdocName, type Segment } from './idoc.ts'
import { readPlainIdocs } from './read-plain.ts'
import { takeRecent } from './recent-idocs.ts'

export interface ReadIdocOptions {
  /** Charset of the Content-Type. */
  readonly charset?: string | undefined
  readonly limits?: Partial<XmlLimits>
  /** Takes characters out of the way that XML cannot hold; without it they are refused. */
  readonly mend?: MendMode | undefined
}

/**
 * IDocs of a document, one after the other: memory stays that of one IDoc, however many stand in a packet. Reads the
 * plain shape and the one inside a SOAP body. Throws the errors of the areas XML and IDOC; what was given before is whole.
 */
export async function* readIdocs(
  source: AsyncIterable<Uint8Array>,
  options: ReadIdocOptions = {},
): AsyncGenerator<Idoc> {
  const builder = createIdocBuilder(options.limits)
  const mend = options.mend && createMender(options.mend)
  for await (const decoded of decodeXml(source, options.charset)) {
    const text = mend ? mend(decoded) : decoded
    for (let at = 0; at < text.length; at += pieceLength) {
      builder.write(text.slice(at, at + pieceLength))
      yield* builder.take()
    }
  }
  if (mend) builder.write(mend('', true))
  builder.end()
  yield* builder.take()
}

/** Text that is read before finished IDocs are handed over; a packet is never held whole. */
const pieceLength = 64 * 1024

/** All IDocs of a document that lies in memory. */
export function parseIdocs(bytes: Uint8Array, options: ReadIdocOptions = {}): readonly Idoc[] {
  const recent = takeRecent(bytes)
  if (recent) return [recent]
  const decoded = decodeXmlBytes(bytes, options.charset)
  const text = options.mend ? createMender(options.mend)(decoded, true) : decoded
  const plain = options.limits ? undefined : readPlainIdocs(text)
  if (plain) return plain
  const builder = createIdocBuilder(options.limits)
  builder.write(text)
  builder.end()
  return builder.take()
}

interface OpenSegment {
  readonly name: string
  readonly fields: Map<string, string>
  readonly children: Segment[]
  /** Marked by its SEGMENT attribute, or by an element inside it: a segment also when it is empty. */
  isSegment: boolean
  text: string
}

function createIdocBuilder(limits: Partial<XmlLimits> | undefined) {
  let finished: Idoc[] = []
  /** Names around the IDocs: Envelope, Body, MATMAS05. */
  const around: string[] = []
  const open: OpenSegment[] = []
  let line = 0
  let namespace = ''
  let isAnyFound = false
  /** Elements that are open in the header of a SOAP envelope, itself among them: ids, time stamps, signatures, no IDocs. */
  let headerDepth = 0

  const reader = createXmlReader(
    {
      open(name, attributes) {
        const own = localName(name)
        const above = open.at(-1)
        if (headerDepth > 0 || (own === 'Header' && around.length === 1 && around[0] === 'Envelope')) {
          headerDepth += 1
          return
        }
        if (!isIdocName(own)) throw wrong(`<${own.slice(0, 60)}> is no name that SAP can have`)
        if (!above && own !== idocNames.record) {
          around.push(own)
          namespace = namespaceOf(name, attributes)
          if (around.length > aroundMax) throw wrong(`<${own}> stands where <IDOC> is wanted`)
          return
        }
        if (above) {
          above.isSegment = true
          if (above.text.trim() !== '') throw wrong(`text stands beside the elements of ${above.name}`)
        } else {
          if (around.length === 0) throw wrong('<IDOC> is not inside an element with the name of its type')
          reader.beginRecord()
          line = reader.place().line
        }
        const isSegment = attributes['SEGMENT'] !== undefined || attributes['BEGIN'] !== undefined
        open.push({ name: own, fields: new Map(), children: [], isSegment, text: '' })
      },
      text(text) {
        const segment = open.at(-1)
        if (segment) segment.text += text
        else if (headerDepth === 0 && text.trim() !== '') throw wrong('text stands outside of the IDoc')
      },
      close() {
        if (headerDepth > 0) {
          headerDepth -= 1
          return
        }
        const segment = open.pop()
        if (!segment) {
          around.pop()
          return
        }
        const above = open.at(-1)
        if (!above) finishIdoc(segment)
        else if (segment.isSegment) closeSegment(above, segment)
        // A field that stands twice in a segment keeps its first value, as SAP's own reader does.
        else if (!above.fields.has(segment.name)) above.fields.set(segment.name, segment.text)
      },
    },
    { ...idocReaderLimits, ...limits },
  )

  function wrong(text: string) {
    return idocErrors.SHAPE({ text, ...reader.place() })
  }

  function closeSegment(above: OpenSegment, { name, fields, children, text }: OpenSegment) {
    if (text.trim() !== '') throw wrong(`text stands beside the elements of ${name}`)
    above.children.push({ name, fields, children })
  }

  function finishIdoc({ name, children, fields, text }: OpenSegment) {
    if (text.trim() !== '') throw wrong(`text stands beside the elements of ${name}`)
    const [control, ...segments] = children
    if (!control || (control.name !== idocNames.control && control.name !== idocNames.control3)) {
      throw wrong('it does not begin with a control record EDI_DC40')
    }
    const overlong = findOverlongNumber(control.fields)
    if (overlong !== undefined) throw wrong(overlong)
    isAnyFound = true
    const type = around.at(-1) ?? ''
    finished.push({
      type,
      control: control.fields,
      data: { name, fields, children: segments },
      line,
      ...(around[0] === 'Envelope' && { soapNamespace: namespace }),
    })
  }

  return {
    write: reader.write,
    end() {
      reader.end()
      if (!isAnyFound) throw wrong('there is no <IDOC> in it')
    },
    /** The IDocs that are whole by now. */
    take(): readonly Idoc[] {
      const taken = finished
      finished = []
      return taken
    },
  }
}

/** The namespace that an element declares for itself; SAP declares it there. */
function namespaceOf(name: string, attributes: Readonly<Record<string, string>>): string {
  const prefix = name.slice(0, Math.max(0, name.indexOf(':')))
  return attributes[prefix === '' ? 'xmlns' : `xmlns:${prefix}`] ?? ''
}

/** Elements around an IDoc: SOAP envelope, body, type. */
const aroundMax = 4

const idocReaderLimits: Partial<XmlLimits> = { depth: 40, elements: xmlLimits.elements, attributes: 20 }
