import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { writeXiMessage } from '../../src/protocols/xi/write-message.ts'
import { FlowHub } from '../system/flow-hub.ts'
import { webService } from '../system/web-service.ts'
import { document, sendXi, xiRequest } from '../system/xi-world.ts'
import { describeForeign } from './servers/needs.ts'

const run = promisify(execFile)

let it: FlowHub
let service: Awaited<ReturnType<typeof webService>>

/** The service of the prices flow; the address is that of the hub that was started. */
const wsdl = (version: '' | '12') => `<?xml version="1.0"?>
<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap${version}/" xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:p="urn:prices" targetNamespace="urn:prices">
  <types><xsd:schema targetNamespace="urn:prices" elementFormDefault="qualified">
    <xsd:element name="Quote"><xsd:complexType><xsd:sequence><xsd:element name="Item" type="xsd:string"/></xsd:sequence></xsd:complexType></xsd:element>
    <xsd:element name="Price"><xsd:complexType><xsd:sequence><xsd:element name="Item" type="xsd:string"/><xsd:element name="Amount" type="xsd:decimal"/></xsd:sequence></xsd:complexType></xsd:element>
  </xsd:schema></types>
  <message name="QuoteIn"><part name="body" element="p:Quote"/></message>
  <message name="QuoteOut"><part name="body" element="p:Price"/></message>
  <portType name="Prices"><operation name="Quote"><input message="p:QuoteIn"/><output message="p:QuoteOut"/></operation></portType>
  <binding name="PricesSoap" type="p:Prices"><soap:binding style="document" transport="http://schemas.xmlsoap.org/soap/http"/>
    <operation name="Quote"><soap:operation soapAction="urn:prices:quote"/><input><soap:body use="literal"/></input><output><soap:body use="literal"/></output></operation></binding>
  <service name="Prices"><port name="Prices" binding="p:PricesSoap"><soap:address location="http://address.invalid/"/></port></service>
</definitions>`

/** Asks for two prices; the second is refused. Writes what it got as JSON. */
const zeepClient = `
import json, sys
import zeep
url = sys.argv[1]
client = zeep.Client(url + '?wsdl')
service = client.create_service('{urn:prices}PricesSoap', url)
price = service.Quote(Item='Pump & Co')
try:
    service.Quote(Item='unknown')
    fault = None
except zeep.exceptions.Fault as error:
    fault = {'code': str(error.code), 'message': error.message}
print(json.dumps({'item': price.Item, 'amount': str(price.Amount), 'fault': fault}))
`

/** Reads a multipart message with the libraries of Python and shows what is in it. */
const pythonReader = `
import email, email.policy, json, sys
import xml.etree.ElementTree as tree
message = email.message_from_bytes(open(sys.argv[1], 'rb').read(), policy=email.policy.HTTP)
parts = list(message.iter_parts())
root = tree.fromstring(parts[0].get_content() if parts[0].get_content_type() == 'text/plain' else parts[0].get_payload(decode=True))
xi = '{http://sap.com/xi/XI/Message/30}'
payload = root.find('.//' + xi + 'Payload')
print(json.dumps({
  'defects': [str(defect) for part in [message, *parts] for defect in part.defects],
  'start': message.get_param('start'),
  'rootId': parts[0]['Content-ID'],
  'class': root.find('.//' + xi + 'MessageClass').text,
  'ref': root.find('.//' + xi + 'RefToMessageId').text,
  'href': payload.get('{http://www.w3.org/1999/xlink}href'),
  'payloadId': parts[1]['Content-ID'],
  'payload': parts[1].get_payload(decode=True).decode(),
}))
`

beforeAll(async () => {
  it = new FlowHub()
  service = await webService()
  for (const version of ['', '12'] as const) {
    it.write(`flows/prices${version}.wsdl`, wsdl(version))
    it.flow(
      `prices${version}`,
      `from: { soap: { path: /prices${version}, answer: result, within: 60s, wsdl: ./prices${version}.wsdl } }
steps:
  - filter: { keep: "!message.body.contains('unknown')", otherwise: reject, reason: There is no such item. }
  - map: { module: ./price.ts }
to: []
`,
    )
  }
  it.write(
    'flows/price.ts',
    `export default message => {
  const item = /Item>([^<]*)</.exec(Buffer.from(message.body.held).toString())?.[1]
  const xml = \`<p:Price xmlns:p="urn:prices"><p:Item>\${item}</p:Item><p:Amount>7.50</p:Amount></p:Price>\`
  const held = Buffer.from(xml)
  const body = { bytes: held.length, type: 'application/xml', held, async *stream() { yield held } }
  return { ...message, body }
}
`,
  )
  it.flow(
    'invoices',
    `from: { soap: { path: /invoices, protocol: sap-rm } }\nto: { http: { url: "${service.url}" } }\n`,
  )
  it.flow(
    'query',
    `from: { xi: { path: /xi } }\nsteps: [{ map: { set: { body: '<A>ä ö</A>', type: application/xml } } }]\nto: []\n`,
  )
  await it.start()
})
afterAll(async () => {
  await it.close()
  await service.stop()
})

describeForeign('zeep', ['python3-zeep'], () => {
  test.each([
    ['1.1', ''],
    ['1.2', '12'],
  ])('SOAP %s: reads the description, asks, gets typed values, and faults as exceptions', async (_version, path) => {
    const script = it.write('client.py', zeepClient)
    const { stdout } = await run('/usr/bin/python3', [script, `${it.url}/prices${path}`])
    expect(JSON.parse(stdout)).toEqual({
      item: 'Pump & Co',
      amount: '7.50',
      fault: {
        code: path === '' ? 'soap:Client' : 'soap:Sender',
        message: 'There is no such item.',
      },
    })
  })
})

describeForeign('curl and xmllint', ['curl', 'xmllint'], () => {
  test('SAP RM by hand: taken once; a fault is well-formed and says what is missing', async () => {
    const body = it.write(
      'invoice.xml',
      '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><i:Invoice xmlns:i="urn:i">1</i:Invoice></s:Body></s:Envelope>',
    )
    const answer = join(it.folder, 'answer.xml')
    const post = async (query: string) => {
      const { stdout } = await run('curl', [
        '--silent',
        '--output',
        answer,
        '--write-out',
        '%{http_code}',
        '--data-binary',
        `@${body}`,
        '--header',
        'content-type: text/xml',
        `${it.url}/invoices${query}`,
      ])
      return stdout
    }
    const id = '005056bf-38e0-1edd-b58c-9b5814a5e450'
    expect([await post(`?MessageId=${id}`), await post(`?MessageId=${id.toUpperCase()}`)]).toEqual(['202', '202'])
    expect(await post('')).toBe('500')
    await run('xmllint', ['--noout', answer])
    const { stdout } = await run('xmllint', ['--xpath', 'string(//faultstring)', answer])
    expect(stdout).toContain('MessageId in the url is missing')
    await it.ended(1)
    const request = it.write('request.xml', service.requests[0]?.body.toString() ?? '')
    const { stdout: root } = await run('xmllint', ['--xpath', 'namespace-uri(/*)', request])
    expect(root.trim()).toBe('urn:i')
    expect(service.requests).toHaveLength(1)
  })
})

describeForeign('Python', ['python3-zeep'], () => {
  test('reads an answer of the XI protocol with its own MIME and XML libraries, without a defect', async () => {
    const query = { isSynchronous: true, quality: 'BestEffort' } as const
    const answer = await sendXi(`${it.url}/xi`, query)
    expect(answer.document).toBe('<A>ä ö</A>')
    const bytes = await rawAnswer()
    const file = join(it.folder, 'answer.mime')
    writeFileSync(file, bytes)
    const { stdout } = await run('/usr/bin/python3', [it.write('reader.py', pythonReader), file])
    const seen = JSON.parse(stdout) as Record<string, string>
    expect(seen).toMatchObject({
      defects: [],
      class: 'ApplicationResponse',
      ref: '005056bf-38e0-1edd-b58c-9b5814a5e450',
      payload: '<A>ä ö</A>',
    })
    expect(seen['rootId']).toBe(seen['start'])
    expect(`<${seen['href']?.replace('cid:', '')}>`).toBe(seen['payloadId'])
    expect(readFileSync(file).subarray(-4).toString()).toBe('--\r\n')
  })
})

/** The kept answer once more, with its Content-Type as header of the content. */
async function rawAnswer(): Promise<Buffer> {
  const { type, stream } = writeXiMessage({ ...xiRequest, isSynchronous: true, quality: 'BestEffort' }, [
    document('<C/>'),
  ])
  const chunks: Uint8Array[] = []
  for await (const chunk of stream()) chunks.push(chunk)
  const answer = await fetch(`${it.url}/xi`, {
    method: 'POST',
    headers: { 'content-type': type },
    body: Buffer.concat(chunks),
  })
  const head = `Content-Type: ${answer.headers.get('content-type')}\r\n\r\n`
  return Buffer.concat([Buffer.from(head), Buffer.from(await answer.arrayBuffer())])
}
