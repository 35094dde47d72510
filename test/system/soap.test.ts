import { afterEach, beforeEach, expect, test } from 'vitest'
import { FlowHub } from './flow-hub.ts'
import { webService } from './web-service.ts'

let it: FlowHub
let service: Awaited<ReturnType<typeof webService>>

beforeEach(async () => {
  it = new FlowHub()
  service = await webService()
})
afterEach(async () => {
  await it.close()
  await service.stop()
})

const envelope = (content: string, version: '1.1' | '1.2' = '1.1') =>
  `<s:Envelope xmlns:s="${version === '1.1' ? 'http://schemas.xmlsoap.org/soap/envelope/' : 'http://www.w3.org/2003/05/soap-envelope'}">${content}</s:Envelope>`

async function post(path: string, body: string, headers: Record<string, string> = {}) {
  const answer = await fetch(`${it.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'text/xml; charset=utf-8', ...headers },
    body,
  })
  return { status: answer.status, type: answer.headers.get('content-type'), text: await answer.text() }
}

const invoice = (number: number) => envelope(`<s:Body><i:Invoice xmlns:i="urn:i">${number}</i:Invoice></s:Body>`)
const guid = (number: number) => `005056bf-38e0-1edd-b58c-${String(number).padStart(12, '0')}`

test('SAP RM: each MessageId is taken once, and the order of a QueueId is kept', async () => {
  it.flow(
    'invoices',
    `from: { soap: { path: /invoices, protocol: sap-rm } }\nto: { http: { url: "${service.url}" } }\n`,
  )
  await it.start()
  service.replies.push({ status: 422 })
  const send = (number: number, queue = '') => post(`/invoices?MessageId=${guid(number)}${queue}`, invoice(number))
  expect(await send(1, '&QueueId=INV')).toMatchObject({ status: 202, text: '' })
  await it.ended(1, 'set-aside')
  expect(await send(2, '&QueueId=INV')).toMatchObject({ status: 202 })
  expect(await send(3)).toMatchObject({ status: 202 })
  expect(await post(`/invoices?MessageId=${guid(3).toUpperCase().replaceAll('-', '')}`, invoice(3))).toMatchObject({
    status: 202,
  })
  await it.ended(1)
  const numbers = () => service.requests.map(({ body }) => />(\d)</.exec(body.toString())?.[1])
  expect(numbers()).toEqual(['1', '3'])
  const [first] = await it.hub.store.find({ state: 'set-aside', limit: 1 })
  await it.hub.engine.replay(first?.id ?? '', 'operator')
  await it.ended(3)
  expect(numbers()).toEqual(['1', '3', '1', '2'])
  const [row] = await it.hub.store.find({ term: guid(3).replaceAll('-', '').toUpperCase(), limit: 5 })
  expect((await it.hub.store.get(row?.id ?? ''))?.attributes).toMatchObject({
    qos: 'EO',
    operation: 'Invoice',
    namespace: 'urn:i',
    soapVersion: '1.1',
  })
})

test('what cannot be taken is a fault in the version of the caller', async () => {
  it.flow('invoices', `from: { soap: { path: /rm, protocol: sap-rm } }\nto: { http: { url: "${service.url}" } }\n`)
  await it.start()
  const soap12 = { 'content-type': 'application/soap+xml' }
  const cases: [string, string, Record<string, string>, number, RegExp][] = [
    ['/rm', invoice(1), {}, 500, /faultcode>soap:Client<.*MessageId in the url/],
    ['/rm?MessageId=4711', invoice(1), {}, 500, /"4711" is no GUID/],
    [`/rm?MessageId=${guid(1)}`, '<a><b></c>', {}, 500, /soap:Client.*its root is/],
    [`/rm?MessageId=${guid(1)}`, invoice(1).replace('>1<', '>1</x><'), soap12, 400, /soap:Sender.*line 1, column/],
    [`/rm?MessageId=${guid(1)}`, invoice(1).slice(0, -5), {}, 500, /XML_MALFORMED/],
    [
      `/rm?MessageId=${guid(1)}`,
      envelope('<s:Header><w:Security xmlns:w="urn:w" s:mustUnderstand="1"/></s:Header><s:Body><a/></s:Body>'),
      {},
      500,
      /soap:MustUnderstand.*\{urn:w\}Security/,
    ],
    [`/rm?MessageId=${guid(1)}`, '{}', { 'content-type': 'application/json' }, 500, /application\/json/],
  ]
  for (const [path, body, headers, status, wanted] of cases) {
    const answer = await post(path, body, headers)
    expect(answer.text).toMatch(wanted)
    expect(answer.status).toBe(status)
  }
  expect(await it.rows()).toEqual([])
})

test('a service answers, tells why it cannot, and shows its description', async () => {
  it.write('flows/prices.wsdl', '<definitions/>')
  it.flow(
    'prices',
    `from: { soap: { path: /prices, answer: result, within: 20s, once-by: addressing, wsdl: ./prices.wsdl } }
steps:
  - call: { to: { http: { url: "${service.url}" } } }
  - map: { set: { body: '<p:Price xmlns:p="urn:p">\${message.body}</p:Price>', type: application/xml } }
to: []
`,
  )
  it.flow(
    'told',
    `from: { soap: { path: /told, answer: result, tell-errors: true } }\nto: { http: { url: "${service.url}" } }\n`,
  )
  await it.start()
  service.replies.push({ status: 200, headers: { 'content-type': 'text/plain' }, body: '7' }, { status: 422 })
  const ask = (id: string) =>
    post(
      '/prices',
      envelope(
        `<s:Header><a:MessageID xmlns:a="http://www.w3.org/2005/08/addressing">${id}</a:MessageID></s:Header><s:Body><Q/></s:Body>`,
        '1.2',
      ),
      { 'content-type': 'application/soap+xml; action="urn:quote"' },
    )
  const price = await ask('one')
  expect(price).toMatchObject({ status: 200, type: 'application/soap+xml; charset=utf-8' })
  expect(price.text).toContain('<soap:Body><p:Price xmlns:p="urn:p">7</p:Price></soap:Body>')
  // The same question gets the same answer, without a second call.
  expect((await ask('one')).text).toBe(price.text)
  expect(service.requests).toHaveLength(1)
  const refused = await ask('two')
  expect(refused).toMatchObject({
    status: 500,
    text: expect.stringMatching(/soap:Receiver.*not delivered \(HTTP_REFUSED\)/),
  })
  service.replies.push({ status: 422, headers: { 'content-type': 'text/plain' }, body: 'words for callers too' })
  expect((await post('/told', invoice(1), { soapaction: '' })).text).toMatch(/words for callers too/)
  expect((await post('/prices', invoice(1))).text).toMatch(/MessageID of WS-Addressing is missing/)
  const described = await fetch(`${it.url}/prices?wsdl`)
  expect([described.status, await described.text()]).toEqual([200, '<definitions/>'])
  const head = await fetch(`${it.url}/prices?wsdl`, { method: 'HEAD' })
  expect([head.status, head.headers.get('content-length')]).toEqual([200, String('<definitions/>'.length)])
})

test('a message goes out in an envelope, again with the same MessageId, and the answer comes back', async () => {
  it.flow(
    'out',
    `from: { https: { path: /out } }
to: { soap: { url: "${service.url}/in?sap-client=100", protocol: sap-rm, queue: 'Q1', action: urn:in } }
delivery: { retry: { every: 50ms } }
`,
  )
  it.flow(
    'query',
    `from: { https: { path: /query, answer: result } }
steps: [{ call: { to: { soap: { url: "${service.url}/q", version: '1.2', on-unknown: send-again } } } }]
to: []
`,
  )
  await it.start()
  service.replies.push('cut', { status: 202 })
  await post('/out', '<?xml version="1.0"?><C>1</C>')
  await it.ended(1)
  const [first, second] = service.requests
  expect(second?.url).toBe(first?.url)
  expect(first?.url).toMatch(/^\/in\?sap-client=100&MessageId=[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}&QueueId=Q1$/)
  expect(first?.headers['soapaction']).toBe('"urn:in"')
  expect(first?.body.toString()).toMatch(/<soap:Body><C>1<\/C><\/soap:Body>/)

  const answer = envelope('<s:Body><Price>7</Price></s:Body>', '1.2')
  const fault = (code: string) =>
    envelope(
      `<s:Body><s:Fault><s:Code><s:Value>s:${code}</s:Value></s:Code><s:Reason><s:Text xml:lang="en">no such item</s:Text></s:Reason></s:Fault></s:Body>`,
      '1.2',
    )
  const type = { 'content-type': 'application/soap+xml' }
  service.replies.push({ status: 200, headers: type, body: answer })
  expect((await post('/query', '<Q/>')).text).toBe(`<Price xmlns:s="http://www.w3.org/2003/05/soap-envelope">7</Price>`)
  service.replies.push({ status: 400, headers: type, body: fault('Sender') })
  expect((await post('/query', '<Q/>')).status).toBe(502)
  const [refused] = await it.ended(1, 'set-aside')
  expect(refused?.error).toMatchObject({ code: 'SOAPRECEIVER_FAULT' })
  expect(refused?.error?.message).toMatch(/\(Client\): no such item/)
  // Half a document would break the envelope, and an envelope of somebody else's making must not leave.
  await post('/query', '<Q></s:Body>')
  const [, broken] = await it.ended(2, 'set-aside')
  expect(broken?.error?.code).toBe('SOAPMESSAGE_CANNOT_WRITE')
})
