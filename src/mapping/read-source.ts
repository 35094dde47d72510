import { idocErrors } from '../protocols/idoc/errors.ts'
import { type Idoc, idocNames } from '../protocols/idoc/idoc.ts'
import { parseIdocs } from '../protocols/idoc/read-idocs.ts'
import { parseContentType } from '../protocols/mime/content-type.ts'
import { parseXmlTree } from '../protocols/xml/xml-tree.ts'
import { isJson, readJsonSource } from './json-source.ts'
import type { SourceKind, SourceNode } from './source.ts'

/**
 * The body as mappings read it. `mediaType` may name the charset of XML. Throws the errors of XML and IDOC, and
 * BODY_NOT_TEXT. An IDoc body holds exactly one.
 */
export function readSource(kind: SourceKind, bytes: Uint8Array, mediaType = ''): SourceNode {
  if (kind === 'document' && isJson(bytes)) return readJsonSource(bytes)
  const charset = parseContentType(mediaType).parameters.get('charset')
  if (kind !== 'idoc') return parseXmlTree(bytes, {}, charset)
  const [idoc, ...others] = parseIdocs(bytes, { charset })
  if (!idoc || others.length > 0) throw idocErrors.TOO_MANY({ count: others.length + 1 })
  return idocSource(idoc)
}

/** Every document of a file: each IDoc of a packet, or the one other document. */
export function readDocuments(kind: SourceKind, bytes: Uint8Array): readonly SourceNode[] {
  return kind === 'idoc' ? parseIdocs(bytes).map(idocSource) : [readSource(kind, bytes)]
}

/** An IDoc with its control record as the first node (`EDI_DC40/DOCNUM`). */
function idocSource(idoc: Idoc): SourceNode {
  const control = { name: idocNames.control, fields: idoc.control, children: [] }
  return { ...idoc.data, children: [control, ...idoc.data.children] }
}
