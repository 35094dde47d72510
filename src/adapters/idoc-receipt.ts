import type { Receipt } from '../flow/adapter.ts'
import { asHubError, type HubError } from '../kernel/error.ts'
import { parseXmlTree, type XmlNode } from '../protocols/xml/xml-tree.ts'
import { excerpt, type HttpAnswer } from './http-answer.ts'
import { idocAdapterErrors } from './idoc-errors.ts'

/** What SAP answered: the number that each IDoc got there, by the number that it was sent with. */
export function receiptOf({ status, headers, body }: HttpAnswer, server: string): Receipt {
  const idocs = assignments(documentOf(body))
  const numbers = idocs.map(({ number }) => number)
  const [first] = numbers
  const words =
    first === undefined ? '' : numbers.length === 1 ? `, IDoc ${first}` : `, ${numbers.length} IDocs from ${first}`
  return {
    summary: `${status} from ${server}${words}`,
    fields: { status, ...(first !== undefined && { idoc: first, idocs }) },
    ...(numbers.length > 0 && { terms: numbers }),
    answer: { headers, type: headers['content-type'] ?? 'application/octet-stream', body },
  }
}

/**
 * What a page says that came with a good status: of a log-in, a proxy, or of SAP about an error. Undefined for other
 * answers, and for the page by which /sap/bc/idoc_xml says that it took the IDoc.
 */
export function pageOf(answer: HttpAnswer): string | undefined {
  if (!/html/i.test(answer.headers['content-type'] ?? '')) return undefined
  return /IDoc-XML-inbound\s+ok/i.test(Buffer.from(answer.body).toString('latin1')) ? undefined : excerpt(answer)
}

/** The fault of a SOAP answer where SAP says that the message itself is wrong; trying again would not help then. */
export function faultOf({ body }: HttpAnswer, server: string): HubError | undefined {
  const root = documentOf(body)
  const fault = root && find(root, 'Fault')[0]
  const code = fault?.fields.get('faultcode') ?? (fault && find(fault, 'Code')[0]?.fields.get('Value'))
  if (!fault || code === undefined || !/(^|:)(Client|Sender)\b/.test(code)) return undefined
  const reason = fault.fields.get('faultstring') ?? find(fault, 'Reason')[0]?.fields.get('Text') ?? code
  return idocAdapterErrors.REFUSED_BY_SAP({ server, text: reason.replace(/\s+/g, ' ').slice(0, 300) })
}

function assignments(root: XmlNode | undefined): { transferId: string; number: string }[] {
  return root
    ? records(root).flatMap(({ fields }) => {
        const number = fields.get('DbId')?.trim()
        return number ? [{ transferId: fields.get('TransferId')?.trim() ?? '', number }] : []
      })
    : []
}

function records(node: XmlNode): readonly XmlNode[] {
  return [node, ...node.children.flatMap(records)]
}

function find(node: XmlNode, name: string): readonly XmlNode[] {
  return records(node).filter(record => record.name === name)
}

/** Undefined for anything that is no XML: releases differ in what they answer, and the status alone counts then. */
function documentOf(body: Uint8Array): XmlNode | undefined {
  if (body.length === 0) return undefined
  try {
    return parseXmlTree(body)
  } catch (thrown) {
    if (asHubError(thrown).code.startsWith('XML_')) return undefined
    throw thrown
  }
}
