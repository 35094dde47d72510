import { heldBody, type Message, writeIdocs } from 'isthmus/documents'

/** How an object is asked for: message type of the request, the field of its key, and the digits that SAP fills it to. */
const requests: Readonly<Record<string, { readonly type: string; readonly key: string; readonly digits: number }>> = {
  MATMAS: { type: 'MATFET', key: 'MATNR', digits: 18 },
  DEBMAS: { type: 'DEBFET', key: 'KUNNR', digits: 10 },
}

/**
 * ALEREQ01: asks S/4HANA to send the object of an IDoc once more as a whole, as transactions BD11 and BD13 do. Sender and
 * receiver of the IDoc change sides.
 */
export default async function fetchObject(message: Message): Promise<Message> {
  const of = (name: string) => String(message.attributes[name] ?? '')
  const request = requests[of('mestyp')]
  if (!request) throw new TypeError(`objects of ${of('mestyp')} cannot be asked for`)
  const number = of('objectKey')
  const low = /^\d+$/.test(number) ? number.padStart(request.digits, '0') : number
  const fields = (values: Readonly<Record<string, string>>) => new Map(Object.entries(values))
  const control = fields({
    TABNAM: 'EDI_DC40',
    MANDT: of('mandt'),
    DIRECT: '2',
    IDOCTYP: 'ALEREQ01',
    MESTYP: request.type,
    SNDPOR: of('rcvpor'),
    SNDPRT: of('rcvprt'),
    SNDPRN: of('rcvprn'),
    RCVPOR: of('sndpor'),
    RCVPRT: of('sndprt'),
    RCVPRN: of('sndprn'),
  })
  const wanted = {
    name: 'E1ALEQ1',
    fields: fields({ OBJVALUE: request.key, SIGN: 'I', OPTION: 'EQ', LOW: low }),
    children: [],
  }
  const root = {
    name: 'E1ALER1',
    fields: fields({ MESTYP: of('mestyp'), MESTYP40: of('mestyp') }),
    children: [wanted],
  }
  const data = { name: 'IDOC', fields: fields({}), children: [root] }
  return { ...message, body: heldBody(writeIdocs([{ type: 'ALEREQ01', control, data }]), 'text/xml; charset=utf-8') }
}
