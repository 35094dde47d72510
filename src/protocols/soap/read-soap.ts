import { parseContentType } from '../mime/content-type.ts'
import { decodeTransfer, MultipartReader } from '../mime/read-multipart.ts'
import { createXmlCopy } from '../xml/copy-xml.ts'
import { decodeXml } from '../xml/decode-xml.ts'
import {
  childOf,
  createElementBuilder,
  namespacesIn,
  rootNamespaces,
  splitName,
  textOf,
  type XmlElement,
} from '../xml/xml-element.ts'
import { createXmlReader } from '../xml/xml-reader.ts'
import { soapMessageErrors } from './errors.ts'
import {
  addressingNamespaces,
  mustBeUnderstood,
  type SoapFault,
  type SoapMessage,
  type SoapVersion,
  soapLimits,
  soapNamespaces,
} from './soap.ts'

/** Text that is read before what came of it is handed over; a document is never held whole. */
const pieceLength = 64 * 1024

/**
 * Reads a SOAP message of either version as it comes. Throws the errors of the areas SOAPMESSAGE, XML and MULTIPART:
 * for the envelope and its header at once, for the payload while it is read.
 */
export async function openSoap(source: AsyncIterable<Uint8Array>, contentType: string): Promise<SoapMessage> {
  const { type, parameters } = parseContentType(contentType)
  if (type === 'multipart/related') return openMultipart(source, parameters.get('boundary') ?? '')
  if (type !== 'text/xml' && type !== 'application/soap+xml' && type !== 'application/xml') {
    throw soapMessageErrors.SHAPE({ text: `its Content-Type is ${type.slice(0, 60) || 'missing'}` })
  }
  return openEnvelope(source, parameters.get('charset'), async () => {})
}

/** SOAP with attachments: the envelope is read, attachments are not. */
async function openMultipart(source: AsyncIterable<Uint8Array>, boundary: string): Promise<SoapMessage> {
  const reader = new MultipartReader(source, boundary)
  const root = await reader.next()
  if (!root) throw soapMessageErrors.SHAPE({ text: 'it has no parts' })
  const { parameters } = parseContentType(root.headers['content-type'] ?? '')
  return openEnvelope(decodeTransfer(root), parameters.get('charset'), async () => {
    if (await reader.next()) throw soapMessageErrors.SHAPE({ text: 'it brings attachments, which are not taken' })
  })
}

async function openEnvelope(
  source: AsyncIterable<Uint8Array>,
  charset: string | undefined,
  atEnd: () => Promise<void>,
): Promise<SoapMessage> {
  const listener = new EnvelopeListener()
  const reader = createXmlReader({
    open: (name, attributes, isSelfClosing) => listener.open(name, attributes, isSelfClosing, reader.place()),
    text: text => listener.text(text),
    close: name => listener.close(name),
  })
  const texts = pieces(decodeXml(source, charset))
  let length = 0
  let isOver = false
  while (!isOver && !listener.payload) {
    const { done, value } = await texts.next()
    if (done) {
      reader.end()
      await atEnd()
      isOver = true
    } else {
      length += value.length
      if (length > soapLimits.headerLength && !listener.payload) {
        throw soapMessageErrors.TOO_LARGE({ limit: 'headerLength', max: soapLimits.headerLength })
      }
      reader.write(value)
    }
  }
  const { version } = listener
  if (!version || !listener.hasBody) throw soapMessageErrors.SHAPE({ text: 'it has no Body' })
  return {
    version,
    headers: listener.headers,
    payload: listener.payload,
    fault: listener.fault && readFault(listener.fault, version),
    async *document() {
      for (;;) {
        const written = listener.takeWritten()
        if (written !== '') yield Buffer.from(written)
        if (isOver) return
        const { done, value } = await texts.next()
        if (!done) reader.write(value)
        else {
          reader.end()
          await atEnd()
          isOver = true
        }
      }
    },
  }
}

async function* pieces(texts: AsyncIterable<string>): AsyncGenerator<string, undefined> {
  for await (const text of texts) {
    for (let at = 0; at < text.length; at += pieceLength) yield text.slice(at, at + pieceLength)
  }
  return undefined
}

type Place = { readonly line: number; readonly column: number }

/** Takes an envelope apart: header blocks and a fault as trees, the payload written anew. */
class EnvelopeListener {
  version: SoapVersion | undefined
  hasBody = false
  payload: { readonly name: string; readonly namespace: string } | undefined
  fault: XmlElement | undefined
  readonly headers: XmlElement[] = []
  /** Namespaces in scope, for Envelope, Header or Body. */
  readonly #scopes = [rootNamespaces]
  /** Elements of the envelope that are open: Envelope, then Header or Body. */
  readonly #around: string[] = []
  #tree: ReturnType<typeof createElementBuilder> | undefined
  readonly #copy = createXmlCopy()
  #copyDepth = 0
  #selfClosing = 0

  open(name: string, attributes: Readonly<Record<string, string>>, isSelfClosing: boolean, place: Place): void {
    if (this.#tree) {
      this.#tree.open(name, attributes, place)
      return
    }
    if (this.#copyDepth > 0) {
      this.#copyDepth += 1
      this.#copy.open(name, attributes, isSelfClosing)
      if (isSelfClosing) this.#selfClosing += 1
      return
    }
    const outer = this.#scopes.at(-1) ?? rootNamespaces
    const scope = namespacesIn(outer, attributes)
    const { prefix, local } = splitName(name)
    const namespace = scope.get(prefix) ?? ''
    if (this.#around.length < 2) {
      this.#openAround(local, namespace)
      this.#scopes.push(scope)
    } else if (this.#around[1] === 'Header') {
      this.#openTree(outer, element => this.headers.push(element)).open(name, attributes, place)
    } else if (this.payload || this.fault) throw shape('its Body has more than one element')
    else if (local === 'Fault' && namespace === soapNamespaces[this.version ?? '1.1']) {
      const keep = (element: XmlElement) => {
        this.fault = element
      }
      this.#openTree(outer, keep).open(name, attributes, place)
    } else {
      this.payload = { name: local, namespace }
      this.#copyDepth = 1
      this.#copy.open(name, attributes, isSelfClosing, declarationsOf(outer))
      if (isSelfClosing) this.#selfClosing += 1
    }
  }

  text(text: string): void {
    if (this.#tree) this.#tree.text(text)
    else if (this.#copyDepth > 0) this.#copy.text(text)
    else if (text.trim() !== '') throw shape('text stands beside its elements')
  }

  close(name: string): void {
    if (this.#tree) {
      this.#tree.close()
      if (this.#tree.depth === 0) this.#tree = undefined
    } else if (this.#copyDepth > 0) {
      this.#copyDepth -= 1
      // The end of an empty element comes right after its beginning.
      if (this.#selfClosing > 0) this.#selfClosing -= 1
      else this.#copy.close(name)
    } else {
      this.#around.pop()
      this.#scopes.pop()
    }
  }

  takeWritten(): string {
    return this.#copy.take()
  }

  #openAround(local: string, namespace: string): void {
    if (this.#around.length === 0) {
      this.version = (['1.1', '1.2'] as const).find(version => soapNamespaces[version] === namespace)
      if (local !== 'Envelope' || !this.version)
        throw shape(`its root is <${local}>, not an Envelope of SOAP 1.1 or 1.2`)
    } else if (namespace === soapNamespaces[this.version ?? '1.1'] && local === 'Body') {
      if (this.hasBody) throw shape('it has two bodies')
      this.hasBody = true
    } else if (namespace !== soapNamespaces[this.version ?? '1.1'] || local !== 'Header' || this.hasBody) {
      throw shape(`<${local}> stands beside its header and body`)
    }
    this.#around.push(local)
  }

  #openTree(outer: ReadonlyMap<string, string>, onRoot: (element: XmlElement) => void) {
    this.#tree = createElementBuilder(onRoot, outer)
    return this.#tree
  }
}

/** The namespaces of the envelope, which names and values of the payload may use. */
function declarationsOf(scope: ReadonlyMap<string, string>): Readonly<Record<string, string>> {
  const declared: Record<string, string> = {}
  for (const [prefix, namespace] of scope) {
    if (prefix === 'xml') continue
    declared[prefix === '' ? 'xmlns' : `xmlns:${prefix}`] = namespace
  }
  return declared
}

function readFault(fault: XmlElement, version: SoapVersion): SoapFault {
  if (version === '1.1') {
    return {
      code: splitName(textOf(fault, 'faultcode') ?? '').local,
      text: textOf(fault, 'faultstring') ?? '',
      detail: childOf(fault, 'detail'),
    }
  }
  const code = splitName(textOf(childOf(fault, 'Code'), 'Value') ?? '').local
  return {
    code: code === 'Sender' ? 'Client' : code === 'Receiver' ? 'Server' : code,
    text: textOf(childOf(fault, 'Reason'), 'Text') ?? '',
    detail: childOf(fault, 'Detail'),
  }
}

/** Throws SOAPMESSAGE_NOT_UNDERSTOOD for a header that must be understood and is not WS-Addressing. */
export function refuseUnknownHeaders({ headers }: Pick<SoapMessage, 'headers'>): void {
  const unknown = headers.find(header => mustBeUnderstood(header) && !addressingNamespaces.has(header.namespace))
  if (unknown) throw soapMessageErrors.NOT_UNDERSTOOD({ header: `{${unknown.namespace}}${unknown.name}` })
}

/** Text of a WS-Addressing header (`MessageID`, `RelatesTo`, `Action`). */
export function addressingOf({ headers }: Pick<SoapMessage, 'headers'>, name: string): string | undefined {
  const found = headers.find(header => header.name === name && addressingNamespaces.has(header.namespace))
  return found?.text.trim() || undefined
}

function shape(text: string) {
  return soapMessageErrors.SHAPE({ text })
}
