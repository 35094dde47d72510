import { idocErrors } from '../protocols/idoc/errors.ts'
import { type Idoc, idocNames } from '../protocols/idoc/idoc.ts'
import { parseIdocs } from '../protocols/idoc/read-idocs.ts'
import { parseXmlTree } from '../protocols/xml/xml-tree.ts'
import type { SourceNode } from './source.ts'

/** The body as mappings read it; throws the errors of XML and IDOC. An IDoc body holds exactly one. */
export function readSource(kind: 'idoc' | 'xml', bytes: Uint8Array): SourceNode {
  if (kind === 'xml') return parseXmlTree(bytes)
  const [idoc, ...others] = parseIdocs(bytes)
  if (!idoc || others.length > 0) throw idocErrors.TOO_MANY({ count: others.length + 1 })
  return idocSource(idoc)
}

/** Every document of a file: each IDoc of a packet, or the one XML document. */
export function readDocuments(kind: 'idoc' | 'xml', bytes: Uint8Array): readonly SourceNode[] {
  return kind === 'xml' ? [parseXmlTree(bytes)] : parseIdocs(bytes).map(idocSource)
}

/** An IDoc with its control record as the first node (`EDI_DC40/DOCNUM`). */
function idocSource(idoc: Idoc): SourceNode {
  const control = { name: idocNames.control, fields: idoc.control, children: [] }
  return { ...idoc.data, children: [control, ...idoc.data.children] }
}
