import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { HubError } from '../../kernel/error.ts'
import { controlField, type Idoc, type Segment } from './idoc.ts'
import { idocWithMaps } from './idoc-world.ts'
import { parseIdocs, readIdocs } from './read-idocs.ts'
import { writeIdocs } from './write-idoc.ts'

const samples = join(import.meta.dirname, '../../../test/corpus/idoc')
const sample = (name: string) => readFileSync(join(samples, name))

function only(bytes: Uint8Array | string): Idoc {
  const [idoc, ...others] = parseIdocs(Buffer.from(bytes))
  if (!idoc || others.length > 0) throw new Error('expected one IDoc')
  return idoc
}

function countOf(segment: Segment): { segments: number; fields: number } {
  const below = segment.children.map(countOf)
  return {
    segments: below.reduce((sum, { segments }) => sum + segments, 1),
    fields: below.reduce((sum, { fields }) => sum + fields, segment.fields.size),
  }
}

function faultOf(text: string): string {
  try {
    parseIdocs(Buffer.from(text))
  } catch (thrown) {
    if (thrown instanceof HubError) return `${thrown.code} ${thrown.message}`
    throw thrown
  }
  return 'no fault'
}

const wrap = (inside: string) => `<MATMAS05><IDOC BEGIN="1"><EDI_DC40 SEGMENT="1"/>${inside}</IDOC></MATMAS05>`

describe('the samples of SAP', () => {
  // Segments (with the control record) and fields, as they were counted by other means.
  test.each([
    ['matmas05-material-3pl', 'MATMAS05', 'MATMAS', '0000000215172311', 18, 379],
    ['matmas05-all-segments-skeleton', 'MATMAS05', 'MATMAS', '0000000000009022', 28, 19],
    ['orders05-order-purchase-to-pay', 'ORDERS05', 'ORDERS', '0000000000146002', 27, 150],
    ['orders05-order-response-soap', 'ORDERS05', 'ORDRSP', '0000000000019005', 42, 177],
    ['orders05-order-response-edifact-d93a', 'ORDERS05', 'ORDRSP', '0000000235556469', 89, 431],
    ['invoic02-invoice-edifact-d93a', 'INVOIC02', 'INVOIC', '0000000091109869', 101, 433],
    ['invoic02-invoice-x12-004010', 'INVOIC02', 'INVOIC', '0000000091109869', 101, 433],
    ['delvry07-outbound-delivery-3pl', 'DELVRY07', 'DESADV', '0000000220928966', 44, 265],
    ['delvry07-customer-return-3pl', 'DELVRY07', 'DESADV', '0000000232776397', 64, 413],
    ['delvry07-delivery-update-direction-2', 'DELVRY07', 'DESADV', undefined, 13, 56],
    ['delvry07-delivery-notification-soap', 'DELVRY07', 'DESADV', '0000000000019013', 25, 204],
  ])('%s', (file, type, mestyp, docnum, segments, fields) => {
    const idoc = only(sample(`${file}.xml`))
    expect(idoc.type).toBe(type)
    expect(controlField(idoc, 'MESTYP')).toBe(mestyp)
    expect(controlField(idoc, 'DOCNUM')).toBe(docnum)
    const counted = countOf(idoc.data)
    // The record itself is no segment, the control record is one.
    expect(counted.segments - 1 + 1).toBe(segments)
    expect(counted.fields + idoc.control.size).toBe(fields)
  })

  test.each(readdirSync(samples).filter(name => name.endsWith('.xml')))('%s is the same after it was written', name => {
    const idoc = only(sample(name))
    const again = only(writeIdocs([idoc]))
    expect(again.control).toEqual(idoc.control)
    expect(again.data).toEqual(idoc.data)
  })
})

test('an empty segment is a segment, an empty field a field', () => {
  const idoc = only(wrap('<E1MARAM SEGMENT="1"><MATNR></MATNR><EAN11/><E1MARA1 SEGMENT="1"/></E1MARAM>'))
  const [maram] = idoc.data.children
  expect([...(maram?.fields ?? [])]).toEqual([
    ['MATNR', ''],
    ['EAN11', ''],
  ])
  expect(maram?.children.map(({ name }) => name)).toEqual(['E1MARA1'])
})

test('white space inside of fields stays, between elements it does not count', () => {
  const idoc = only(wrap('\n\t<E1X SEGMENT="1">\n\t\t<A>  a\tb </A>\n\t</E1X>\n'))
  expect(idoc.data.children[0]?.fields.get('A')).toBe('  a\tb ')
})

test('references, CDATA and comments are read as XML means them', () => {
  const idoc = only(
    wrap('<E1X SEGMENT="1"><A>R&amp;D &#60;1&#x3E;</A><B><![CDATA[a<b&c]]>!</B><C>x<!-- y -->z</C></E1X>'),
  )
  expect([...(idoc.data.children[0]?.fields.values() ?? [])]).toEqual(['R&D <1>', 'a<b&c!', 'xz'])
})

test('an IDoc in a SOAP body, with prefixes and a namespace', () => {
  const idoc = only(inSoap('<soap:Header/>'))
  expect(idoc.type).toBe('MATMAS05')
  expect(idoc.data.children[0]?.fields.get('A')).toBe('1')
})

test('the header of a SOAP envelope says nothing of the IDoc, whatever stands in it', () => {
  const security = '<w:Security><w:Token><w:Name><w:First>IDOC</w:First><IDOC>1</IDOC></w:Name></w:Token></w:Security>'
  const header = `<soap:Header><a:MessageID>uuid:17</a:MessageID>${security}</soap:Header>`
  expect(only(inSoap(header))).toEqual(only(inSoap('')))
  expect(only(inSoap(header)).soapNamespace).toBe('urn:sap-com:document:sap:idoc:soap:messages')
  // Beside the envelope it is no header.
  expect(faultOf('<M><Header>17</Header></M>')).toMatch(/^IDOC_SHAPE .*text stands outside/)
})

function inSoap(header: string): string {
  return `<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/">${header}<soap:Body>
    <n0:MATMAS05 xmlns:n0="urn:sap-com:document:sap:idoc:soap:messages">${wrap('<E1X SEGMENT="1"><A>1</A></E1X>').slice(10, -11)}</n0:MATMAS05>
    </soap:Body></soap:Envelope>`
}

test.each([
  ['utf-8 with a mark', Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from(wrap('<E1X><A>ä€</A></E1X>'))])],
  [
    'utf-16le with a mark',
    Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(wrap('<E1X><A>ä€</A></E1X>'), 'utf16le')]),
  ],
  [
    'iso-8859-15 by its declaration',
    Buffer.from(`<?xml version="1.0" encoding="ISO-8859-15"?>${wrap('<E1X><A>ä\u00a4</A></E1X>')}`, 'latin1'),
  ],
])('%s', (_, bytes) => {
  expect(only(bytes).data.children[0]?.fields.get('A')).toBe('ä€')
})

test('a mistake is shown where it stands, also when an & comes after it that is allowed there', () => {
  const wrong = '\n<E1X SEGMENT="1"><A>1</B></E1X>'
  for (const later of ['<E1X SEGMENT="1"><A><![CDATA[R&D]]></A></E1X>', '<!-- R&D -->']) {
    expect(faultOf(wrap(`${wrong}\n${later}`))).toMatch(/^XML_MALFORMED .*line 2, column 25: unexpected close tag/)
    expect(faultOf(wrap(`${later}${wrong}`))).toMatch(/^XML_MALFORMED .*line 2, column 25: unexpected close tag/)
  }
})

test('a bare & is shown where it stands, whatever ends the lines', () => {
  expect(faultOf(wrap('\r\n\r\n\r<E1X SEGMENT="1"><A>R&D</A></E1X>'))).toMatch(/line 4, column 21: an &/)
})

test.each([
  ['utf8', 'utf8'],
  ['UTF8', 'utf8'],
  ['latin1', 'latin1'],
  ['iso8859-1', 'latin1'],
  ['utf-16', 'utf16le'],
] as const)('the charset %s of a Content-Type is known by this name too', (charset, encoding) => {
  const [idoc] = parseIdocs(Buffer.from(wrap('<E1X><A>ä</A></E1X>'), encoding), { charset })
  expect(idoc?.data.children[0]?.fields.get('A')).toBe('ä')
})

describe('what is no IDoc is refused with its place', () => {
  test.each([
    ['a bare &', wrap('\n<E1X><A>R&D</A></E1X>'), /^XML_MALFORMED .*line 2, column \d+/],
    ['a wrong end tag', wrap('<E1X><A>1</B></E1X>'), /^XML_MALFORMED/],
    ['cut off', wrap('<E1X>').slice(0, -20), /^XML_MALFORMED/],
    [
      'an entity bomb',
      `<!DOCTYPE a [<!ENTITY b "bb">]>${wrap('<E1X><A>&b;</A></E1X>')}`,
      /^XML_REFUSED .*document type/,
    ],
    ['an external entity', `<!DOCTYPE a SYSTEM "file:///etc/passwd">${wrap('')}`, /^XML_REFUSED/],
    ['an unknown entity', wrap('<E1X><A>&nbsp;</A></E1X>'), /^XML_MALFORMED/],
    ['a control character', wrap('<E1X><A>\u0001</A></E1X>'), /^XML_MALFORMED/],
    ['one that XML 1.1 knows', `<?xml version="1.1"?>${wrap('<E1X><A>&#1;</A></E1X>')}`, /^XML_MALFORMED/],
    [
      'a name that SAP cannot have',
      wrap('<E1X SEGMENT="1">\n<ÄX>1</ÄX></E1X>'),
      /^IDOC_SHAPE .*<ÄX> is no name.*line 2/,
    ],
    ['such a type', wrap('').replace(/MATMAS05/g, 'a:b:c'), /^IDOC_SHAPE .*<b:c> is no name/],
    ['an attribute twice', wrap('<E1X SEGMENT="1" SEGMENT="1"/>'), /^XML_MALFORMED/],
    ['two roots', `${wrap('')}${wrap('')}`, /^XML_MALFORMED/],
    ['nothing', '', /^XML_MALFORMED/],
    ['JSON', '{"a":1}', /^XML_MALFORMED/],
    ['HTML', '<html><body><p>Not found</p></body></html>', /^IDOC_SHAPE .*text stands outside/],
    ['a SOAP envelope without IDoc', '<E><B><M/></B></E>', /^IDOC_SHAPE .*there is no <IDOC>/],
    ['no control record', '<M><IDOC BEGIN="1"><E1X SEGMENT="1"/></IDOC></M>', /^IDOC_SHAPE .*control record/],
    ['an empty IDoc', '<M><IDOC BEGIN="1"/></M>', /^IDOC_SHAPE .*control record/],
    ...['EDI_DC40', 'EDI_DC'].map((control): [string, string, RegExp] => [
      `a control field of ${control} that is too long`,
      `<M><IDOC BEGIN="1"><${control} SEGMENT="1"><DOCNUM>${'0'.repeat(17)}</DOCNUM></${control}></IDOC></M>`,
      /^IDOC_SHAPE .*the control field DOCNUM takes 16 characters, not 17 \(line 1/,
    ]),
    ['no type', '<IDOC BEGIN="1"><EDI_DC40 SEGMENT="1"/></IDOC>', /^IDOC_SHAPE .*name of its type/],
    ['text behind the last segment', wrap('<E1X SEGMENT="1"/>oops'), /^IDOC_SHAPE .*text stands beside .* IDOC/],
    ['text beside elements', wrap('<E1X SEGMENT="1">oops<A>1</A></E1X>'), /^IDOC_SHAPE .*text stands beside/],
    ['text behind elements', wrap('<E1X SEGMENT="1"><A>1</A>oops</E1X>'), /^IDOC_SHAPE .*text stands beside/],
    ['text between IDocs', '<M>hello<IDOC BEGIN="1"><EDI_DC40 SEGMENT="1"/></IDOC></M>', /^IDOC_SHAPE .*outside/],
    ['50,000 elements inside each other', wrap('<a>'.repeat(50_000)), /^XML_TOO_LARGE .*depth of 40/],
    [
      '20,000 attributes',
      wrap(`<E1X ${Array.from({ length: 20_000 }, (_, n) => `a${n}=""`).join(' ')}/>`),
      /^XML_TOO_LARGE/,
    ],
    ['an encoding nobody knows', `<?xml version="1.0" encoding="EBCDIC"?>${wrap('')}`, /^XML_ENCODING .*ebcdic/],
  ])('%s', (_, text, expected) => {
    expect(faultOf(text)).toMatch(expected)
  })

  test('bytes that are no UTF-8', () => {
    expect(() => parseIdocs(Buffer.from(wrap('<E1X><A>ä</A></E1X>'), 'latin1'))).toThrow(/not valid utf-8/)
  })
})

test('blanks fill no number up, and partners may have longer names than SAP’s', () => {
  const control = `<DOCNUM>0000000215172311${' '.repeat(40)}</DOCNUM><SNDPRN>Company_IDOC_SOA_ID</SNDPRN>`
  expect(faultOf(wrap('').replace('"1"/>', `"1">${control}</EDI_DC40>`))).toBe('no fault')
})

test('a packet of a thousand IDocs is read one by one in flat memory', async () => {
  const one = sample('matmas05-material-3pl.xml').toString()
  const inside = one.slice(one.indexOf('<IDOC'), one.indexOf('</MATMAS05>'))
  async function* packet() {
    yield Buffer.from('<MATMAS05>')
    for (let count = 0; count < 1000; count += 1)
      yield Buffer.from(inside.replace('215172311', String(100_000_000 + count)))
    yield Buffer.from('</MATMAS05>')
  }
  let count = 0
  let heapMax = 0
  const before = process.memoryUsage().heapUsed
  for await (const idoc of readIdocs(packet())) {
    expect(controlField(idoc, 'DOCNUM')).toBe(`0000000${100_000_000 + count}`)
    count += 1
    if (count % 50 === 0) heapMax = Math.max(heapMax, process.memoryUsage().heapUsed - before)
  }
  expect(count).toBe(1000)
  // 13 MB of text, about 400,000 fields; whoever held them would need several hundred.
  expect(heapMax).toBeLessThan(150 * 1024 * 1024)
})

test('the same IDocs come out however the bytes are cut', async () => {
  const bytes = sample('matmas05-material-3pl.xml')
  const whole = only(bytes)
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 1, max: bytes.length - 1 }), { maxLength: 20 }), async cuts => {
      const places = [0, ...new Set(cuts.toSorted((left, right) => left - right)), bytes.length]
      async function* pieces() {
        for (let at = 1; at < places.length; at += 1) yield bytes.subarray(places[at - 1], places[at])
      }
      const found: Idoc[] = []
      for await (const idoc of readIdocs(pieces())) found.push(idocWithMaps(idoc))
      expect(found).toEqual([idocWithMaps(whole)])
    }),
    { numRuns: 30 },
  )
})

const fieldValue = fc.string({
  unit: fc.constantFrom('a', 'Z', '0', ' ', '&', '<', '>', '"', "'", 'ä', '€', '😀', '\t', '\n', '\r', ']'),
})
const fields = fc
  .dictionary(fc.stringMatching(/^[A-Z][A-Z0-9_]{0,7}$/), fieldValue)
  .map(record => new Map(Object.entries(record)))
const segment = fc.memo(depth =>
  fc.record({
    name: fc.stringMatching(/^E1[A-Z]{1,6}$/),
    fields,
    children: depth <= 1 ? fc.constant([]) : fc.array(segment(depth - 1), { maxLength: 3 }),
  }),
) as (depth: number) => fc.Arbitrary<Segment>

test('whatever an IDoc holds comes back as it was written', () => {
  fc.assert(
    fc.property(fields, fc.array(segment(4), { maxLength: 3 }), (control, children) => {
      const idoc = { type: 'MATMAS05', control, data: { name: 'IDOC', fields: new Map(), children } }
      const again = idocWithMaps(only(writeIdocs([idoc])))
      expect(again.control).toEqual(control)
      expect(again.data.children).toEqual(children)
    }),
  )
})
