import {
  heldBody,
  type Limits,
  type Message,
  parseIdocs,
  parseXmlTree,
  readBody,
  type XmlNode,
} from 'isthmus/documents'
import { isMethod, type MethodName, methods, type RecordKind, records } from './methods.ts'

/** What a caller asks, whichever way it came. */
export interface Question {
  readonly method: string
  readonly fields: ReadonlyMap<string, string>
  readonly reply: 'json' | 'idoc' | 'proxy'
  /** Control record of the IDoc that asks; empty for the other ways. */
  readonly control: Readonly<Record<string, string>>
  /** Why it is no question at all. */
  readonly fault?: string
}

/** Names of the IDoc types with which SAP asks and is answered. */
export const questionIdoc = { type: 'ZCRMQUERY01', message: 'ZCRMQUERY' } as const

/**
 * Reads a question out of JSON, the query of an address, an IDoc or the document of a proxy, checks its names, and leaves
 * one JSON document. What is wrong with it goes into the attribute crmFault, for a filter to reject.
 */
export default async function readQuestion(
  message: Message,
  { limits }: { readonly limits: Limits },
): Promise<Message> {
  const question = await questionOf(message, limits)
  const { method, fields, reply, control } = question
  const given = Object.fromEntries(fields)
  const fault = question.fault ?? faultOf(method, fields)
  const body = fault === '' && isMethod(method) ? document(method, fields) : {}
  return {
    ...message,
    attributes: {
      ...message.attributes,
      crmMethod: method,
      crmFault: fault,
      crmQuestion: { reply, control, fields: given },
    },
    body: heldBody(JSON.stringify(body), 'application/json'),
  }
}

async function questionOf(message: Message, limits: Limits): Promise<Question> {
  const { attributes } = message
  const isProxy = typeof attributes['interface'] === 'string'
  const bytes = await readBody(message.body, limits.parseBytes, 'reading a question (parseBytes)')
  if (isProxy) {
    const method = String(attributes['interface']).replace(/_Out$/, '')
    return { method, ...recordIn(method, parseXmlTree(bytes)), reply: 'proxy', control: {} }
  }
  if (typeof attributes['docnum'] === 'string') return idocQuestion(bytes)
  const path = String(attributes['path'] ?? '').split('?')[0] ?? ''
  const [api = '', name = ''] = path.split('/').slice(-2)
  const found = Object.entries(methods).find(([, each]) => each.api === api && each.path === name)
  const common = { method: found?.[0] ?? name, reply: 'json', control: {} } as const
  // Programs and browsers follow addresses without being asked: none of them changes anything.
  if (attributes['method'] === 'GET' && found?.[1].kind === 'set') {
    return { ...common, fields: new Map(), fault: `${found[1].title} changes something: call it with POST.` }
  }
  const given = attributes['method'] === 'GET' ? groupOf(attributes['query']) : jsonOf(bytes)
  if (!given) return { ...common, fields: new Map(), fault: 'The body is no JSON object in UTF-8.' }
  // Letters in another encoding than UTF-8 came as this one, and a question about them would find nothing.
  if (Object.values(given).some(value => attributes['method'] === 'GET' && String(value).includes('\uFFFD'))) {
    return { ...common, fields: new Map(), fault: 'The address has letters that are no UTF-8.' }
  }
  const nested = Object.keys(given).find(field => typeof given[field] === 'object' && given[field] !== null)
  const fault = nested === undefined ? {} : { fault: `The field "${nested.slice(0, 60)}" is neither text nor number.` }
  return { ...common, ...fault, fields: new Map(Object.entries(given).map(([field, value]) => [field, textOf(value)])) }
}

/** ZCRMQUERY01: the method, and a segment for each field. */
function idocQuestion(bytes: Uint8Array): Question {
  const [idoc] = parseIdocs(bytes)
  const [asked, ...others] = idoc?.data.children.filter(({ name }) => name === 'ZE1CRMQUERY') ?? []
  const pairs = (asked?.children ?? []).map(
    ({ fields: pair }) => [pair.get('NAME') ?? '', pair.get('VALUE') ?? ''] as const,
  )
  const fields = new Map(pairs)
  const method = asked?.fields.get('METHOD') ?? ''
  const type = idoc?.control.get('IDOCTYP') ?? 'no IDoc'
  const fault = !asked
    ? { fault: `Questions are IDocs of the type ${questionIdoc.type} with a segment ZE1CRMQUERY, and this is ${type}.` }
    : others.length > 0
      ? { fault: oneRecord }
      : fields.size < pairs.length
        ? { fault: 'A field is named twice.' }
        : {}
  return { method, fields, reply: 'idoc', control: Object.fromEntries(idoc?.control ?? []), ...fault }
}

/** The answer has room for one: what is asked beside it would be lost without a word. */
const oneRecord = 'A call is about one record, and here are several.'

/** The record below the root of the document, with each field once. */
function recordIn(method: string, root: XmlNode): Pick<Question, 'fields' | 'fault'> {
  if (!isMethod(method)) return { fields: new Map() }
  const { path }: RecordKind = records[methods[method].record]
  let at: XmlNode | undefined = root
  for (const name of path) {
    const [first, ...others]: readonly XmlNode[] = at?.children.filter(child => child.name === name) ?? []
    if (others.length > 0) return { fields: new Map(), fault: oneRecord }
    at = first
  }
  const fields = new Map([...(at?.fields ?? [])].filter(([name]) => !name.includes('@')))
  const more = at?.children[0]?.name.slice(0, 60)
  return {
    fields,
    ...(more !== undefined && { fault: `The field "${more}" is named twice, or has fields of its own.` }),
  }
}

function faultOf(method: string, fields: ReadonlyMap<string, string>): string {
  if (!isMethod(method)) return `There is no method "${method.slice(0, 60)}".`
  const { title, record } = methods[method]
  const { fields: known }: RecordKind = records[record]
  const unknown = [...fields.keys()].find(name => !Object.hasOwn(known, name))
  if (unknown !== undefined) return `${title} has no field "${unknown.slice(0, 60)}".`
  const missing = Object.keys(known).find(name => known[name]?.isKey && (fields.get(name) ?? '').trim() === '')
  return missing === undefined ? '' : `${title} needs ${missing}.`
}

/** The document that mappings read: the record with its fields, as the proxies have it. */
function document(method: MethodName, fields: ReadonlyMap<string, string>): object {
  const { path, fields: known }: RecordKind = records[methods[method].record]
  const record: Record<string, string> = {}
  for (const [name, value] of fields) {
    const digits = known[name]?.digits
    record[name] = digits !== undefined && /^\d+$/.test(value) ? value.padStart(digits, '0') : value
  }
  const [outer, inner] = path
  // The mapping of lines reads the number of their document beside them.
  if (inner !== undefined) return { [outer]: { BillingDocument: record['BillingDocument'], [inner]: record } }
  return { [outer]: record }
}

function jsonOf(bytes: Uint8Array): Readonly<Record<string, unknown>> | undefined {
  try {
    // Letters of another encoding are refused: a question mark in their place would be written into the record.
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    // A number keeps its letters: an amount of 0.10 is no binary number.
    return groupOf(JSON.parse(text, keepNumber))
  } catch {
    // Said to the caller by whoever asked for the object.
    return undefined
  }
}

function keepNumber(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  return typeof value === 'number' ? (context?.source ?? String(value)) : value
}

function groupOf(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>)
    : undefined
}

function textOf(value: unknown): string {
  if (value === null || value === false) return ''
  return value === true ? 'X' : String(value)
}
