import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import customer from '../../../examples/s4-to-dynamics/mappings/customer.ts'
import customerStock from '../../../examples/s4-to-dynamics/mappings/customer-stock.ts'
import material from '../../../examples/s4-to-dynamics/mappings/material.ts'
import { readSource } from '../../mapping/read-source.ts'
import { aleAudit, idocStatus, systemStatus } from '../../protocols/idoc/acknowledgement.ts'
import { parseIdocs } from '../../protocols/idoc/read-idocs.ts'
import { writeIdocs } from '../../protocols/idoc/write-idoc.ts'
import { type S4AleTwin, s4AleUser, startS4Ale } from './s4-ale.ts'
import { createCreditAccount, createCustomer, createInvoice, createMaterial } from './seed.ts'
import { readXi } from './xi-message.ts'

interface Seen {
  readonly type: string
  readonly body: Buffer
}

let s4: S4AleTwin
let seen: Seen[]
let answer: (request: Seen) => { readonly status: number; readonly type?: string; readonly body?: string }
let server: http.Server
let hubUrl = ''

beforeEach(async () => {
  seen = []
  answer = () => ({ status: 200 })
  server = http.createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const one = { type: request.headers['content-type'] ?? '', body: Buffer.concat(chunks) }
      seen.push(one)
      const { status, type = 'text/plain', body = '' } = answer(one)
      response.writeHead(status, { 'content-type': type }).end(body)
    })
  })
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  hubUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/flows/idoc`
  s4 = await startS4Ale()
  s4.setPort('*', { destination: { url: hubUrl } })
  s4.setDestination('*', { url: hubUrl })
})
afterEach(async () => {
  await s4.stop()
  await new Promise(done => server.close(done))
})

const basic = `Basic ${Buffer.from(`${s4AleUser.user}:${s4AleUser.password}`).toString('base64')}`

async function post(url: string, body: string, type = 'text/xml', authorization = basic) {
  const given = await fetch(url, { method: 'POST', body, headers: { 'content-type': type, authorization } })
  return { status: given.status, text: await given.text() }
}
const statuses = (docnum: string) =>
  s4
    .idocs()
    .find(idoc => idoc.docnum === docnum)
    ?.statuses.map(each => each.status)

describe('change pointers', () => {
  test('a new material leaves whole, as one IDoc, and what it says maps to a product', async () => {
    createMaterial(s4.data, '4711', { name: 'Pump' })
    expect(s4.runChangePointers().map(({ messageType, objectId }) => [messageType, objectId])).toEqual([
      ['MATMAS', '000000000000004711'],
    ])
    expect(await s4.dispatch()).toEqual({ passed: 1, failed: 0 })
    const [idoc] = parseIdocs(seen[0]?.body ?? Buffer.of())
    expect(Object.fromEntries(idoc?.control ?? [])).toMatchObject({
      DOCNUM: '0000000000700001',
      DIRECT: '1',
      IDOCTYP: 'MATMAS05',
      MESTYP: 'MATMAS',
      SNDPRN: 'S4HCLNT100',
      RCVPRN: 'CRM',
    })
    const settings = { language: 'EN', 'valuation-area': '1710' }
    const { values } = material.run(readSource('idoc', seen[0]?.body ?? Buffer.of()), { settings })
    expect(values).toMatchObject({
      productnumber: '4711',
      name: 'Pump',
      currentcost: 141.25,
      stockweight: 4.666,
      standardcost: 141.25,
    })
  })

  test('many changes of one object are one IDoc, with the segments that changed and no others', () => {
    createMaterial(s4.data, '4711', { name: 'Pump' })
    s4.runChangePointers()
    for (const weight of ['1', '2', '3']) s4.data.change('MARA', { MATNR: '4711' }, { NTGEW: weight })
    s4.data.change('MAKT', { MATNR: '4711', SPRAS: 'E' }, { MAKTX: 'Pump, small' })
    s4.data.create('MAKT', { MATNR: '4711', SPRAS: 'F', MAKTX: 'Pompe' })
    s4.data.remove('MAKT', { MATNR: '4711', SPRAS: 'D' })
    const [idoc, ...others] = s4.runChangePointers('MATMAS')
    expect(others).toEqual([])
    const [mara] = idoc?.idoc.data.children ?? []
    expect([mara?.fields.get('MSGFN'), mara?.fields.get('NTGEW'), mara?.fields.get('MTART')]).toEqual([
      '004',
      '3',
      'FERT',
    ])
    expect(
      mara?.children.map(({ name, fields }) => [name, fields.get('MSGFN'), fields.get('SPRAS'), fields.get('MAKTX')]),
    ).toEqual([
      ['E1MAKTM', '004', 'E', 'Pump, small'],
      ['E1MAKTM', '009', 'F', 'Pompe'],
      ['E1MAKTM', '003', 'D', undefined],
    ])
    expect(s4.runChangePointers('MATMAS')).toEqual([])
  })

  test.each<[string, () => void, number]>([
    ['of a field on the list', () => s4.data.change('MARA', { MATNR: '1' }, { NTGEW: '9' }), 1],
    ['of a field that is not on the list', () => s4.data.change('MARA', { MATNR: '1' }, { MATKL: '01' }), 0],
    ['to the value that was there', () => s4.data.change('MARA', { MATNR: '1' }, { NTGEW: '4.666' }), 0],
    [
      'while the global switch is off',
      () => {
        s4.pointers.settings.isActive = false
        s4.data.change('MARA', { MATNR: '1' }, { NTGEW: '9' })
      },
      0,
    ],
    [
      'while the message type is off',
      () => {
        s4.pointers.settings.messageTypes.delete('MATMAS')
        s4.data.change('MARA', { MATNR: '1' }, { NTGEW: '9' })
      },
      0,
    ],
  ])('a change %s', (_title, change, count) => {
    createMaterial(s4.data, '1', { name: 'Pump' })
    s4.runChangePointers()
    change()
    expect(s4.runChangePointers()).toHaveLength(count)
  })

  test('a reduced type has its own message type; what it does not carry is a slash', () => {
    createMaterial(s4.data, '1', { name: 'Pump' })
    s4.runChangePointers()
    s4.pointers.settings.messageTypes.add('ZMATSMD')
    s4.data.change('MARA', { MATNR: '1' }, { NTGEW: '9' })
    const [idoc] = s4.runChangePointers('ZMATSMD')
    const [mara] = idoc?.idoc.data.children ?? []
    expect(idoc?.idoc.control.get('MESTYP')).toBe('ZMATSMD')
    expect(['MATNR', 'NTGEW', 'MTART', 'EAN11'].map(name => mara?.fields.get(name))).toEqual([
      '000000000000000001',
      '9',
      '/',
      '/',
    ])
    const bytes = Buffer.from(writeIdocs([idoc?.idoc].filter(each => each !== undefined)))
    const { values } = material.run(readSource('idoc', bytes), { settings: { language: 'EN' } })
    expect(values).toEqual({ productnumber: '1', new_sapkey: '1', stockweight: 9 })
  })

  test('pointers of ALELISTING ask for the whole object', () => {
    createMaterial(s4.data, '1', { name: 'Pump' })
    s4.runChangePointers()
    s4.pointers.writeWhole('MATMAS', 'MATERIAL', '000000000000000001', 'MARA')
    const [idoc] = s4.runChangePointers()
    expect(idoc?.idoc.data.children[0]?.children.map(({ name }) => name)).toEqual([
      'E1MAKTM',
      'E1MAKTM',
      'E1MARCM',
      'E1MBEWM',
      'E1MVKEM',
    ])
    expect(s4.pointers.deleteProcessed()).toBeGreaterThan(0)
  })

  test('a customer leaves as DEBMAS07, its address as ADRMAS02, its stock as the type of the company', async () => {
    createCustomer(s4.data, '1001', { name: 'Müller & Söhne' })
    s4.data.create('MSKU', {
      MATNR: 'BAR303/00',
      WERKS: '1710',
      SOBKZ: 'W',
      KUNNR: '1001',
      KULAB: '12.000-',
      MEINS: 'KGM',
    })
    const made = [...s4.runChangePointers(), ...s4.runStockReport()]
    expect(made.map(({ idoc }) => idoc.type)).toEqual(['DEBMAS07', 'ADRMAS02', 'ZCUSTSTOCK01'])
    expect(s4.runStockReport()).toEqual([])
    await s4.dispatch()
    const bodies = seen.map(({ body }) => body)
    expect(customer.run(readSource('idoc', bodies[0] ?? Buffer.of())).values).toMatchObject({
      accountnumber: '1001',
      name: 'Müller & Söhne',
      paymenttermscode: 1,
    })
    const settings = { 'time-zone': 'UTC' }
    expect(customerStock.run(readSource('idoc', bodies[2] ?? Buffer.of()), { settings }).values).toMatchObject({
      new_sapkey: 'BAR303_2F00-1710-W-1001',
      new_quantity: -12,
    })
  })
})

describe('the HTTP-XML port', () => {
  test('packs neighbours of one type into packets, or sends them one by one', async () => {
    for (const number of ['1', '2', '3']) createMaterial(s4.data, number, { name: 'Pump' })
    s4.setPort('*', { destination: { url: hubUrl }, packetSize: 2 })
    s4.runChangePointers()
    await s4.dispatch()
    expect(seen.map(({ type, body }) => [type, parseIdocs(body).length])).toEqual([
      ['text/xml; charset=utf-8', 2],
      ['text/xml; charset=utf-8', 1],
    ])
    s4.setPort('*', { destination: { url: hubUrl }, contentType: 'application/x-sap.idoc' })
    for (const number of ['1', '2', '3']) s4.data.change('MARA', { MATNR: number }, { NTGEW: '9' })
    s4.runChangePointers()
    await s4.dispatch()
    expect(seen.slice(2).map(({ type, body }) => [type, parseIdocs(body).length])).toEqual([
      ['application/x-sap.idoc', 1],
      ['application/x-sap.idoc', 1],
      ['application/x-sap.idoc', 1],
    ])
  })

  test('what was not taken stays as an error and leaves again with the same number', async () => {
    createMaterial(s4.data, '1', { name: 'Pump' })
    const [idoc] = s4.runChangePointers()
    const docnum = idoc?.docnum ?? ''
    answer = () => ({ status: 503 })
    expect(await s4.dispatch()).toEqual({ passed: 0, failed: 1 })
    s4.setFaults({ hangUp: { times: 1 } })
    answer = () => ({ status: 200 })
    await s4.dispatchAgain()
    expect(s4.statusOf(docnum)).toBe('02')
    await s4.dispatchAgain()
    expect(statuses(docnum)).toEqual(['01', '30', '02', '02', '03', '12'])
    expect(new Set(seen.map(({ body }) => parseIdocs(body)[0]?.control.get('DOCNUM')))).toEqual(new Set([docnum]))
    expect(await s4.dispatchAgain()).toEqual({ passed: 0, failed: 0 })
  })

  test('sends broken XML, sends twice, sends the newest first, hangs up in the middle: when asked to', async () => {
    for (const number of ['1', '2']) createMaterial(s4.data, number, { name: 'Pump' })
    s4.setPort('*', { destination: { url: hubUrl }, contentType: 'application/x-sap.idoc' })
    s4.runChangePointers()
    s4.setFaults({ reversed: { times: 1 }, sendTwice: { times: 1 }, malformed: { times: 1 } })
    await s4.dispatch()
    const numbers = seen.map(({ body }) => /<DOCNUM>0*(\d+)/.exec(body.toString())?.[1])
    expect(numbers).toEqual(['700002', '700002', '700001'])
    expect(() => parseIdocs(seen[0]?.body ?? Buffer.of())).toThrow(/XML/)
    s4.setFaults({ splitRequest: { times: 1 } })
    createMaterial(s4.data, '3', { name: 'Pump' })
    s4.runChangePointers()
    expect(await s4.dispatch()).toEqual({ passed: 0, failed: 1 })
    expect(seen).toHaveLength(3)
  })
})

describe('acknowledgements', () => {
  const control = () => s4.idocs()[0]?.idoc.control ?? new Map<string, string>()
  beforeEach(async () => {
    createMaterial(s4.data, '1', { name: 'Pump' })
    s4.runChangePointers()
    await s4.dispatch()
  })

  test('ALEAUD01 and SYSTAT01 move the status of the IDoc that they speak of', async () => {
    const audit = aleAudit({ control: control(), status: idocStatus.created, objectKey: 'PUMP' })
    const { status, text } = await post(s4.urls.idoc, writeIdocs([audit]))
    expect([status, /<DbId>(\d+)<\/DbId>/.exec(text)?.[1]]).toEqual([200, '0000000000700002'])
    expect(s4.idocs()[0]?.statuses.at(-1)).toMatchObject({ status: '41', text: 'Object PUMP' })
    const words = 'The length of the name exceeded the maximum allowed length of 100. '.repeat(3)
    const system = systemStatus({ control: control(), status: idocStatus.refused, text: words }, '2026-11-23T09:05:01')
    const soap = `<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>${writeIdocs([system]).replace(/^<\?.*?\?>/, '')}</soap:Body></soap:Envelope>`
    expect((await post(s4.urls.soap, soap)).status).toBe(200)
    expect(s4.idocs()[0]?.statuses.at(-1)).toMatchObject({ status: '40', text: words.trim() })
    expect(
      s4
        .idocs()
        .filter(({ direction }) => direction === 'in')
        .map(idoc => idoc.statuses.at(-1)?.status),
    ).toEqual(['53', '53'])
  })

  test.each<[string, (xml: string) => string, string, RegExp]>([
    [
      'for an IDoc that is not there',
      xml => xml.replace('0000000000700001', '0000000000999999'),
      '51',
      /does not exist/,
    ],
    ['for another message type', xml => xml.replaceAll('>MATMAS<', '>DEBMAS<'), '51', /is of message type/],
    [
      'for no message type',
      xml => xml.replaceAll(/<(MESTYP|MESTYP_LNG)>MATMAS<\/\1>/g, ''),
      '51',
      /is of message type MATMAS/,
    ],
    ['with a status of outgoing IDocs', xml => xml.replace('>53<', '>41<'), '51', /Status 41/],
    ['from a partner without a profile', xml => xml.replace('<SNDPRN>CRM<', '<SNDPRN>EVIL<'), '56', /Partner profile/],
    ['to another system', xml => xml.replace('<RCVPRN>S4HCLNT100<', '<RCVPRN>S4HCLNT200<'), '56', /not this system/],
    ['of the direction outbound', xml => xml.replace('<DIRECT>2<', '<DIRECT>1<'), '56', /not inbound/],
    [
      'with a field that the segment does not have',
      xml => xml.replace('<DOCNUM>', '<KUNNR>1</KUNNR><DOCNUM>'),
      '60',
      /no field KUNNR/,
    ],
    [
      'with a segment that the type does not have',
      xml => xml.replaceAll('E1STATE', 'E1MARAM'),
      '60',
      /E1MARAM is not allowed/,
    ],
  ])('one %s is kept with an error and changes nothing', async (_title, change, status, text) => {
    const audit = aleAudit({ control: control(), status: idocStatus.created, objectKey: 'PUMP' })
    const xml = change(writeIdocs([audit]))
    expect((await post(s4.urls.idoc, xml)).status).toBe(200)
    const last = s4.idocs().at(-1)?.statuses.at(-1)
    expect(last?.status).toBe(status)
    expect(last?.text).toMatch(text)
    expect(s4.statusOf('0000000000700001')).toBe('12')
  })

  test('a locked object leaves the answer unposted until somebody posts it again', async () => {
    s4.setFaults({ locked: { times: 1 } })
    await post(s4.urls.idoc, writeIdocs([aleAudit({ control: control(), status: idocStatus.created })]))
    expect([s4.statusOf('0000000000700002'), s4.statusOf('0000000000700001')]).toEqual(['51', '12'])
    s4.repost('0000000000700002')
    expect([s4.statusOf('0000000000700002'), s4.statusOf('0000000000700001')]).toEqual(['53', '41'])
  })

  test.each<[string, string, string, string | undefined, number]>([
    ['nobody known', '/sap/bc/idoc_xml', 'text/xml', 'Basic eDp5', 401],
    ['JSON', '/sap/bc/idoc_xml', 'application/json', undefined, 415],
    ['an IDoc without an envelope at the SOAP service', '/sap/bc/srt/idoc', 'text/xml', undefined, 500],
    ['to a service that is not there', '/sap/bc/idoc', 'text/xml', undefined, 404],
  ])('%s is refused', async (_title, path, type, authorization, status) => {
    const xml = writeIdocs([aleAudit({ control: control(), status: idocStatus.created })])
    expect((await post(s4.origin + path, xml, type, authorization)).status).toBe(status)
    expect(s4.idocs()).toHaveLength(1)
  })

  test('broken XML and two IDocs in a request for one are refused', async () => {
    const audit = aleAudit({ control: control(), status: idocStatus.created })
    expect((await post(s4.urls.idoc, `${writeIdocs([audit])}<`)).status).toBe(500)
    expect((await post(s4.urls.idoc, writeIdocs([audit, audit]), 'application/x-sap.idoc')).status).toBe(500)
    expect(s4.idocs()).toHaveLength(1)
  })
})

describe('proxies', () => {
  const ack = (of: string, inside = '<SAP:Ack><SAP:Status>OK</SAP:Status></SAP:Ack>', messageClass = 'SystemAck') =>
    `<SOAP:Envelope xmlns:SOAP="http://schemas.xmlsoap.org/soap/envelope/"><SOAP:Header xmlns:SAP="http://sap.com/xi/XI/Message/30"><SAP:Main versionMajor="3" versionMinor="1"><SAP:MessageClass>${messageClass}</SAP:MessageClass><SAP:ProcessingMode>synchronous</SAP:ProcessingMode><SAP:MessageId>${crypto.randomUUID()}</SAP:MessageId><SAP:RefToMessageId>${of}</SAP:RefToMessageId><SAP:TimeSent>2026-11-21T10:00:00Z</SAP:TimeSent></SAP:Main>${inside}</SOAP:Header><SOAP:Body/></SOAP:Envelope>`
  const idOf = ({ type, body }: Seen) => readXi(type, body).id
  const acknowledging = (request: Seen) => ({ status: 200, type: 'text/xml', body: ack(idOf(request)) })

  test('reports collect what is new; a queue stops at the first message that does not get through', async () => {
    createInvoice(s4.data, '90001519', '1001', '4711')
    createCreditAccount(s4.data, '1001', '50000.00')
    expect([s4.runProxyReports(), s4.runProxyReports()]).toEqual([2, 0])
    s4.data.change('VBRK', { VBELN: '90001519' }, { BUCHK: 'B' })
    expect(s4.runProxyReports()).toBe(1)
    const isInvoice = ({ type, body }: Seen) => readXi(type, body).interface === 'Invoice_Out'
    answer = request => (isInvoice(request) ? { status: 503 } : acknowledging(request))
    await s4.sendProxies()
    expect(s4.proxies.messages.map(({ state }) => state)).toEqual(['retry', 'sent', 'scheduled'])
    answer = acknowledging
    await s4.sendProxies()
    const read = seen.map(({ type, body }) => readXi(type, body)).filter(each => each.interface === 'Invoice_Out')
    expect(read.map(({ payload }) => /<InvoiceStatus>(.)</.exec(payload ?? '')?.[1])).toEqual(['A', 'A', 'B'])
    expect(read[0]).toMatchObject({ messageClass: 'ApplicationMessage', quality: 'ExactlyOnceInOrder' })
    expect(s4.proxies.messages.every(({ state }) => state === 'sent')).toBe(true)
  })

  test.each<[string, (of: string) => string, number, string]>([
    ['another message', () => ack(crypto.randomUUID()), 200, 'system-error'],
    [
      'an error',
      of =>
        ack(
          of,
          '<SAP:Error><SAP:Category>XIServer</SAP:Category><SAP:Code area="INTERNAL">X</SAP:Code></SAP:Error>',
          'SystemError',
        ),
      500,
      'retry',
    ],
    ['a page of HTML', () => '<html><body>Log on</body></html>', 200, 'system-error'],
    [
      'a duplicate that it cannot be',
      of =>
        ack(
          of,
          '<SAP:Ack><SAP:Status>Error</SAP:Status></SAP:Ack><SAP:Error><SAP:Category>XIProtocol</SAP:Category><SAP:Code area="MESSAGE">DUPLICATE_DETECTED</SAP:Code></SAP:Error>',
        ),
      200,
      'system-error',
    ],
  ])('an answer about %s is no success', async (_title, body, status, state) => {
    createCreditAccount(s4.data, '1001', '50000.00')
    s4.runProxyReports()
    answer = request => ({ status, type: 'text/xml', body: body(idOf(request)) })
    await s4.sendProxies()
    expect(s4.proxies.messages[0]?.state).toBe(state)
  })

  test('after a lost answer, "it is there already" is a success', async () => {
    createCreditAccount(s4.data, '1001', '50000.00')
    s4.runProxyReports()
    s4.setFaults({ hangUp: { times: 1 } })
    await s4.sendProxies()
    const error =
      '<SAP:Ack><SAP:Status>Error</SAP:Status></SAP:Ack><SAP:Error><SAP:Category>XIProtocol</SAP:Category><SAP:Code area="MESSAGE">DUPLICATE_DETECTED</SAP:Code></SAP:Error>'
    answer = request => ({ status: 200, type: 'text/xml', body: ack(idOf(request), error) })
    await s4.sendProxies()
    expect(s4.proxies.messages[0]).toMatchObject({ state: 'sent', attempts: 2 })
  })

  test('acknowledgements come back to the message that they refer to, once', async () => {
    createCreditAccount(s4.data, '1001', '50000.00')
    s4.runProxyReports()
    answer = acknowledging
    await s4.sendProxies()
    const id = s4.proxies.messages[0]?.request.id ?? ''
    const body = ack(id.toLowerCase(), '<SAP:Ack><SAP:Status>OK</SAP:Status></SAP:Ack>', 'ApplicationAck')
    expect(readXi('text/xml', Buffer.from((await post(s4.urls.xi, body)).text)).ack).toEqual({
      status: 'OK',
      category: 'permanent',
    })
    expect(s4.proxies.messages[0]?.state).toBe('acknowledged')
    expect(readXi('text/xml', Buffer.from((await post(s4.urls.xi, body)).text)).error?.code).toBe('DUPLICATE_DETECTED')
    expect((await post(s4.urls.xi, ack(crypto.randomUUID(), '', 'ApplicationAck'))).status).toBe(500)
    expect((await post(s4.urls.xi, '<x/>')).status).toBe(500)
  })

  test('a question is answered in the call, or not at all', async () => {
    answer = request => {
      const of = idOf(request)
      const body = ack(of, '', 'ApplicationResponse').replace(
        '<SOAP:Body/>',
        '<SOAP:Body><SAP:Manifest xmlns:SAP="http://sap.com/xi/XI/Message/30" xmlns:xlink="http://www.w3.org/1999/xlink"><SAP:Payload xlink:href="cid:p@x"><SAP:Name>MainDocument</SAP:Name></SAP:Payload></SAP:Manifest></SOAP:Body>',
      )
      return {
        status: 200,
        type: 'multipart/related; boundary="b"; start="<s@x>"',
        body: `--b\r\nContent-ID: <s@x>\r\n\r\n${body}\r\n--b\r\nContent-ID: <p@x>\r\n\r\n<yes/>\r\n--b--\r\n`,
      }
    }
    expect(await s4.callProxy('ProductCheck_Out', '<q/>')).toBe('<yes/>')
    answer = acknowledging
    await expect(s4.callProxy('ProductCheck_Out', '<q/>')).rejects.toThrow(/SystemAck instead/)
  })
})

test('people change master data over HTTP, and are told what is wrong with a change', async () => {
  const ask = (body: object) => post(s4.urls.changes, JSON.stringify(body), 'application/json')
  expect((await ask({ create: 'MARA', row: { MATNR: '1', MTART: 'FERT' } })).status).toBe(200)
  expect((await ask({ change: 'MARA', key: { MATNR: '1' }, row: { NTGEW: '5' } })).status).toBe(200)
  expect(s4.runChangePointers().map(({ objectId }) => objectId)).toEqual(['000000000000000001'])
  expect((await ask({ remove: 'MARA', key: { MATNR: '1' } })).status).toBe(200)
  expect(s4.runChangePointers()[0]?.idoc.data.children[0]?.fields.get('MSGFN')).toBe('003')
  for (const wrong of [
    {},
    { create: 'T000', row: {} },
    { create: 'MARA', row: { COLOUR: 'red' } },
    { remove: 'MARA' },
  ]) {
    const { status, text } = await ask(wrong)
    expect([status, text]).toEqual([400, expect.stringContaining('TWINALE_')])
  }
  expect((await post(s4.urls.changes, '{', 'application/json', 'Basic eDp5')).status).toBe(401)
})

test('the fields and rows that the tables do not have are refused', () => {
  expect(() => s4.data.create('MARA', { MATNR: '1', COLOUR: 'red' })).toThrow(/no field MARA-COLOUR/)
  expect(() => s4.data.create('MARA', { MATNR: '1', MTART: 'LONGER' })).toThrow(/holds 4 letters/)
  expect(() => s4.data.change('MARA', { MATNR: '1' }, { MTART: 'FERT' })).toThrow(/no row/)
})
