import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { HubError } from '../../kernel/error.ts'
import { openXiMessage } from './read-message.ts'
import { writeXiEnvelope, writeXiFault, writeXiMessage, type XiPayloadOut } from './write-message.ts'
import { normaliseMessageId, type XiHeader, xiAckKinds, xiMessageClasses, xiQualities } from './xi.ts'

const soap = 'http://schemas.xmlsoap.org/soap/envelope/'
const xi = 'http://sap.com/xi/XI/Message/30'

/** Bytes in chunks of this size, so that every boundary falls between two of them somewhere. */
async function* inChunks(bytes: Uint8Array | string, size = 7): AsyncGenerator<Uint8Array> {
  const all = Buffer.from(bytes)
  for (let at = 0; at < all.length; at += size) yield all.subarray(at, at + size)
}

async function readAll(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of source) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks)
}

async function read(bytes: Uint8Array | string, type: string, size = 7) {
  const message = await openXiMessage(inChunks(bytes, size), type)
  const parts: { name: string | undefined; kind: string | undefined; type: string; content: string }[] = []
  for (let part = await message.nextPart(); part; part = await message.nextPart()) {
    const content = (await readAll(part.body)).toString()
    parts.push({ name: part.payload?.name, kind: part.payload?.kind, type: part.type, content })
  }
  return { ...message.envelope, parts }
}

const refusal = async (work: Promise<unknown>) =>
  work.then(
    () => 'taken',
    (error: unknown) => (error instanceof HubError ? `${error.code} ${error.message}` : `unexpected ${String(error)}`),
  )

// ---- shapes of real systems ----------------------------------------------------------------------------------------

/** As an ABAP proxy of S/4HANA sends: prefix SAP, boundary without quotes, a payload with disposition. */
const s4Request = [
  '--SAP_867dc846_END',
  'Content-ID: <soap-8670dd5a@sap.com>',
  'Content-Type: text/xml; charset=utf-8',
  '',
  `<SOAP:Envelope xmlns:SOAP="${soap}"><SOAP:Header xmlns:SAP="${xi}">
 <SAP:Main versionMajor="003" versionMinor="001" SOAP:mustUnderstand="1"><SAP:MessageClass>ApplicationMessage</SAP:MessageClass><SAP:ProcessingMode>asynchronous</SAP:ProcessingMode>
  <SAP:MessageId>005056BF-38E0-1EDD-B58C-9B5814A5E450</SAP:MessageId><SAP:TimeSent>2023-04-06T10:22:01Z</SAP:TimeSent>
  <SAP:Sender><SAP:Party agency="" scheme=""/><SAP:Service>S4H100</SAP:Service></SAP:Sender><SAP:Receiver><SAP:Party agency="http://sap.com/xi/XI" scheme="XIParty"/><SAP:Service>ISTHMUS</SAP:Service></SAP:Receiver>
  <SAP:Interface namespace="urn:example:crm">SI_Credit_Out</SAP:Interface></SAP:Main>
 <SAP:ReliableMessaging SOAP:mustUnderstand="1" SAP:SystemAckRequested="true" ApplicationAckRequested="true"><SAP:QualityOfService>ExactlyOnceInOrder</SAP:QualityOfService><SAP:QueueId>CREDIT1</SAP:QueueId></SAP:ReliableMessaging>
 <SAP:Diagnostic SOAP:mustUnderstand="1"><SAP:TraceLevel>Information</SAP:TraceLevel><SAP:Logging>Off</SAP:Logging></SAP:Diagnostic>
 <SAP:HopList SOAP:mustUnderstand="1"><SAP:Hop timeStamp="2023-04-06T10:22:01Z" wasRead="false"><SAP:Engine type="BS">S4H100</SAP:Engine><SAP:Adapter namespace="http://sap.com/xi/XI/System">XI</SAP:Adapter><SAP:MessageId>005056BF-38E0-1EDD-B58C-9B5814A5E450</SAP:MessageId><SAP:Info>3.0</SAP:Info></SAP:Hop></SAP:HopList>
</SOAP:Header><SOAP:Body><SAP:Manifest xmlns:SAP="${xi}" xmlns:xlink="http://www.w3.org/1999/xlink">
 <SAP:Payload xlink:type="simple" xlink:href="cid:payload-866f7675@sap.com"><SAP:Name>MainDocument</SAP:Name><SAP:Type>Application</SAP:Type></SAP:Payload>
</SAP:Manifest></SOAP:Body></SOAP:Envelope>`,
  '--SAP_867dc846_END',
  'Content-ID: <payload-866f7675@sap.com>',
  'Content-Disposition: attachment;filename="MainDocument.xml"',
  'Content-Description: MainDocument',
  'Content-Type: application/xml',
  '',
  '<Credit><Größe>1</Größe></Credit>',
  '--SAP_867dc846_END--',
  '',
].join('\r\n')
const s4Type = 'multipart/related; boundary=SAP_867dc846_END; type="text/xml"; start="<soap-8670dd5a@sap.com>"'

/** As Process Orchestration sends: other prefixes and order, a boundary with uuid, a stale type, a byte order mark. */
const poRequest = [
  '\uFEFF',
  '--uuid:6a1b-77',
  'Content-Id: <root.message@po>',
  'Content-Type: text/xml; charset=utf-8',
  'Content-Transfer-Encoding: binary',
  '',
  `<?xml version="1.0" encoding="utf-8"?><soap:Envelope xmlns:soap="${soap}"><soap:Header xmlns:x="${xi}"><x:DynamicConfiguration soap:mustUnderstand="1"><x:Record namespace="http://sap.com/xi/XI/System/File" name="FileName">a&amp;b.xml</x:Record></x:DynamicConfiguration><x:ReliableMessaging soap:mustUnderstand="1"><x:QualityOfService>BestEffort</x:QualityOfService></x:ReliableMessaging><x:Main versionMajor="3" versionMinor="0" soap:mustUnderstand="1"><x:MessageClass>ApplicationMessage</x:MessageClass><x:ProcessingMode>synchronous</x:ProcessingMode><x:MessageId>68b6b46ae06811ed80be000000417ca6</x:MessageId><x:TimeSent>2023-04-21T17:17:35.123Z</x:TimeSent><x:Sender><x:Interface namespace="urn:s">Out</x:Interface><x:Party agency="http://sap.com/xi/XI" scheme="XIParty">ACME</x:Party><x:Service>PO1</x:Service></x:Sender><x:Receiver><x:Service/></x:Receiver><x:Interface namespace="urn:example:crm">SI_User_Out</x:Interface></x:Main></soap:Header><soap:Body><x:Manifest xmlns:x="${xi}" xmlns:xlink="http://www.w3.org/1999/xlink"><x:Payload xlink:href="cid:att%201@po"><x:Name>scan.pdf</x:Name><x:Type>ApplicationAttachment</x:Type></x:Payload><x:Payload xlink:href="cid:main@po"><x:Name>MainDocument</x:Name><x:Type>Application</x:Type></x:Payload></x:Manifest></soap:Body></soap:Envelope>`,
  '--uuid:6a1b-77 ',
  'Content-ID: <main@po>',
  'Content-Type: multipart/related; boundary=gone',
  '',
  '<Query/>',
  '--uuid:6a1b-77',
  'Content-ID: <att 1@po>',
  'Content-Type: application/pdf',
  'Content-Transfer-Encoding: base64',
  '',
  'JVBE',
  'Ri0x',
  '--uuid:6a1b-77--',
].join('\r\n')

test('a proxy message of S/4HANA is read, whatever falls between two chunks', async () => {
  for (const size of [1, 2, 3, 61, 100_000]) {
    const { header, parts } = await read(s4Request, s4Type, size)
    expect(header).toMatchObject({
      messageClass: 'ApplicationMessage',
      isSynchronous: false,
      messageId: '005056bf38e01eddb58c9b5814a5e450',
      timeSent: '2023-04-06T10:22:01Z',
      sender: { service: 'S4H100' },
      receiver: { service: 'ISTHMUS' },
      interface: { name: 'SI_Credit_Out', namespace: 'urn:example:crm' },
      quality: 'ExactlyOnceInOrder',
      queueId: 'CREDIT1',
      acksWanted: ['System', 'Application'],
      hops: [{ engine: 'S4H100', engineType: 'BS', adapter: 'XI', wasRead: false, info: '3.0' }],
    })
    expect(header?.sender.party).toBeUndefined()
    expect(parts).toEqual([
      {
        name: 'MainDocument',
        kind: 'Application',
        type: 'application/xml',
        content: '<Credit><Größe>1</Größe></Credit>',
      },
    ])
  }
})

test('a query of Process Orchestration is read: other prefixes, other order, stale types, an attachment', async () => {
  const type = 'multipart/related; type="text/xml"; start-info="text/xml"; boundary="uuid:6a1b-77"'
  for (const size of [1, 5, 100_000]) {
    const { header, parts, payloads } = await read(poRequest, type, size)
    expect(header).toMatchObject({
      isSynchronous: true,
      messageId: '68b6b46ae06811ed80be000000417ca6',
      sender: { party: { name: 'ACME', scheme: 'XIParty' }, service: 'PO1' },
      interface: { name: 'SI_User_Out', namespace: 'urn:example:crm' },
      quality: 'BestEffort',
      dynamic: [{ namespace: 'http://sap.com/xi/XI/System/File', name: 'FileName', value: 'a&b.xml' }],
      acksWanted: [],
    })
    expect(payloads.map(({ name }) => name)).toEqual(['scan.pdf', 'MainDocument'])
    expect(parts.map(({ name, content }) => [name, content])).toEqual([
      ['MainDocument', '<Query/>'],
      ['scan.pdf', '%PDF-1'],
    ])
  }
})

test.each([
  [
    'Process Orchestration',
    `<SOAP:Envelope xmlns:SOAP="${soap}"><SOAP:Header xmlns:SAP="${xi}"><SAP:Main versionMajor="3" versionMinor="1" SOAP:mustUnderstand="1"><SAP:MessageClass>SystemAck</SAP:MessageClass><SAP:ProcessingMode>synchronous</SAP:ProcessingMode><SAP:MessageId>68b6b46a-e068-11ed-80be-000000417ca6</SAP:MessageId><SAP:RefToMessageId>005056bf-38e0-1edd-b58c-9b5814a5e450</SAP:RefToMessageId><SAP:TimeSent>2023-04-21T17:17:35Z</SAP:TimeSent><SAP:Sender><SAP:Service/></SAP:Sender><SAP:Receiver><SAP:Service>S4H100</SAP:Service></SAP:Receiver><SAP:Interface namespace="urn:example:crm">SI_Credit_Out</SAP:Interface></SAP:Main><SAP:Ack SOAP:mustUnderstand="1"><SAP:Status>OK</SAP:Status></SAP:Ack></SOAP:Header><SOAP:Body/></SOAP:Envelope>`,
    { ack: { status: 'OK' }, interface: { name: 'SI_Credit_Out' }, sender: { service: '' } },
  ],
  [
    'S/4HANA',
    `<soap-env:Envelope xmlns:soap-env="${soap}"><soap-env:Header><sap:Main xmlns:sap="${xi}" versionMajor="003" versionMinor="001" soap-env:mustUnderstand="1"><sap:MessageClass>SystemAck</sap:MessageClass><sap:ProcessingMode>asynchronous</sap:ProcessingMode><sap:MessageId>FA163E1F-0000-1EDD-B58C-9B5814A5E450</sap:MessageId><sap:RefToMessageId>005056BF-38E0-1EDD-B58C-9B5814A5E450</sap:RefToMessageId><sap:TimeSent>2023-04-21T17:17:35Z</sap:TimeSent><sap:Sender><sap:Party agency="" scheme=""/><sap:Service>S4H100</sap:Service></sap:Sender><sap:Receiver><sap:Party agency="" scheme=""/><sap:Service>PO</sap:Service></sap:Receiver><sap:Interface namespace="${xi}">Acknowledgment</sap:Interface></sap:Main><sap:Ack xmlns:sap="${xi}" soap-env:mustUnderstand="1" arrivedAtFinalReceiver="true"><sap:Status>OK</sap:Status><sap:Category>permanent</sap:Category></sap:Ack></soap-env:Header><soap-env:Body><sap:Manifest xmlns:sap="${xi}"/></soap-env:Body></soap-env:Envelope>`,
    { ack: { status: 'OK', category: 'permanent' }, interface: { name: 'Acknowledgment', namespace: xi } },
  ],
])('an acknowledgement of %s is read', async (_system, text, wanted) => {
  const { header, payloads } = await read(text, 'text/xml; charset=utf-8')
  expect(header).toMatchObject({ ...wanted, refToMessageId: '005056bf38e01eddb58c9b5814a5e450' })
  expect(payloads).toEqual([])
})

test('errors are read from the header of S/4HANA and from faults of Process Orchestration', async () => {
  const abap = `<S:Envelope xmlns:S="${soap}"><S:Header xmlns:SAP="${xi}"><SAP:Main S:mustUnderstand="1"><SAP:MessageClass>SystemAck</SAP:MessageClass><SAP:ProcessingMode>asynchronous</SAP:ProcessingMode><SAP:MessageId>${'1'.repeat(32)}</SAP:MessageId></SAP:Main><SAP:Ack><SAP:Status>Error</SAP:Status><SAP:Category>permanent</SAP:Category></SAP:Ack><SAP:Error><SAP:Category>XIProtocol</SAP:Category><SAP:Code area="MESSAGE">DUPLICATE_DETECTED</SAP:Code><SAP:P1>005056BF38E01EDDB58C9B5814A5E450</SAP:P1><SAP:P2>CENTRAL</SAP:P2><SAP:Stack>Message was already received</SAP:Stack></SAP:Error></S:Header><S:Body/></S:Envelope>`
  expect((await read(abap, 'text/xml')).header?.error).toMatchObject({
    category: 'XIProtocol',
    area: 'MESSAGE',
    code: 'DUPLICATE_DETECTED',
    parameters: ['005056BF38E01EDDB58C9B5814A5E450', 'CENTRAL'],
  })
  const po = `<SOAP:Envelope xmlns:SOAP="${soap}"><SOAP:Header/><SOAP:Body><SOAP:Fault><faultcode>SOAP:Client</faultcode><faultstring>Error</faultstring><faultactor>${xi}</faultactor><detail><SAP:Error xmlns:SAP="${xi}"><SAP:Category>XIProxy</SAP:Category><SAP:Code area="ABAP">INTERFACE_SIGNATURE_ERROR</SAP:Code><SAP:AdditionalText>wrong</SAP:AdditionalText></SAP:Error></detail></SOAP:Fault></SOAP:Body></SOAP:Envelope>`
  expect(await read(po, 'text/xml')).toMatchObject({
    fault: { code: 'SOAP:Client', error: { area: 'ABAP', code: 'INTERFACE_SIGNATURE_ERROR', text: 'wrong' } },
  })
})

test('the envelope may be a later part, which start names, and parts may be quoted-printable or base64', async () => {
  const [envelope = '', payload = '', end = ''] = s4Request.split(/(?=--SAP_867dc846_END)/)
  const quoted = payload.replace('\r\n\r\n', '\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n')
  const inBase64 = envelope.replace(/\r\n\r\n(.*)\r\n$/s, (_, text: string) => {
    const lines = Buffer.from(text)
      .toString('base64')
      .replace(/.{1,76}/g, '$&\r\n')
    return `\r\nContent-Transfer-Encoding: base64\r\n\r\n${lines}`
  })
  const request = `${quoted.replace('ö', '=C3=B6').replace('ß', '=C3=9F')}${inBase64}${end}`
  for (const size of [1, 61, 100_000]) {
    const { header, parts } = await read(request, s4Type, size)
    expect(header?.messageId).toBe('005056bf38e01eddb58c9b5814a5e450')
    expect(parts).toMatchObject([{ name: 'MainDocument', content: '<Credit><Größe>1</Größe></Credit>' }])
  }
  const large = payload.replace('<Credit>', `<Credit>${' '.repeat(17 << 20)}`)
  expect(await refusal(read(`${large}${envelope}${end}`, s4Type, 100_000))).toMatch(/^XIMESSAGE_TOO_LARGE .*earlyBytes/)
})

test('a message may carry an attachment alone', async () => {
  const alone = s4Request.replace('<SAP:Type>Application<', '<SAP:Type>ApplicationAttachment<')
  expect((await read(alone, s4Type)).parts).toMatchObject([{ kind: 'ApplicationAttachment' }])
})

test.each([
  ['005056BF-38E0-1EDD-B58C-9B5814A5E450'],
  ['005056bf38e01eddb58c9b5814a5e450'],
  [' urn:uuid:005056bf-38e0-1edd-b58c-9b5814a5e450 '],
  ['{005056BF-38E0-1EDD-B58C-9B5814A5E450}'],
])('the id %s is one and the same', text => {
  expect(normaliseMessageId(text)).toBe('005056bf38e01eddb58c9b5814a5e450')
})

// ---- what is refused -----------------------------------------------------------------------------------------------

describe('refused is', () => {
  const changed = (from: string, to: string) => s4Request.replaceAll(from, to)
  const cases: readonly [string, string, string, RegExp][] = [
    ['a cut message', s4Request.slice(0, -25), s4Type, /^MULTIPART_BROKEN .*closing boundary/],
    ['one cut in a header', s4Request.slice(0, 60), s4Type, /^MULTIPART_BROKEN .*header/],
    ['no boundary', s4Request, 'multipart/related; type="text/xml"', /^MULTIPART_BROKEN/],
    ['another boundary', s4Request, 'multipart/related; boundary=other', /^MULTIPART_BROKEN/],
    ['another root', s4Request, s4Type.replace('soap-8670', 'soap-1111'), /no part is the one that start names/],
    ['JSON', '{}', 'application/json', /^XIMESSAGE_SHAPE .*application\/json/],
    ['no content', '', 'text/xml', /^XML_MALFORMED/],
    ['a DTD', `<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>${s4Request}`, 'text/xml', /^XML_REFUSED/],
    ['SOAP 1.2', changed(soap, 'http://www.w3.org/2003/05/soap-envelope'), s4Type, /SOAP 1.1/],
    ['no GUID', changed('005056BF-38E0-1EDD-B58C-9B5814A5E450', '4711'), s4Type, /"4711" is no GUID/],
    ['an unknown class', changed('>ApplicationMessage<', '>Postcard<'), s4Type, /MessageClass Postcard/],
    ['an unknown quality', changed('ExactlyOnceInOrder', 'Maybe'), s4Type, /QualityOfService Maybe/],
    ['an unknown mode', changed('>asynchronous<', '>later<'), s4Type, /ProcessingMode later/],
    ['a queue with blanks', changed('>CREDIT1<', '>a b<'), s4Type, /QueueId/],
    ['a payload elsewhere', changed('cid:payload', 'http://evil.example/'), s4Type, /outside of the message/],
    ['a payload that is missing', changed('<payload-866f7675', '<other'), s4Type, /^XIMESSAGE_PAYLOAD_MISSING/],
    ['an undeclared prefix', changed(`xmlns:SAP="${xi}"`, ''), s4Type, /^XML_MALFORMED .*prefix SAP/],
    [
      'security that must be understood',
      changed('<SAP:Main', '<w:Security xmlns:w="urn:wsse" SOAP:mustUnderstand="1"/><SAP:Main'),
      s4Type,
      /^XIMESSAGE_NOT_UNDERSTOOD .*\{urn:wsse\}Security/,
    ],
    ['a header of a megabyte', changed('<SAP:Main', `${' '.repeat(1 << 20)}<SAP:Main`), s4Type, /envelopeBytes/],
    ['an endless name', changed('SI_Credit_Out', 'x'.repeat(5000)), s4Type, /textLetters/],
    [
      'an encoding that is not read',
      poRequest.replace('base64', 'x-uuencode'),
      'multipart/related; boundary="uuid:6a1b-77"',
      /x-uuencode/,
    ],
    ['base64 that is none', poRequest.replace('JVBE', '!!!!'), 'multipart/related; boundary="uuid:6a1b-77"', /base64/],
  ]
  test.each(cases)('%s', async (_title, bytes, type, wanted) => {
    expect(await refusal(read(bytes, type, 1000))).toMatch(wanted)
  })

  test('a header of a part that never ends, and parts without number', async () => {
    const long = `--b\r\nContent-ID: ${'x'.repeat(20_000)}`
    expect(await refusal(read(long, 'multipart/related; boundary=b', 1000))).toMatch(/partHeaderBytes/)
    const many = `${s4Request.slice(0, s4Request.lastIndexOf('--SAP'))}${'--SAP_867dc846_END\r\n\r\nx\r\n'.repeat(300)}`
    expect(await refusal(read(many, s4Type, 1000))).toMatch(/limit parts/)
  })
})

// ---- written and read back -----------------------------------------------------------------------------------------

const word = fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 30 }).map(text => text.trim() || 'x')
const hex = fc.string({ unit: fc.constantFrom(...'0123456789abcdef'.split('')), minLength: 32, maxLength: 32 })
const end = fc.record(
  { party: fc.record({ name: word, agency: word, scheme: word }), service: word },
  { requiredKeys: ['service'] },
)
const header: fc.Arbitrary<XiHeader> = fc.record(
  {
    messageClass: fc.constantFrom(...xiMessageClasses),
    isSynchronous: fc.boolean(),
    messageId: hex,
    refToMessageId: hex,
    timeSent: fc.date({ noInvalidDate: true }).map(date => date.toISOString()),
    sender: end,
    receiver: end,
    interface: fc.record({ name: word, namespace: word }),
    quality: fc.constantFrom(...xiQualities),
    acksWanted: fc.subarray([...xiAckKinds]),
    dynamic: fc.array(fc.record({ namespace: word, name: word, value: fc.string({ unit: 'grapheme' }) }), {
      maxLength: 3,
    }),
    hops: fc.array(fc.record({ engine: word, engineType: word, wasRead: fc.boolean() }), { maxLength: 2 }),
    ack: fc.record({ status: fc.constantFrom('OK', 'Error'), category: fc.constantFrom('permanent', 'transient') }),
    error: fc.record({
      category: word,
      area: word,
      code: word,
      parameters: fc.array(word, { maxLength: 4 }),
      faultMessage: fc.record({ name: word, namespace: word }),
      text: word,
    }),
  },
  {
    requiredKeys: [
      'messageClass',
      'isSynchronous',
      'messageId',
      'sender',
      'receiver',
      'interface',
      'quality',
      'acksWanted',
      'dynamic',
      'hops',
    ],
  },
)

const payloadOf = (name: string, kind: XiPayloadOut['kind'], content: Uint8Array): XiPayloadOut => ({
  name,
  kind,
  type: 'application/xml',
  bytes: content.length,
  stream: () => inChunks(content, 100),
})

test('what is written is read back, payloads octet by octet', async () => {
  const contents = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 3 })
  await fc.assert(
    fc.asyncProperty(header, contents, fc.integer({ min: 1, max: 400 }), async (wanted, bodies, size) => {
      const payloads = bodies.map((body, index) =>
        payloadOf(`part ${index}`, index === 0 ? 'Application' : 'ApplicationAttachment', body),
      )
      const written = writeXiMessage(wanted, payloads)
      const bytes = await readAll(written.stream())
      expect(bytes.length).toBe(written.bytes)
      const message = await openXiMessage(inChunks(bytes, size), written.type)
      expect(message.envelope.header).toMatchObject(wanted)
      const back: Buffer[] = []
      for (let part = await message.nextPart(); part; part = await message.nextPart())
        back.push(await readAll(part.body))
      expect(back).toEqual(bodies.map(body => Buffer.from(body)))
    }),
    { numRuns: 60 },
  )
})

test('an acknowledgement is written as the envelope alone, and a fault with the error in its detail', async () => {
  const ack: XiHeader = {
    messageClass: 'SystemAck',
    isSynchronous: false,
    messageId: 'a'.repeat(32),
    refToMessageId: 'b'.repeat(32),
    sender: { service: 'ISTHMUS' },
    receiver: { service: 'S4H100' },
    interface: { name: 'SI_Credit_Out', namespace: 'urn:example:crm' },
    acksWanted: [],
    dynamic: [],
    hops: [],
    ack: { status: 'OK' },
  }
  const { type, text } = writeXiEnvelope(ack)
  expect((await read(text, type)).header).toMatchObject(ack)
  const error = { category: 'XIServer', area: 'INTERNAL', code: 'MESSAGE', parameters: ['a<b'], retry: 'A' }
  const fault = writeXiFault({ code: 'Server', text: 'queue & full', error })
  expect((await read(fault.text, fault.type)).fault).toMatchObject({ code: 'SOAP:Server', text: 'queue & full', error })
})

test('a character that XML cannot hold is not written', () => {
  const broken = { messageClass: 'SystemAck', isSynchronous: false, messageId: 'a'.repeat(32), acksWanted: [] } as const
  const end = { service: 'a\0b' }
  const head = { ...broken, sender: end, receiver: end, interface: { name: '', namespace: '' }, dynamic: [], hops: [] }
  expect(() => writeXiEnvelope(head)).toThrow(/cannot hold/)
})

test('a payload of many megabytes passes in flat memory', async () => {
  const megabytes = 64
  const chunk = Buffer.alloc(1 << 20, 'x')
  const big: XiPayloadOut = {
    ...payloadOf('MainDocument', 'Application', new Uint8Array()),
    bytes: megabytes * chunk.length,
    async *stream() {
      for (let count = 0; count < megabytes; count++) yield chunk
    },
  }
  const written = writeXiMessage(
    {
      messageClass: 'ApplicationMessage',
      isSynchronous: false,
      messageId: 'a'.repeat(32),
      sender: { service: 'A' },
      receiver: { service: 'B' },
      interface: { name: 'I', namespace: 'n' },
      quality: 'ExactlyOnce',
      acksWanted: [],
      dynamic: [],
      hops: [],
    },
    [big],
  )
  const message = await openXiMessage(written.stream(), written.type)
  const part = await message.nextPart()
  let bytes = 0
  let largest = 0
  for await (const piece of part?.body ?? []) {
    bytes += piece.length
    largest = Math.max(largest, piece.buffer.byteLength)
  }
  expect(await message.nextPart()).toBeUndefined()
  expect(bytes).toBe(megabytes * chunk.length)
  // No piece keeps more than a chunk and what was left of the one before.
  expect(largest).toBeLessThan(2 * chunk.length + 1024)
})
