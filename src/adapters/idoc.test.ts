import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Outcome } from '../flow/adapter.ts'
import { heldBody } from '../kernel/body.ts'
import { hubErrors } from '../kernel/error.ts'
import { type FlatLayouts, writeFlatFile } from '../protocols/idoc/flat-file.ts'
import { parseIdocs } from '../protocols/idoc/read-idocs.ts'
import { idocSender } from './idoc.ts'
import { IdocWorld, idocSample, materialIdoc, materialPacket } from './idoc-world.ts'

let world: IdocWorld
beforeEach(() => {
  world = new IdocWorld()
})
afterEach(() => world.stop())

const pairsIn = (text: string) =>
  [...text.matchAll(/<TransferId>(\d*)<\/TransferId><DbId>(\w+)<\/DbId>/g)].map(([, docnum, id]) => [docnum, id])

describe('IDocs that come in', () => {
  test('one becomes a message: its very bytes, with its control record and the key of its object as attributes', async () => {
    await world.start()
    const bytes = idocSample('matmas05-material-3pl.xml')
    const answer = await world.post(bytes, { type: 'application/x-sap.idoc' })
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'text/xml; charset=utf-8'])
    expect(await answer.text()).toBe(
      '<?xml version="1.0" encoding="UTF-8"?><MATMAS05.Response><IDocAssign><TransferId>0000000215172311</TransferId>' +
        '<DbId>M0</DbId></IDocAssign></MATMAS05.Response>',
    )
    expect(world.messages[0]?.body).toBe(bytes.toString())
    expect(world.messages[0]?.incoming).toMatchObject({
      type: 'application/xml',
      terms: ['0000000215172311', '123456789'],
      attributes: {
        docnum: '0000000215172311',
        mandt: '400',
        direct: '1',
        idoctyp: 'MATMAS05',
        cimtyp: '',
        mestyp: 'MATMAS',
        objectKey: '123456789',
        orderKey: 'MATMAS/Company_IDOC_ID/123456789',
      },
    })
  })

  test('each of a packet is a message of its own, in order, and the answer names every number', async () => {
    await world.start()
    const numbers = Array.from({ length: 100 }, (_, index) => String(5000 + index))
    const packet = materialPacket(
      ...numbers.map((docnum, index) => ({ docnum, matnr: `${index % 7}`, text: `T${index}` })),
    )
    const answer = await world.post(packet)
    expect(answer.status).toBe(200)
    const wanted = numbers.map((docnum, index) => [docnum.padStart(16, '0'), `M${index}`])
    expect(pairsIn(await answer.text())).toEqual(wanted)
    expect(world.attributes('docnum')).toEqual(wanted.map(([docnum]) => docnum))
    for (const [index, { body }] of world.messages.entries()) {
      const [idoc, ...others] = parseIdocs(Buffer.from(body))
      expect(others).toEqual([])
      expect(idoc?.data.children[0]?.children[0]?.fields.get('MAKTX')).toBe(`T${index}`)
    }
  })

  test('in a SOAP body, with the namespace of the caller, the answer is SOAP too', async () => {
    await world.start()
    const soap = `<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>
      <n1:MATMAS05 xmlns:n1="urn:contoso:idoc">${materialIdoc({ docnum: '1' })}</n1:MATMAS05></soap:Body></soap:Envelope>`
    const answer = await world.post(soap, { type: 'text/xml; charset=utf-8', headers: { soapaction: '""' } })
    expect(answer.status).toBe(200)
    const text = await answer.text()
    expect(text).toContain('<n0:MATMAS05.Response xmlns:n0="urn:contoso:idoc"><IDocAssign>')
    expect(text).toMatch(/^<\?xml[^>]*><soap:Envelope .*<\/soap:Envelope>$/)
    expect(world.messages[0]?.body).toMatch(/^<\?xml version="1.0" encoding="UTF-8"\?><MATMAS05><IDOC BEGIN="1">/)
  })

  test('in SOAP 1.2 the answer is of that version, and so is the fault for what is no IDoc', async () => {
    await world.start()
    const namespace = 'http://www.w3.org/2003/05/soap-envelope'
    const envelope = (inside: string) => `<e:Envelope xmlns:e="${namespace}"><e:Body>${inside}</e:Body></e:Envelope>`
    const send = (inside: string) => world.post(envelope(inside), { type: 'application/soap+xml; charset=utf-8' })
    const taken = await send(`<MATMAS05>${materialIdoc({ docnum: '1' })}</MATMAS05>`)
    expect([taken.status, taken.headers.get('content-type')]).toEqual([200, 'application/soap+xml; charset=utf-8'])
    expect(await taken.text()).toMatch(new RegExp(`^<\\?xml[^>]*><soap:Envelope xmlns:soap="${namespace}">`))
    const refused = await send('<MATMAS05/>')
    expect([refused.status, refused.headers.get('content-type')]).toEqual([400, 'application/soap+xml; charset=utf-8'])
    expect(await refused.text()).toContain('<soap:Code><soap:Value>soap:Sender</soap:Value></soap:Code>')
  })

  test.each([
    ['matmas05-all-segments-skeleton.xml', 'MATMAS', '0000000000009022'],
    ['orders05-order-purchase-to-pay.xml', 'ORDERS', '0000000000146002'],
    ['invoic02-invoice-edifact-d93a.xml', 'INVOIC', '0000000091109869'],
    ['delvry07-customer-return-3pl.xml', 'DESADV', '0000000232776397'],
    ['delvry07-delivery-update-direction-2.xml', 'DESADV', ''],
  ])('%s', async (name, mestyp, docnum) => {
    await world.start()
    expect((await world.post(idocSample(name))).status).toBe(200)
    expect(world.messages[0]?.incoming.attributes).toMatchObject({ mestyp, docnum })
    expect(world.messages[0]?.body).toBe(idocSample(name).toString())
  })

  test('other encodings arrive as UTF-8', async () => {
    await world.start()
    const xml = `<?xml version="1.0" encoding="ISO-8859-1"?><MATMAS05>${materialIdoc({ docnum: '1', text: 'Öl' })}</MATMAS05>`
    await world.post(Buffer.from(xml, 'latin1'))
    const utf16 = Buffer.from(`\ufeff<MATMAS05>${materialIdoc({ docnum: '2', text: 'Öl' })}</MATMAS05>`, 'utf16le')
    await world.post(utf16, { type: 'text/xml; charset=utf-16' })
    const plain = `<MATMAS05>${materialIdoc({ docnum: '3', text: 'Öl' })}</MATMAS05>`
    await world.post(Buffer.from(plain, 'latin1'), { type: 'text/xml; charset="iso-8859-1"' })
    expect(world.messages.map(({ body }) => /<MAKTX>(.*)<\/MAKTX>/.exec(body)?.[1])).toEqual(['Öl', 'Öl', 'Öl'])
  })
})

describe('an IDoc that comes again', () => {
  test('is taken once, however its number is written', async () => {
    await world.start()
    const numbers = ['0000000000004711', '4711', ' 4711 ', '00004711']
    const ids: (string | undefined)[] = []
    for (const docnum of numbers) ids.push(pairsIn(await (await world.post(materialPacket({ docnum }))).text())[0]?.[1])
    expect(ids).toEqual(['M0', 'M0', 'M0', 'M0'])
    expect(world.messages).toHaveLength(1)
  })

  test('the number alone does not make it the same: two invoices of the corpus share it, their receivers differ', async () => {
    await world.start()
    await world.post(idocSample('invoic02-invoice-edifact-d93a.xml'))
    await world.post(idocSample('invoic02-invoice-x12-004010.xml'))
    expect(world.messages).toHaveLength(2)
  })

  test('a number that another IDoc had before is told in the log: the new one passes for a repeat', async () => {
    await world.start()
    const created = (day: string) => ({ docnum: '17', control: `<CREDAT>${day}</CREDAT><CRETIM>101500</CRETIM>` })
    for (const day of ['20250101', '20250101', '20260101']) await world.post(materialPacket(created(day)))
    expect(world.messages).toHaveLength(1)
    expect(world.warnings).toMatchObject([
      {
        event: 'idoc.number-reused',
        docnum: '0000000000000017',
        delivery: 'M0',
        created: '20260101 101500',
        createdBefore: '20250101 101500',
      },
    ])
  })

  test('after a packet that was taken in part, all of it again brings what was missing', async () => {
    await world.start()
    const packet = materialPacket(...Array.from({ length: 60 }, (_, index) => ({ docnum: String(index + 1) })))
    world.onAccept = (_, index) => {
      if (index === 40) throw hubErrors.STOPPING()
    }
    expect((await world.post(packet)).status).toBeGreaterThanOrEqual(500)
    expect(world.messages.length).toBeGreaterThan(0)
    world.onAccept = () => {}
    expect((await world.post(packet)).status).toBe(200)
    expect(new Set(world.attributes('docnum')).size).toBe(60)
    expect(world.messages).toHaveLength(60)
  })

  test('without a number the message id of the call counts', async () => {
    await world.start()
    const query = '?MessageId=005056BF-38E0-1EDD-B58C-9B5814A5E450'
    const sample = idocSample('delvry07-delivery-update-direction-2.xml')
    await world.post(sample, { query })
    await world.post(sample, { query: query.toLowerCase().replaceAll('-', '') })
    expect(world.messages).toHaveLength(1)
    await world.post(sample)
    await world.post(sample)
    expect(world.messages).toHaveLength(3)
  })

  test('a flow can say what else belongs to the identity', async () => {
    await world.start({ identity: ['SNDPRN', 'CREDAT'] })
    for (const day of ['20240101', '20250101', '20250101']) {
      await world.post(materialPacket({ docnum: '1', control: `<CREDAT>${day}</CREDAT>` }))
    }
    expect(world.messages).toHaveLength(2)
  })
})

test('of a packet that fails half way no newer IDoc of an object is in without the older one', async () => {
  world.onAccept = (_, index) => {
    if (index === 0) throw hubErrors.STOPPING()
  }
  await world.start()
  const packet = materialPacket(
    { docnum: '1', matnr: '1' },
    { docnum: '2', matnr: '2' },
    { docnum: '3', matnr: '1' },
    { docnum: '4', matnr: '3' },
  )
  expect((await world.post(packet)).status).toBe(503)
  expect(world.messages).toEqual([])
  expect((await world.post(packet)).status).toBe(200)
  expect(world.attributes('docnum')).toEqual([1, 2, 3, 4].map(number => String(number).padStart(16, '0')))
})

describe('the key of the object', () => {
  test('by paths of the flow: alternatives, several joined, leading zeros and "no data" aside', async () => {
    await world.start({ 'object-key': { MATMAS: ['E1MARAM/MATNR_LONG', 'E1MARAM/MATNR + E1MARAM/E1MAKTM/SPRAS'] } })
    await world.post(materialPacket({ docnum: '1', matnr: '12' }))
    const long = materialPacket({ docnum: '2' }).replace('<MATNR>', '<MATNR_LONG>/</MATNR_LONG><MATNR>')
    await world.post(long)
    await world.post(long.replace('>/<', '>PUMP-1<').replace('<DOCNUM>2', '<DOCNUM>3'))
    expect(world.attributes('objectKey')).toEqual(['12/E', '4711/E', 'PUMP-1'])
  })

  test('customer and supplier of one number have an order each', async () => {
    await world.start()
    const address = readFileSync(
      join(import.meta.dirname, '../../examples/s4-to-dynamics/samples/adrmas02.xml'),
      'utf8',
    )
    await world.post(address)
    await world.post(address.replace('>KNA1<', '>LFA1<').replace('700124', '700125'))
    expect(world.attributes('orderKey')).toEqual(['ADRMAS/S4HCLNT100/KNA1/1001', 'ADRMAS/S4HCLNT100/LFA1/1001'])
  })

  test('a reduced message type (BD53) has that of its basic type, and an order of its own', async () => {
    await world.start()
    await world.post(materialPacket({ docnum: '1' }).replace('<MESTYP>MATMAS<', '<MESTYP>ZMATMAS<'))
    expect(world.attributes('objectKey')).toEqual(['4711'])
    expect(world.attributes('orderKey')).toEqual(['ZMATMAS/S4CLNT400/4711'])
  })

  test('a basic type whose version never ends takes no time', async () => {
    await world.start()
    const endless = `<IDOCTYP>${'1'.repeat(100_000)}A<`
    const packet = materialPacket({ docnum: '1' }).replace('<MESTYP>MATMAS<', '<MESTYP>ZMATMAS<')
    const started = performance.now()
    const answer = await world.post(packet.replace('<IDOCTYP>MATMAS05<', endless))
    expect(answer.status).toBe(200)
    expect(performance.now() - started).toBeLessThan(2_000)
  })

  test('a type that nobody described has none, and no order', async () => {
    await world.start()
    await world.post(materialPacket({ docnum: '1' }).replace(/<(IDOCTYP|MESTYP)>MATMAS/g, '<$1>ZOTHER'))
    expect(world.messages[0]?.incoming.attributes).toMatchObject({ mestyp: 'ZOTHER', objectKey: '', orderKey: '' })
  })
})

describe('what cannot be read', () => {
  const good = materialPacket({ docnum: '1' }, { docnum: '2' })
  const hostile: readonly [string, string, string][] = [
    ['a bare & in the second IDoc', materialPacket({ docnum: '1' }, { docnum: '2', text: 'R&D' }), 'XML_MALFORMED'],
    ['a packet that is cut off', good.slice(0, -30), 'XML_MALFORMED'],
    ['wrong end tags', good.replace('</MATNR>', '</MATRN>'), 'XML_MALFORMED'],
    ['a document type', `<!DOCTYPE a [<!ENTITY b "x">]>${good.slice(38)}`, 'XML_REFUSED'],
    ['an external entity', `<!DOCTYPE a SYSTEM "file:///etc/passwd">${good.slice(38)}`, 'XML_REFUSED'],
    ['a control character', materialPacket({ docnum: '1', text: 'a\u0001' }), 'XML_MALFORMED'],
    ['no IDoc', '<MATMAS05/>', 'IDOC_SHAPE'],
    ['no control record', '<MATMAS05><IDOC BEGIN="1"><E1MARAM SEGMENT="1"/></IDOC></MATMAS05>', 'IDOC_SHAPE'],
    ['a number that is too long', materialPacket({ docnum: '12345678901234567' }), 'IDOC_SHAPE'],
    ['nothing', '', 'XML_MALFORMED'],
    ['JSON', '{"MATMAS05":{}}', 'XML_MALFORMED'],
    ['endless depth', `<M><IDOC BEGIN="1">${'<a>'.repeat(9999)}`, 'XML_TOO_LARGE'],
    [
      'too many attributes',
      `<M><IDOC BEGIN="1"><E ${Array.from({ length: 999 }, (_, n) => `a${n}=""`).join(' ')}/>`,
      'XML_TOO_LARGE',
    ],
    ['another encoding than it says', '<?xml version="1.0" encoding="EBCDIC"?><M/>', 'XML_ENCODING'],
  ]
  test.each(hostile)('%s: 400, nothing accepted, and the bytes are kept', async (_, body, code) => {
    await world.start()
    const answer = await world.post(body)
    expect([answer.status, answer.headers.get('content-type')]).toEqual([400, 'application/problem+json'])
    expect(await answer.json()).toMatchObject({ code, status: 400, message: 'M0' })
    expect(world.messages).toHaveLength(1)
    expect(world.messages[0]?.incoming.unreadable?.code).toBe(code)
    expect(world.messages[0]?.body).toBe(body)
    // The same bytes again are kept once.
    await world.post(body)
    expect(world.messages).toHaveLength(1)
  })

  test('the answer says where', async () => {
    await world.start()
    const answer = await world.post(`<MATMAS05>\n${materialIdoc({ docnum: '1', text: 'R&D' })}\n</MATMAS05>`)
    const column = materialIdoc({ docnum: '1', text: 'R&D' }).indexOf('&')
    expect(await answer.json()).toMatchObject({
      line: 2,
      column,
      title: expect.stringContaining('line 2'),
    })
  })

  test('a mistake at the end of a packet that does not fit into memory', async () => {
    await world.start()
    const idocs = Array.from({ length: 3000 }, (_, index) => ({ docnum: String(index + 1) }))
    const body = materialPacket(...idocs, { docnum: '3001', text: '<' })
    expect(body.length).toBeGreaterThan(1_500_000)
    expect((await world.post(body)).status).toBe(400)
    expect(world.messages.map(({ body: kept, incoming }) => [kept === body, incoming.unreadable?.code])).toEqual([
      [true, 'XML_MALFORMED'],
    ])
    expect((await world.post(materialPacket(...idocs))).status).toBe(200)
    expect(world.messages).toHaveLength(3001)
    expect(world.attributes('docnum').slice(1)).toEqual(idocs.map(({ docnum }) => docnum.padStart(16, '0')))
  })

  test('a SOAP caller gets a fault', async () => {
    await world.start()
    const answer = await world.post('<soap:Envelope><soap:Body><M/>', { headers: { soapaction: '""' } })
    expect([answer.status, answer.headers.get('content-type')]).toEqual([500, 'text/xml; charset=utf-8'])
    expect(await answer.text()).toMatch(
      /<soap:Fault><faultcode>soap:Client<\/faultcode><faultstring>The XML is broken at line 1/,
    )
  })

  test('application/x-sap.idoc is for one', async () => {
    await world.start()
    const answer = await world.post(good, { type: 'application/x-sap.idoc' })
    expect(await answer.json()).toMatchObject({ code: 'IDOC_TOO_MANY', status: 400 })
    expect(world.messages.filter(({ incoming }) => !incoming.unreadable)).toEqual([])
  })

  test('another type, a body that is too large, another method', async () => {
    await world.start({ 'max-size': '1KiB' })
    expect((await world.post('{}', { type: 'application/json' })).status).toBe(415)
    expect((await world.post('x', { type: '' })).status).toBe(415)
    expect((await world.post(good)).status).toBe(413)
    expect((await fetch(world.url)).status).toBe(405)
    expect(world.messages).toEqual([])
  })

  test('characters that XML cannot hold are mended where the flow says so', async () => {
    await world.start({ 'invalid-characters': 'substitute' })
    expect((await world.post(materialPacket({ docnum: '1', text: 'a\u0001b&#x1F;c' }))).status).toBe(200)
    expect(world.messages[0]?.body).toContain('<MAKTX>a#b#c</MAKTX>')
  })
})

describe('a question by IDoc', () => {
  const question = materialPacket({ docnum: '5' })
  const answerWith = (body: string, type = 'text/xml') => {
    const result = { id: 'M0', headers: {}, attributes: {}, body: heldBody(body, type), acceptedAt: 0 }
    world.outcomes.set('M0', { id: 'M0', state: 'delivered', summary: 'ok', result })
  }

  test('gets what the flow made of it, in SOAP when it came so', async () => {
    await world.start({ answer: 'result' })
    answerWith('<?xml version="1.0"?>\n<ZANSWER><ID>7</ID></ZANSWER>')
    const plain = await world.post(question)
    expect([plain.status, plain.headers.get('content-type')]).toEqual([200, 'text/xml'])
    expect(await plain.text()).toContain('<ID>7</ID>')
    const soap = `<s:Envelope xmlns:s="x"><s:Body>${question.slice(38)}</s:Body></s:Envelope>`
    expect(world.messages[0]?.incoming.attributes).toMatchObject({ objectKey: '4711', orderKey: '' })
    expect(await (await world.post(soap)).text()).toMatch(/<soap:Body><ZANSWER><ID>7<\/ID><\/ZANSWER><\/soap:Body>/)
    expect(world.messages).toHaveLength(1)
  })

  const ended = (state: Outcome['state'], side?: string): Outcome => ({
    id: 'M0',
    state,
    summary: 'no such customer',
    ...(side !== undefined && { error: { code: 'DATAVERSE_REFUSED', side, message: 'secret detail', next: '' } }),
  })
  test.each<[string, Outcome | undefined, number, string]>([
    ['refused by the flow', ended('rejected'), 422, 'no such customer'],
    ['refused by the other side', ended('set-aside', 'receiver'), 502, 'DATAVERSE_REFUSED'],
    ['failed in the flow', ended('set-aside', 'flow'), 500, 'secret detail'],
    ['answered, and no longer kept', ended('delivered'), 410, 'answered before'],
    ['not answered in time', undefined, 504, 'within 50ms'],
  ])('%s', async (_, outcome, status, words) => {
    await world.start({ answer: 'result', within: '50ms' })
    if (outcome) world.outcomes.set('M0', outcome)
    const answer = await world.post(question)
    expect([answer.status, answer.headers.get('content-type')]).toEqual([status, 'application/problem+json'])
    const text = await answer.text()
    expect(text).toContain(words)
    // What the other side said is for the people of the hub.
    if (status === 502) expect(text).not.toContain('secret detail')
  })

  test('that came in SOAP is refused by a fault', async () => {
    await world.start({ answer: 'result' })
    const soap = `<s:Envelope xmlns:s="x"><s:Body>${question.slice(38)}</s:Body></s:Envelope>`
    for (const [outcome, code] of [
      [ended('rejected'), 'Client'],
      [ended('set-aside', 'receiver'), 'Server'],
    ] as const) {
      world.outcomes.set('M0', outcome)
      const answer = await world.post(soap)
      expect([answer.status, answer.headers.get('content-type')]).toEqual([500, 'text/xml; charset=utf-8'])
      expect(await answer.text()).toContain(`<soap:Fault><faultcode>soap:${code}</faultcode>`)
    }
  })

  test('hears the words of the other side where the flow lets callers read them', async () => {
    await world.start({ answer: 'result', 'tell-errors': true })
    world.outcomes.set('M0', ended('set-aside', 'receiver'))
    const answer = await world.post(question)
    expect([answer.status, await answer.text()]).toEqual([502, expect.stringContaining('secret detail')])
  })

  test('is one IDoc', async () => {
    await world.start({ answer: 'result' })
    expect((await world.post(materialPacket({ docnum: '1' }, { docnum: '2' }))).status).toBe(400)
  })
})

describe('flat files', () => {
  const layouts: FlatLayouts = {
    E2MARAM009: {
      type: 'E1MARAM',
      fields: [
        { name: 'MSGFN', offset: 0, length: 3 },
        { name: 'MATNR', offset: 3, length: 18 },
      ],
    },
    E2MAKTM001: {
      type: 'E1MAKTM',
      fields: [
        { name: 'MSGFN', offset: 0, length: 3 },
        { name: 'SPRAS', offset: 3, length: 1 },
        { name: 'MAKTX', offset: 4, length: 40 },
        { name: 'SPRAS_ISO', offset: 44, length: 2 },
      ],
    },
  }
  let folder = ''
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'isthmus-idoc-'))
    writeFileSync(join(folder, 'layouts.json'), JSON.stringify(layouts))
  })
  afterEach(() => rmSync(folder, { recursive: true }))
  const config = { format: 'flat-file', layouts: './layouts.json' }
  const flat = (...numbers: string[]) =>
    numbers
      .flatMap(docnum => parseIdocs(Buffer.from(materialPacket({ docnum, text: 'Öl' }))))
      .flatMap(idoc => [...writeFlatFile(idoc, layouts)])
      .join('\r\n')

  test('become the same messages as XML', async () => {
    await world.start(config, { folder })
    const answer = await world.post(flat('11', '12'), { type: 'text/plain' })
    expect(pairsIn(await answer.text()).map(([docnum]) => docnum)).toEqual(['0000000000000011', '0000000000000012'])
    expect(world.attributes('orderKey')).toEqual(['MATMAS/S4CLNT400/4711', 'MATMAS/S4CLNT400/4711'])
    const [idoc] = parseIdocs(Buffer.from(world.messages[0]?.body ?? ''))
    expect(idoc?.data.children[0]?.children[0]?.fields.get('MAKTX')).toBe('Öl')
  })

  test('of a namespace are as in XML from the first step on, with a key, and are answered in XML', async () => {
    const own: FlatLayouts = {
      '/ABC/E2STOCK001': { type: '/ABC/E1STOCK', fields: [{ name: 'MATNR', offset: 0, length: 18 }] },
    }
    writeFileSync(join(folder, 'layouts.json'), JSON.stringify(own))
    await world.start({ ...config, 'object-key': { '/ABC/STOCK': '_-ABC_-E1STOCK/MATNR' } }, { folder })
    const head = { TABNAM: 'EDI_DC40', DOCNUM: '13', IDOCTYP: '/ABC/STOCK01', MESTYP: '/ABC/STOCK' }
    const stock = { name: '/ABC/E1STOCK', fields: new Map([['MATNR', '0004711']]), children: [] }
    const data = { name: 'IDOC', fields: new Map(), children: [stock] }
    const lines = [...writeFlatFile({ control: new Map(Object.entries(head)), data }, own)]
    const answer = await world.post(lines.join('\n'), { type: 'text/plain' })
    expect(await answer.text()).toMatch(/><_-ABC_-STOCK01\.Response>.*<\/_-ABC_-STOCK01\.Response>$/)
    expect(world.attributes('orderKey')).toEqual(['/ABC/STOCK//4711'])
    // Once as it was read at the door, once out of its bytes.
    const body = world.messages[0]?.incoming.body
    for (let times = 0; times < 2; times += 1) {
      const [idoc] = parseIdocs(body instanceof Uint8Array ? body : Buffer.alloc(0))
      expect(idoc?.data.children[0]?.name).toBe('_-ABC_-E1STOCK')
    }
  })

  test('with a segment that no layout is about are taken, and keep it', async () => {
    await world.start(config, { folder })
    const own = flat('11').replace('E2MAKTM001', 'Z2OWN     ')
    expect((await world.post(own, { type: 'text/plain; charset=utf-8' })).status).toBe(200)
    const body = world.messages[0]?.incoming.body
    const [idoc] = parseIdocs(body instanceof Uint8Array ? body : Buffer.alloc(0))
    expect(idoc?.data.children[0]?.children.map(({ name }) => name)).toContain('Z2OWN')
    expect((await world.post(own.replaceAll('11', '12'), { type: 'text/plain; charset=utf-8' })).status).toBe(200)
    expect(world.warnings).toMatchObject([
      { event: 'idoc.segment-unknown', segment: 'Z2OWN', layouts: './layouts.json' },
    ])
  })

  test('with a mistake are refused with the record', async () => {
    await world.start(config, { folder })
    const broken = flat('11').replace('E2MAKTM001', 'E2MAKTM002')
    const answer = await world.post(broken, { type: 'text/plain; charset=utf-8' })
    expect(answer.status).toBe(400)
    expect(await answer.json()).toMatchObject({ code: 'IDOC_FLAT_FILE', title: expect.stringContaining('record 3') })
    expect((await world.post(Buffer.from(flat('11'), 'latin1'), { type: 'text/plain' })).status).toBe(400)
    // Nothing of it is taken, also where the mistake stands in the last of them.
    const odd = await world.post(`${flat('12')}\r\n${flat('13').replace('Öl', 'Ö\u0001')}`, { type: 'text/plain' })
    expect(await odd.json()).toMatchObject({ status: 400, code: 'IDOC_FLAT_FILE' })
    expect(world.attributes('docnum').filter(docnum => docnum !== '')).toEqual([])
    expect((await world.post(Buffer.from(flat('11'), 'latin1'), { type: 'text/plain; charset=latin1' })).status).toBe(
      200,
    )
    expect((await world.post('x'.repeat(20_000), { type: 'text/plain' })).status).toBe(400)
  })

  test.each([
    ['no file', undefined, /ENOENT/],
    ['no JSON', '{', /JSON/],
    ['a field beyond the end', '{"E2A":{"type":"E1A","fields":[{"name":"A","offset":990,"length":20}]}}', /1000/],
  ])('layouts: %s', async (_, text, reason) => {
    rmSync(join(folder, 'layouts.json'))
    if (text !== undefined) writeFileSync(join(folder, 'layouts.json'), text)
    await expect(world.start(config, { folder })).rejects.toThrow(reason)
  })
})

test('what the flow document says must fit together', () => {
  const issues = (config: object) => idocSender.config.safeParse(config).error?.issues.map(({ message }) => message)
  expect(issues({ format: 'flat-file' })).toEqual(['a flat file needs layouts'])
  expect(issues({ layouts: './l.json' })).toEqual(['layouts are for format: flat-file'])
  expect(issues({ 'object-key': { MATMAS: 'MATNR' } })?.[0]).toMatch(/Invalid input|a path/)
  expect(issues({ path: 'idoc' })?.[0]).toMatch(/begins with a slash/)
})

test('packets of any mixture arrive whole and in order, in whatever pieces they come', async () => {
  await world.start()
  let run = 0
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({ matnr: fc.integer({ min: 1, max: 3 }).map(String), text: fc.stringMatching(/^[a-zäß ]{0,30}$/) }),
        {
          minLength: 1,
          maxLength: 12,
        },
      ),
      fc.integer({ min: 1, max: 400 }),
      async (idocs, pieceBytes) => {
        run += 1
        const before = world.messages.length
        const numbered = idocs.map((idoc, index) => ({ ...idoc, docnum: String(run * 1000 + index) }))
        const bytes = Buffer.from(materialPacket(...numbered))
        const stream = new ReadableStream({
          start(controller) {
            for (let at = 0; at < bytes.length; at += pieceBytes)
              controller.enqueue(bytes.subarray(at, at + pieceBytes))
            controller.close()
          },
        })
        const answer = await fetch(world.url, {
          method: 'POST',
          headers: { 'content-type': 'text/xml' },
          body: stream,
          duplex: 'half',
        })
        expect(answer.status).toBe(200)
        await answer.text()
        const taken = world.messages
          .slice(before)
          .map(({ incoming, body }) => [
            incoming.attributes['docnum'],
            incoming.attributes['objectKey'],
            /<MAKTX>(.*)<\/MAKTX>/.exec(body)?.[1],
          ])
        expect(taken).toEqual(numbered.map(({ docnum, matnr, text }) => [docnum.padStart(16, '0'), matnr, text]))
      },
    ),
    { numRuns: 25 },
  )
})
