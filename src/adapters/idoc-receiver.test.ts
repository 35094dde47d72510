import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Receipt, Receiver, ReceiverContext } from '../flow/adapter.ts'
import { heldBody } from '../kernel/body.ts'
import type { CredentialLookup } from '../kernel/credential.ts'
import { asHubError } from '../kernel/error.ts'
import type { Json } from '../kernel/json.ts'
import { defaultLimits } from '../kernel/limit.ts'
import { silentLog } from '../kernel/log.ts'
import type { Message } from '../kernel/message.ts'
import { systemClock } from '../kernel/time.ts'
import { parseIdocs } from '../protocols/idoc/read-idocs.ts'
import { makeConnect } from '../protocols/net/connect.ts'
import { effectOf, messageOf, WebService } from './http-world.ts'
import { outgoingIdocs } from './idoc-outgoing.ts'
import { idocReceiver } from './idoc-receiver.ts'
import type { IdocReceiverConfig } from './idoc-receiver-config.ts'
import { idocSample, materialPacket } from './idoc-world.ts'

let sap: WebService
let receivers: Receiver[] = []
beforeEach(async () => {
  sap = await new WebService().start()
})
afterEach(async () => {
  await Promise.all(receivers.map(receiver => receiver.close()))
  receivers = []
  await sap.stop()
})

async function open(config: object, more: Partial<ReceiverContext<IdocReceiverConfig>> = {}): Promise<Receiver> {
  const basic: CredentialLookup = async () => ({ kind: 'basic', user: 'IDOC', password: 'secret' })
  const receiver = await idocReceiver.open({
    config: idocReceiver.config.parse({ url: `${sap.url}/sap/bc/idoc_xml?sap-client=400`, ...config }),
    flow: 'orders',
    folder: '.',
    log: silentLog,
    signal: new AbortController().signal,
    clock: systemClock,
    limits: defaultLimits,
    connect: makeConnect(),
    credential: basic,
    ...more,
  })
  receivers.push(receiver)
  return receiver
}

const xml = (text: string | Uint8Array) => messageOf(heldBody(text, 'application/xml'))
const json = (value: Json, attributes: Message['attributes'] = {}) =>
  messageOf(heldBody(JSON.stringify(value), 'application/json'), { attributes })
const deliver = (receiver: Receiver, message: Message): Promise<Receipt> => receiver.deliver(message, effectOf(message))
const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'delivered',
    (thrown: unknown) => {
      const { code, retry } = asHubError(thrown)
      return `${code} ${retry}`
    },
  )
const sent = () => sap.requests.at(-1)?.body.toString() ?? ''

const assigned = (...numbers: string[]) =>
  `<?xml version="1.0"?><IDocs>${numbers.map(number => `<IDocAssign><TransferId>1</TransferId><DbId>${number}</DbId></IDocAssign>`).join('')}</IDocs>`

describe('IDocs for SAP', () => {
  test('IDoc XML goes as it is; the number that SAP gives is the receipt', async () => {
    sap.replies = [{ body: assigned('0000000000900001'), headers: { 'content-type': 'text/xml' } }]
    const receiver = await open({ auth: 's4-idoc' })
    const receipt = await deliver(receiver, xml(idocSample('orders05-order-purchase-to-pay.xml')))
    expect(receipt).toMatchObject({
      summary: `200 from ${new URL(sap.url).host}, IDoc 0000000000900001`,
      terms: ['0000000000900001'],
      fields: { status: 200, idoc: '0000000000900001', idocs: [{ transferId: '1', number: '0000000000900001' }] },
    })
    expect(sap.requests[0]).toMatchObject({
      method: 'POST',
      url: '/sap/bc/idoc_xml?sap-client=400',
      headers: {
        'content-type': 'text/xml; charset=utf-8',
        authorization: `Basic ${Buffer.from('IDOC:secret').toString('base64')}`,
      },
    })
    const [was] = parseIdocs(idocSample('orders05-order-purchase-to-pay.xml'))
    const [is] = parseIdocs(Buffer.from(sent()))
    expect(is?.data.children).toEqual(was?.data.children)
    expect(is?.control.get('DOCNUM')).toBe(was?.control.get('DOCNUM'))
  })

  test('JSON describes one; the control record comes from the flow', async () => {
    const receiver = await open({
      control: { IDOCTYP: 'ORDERS05', MESTYP: 'ORDERS', SNDPRN: 'CRM', SNDPRT: 'LS', DOCNUM: '${message.number}' },
    })
    const order = {
      control: { MESCOD: 'NEW' },
      E1EDK01: { CURCY: 'EUR', BELNR: '4711' },
      E1EDP01: [
        { POSEX: '10', MENGE: 2.5, E1EDP19: { QUALF: '001', IDTNR: 'R&D' } },
        { POSEX: '20', MENGE: 1e-7, ACTION: null },
      ],
    }
    await deliver(receiver, json(order, { number: '77' }))
    expect(sent()).toBe(
      '<?xml version="1.0" encoding="UTF-8"?><ORDERS05><IDOC BEGIN="1"><EDI_DC40 SEGMENT="1"><TABNAM>EDI_DC40</TABNAM>' +
        '<DOCNUM>77</DOCNUM><DIRECT>2</DIRECT><IDOCTYP>ORDERS05</IDOCTYP><MESTYP>ORDERS</MESTYP><MESCOD>NEW</MESCOD>' +
        '<SNDPRT>LS</SNDPRT><SNDPRN>CRM</SNDPRN></EDI_DC40><E1EDK01 SEGMENT="1"><CURCY>EUR</CURCY><BELNR>4711</BELNR>' +
        '</E1EDK01><E1EDP01 SEGMENT="1"><POSEX>10</POSEX><MENGE>2.5</MENGE><E1EDP19 SEGMENT="1"><QUALF>001</QUALF>' +
        '<IDTNR>R&amp;D</IDTNR></E1EDP19></E1EDP01><E1EDP01 SEGMENT="1"><POSEX>20</POSEX><MENGE>0.0000001</MENGE>' +
        '</E1EDP01></IDOC></ORDERS05>',
    )
  })

  test('in SOAP, under a message id that stays over all attempts', async () => {
    sap.replies = [{ status: 503 }, { body: assigned('5', '6') }]
    const receiver = await open({ shape: 'soap' })
    const message = xml(materialPacket({ docnum: '1' }, { docnum: '2' }))
    expect(await codeOf(deliver(receiver, message))).toBe('HTTP_BUSY soon')
    expect((await deliver(receiver, message)).terms).toEqual(['5', '6'])
    const [first, second] = sap.requests
    expect(first?.url).toMatch(/MessageId=[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
    expect(second?.url).toBe(first?.url)
    expect(sent()).toContain(
      '<soap:Body><n0:MATMAS05 xmlns:n0="urn:sap-com:document:sap:idoc:soap:messages"><IDOC BEGIN="1">',
    )
    expect(parseIdocs(Buffer.from(sent()))).toHaveLength(2)
  })

  test('as a flat file', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'isthmus-idoc-'))
    const fields = [{ name: 'MATNR', offset: 0, length: 18 }]
    writeFileSync(join(folder, 'l.json'), JSON.stringify({ E2MARAM009: { type: 'E1MARAM', fields } }))
    try {
      const receiver = await open(
        { format: 'flat-file', layouts: 'l.json', control: { IDOCTYP: 'MATMAS05' } },
        { folder },
      )
      await deliver(receiver, json({ E1MARAM: { MATNR: '4711' } }))
      expect(sap.requests[0]?.headers['content-type']).toBe('text/plain; charset=utf-8')
      expect(
        sent()
          .split('\r\n')
          .map(line => line.length),
      ).toEqual([524, 1063, 0])
      expect(await codeOf(deliver(receiver, json({ E1MAKTM: { MAKTX: 'x' } })))).toBe('IDOC_CANNOT_WRITE never')
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  test.each<[string, Message, string]>([
    ['no IDoc', xml('<a/>'), 'IDOC_SHAPE never'],
    ['broken XML', xml('<a>'), 'XML_MALFORMED never'],
    ['broken JSON', messageOf(heldBody('{', 'application/json')), 'IDOC_BODY_UNFIT never'],
    [
      'a list of too many groups',
      messageOf(heldBody(`[${'{},'.repeat(500_000)}{}]`, 'application/json')),
      'BODY_NOT_TEXT never',
    ],
    ['no type', json({ E1A: {} }), 'IDOC_BODY_UNFIT never'],
    ['a field outside of segments', json({ control: { IDOCTYP: 'A1' }, MATNR: '1' }), 'IDOC_BODY_UNFIT never'],
    ['truth', json({ control: { IDOCTYP: 'A1' }, E1A: { X: true } }), 'IDOC_BODY_UNFIT never'],
    ['a list of texts', json({ control: { IDOCTYP: 'A1' }, E1A: ['x'] }), 'IDOC_BODY_UNFIT never'],
    ['an empty list', json([]), 'IDOC_BODY_UNFIT never'],
    ['a control record with segments', json({ control: { IDOCTYP: 'A1', E1A: {} } }), 'IDOC_BODY_UNFIT never'],
    ['a name that is none', json({ control: { IDOCTYP: 'A1' }, E1A: { 'a b': 'x' } }), 'IDOC_CANNOT_WRITE never'],
    [
      'a control field that is too long',
      json({ control: { IDOCTYP: 'A1', SNDPRN: 'S4CLNT40000' } }),
      'IDOC_BODY_UNFIT never',
    ],
    ['a control character', json({ control: { IDOCTYP: 'A1' }, E1A: { X: '\u0001' } }), 'IDOC_CANNOT_WRITE never'],
    [
      'two types in one packet',
      json([
        { control: { IDOCTYP: 'A1' }, E1A: {} },
        { control: { IDOCTYP: 'B1' }, E1A: {} },
      ]),
      'IDOC_CANNOT_WRITE never',
    ],
    [
      'endless depth',
      messageOf(
        heldBody(`{"control":{"IDOCTYP":"A1"},"E":${'{"E":'.repeat(60)}{}${'}'.repeat(60)}}`, 'application/json'),
      ),
      'IDOC_BODY_UNFIT never',
    ],
  ])('%s is never sent', async (_, message, code) => {
    expect(await codeOf(deliver(await open({}), message))).toBe(code)
    expect(sap.requests).toEqual([])
  })

  const fault = (code: string) =>
    `<e:Envelope xmlns:e="x"><e:Body><e:Fault><faultcode>e:${code}</faultcode><faultstring>Basic type unknown</faultstring></e:Fault></e:Body></e:Envelope>`
  const page = (title: string) => ({
    headers: { 'content-type': 'text/html; charset=utf-8' },
    body: `<html><head><title>${title}</title></head><body><h1>${title}</h1></body></html>`,
  })
  test.each<[string, WebService['replies'][0], object, string]>([
    [
      'a fault about the message',
      { status: 500, body: fault('Client') },
      { shape: 'soap' },
      'IDOC_REFUSED_BY_SAP never',
    ],
    ['a fault of the server', { status: 500, body: fault('Server') }, { shape: 'soap' }, 'HTTP_SERVER_FAILED soon'],
    ['busy', { status: 429, headers: { 'retry-after': '7' } }, {}, 'HTTP_BUSY soon'],
    ['no right', { status: 403 }, {}, 'HTTP_FORBIDDEN after-change'],
    ['no such service', { status: 404 }, {}, 'HTTP_REFUSED never'],
    ['cut, XML', { end: 'cut' }, {}, 'HTTP_OUTCOME_UNKNOWN never'],
    ['cut, SOAP', { end: 'cut' }, { shape: 'soap' }, 'HTTP_OUTCOME_UNKNOWN soon'],
    ['an answer that is no XML', { body: 'OK' }, {}, 'delivered'],
    ['an empty answer', { status: 202 }, {}, 'delivered'],
    ['the page of /sap/bc/idoc_xml', page('IDoc-XML-inbound ok'), {}, 'delivered'],
    ['a page of it that says otherwise', page('IDoc-XML-inbound error'), {}, 'IDOC_ANSWER_UNCLEAR never'],
    ['a log-in page', page('Sign in'), { 'on-unknown': 'send-again' }, 'IDOC_ANSWER_UNCLEAR soon'],
    ['a log-in page instead of SOAP', page('Sign in'), { shape: 'soap' }, 'IDOC_ANSWER_UNCLEAR soon'],
  ])('%s', async (_, reply, config, code) => {
    sap.replies = [reply]
    expect(await codeOf(deliver(await open(config), xml(materialPacket({ docnum: '1' }))))).toBe(code)
  })

  test('an attempt whose end nobody knows is not repeated by itself, unless SAP would notice', async () => {
    const message = xml(materialPacket({ docnum: '1' }))
    const inDoubt = effectOf(message, { isUnknown: true })
    expect(await codeOf((await open({})).deliver(message, inDoubt))).toBe('HTTP_OUTCOME_UNKNOWN never')
    expect(sap.requests).toEqual([])
    expect(await codeOf((await open({ shape: 'soap' })).deliver(message, inDoubt))).toBe('delivered')
  })

  test('whatever JSON describes comes out as written', () => {
    const text = fc.string({ unit: fc.constantFrom('a', '1', 'ä', '&', '<', ' ', '/') })
    const fields = fc.dictionary(fc.stringMatching(/^[A-Z]{3,6}$/), text, { maxKeys: 4 })
    fc.assert(
      fc.property(fc.array(fields, { maxLength: 4 }), segments => {
        const body = Buffer.from(JSON.stringify({ control: { IDOCTYP: 'A01' }, E1SEG: segments }))
        const [idoc] = outgoingIdocs(body, 'application/json', new Map())
        expect(idoc?.data.children.map(({ fields: own }) => Object.fromEntries(own))).toEqual(
          segments.map(own => ({ ...own })),
        )
      }),
    )
  })
})

describe('what SAP is told of its IDocs', () => {
  const attributes = {
    docnum: '0000000215172311',
    mestyp: 'MATMAS',
    mandt: '400',
    sndpor: 'SAPPS1',
    sndprt: 'LS',
    sndprn: 'S4CLNT400',
    rcvpor: 'ISTHMUS',
    rcvprt: 'LS',
    rcvprn: 'CRM',
    objectKey: '4711',
  }
  const segmentsOf = () => parseIdocs(Buffer.from(sent())).map(({ type, control, data }) => ({ type, control, data }))

  test('by ALEAUD01: it was created, with the key of the object', async () => {
    const receiver = await open({ acknowledge: 'ALEAUD01' })
    await deliver(
      receiver,
      json({ state: 'delivered', summary: '204', error: null }, { ...attributes, outcome: 'delivered' }),
    )
    const [idoc] = segmentsOf()
    expect(idoc?.type).toBe('ALEAUD01')
    expect(idoc?.control.get('RCVPRN')).toBe('S4CLNT400')
    const state = idoc?.data.children[0]?.children[0]
    expect(Object.fromEntries(state?.fields ?? [])).toEqual({ DOCNUM: '0000000215172311', STATUS: '53' })
    expect(state?.children[0]?.fields.get('OBJKEY')).toBe('4711')
  })

  test('by the partner that it was sent to, function and all: the key of the partner profile (WE20)', async () => {
    const receiver = await open({ acknowledge: 'ALEAUD01' })
    const partners = { sndprt: 'LS', rcvprt: 'KU', rcvpfc: 'AG', rcvprn: '1001' }
    await deliver(
      receiver,
      json({ state: 'delivered' }, { ...attributes, ...partners, sndpfc: '', outcome: 'delivered' }),
    )
    const control = segmentsOf()[0]?.control
    expect(['SNDPRT', 'SNDPFC', 'SNDPRN'].map(name => control?.get(name))).toEqual(['KU', 'AG', '1001'])
    expect(control?.get('RCVPFC') ?? '').toBe('')
  })

  test.each<[Json, string, string, string?]>([
    [{ operation: 'upserted', error: null }, '41', '', 'delivered'],
    [{ operation: 'skipped', error: null }, '41', '', 'delivered'],
    [{ operation: 'rejected', error: 'No credit.' }, '40', 'No credit.', 'delivered'],
    [{ operation: 'set-aside', error: 'Too long.' }, '40', 'Too long.', 'set-aside'],
    [{ anything: 1 }, '39', '', 'accepted'],
    [{ state: 'accepted', summary: 'accepted' }, '39', 'accepted'],
    [{ state: 'delivered', summary: '204 updated' }, '41', '204 updated'],
    [{ state: 'set-aside', summary: 'x', error: { message: 'The name is too long.' } }, '40', 'The name is too long.'],
    [{ state: 'rejected', summary: 'no customer' }, '40', 'no customer'],
    [{ state: 'skipped', summary: 'superseded: 5' }, '40', 'superseded: 5'],
    [{ operation: 'skipped', error: 'superseded: 5' }, '40', 'superseded: 5', 'skipped'],
    [{ state: 'dropped', summary: 'not for us' }, '39', 'not for us'],
    [{ operation: 'updated', crmStatus: 204, error: null }, '41', ''],
    [{ operation: 'rejected', crmStatus: 400, error: 'Too long.' }, '40', 'Too long.'],
  ])('by SYSTAT01: %j', async (body, status, text, outcome) => {
    const receiver = await open({ acknowledge: 'SYSTAT01' })
    await deliver(receiver, json(body, { ...attributes, ...(outcome !== undefined && { outcome }) }))
    const fields = segmentsOf()[0]?.data.children[0]?.fields
    expect([fields?.get('STATUS'), fields?.get('STATXT') ?? '']).toEqual([status, text])
    expect(`${fields?.get('LOGDAT')} ${fields?.get('LOGTIM')}`).toMatch(/^\d{8} \d{6}$/)
  })

  test('again when nobody knows whether it heard', async () => {
    sap.replies = [{ end: 'cut' }, {}]
    const receiver = await open({ acknowledge: 'SYSTAT01' })
    const message = json({ state: 'delivered' }, attributes)
    expect(await codeOf(deliver(receiver, message))).toBe('HTTP_OUTCOME_UNKNOWN soon')
    expect(await codeOf(receiver.deliver(message, effectOf(message, { isUnknown: true })))).toBe('delivered')
  })

  test('nothing of an IDoc without a number; and a message that tells nothing is an error', async () => {
    const receiver = await open({ acknowledge: 'SYSTAT01' })
    expect(await deliver(receiver, json({ state: 'delivered' }))).toMatchObject({
      summary: expect.stringMatching(/^nothing to acknowledge/),
    })
    expect(await codeOf(deliver(receiver, json({ hello: 1 }, attributes)))).toBe('IDOC_BODY_UNFIT never')
    expect(sap.requests).toEqual([])
  })
})

test('the check connects and sends nothing', async () => {
  const receiver = await open({ auth: 's4-idoc' })
  expect(await receiver.check()).toMatchObject({ ok: true })
  await sap.stop()
  expect(await receiver.check()).toMatchObject({ ok: false, error: { code: 'NET_CONNECT_REFUSED' } })
  expect(sap.requests).toEqual([])
})

test('what the flow document says must fit together', () => {
  const issue = (config: object) => idocReceiver.config.safeParse(config).error?.issues[0]?.message
  const url = 'https://s4.contoso.com/sap/bc/idoc_xml'
  expect(issue({ url: 'http://s4.contoso.com/x', auth: 'a' })).toMatch(/cleartext: true/)
  expect(issue({ url: 'http://s4.contoso.com/x', auth: 'a', via: 'dc' })).toBeUndefined()
  expect(issue({ url, format: 'flat-file' })).toBe('a flat file needs layouts')
  expect(issue({ url, format: 'flat-file', layouts: 'l', shape: 'soap' })).toBe('SOAP holds XML, no flat file')
})
