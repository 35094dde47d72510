import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { HubError } from '../../kernel/error.ts'
import { escapeText } from '../xml/write-xml.ts'
import { parseXmlElement } from '../xml/xml-element.ts'
import { addressingOf, openSoap, refuseUnknownHeaders } from './read-soap.ts'
import { writeSoap, writeSoapFault } from './write-soap.ts'

async function* inChunks(text: string | Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function read(text: string | Uint8Array, type = 'text/xml; charset=utf-8', size = 9) {
  const message = await openSoap(inChunks(text, size), type)
  const chunks: Uint8Array[] = []
  for await (const chunk of message.document()) chunks.push(chunk)
  return { message, document: Buffer.concat(chunks).toString() }
}

const refusal = (text: string, type?: string) =>
  read(text, type).then(
    () => 'taken',
    (error: unknown) => (error instanceof HubError ? `${error.code} ${error.message}` : String(error)),
  )

const one = 'http://schemas.xmlsoap.org/soap/envelope/'
const two = 'http://www.w3.org/2003/05/soap-envelope'

test('the payload becomes a document of its own, with the namespaces it needs', async () => {
  const text = `<?xml version="1.0"?>\n<S:Envelope xmlns:S="${one}" xmlns:xsi="urn:xsi" xmlns="urn:outer">
 <S:Header><a:MessageID xmlns:a="http://www.w3.org/2005/08/addressing"> urn:uuid:1 </a:MessageID></S:Header>
 <S:Body xmlns:p="urn:p"><p:Order n="a&quot;b" xmlns:xsi="urn:own"><Line xsi:type="p:X">1 &lt; 2</Line><Empty/><Two></Two><![CDATA[a&b]]><!-- gone --></p:Order></S:Body></S:Envelope>\n`
  for (const size of [1, 4, 10_000]) {
    const { message, document } = await read(text, 'text/xml', size)
    expect(message).toMatchObject({ version: '1.1', payload: { name: 'Order', namespace: 'urn:p' } })
    expect(addressingOf(message, 'MessageID')).toBe('urn:uuid:1')
    expect(document).toBe(
      `<p:Order n="a&#34;b" xmlns:xsi="urn:own" xmlns:S="${one}" xmlns="urn:outer" xmlns:p="urn:p"><Line xsi:type="p:X">1 &lt; 2</Line><Empty/><Two></Two>a&amp;b</p:Order>`,
    )
  }
})

test('an IDoc inside SOAP stays the document it was', async () => {
  const idoc = '<MATMAS05><IDOC BEGIN="1"><EDI_DC40 SEGMENT="1"/></IDOC></MATMAS05>'
  const { document } = await read(`<soap:Envelope xmlns:soap="${one}"><soap:Body>${idoc}</soap:Body></soap:Envelope>`)
  expect(document).toBe(idoc.replace('<MATMAS05>', `<MATMAS05 xmlns:soap="${one}">`))
})

test('faults of both versions are read alike', async () => {
  for (const [version, type] of [
    ['1.1', 'text/xml'],
    ['1.2', 'application/soap+xml'],
  ] as const) {
    const fault = { code: 'Client', text: 'no <such> order', errorCode: 'X_Y' } as const
    const { message } = await read(writeSoapFault(version, fault), type)
    expect(message).toMatchObject({ version, payload: undefined, fault: { code: 'Client', text: 'no <such> order' } })
    expect(message.fault?.detail?.children[0]?.text).toBe('X_Y')
  }
})

test('an empty body is an empty document', async () => {
  expect(await read(writeSoap('1.2', new Uint8Array()), 'application/soap+xml')).toMatchObject({
    message: { version: '1.2', payload: undefined, fault: undefined },
    document: '',
  })
})

describe('refused is', () => {
  const body = (content: string, more = '') =>
    `<e:Envelope xmlns:e="${one}"${more}><e:Body>${content}</e:Body></e:Envelope>`
  test.each([
    ['no XML', 'hello', /^XML_MALFORMED/],
    ['another root', '<a/>', /root is <a>/],
    ['another version', body('<a/>').replace(one, 'urn:soap'), /not an Envelope/],
    ['no body', `<e:Envelope xmlns:e="${one}"><e:Header/></e:Envelope>`, /no Body/],
    ['two payloads', body('<a/><b/>'), /more than one element/],
    ['two bodies', body('<a/>').replace('</e:Envelope>', '<e:Body/></e:Envelope>'), /two bodies/],
    ['text beside', body('text'), /text stands beside/],
    ['a header behind', body('<a/>').replace('</e:Envelope>', '<e:Header/></e:Envelope>'), /stands beside/],
    ['a cut payload', body('<a><b>').slice(0, -30), /^XML_MALFORMED/],
    ['a DTD', `<!DOCTYPE a [<!ENTITY b "c">]>${body('<a>&b;</a>')}`, /^XML_REFUSED/],
    ['an entity', body('<a>&b;</a>'), /^XML_MALFORMED/],
    ['an endless header', body('<a/>', ` x="${'y'.repeat(70_000)}"`), /^XML_TOO_LARGE/],
    [
      'many headers',
      body('<a/>').replace('<e:Body>', `<e:Header>${'<h>x</h>'.repeat(200_000)}</e:Header><e:Body>`),
      /headerLength/,
    ],
  ])('%s', async (_title, text, wanted) => {
    expect(await refusal(text)).toMatch(wanted)
  })

  test('JSON, an attachment, a header that must be understood', async () => {
    expect(await refusal('{}', 'application/json')).toMatch(/Content-Type is application\/json/)
    const part = (content: string) => `--b\r\nContent-Type: text/xml\r\n\r\n${content}\r\n`
    const related = 'multipart/related; boundary=b; type="text/xml"'
    expect((await read(`${part(body('<a/>'))}--b--`, related)).document).toBe(`<a xmlns:e="${one}"/>`)
    const inBase64 = part(Buffer.from(body('<a/>')).toString('base64')).replace(
      '\r\n\r\n',
      '\r\nContent-Transfer-Encoding: base64\r\n\r\n',
    )
    expect((await read(`${inBase64}--b--`, related)).document).toBe(`<a xmlns:e="${one}"/>`)
    expect(await refusal(`${part(body('<a/>'))}${part('x')}--b--`, related)).toMatch(/attachments/)
    const secured = `<e:Envelope xmlns:e="${two}"><e:Header><s:Security xmlns:s="urn:s" e:mustUnderstand="true"/></e:Header><e:Body/></e:Envelope>`
    const { message } = await read(secured)
    expect(() => refuseUnknownHeaders(message)).toThrow(/\{urn:s\}Security/)
  })

  test.each([
    [one, 'actor="http://gateway.example"', false],
    [one, 'actor="http://schemas.xmlsoap.org/soap/actor/next"', true],
    [one, 'actor=""', true],
    [two, 'role="http://gateway.example"', false],
    [two, 'role="http://www.w3.org/2003/05/soap-envelope/role/ultimateReceiver"', true],
  ])('a header that must be understood, in %s with %s: only where it is for us', async (soap, role, isOurs) => {
    const header = `<s:Security xmlns:s="urn:s" e:mustUnderstand="1" e:${role}/>`
    const { message } = await read(`<e:Envelope xmlns:e="${soap}"><e:Header>${header}</e:Header><e:Body/></e:Envelope>`)
    const refused = expect(() => refuseUnknownHeaders(message))
    if (isOurs) refused.toThrow(/\{urn:s\}Security/)
    else refused.not.toThrow()
  })
})

test.each([['{"a":1}'], ['<a>'], ['<a/><b/>'], ['<!DOCTYPE a><a/>']])('%s is no payload', text => {
  expect(() => writeSoap('1.1', Buffer.from(text))).toThrow(/cannot be put into a SOAP envelope/)
})

/** Names, attributes and texts, whatever the declarations are called. */
const element: fc.Arbitrary<string> = fc.letrec<{ element: string }>(tie => ({
  element: fc
    .record({
      name: fc.constantFrom('a', 'p:b', 'Größe'),
      attribute: fc.string({ unit: 'grapheme', maxLength: 5 }),
      inside: fc.array(fc.oneof({ maxDepth: 3 }, fc.string({ unit: 'grapheme' }).map(text), tie('element')), {
        maxLength: 3,
      }),
    })
    .map(({ name, attribute, inside }) => `<${name} x="${text(attribute)}">${inside.join('')}</${name}>`),
})).element

function text(value: string): string {
  return escapeText(value.replace(/[^\x20-\uD7FF\uE000-\uFFFD]/g, '')).replaceAll('"', '&quot;')
}

test('what is put into an envelope comes out of it', async () => {
  await fc.assert(
    fc.asyncProperty(
      element,
      fc.constantFrom('1.1', '1.2'),
      fc.integer({ min: 1, max: 99 }),
      async (inner, version, size) => {
        const given = `<p:root xmlns:p="urn:p">${inner}</p:root>`
        const { document } = await read(writeSoap(version, Buffer.from(given)), 'text/xml', size)
        expect(parseXmlElement(Buffer.from(document))).toEqual(parseXmlElement(Buffer.from(given)))
      },
    ),
    { numRuns: 150 },
  )
})
