import type { HubError } from '../kernel/error.ts'
import type { HttpResponse } from '../kernel/http-exchange.ts'
import { type SoapVersion, soapTypes } from '../protocols/soap/soap.ts'
import { soapFrame, writeSoapFault } from '../protocols/soap/write-soap.ts'
import { escapeText, xmlWords } from '../protocols/xml/write-xml.ts'
import { answerProblem } from './https-answer.ts'

/** An IDoc that was taken: the number that its sender gave it, and the id of its message here. */
export interface TakenIdoc {
  readonly docnum: string
  readonly id: string
}

/** What SAP's own IDoc service puts its answers into. */
const idocSoapNamespace = 'urn:sap-com:document:sap:idoc:soap:messages'

/** 200 with a pair of transfer id and number for each IDoc, as SAP's own IDoc services answer; in SOAP when it came so. */
export function answerTaken(
  type: string,
  taken: readonly TakenIdoc[],
  soap: { readonly version: SoapVersion; readonly namespace: string } | undefined,
): HttpResponse {
  const pairs = taken.map(
    ({ docnum, id }) =>
      `<IDocAssign><TransferId>${escapeText(docnum)}</TransferId><DbId>${escapeText(id)}</DbId></IDocAssign>`,
  )
  const name = `${type}.Response`
  const content = pairs.join('')
  const prefixed = `n0:${name} xmlns:n0="${escapeAttribute(soap?.namespace || idocSoapNamespace)}"`
  const frame = soap ? soapFrame(soap.version) : { before: '<?xml version="1.0" encoding="UTF-8"?>', after: '' }
  const document = soap ? `<${prefixed}>${content}</n0:${name}>` : `<${name}>${content}</${name}>`
  const [only] = taken
  return {
    status: 200,
    headers: {
      'content-type': soapTypes[soap?.version ?? '1.1'],
      ...(taken.length === 1 && only && { 'x-isthmus-message': only.id }),
    },
    body: `${frame.before}${document}${frame.after}`,
  }
}

/** 400 with line and column, and the id under which the bytes are kept; a SOAP caller gets a fault. */
export function answerUnreadable(error: HubError, id: string, soap: SoapVersion | undefined): HttpResponse {
  const headers = { 'x-isthmus-message': id }
  if (soap) return answerFault(error, id, soap)
  const { line, column } = error.fields
  const problem = answerProblem(error, 400)
  const told: object = JSON.parse(String(problem.body))
  return {
    ...problem,
    headers: { ...problem.headers, ...headers },
    body: JSON.stringify({ ...told, ...(line !== undefined && { line, column }), message: id }),
  }
}

/** SOAP 1.1 section 6.2 has 500 for every fault, SOAP 1.2 part 2 table 20 has 400 for the caller's. */
export function answerFault(error: HubError, id: string, soap: SoapVersion): HttpResponse {
  const code = error.side === 'sender' || error.side === 'caller' ? 'Client' : 'Server'
  return {
    status: soap === '1.2' && code === 'Client' ? 400 : 500,
    headers: { 'x-isthmus-message': id, 'content-type': soapTypes[soap] },
    body: writeSoapFault(soap, { code, text: xmlWords(error.message, 2000), errorCode: error.code }),
  }
}

function escapeAttribute(text: string): string {
  return escapeText(text).replaceAll('"', '&quot;')
}
