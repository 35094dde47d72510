import { escapeText, isXmlText } from '../xml/write-xml.ts'
import { idocErrors } from './errors.ts'
import { type Idoc, idocNames, isIdocName, type Segment, xmlNameOf } from './idoc.ts'

type Writable = Pick<Idoc, 'type' | 'control' | 'data'>

/** IDoc XML as SAP's HTTP-XML port reads it: one root, IDocs in it. All of one type. Throws IDOC_CANNOT_WRITE. */
export function writeIdocs(idocs: readonly Writable[]): string {
  const [first] = idocs
  if (!first) throw idocErrors.CANNOT_WRITE({ text: 'there is none' })
  const other = idocs.find(({ type }) => type !== first.type)
  if (other) throw idocErrors.CANNOT_WRITE({ text: `${first.type} and ${other.type} do not go into one packet` })
  const name = elementName(first.type)
  return `<?xml version="1.0" encoding="UTF-8"?><${name}>${idocs.map(writeRecord).join('')}</${name}>`
}

function writeRecord({ control, data }: Writable): string {
  const record = segment({ name: idocNames.control, fields: control, children: [] })
  return `<IDOC BEGIN="1">${record}${data.children.map(segment).join('')}</IDOC>`
}

function segment({ name, fields, children }: Segment): string {
  const tag = elementName(name)
  let inside = ''
  for (const [field, value] of fields) {
    const fieldTag = elementName(field)
    if (!isXmlText(value)) {
      throw idocErrors.CANNOT_WRITE({ text: `${name}/${field} has a character that XML cannot hold` })
    }
    inside += `<${fieldTag}>${escapeText(value)}</${fieldTag}>`
  }
  for (const child of children) inside += segment(child)
  return inside === '' ? `<${tag} SEGMENT="1"/>` : `<${tag} SEGMENT="1">${inside}</${tag}>`
}

function elementName(name: string): string {
  const written = xmlNameOf(name)
  if (!isIdocName(written)) throw idocErrors.CANNOT_WRITE({ text: `"${name}" is no name` })
  return written
}
