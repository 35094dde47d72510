import { element, envelope, namespaces, textElement } from '../../protocols/ews/write-xml.ts'
import { childOf, type XmlElement } from '../../protocols/xml/xml-element.ts'

/** A failure in the words of Exchange; of one item, or as a fault of the whole request. */
export class EwsError extends Error {
  readonly code: string
  readonly isFault: boolean
  /** Rows of MessageXml: `BackOffMilliseconds`, `Policy`. */
  readonly values: Readonly<Record<string, string>>

  constructor(
    code: string,
    message: string,
    more: { isFault?: boolean; values?: Readonly<Record<string, string>> } = {},
  ) {
    super(message)
    this.code = code
    this.isFault = more.isFault ?? false
    this.values = more.values ?? {}
  }
}

export function fault(code: string, message: string, values: Readonly<Record<string, string>> = {}): EwsError {
  return new EwsError(code, message, { isFault: true, values })
}

/** Exchange Server SE. */
const versionInfo = element('t:ServerVersionInfo', {
  MajorVersion: 15,
  MinorVersion: 2,
  MajorBuildNumber: 2562,
  MinorBuildNumber: 17,
  Version: 'V2017_07_11',
})

export function answerEnvelope(body: string): string {
  return envelope(versionInfo, body)
}

export function faultEnvelope({ code, message, values }: EwsError): string {
  const rows = Object.entries(values).map(([name, value]) => textElement('t:Value', value, { Name: name }))
  const { types, errors } = namespaces
  const detail =
    `<detail>${textElement('e:ResponseCode', code, { 'xmlns:e': errors })}${textElement('e:Message', message, { 'xmlns:e': errors })}` +
    `${rows.length === 0 ? '' : element('t:MessageXml', {}, ...rows)}</detail>`
  return answerEnvelope(
    `<s:Fault><faultcode xmlns:a="${types}">a:${code}</faultcode>${textElement('faultstring', message, { 'xml:lang': 'en-US' })}${detail}</s:Fault>`,
  )
}

/** One row of an answer: what became of one part of the request. */
export function row(operation: string, content: string): string {
  return element(
    `m:${operation}ResponseMessage`,
    { ResponseClass: 'Success' },
    textElement('m:ResponseCode', 'NoError'),
    content,
  )
}

export function errorRow(operation: string, { code, message, values }: EwsError, content = ''): string {
  const rows = Object.entries(values).map(([name, value]) => textElement('t:Value', value, { Name: name }))
  return element(
    `m:${operation}ResponseMessage`,
    { ResponseClass: 'Error' },
    textElement('m:MessageText', message),
    textElement('m:ResponseCode', code),
    textElement('m:DescriptiveLinkKey', 0),
    rows.length === 0 ? '' : element('m:MessageXml', {}, ...rows),
    content,
  )
}

export function response(operation: string, rows: readonly string[]): string {
  return element(`m:${operation}Response`, {}, element('m:ResponseMessages', {}, ...rows))
}

/** The child, or the fault of a request that does not follow the schema. */
export function needed(parent: XmlElement, name: string): XmlElement {
  const child = childOf(parent, name)
  if (!child) throw invalid(`The element '${parent.name}' has incomplete content. Expected: '${name}'.`)
  return child
}

export function invalid(message: string): EwsError {
  return fault('ErrorSchemaValidation', `The request failed schema validation: ${message}`)
}
