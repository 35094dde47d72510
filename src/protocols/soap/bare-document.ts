import { HubError } from '../../kernel/error.ts'
import { decodeXmlBytes } from '../xml/decode-xml.ts'
import { namespacesIn, rootNamespaces, splitName } from '../xml/xml-element.ts'
import { createXmlReader } from '../xml/xml-reader.ts'
import { soapNamespaces } from './soap.ts'

/** True for an XML document whose root is no envelope of SOAP, so that it is no XI message either. */
export function isBareDocument(bytes: Uint8Array): boolean {
  let root: string | undefined
  const reader = createXmlReader({
    open(name, attributes) {
      const { prefix, local } = splitName(name)
      root ??= `{${namespacesIn(rootNamespaces, attributes).get(prefix) ?? ''}}${local}`
    },
    text() {},
    close() {},
  })
  try {
    reader.write(decodeXmlBytes(bytes))
  } catch (thrown) {
    // Whoever takes it says what is wrong with it.
    if (!(thrown instanceof HubError)) throw thrown
  }
  return root !== undefined && !Object.values(soapNamespaces).some(namespace => root === `{${namespace}}Envelope`)
}
