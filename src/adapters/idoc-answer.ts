import type { HubError } from '../kernel/error.ts'
import type { HttpResponse } from '../kernel/http-exchange.ts'
import { escapeText } from '../protocols/xml/write-xml.ts'
import { answerProblem } from './https-answer.ts'

/** An IDoc that was taken: the number that its sender gave it, and the id of its message here. */
export interface TakenIdoc {
  readonly docnum: string
  readonly id: string
}

const soapNamespace = 'http://schemas.xmlsoap.org/soap/envelope/'
/** What SAP's own IDoc service puts its answers into. */
const idocSoapNamespace = 'urn:sap-com:document:sap:idoc:soap:messages'

/** 200 with a pair of transfer id and number for each IDoc, as SAP's own IDoc services answer; in SOAP when it came so. */
export function answerTaken(
  type: string,
  taken: readonly TakenIdoc[],
  soap: { readonly namespace: string } | undefined,
): HttpResponse {
  const pairs = taken.map(
    ({ docnum, id }) =>
      `<IDocAssign><TransferId>${escapeText(docnum)}</TransferId><DbId>${escapeText(id)}</DbId></IDocAssign>`,
  )
  const name = `${type}.Response`
  const content = pairs.join('')
  const document = soap
    ? inEnvelope(
        `<n0:${name} xmlns:n0="${escapeAttribute(soap.namespace || idocSoapNamespace)}">${content}</n0:${name}>`,
      )
    : `<${name}>${content}</${name}>`
  const [only] = taken
  return {
    status: 200,
    headers: {
      'content-type': 'text/xml; charset=utf-8',
      ...(taken.length === 1 && only && { 'x-isthmus-message': only.id }),
    },
    body: `<?xml version="1.0" encoding="UTF-8"?>${document}`,
  }
}

/** 400 with line and column, and the id under which the bytes are kept; a SOAP caller gets a fault. */
export function answerUnreadable(error: HubError, id: string, isSoap: boolean): HttpResponse {
  const headers = { 'x-isthmus-message': id }
  if (isSoap) {
    const fault =
      `<soap:Fault><faultcode>soap:Client</faultcode><faultstring>${escapeText(error.message)}</faultstring>` +
      `<detail><problem><code>${escapeText(error.code)}</code><next>${escapeText(error.next)}</next>` +
      `<message>${escapeText(id)}</message></problem></detail></soap:Fault>`
    const body = `<?xml version="1.0" encoding="UTF-8"?>${inEnvelope(fault)}`
    // SOAP 1.1 section 6.2: a fault comes with 500, whoever is to blame.
    return { status: 500, headers: { ...headers, 'content-type': 'text/xml; charset=utf-8' }, body }
  }
  const { line, column } = error.fields
  const problem = answerProblem(error, 400)
  const told: object = JSON.parse(String(problem.body))
  return {
    ...problem,
    headers: { ...problem.headers, ...headers },
    body: JSON.stringify({ ...told, ...(line !== undefined && { line, column }), message: id }),
  }
}

/** Content as body of a SOAP 1.1 envelope. */
export function inEnvelope(content: string): string {
  return `<soap:Envelope xmlns:soap="${soapNamespace}"><soap:Body>${content}</soap:Body></soap:Envelope>`
}

function escapeAttribute(text: string): string {
  return escapeText(text).replaceAll('"', '&quot;')
}
