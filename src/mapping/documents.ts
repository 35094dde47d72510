/** What a module beside a flow document needs to read and write IDocs and XML by itself. */
export type { Idoc, Segment } from '../protocols/idoc/idoc.ts'
export { parseIdocs } from '../protocols/idoc/read-idocs.ts'
export { writeIdocs } from '../protocols/idoc/write-idoc.ts'
export { escapeText, isXmlText } from '../protocols/xml/write-xml.ts'
export { parseXmlTree, type XmlNode } from '../protocols/xml/xml-tree.ts'
