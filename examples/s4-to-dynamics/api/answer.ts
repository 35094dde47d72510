import { escapeText, heldBody, type Limits, type Message, readBody, type Segment, writeIdocs } from 'isthmus/documents'

/** What became of a question; the same names in JSON, IDocs and proxies. */
export interface Answer {
  readonly Method: string
  readonly Found: boolean
  /** Id of the record in Dynamics 365; empty where there is none. */
  readonly ObjectId: string
  /** found, missing, created, updated or skipped. */
  readonly Operation: string
  readonly ObjectKey: string
  readonly StateCode?: string
  readonly StatusCode?: string
  readonly CreditLimit?: string
  readonly Currency?: string
  readonly CreditOnHold?: string
  readonly IsDisabled?: string
}

export const answerIdoc = { type: 'ZCRMANSWER01', message: 'ZCRMANSWER' } as const
export const namespace = 'urn:isthmus:example:s4-to-dynamics'

/** Columns of Dynamics 365 that are told, and what they are called. */
const told = {
  statecode: 'StateCode',
  statuscode: 'StatusCode',
  creditlimit: 'CreditLimit',
  isocurrencycode: 'Currency',
  creditonhold: 'CreditOnHold',
  isdisabled: 'IsDisabled',
} as const

/** Makes the answer to a question out of what Dynamics 365 said, in the form in which it was asked. */
export default async function writeAnswer(message: Message, { limits }: { readonly limits: Limits }): Promise<Message> {
  const bytes = await readBody(message.body, limits.parseBytes, 'reading an answer (parseBytes)')
  const said = JSON.parse(Buffer.from(bytes).toString('utf8')) as Readonly<Record<string, unknown>>
  const method = String(message.attributes['crmMethod'])
  const { reply, control } = message.attributes['crmQuestion'] as {
    readonly reply: string
    readonly control: Readonly<Record<string, string>>
  }
  const answer = answerOf(method, said)
  if (reply === 'idoc') return withBody(message, idocOf(answer, control), 'text/xml; charset=utf-8')
  if (reply === 'proxy') return withBody(message, proxyOf(answer), 'application/xml')
  return withBody(message, JSON.stringify(answer), 'application/json')
}

function answerOf(method: string, said: Readonly<Record<string, unknown>>): Answer {
  const operation = String(said['operation'])
  // A line has no state of its own: it stands as its invoice does. An amount is in the currency of its record.
  const others = [said['invoiceid'], said['transactioncurrencyid']] as readonly (Readonly<
    Record<string, unknown>
  > | null)[]
  const facts: Record<string, string> = {}
  for (const [column, name] of Object.entries(told)) {
    const value = said[column] ?? others.map(other => other?.[column]).find(each => each !== undefined)
    if (value !== undefined && value !== null) facts[name] = String(value)
  }
  return {
    Method: method,
    Found: operation !== 'missing',
    ObjectId: typeof said['id'] === 'string' ? said['id'] : '',
    Operation: operation,
    ObjectKey: String(said['key']),
    ...facts,
  }
}

function withBody(message: Message, text: string, type: string): Message {
  return { ...message, body: heldBody(text, type) }
}

function idocOf(
  { Method, Found, ObjectId, Operation, ObjectKey, ...facts }: Answer,
  asked: Readonly<Record<string, string>>,
) {
  const of = (name: string) => asked[name] ?? ''
  const control = new Map(
    Object.entries({
      TABNAM: 'EDI_DC40',
      MANDT: of('MANDT'),
      DIRECT: '2',
      IDOCTYP: answerIdoc.type,
      MESTYP: answerIdoc.message,
      SNDPOR: of('RCVPOR'),
      SNDPRT: of('RCVPRT'),
      SNDPRN: of('RCVPRN'),
      RCVPOR: of('SNDPOR'),
      RCVPRT: of('SNDPRT'),
      RCVPRN: of('SNDPRN'),
    }),
  )
  const main = {
    METHOD: Method,
    REFDOCNUM: of('DOCNUM'),
    FOUND: Found ? 'X' : '',
    OBJECTID: ObjectId,
    OPERATION: Operation,
    OBJECTKEY: ObjectKey,
  }
  const children = Object.entries(facts).map(([NAME, VALUE]) => segment('ZE1CRMFIELD', { NAME, VALUE }))
  const data = { name: 'IDOC', fields: new Map<string, string>(), children: [segment('ZE1CRMANSWER', main, children)] }
  return writeIdocs([{ type: answerIdoc.type, control, data }])
}

function segment(name: string, fields: Readonly<Record<string, string>>, children: readonly Segment[] = []): Segment {
  return { name, fields: new Map(Object.entries(fields)), children }
}

function proxyOf(answer: Answer): string {
  const name = `n0:${answer.Method}Response`
  const fields = Object.entries(answer).map(([field, value]) => {
    const text = typeof value === 'boolean' ? (value ? 'X' : '') : value
    return `<${field}>${escapeText(text)}</${field}>`
  })
  return `<?xml version="1.0" encoding="utf-8"?><${name} xmlns:n0="${namespace}"><Answer>${fields.join('')}</Answer></${name}>`
}
