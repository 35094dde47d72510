import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test, vi } from 'vitest'
import type { Idoc } from './idoc.ts'
import { idocWithMaps } from './idoc-world.ts'
import { FieldPlaces } from './plain-fields.ts'
import { readIdocs } from './read-idocs.ts'
import { readPlainIdocs } from './read-plain.ts'
import { writeIdocs } from './write-idoc.ts'

const readPlainly = (text: string) => readPlainIdocs(text)?.map(idocWithMaps)

/** What the reader for all of XML says; undefined where it refuses the document. */
async function readStrictly(text: string): Promise<readonly Idoc[] | undefined> {
  async function* whole() {
    yield Buffer.from(text)
  }
  const idocs: Idoc[] = []
  try {
    for await (const idoc of readIdocs(whole())) idocs.push(idoc)
    return idocs
  } catch {
    // Which error it is does not matter here: the plain reader must say nothing.
    return undefined
  }
}

const samples = join(import.meta.dirname, '../../../test/corpus/idoc')
const documents = readdirSync(samples)
  .filter(name => name.endsWith('.xml'))
  .map(name => [name, readFileSync(join(samples, name), 'utf8')] as const)

test.each(documents)('%s as SAP writes it is read as by the strict reader', async (_, text) => {
  const strict = await readStrictly(text)
  const written = writeIdocs(strict ?? [])
  expect(readPlainly(written)).toEqual(await readStrictly(written))
  const asItCame = readPlainly(text)
  if (asItCame) expect(asItCame).toEqual(strict)
})

const control = '<EDI_DC40 SEGMENT="1"><DOCNUM>0000000000000001</DOCNUM></EDI_DC40>'
const document = (inside: string) =>
  `<?xml version="1.0" encoding="UTF-8"?>\n<MATMAS05>\n <IDOC BEGIN="1">${control}${inside}</IDOC>\n</MATMAS05>\n`

test('a packet with line breaks, references, empty fields and a field that stands twice', async () => {
  const text = document(
    '\n<E1MARAM SEGMENT="1">\n\t<A>R&amp;D &lt;1&gt;</A><B></B><A>2</A><E1X SEGMENT="1"/><_-ABC_-E.1 SEGMENT="1"><C> ä€😀 </C></_-ABC_-E.1></E1MARAM>',
  ).replace('</MATMAS05>', `<IDOC BEGIN="1">${control}</IDOC></MATMAS05>`)
  const idocs = readPlainly(text)
  expect(idocs?.map(({ line }) => line)).toEqual([3, 6])
  expect(idocs).toEqual(await readStrictly(text))
})

test('fields are a map in every way', () => {
  const [idoc] =
    readPlainIdocs(document('<E1X SEGMENT="1"><A>1</A><AB>&lt;</AB><A>2</A><B></B><E1Y SEGMENT="1"/></E1X>')) ?? []
  const fields = idoc?.data.children[0]?.fields ?? new Map()
  const expected = new Map([
    ['A', '1'],
    ['AB', '<'],
    ['B', ''],
  ])
  for (const name of ['A', 'AB', 'B', 'C', '', 'a', 'ABC']) {
    expect([name, fields.get(name), fields.has(name)]).toEqual([name, expected.get(name), expected.has(name)])
  }
  expect([[...fields], [...fields.keys()], [...fields.values()], [...fields.entries()], fields.size]).toEqual([
    [...expected],
    [...expected.keys()],
    [...expected.values()],
    [...expected.entries()],
    3,
  ])
  const seen: string[] = []
  fields.forEach((value, name, map) => {
    seen.push(`${name}=${value}${map === fields}`)
  })
  expect(seen).toEqual(['A=1true', 'AB=<true', 'B=true'])
  expect(idoc?.data.children[0]?.children[0]?.fields.size).toBe(0)
})

test('a segment of tens of thousands of fields is not searched from the first on each time', () => {
  const many = Array.from({ length: 90_000 }, (_, number) => `<F${number % 5000}>${number}</F${number % 5000}>`).join(
    '',
  )
  const [idoc] =
    readPlainIdocs(
      document(`<E1X SEGMENT="1">${many.slice(0, 1_000_000).replace(/<[^>]*$|<F\d+>[^<]*$/, '')}</E1X>`),
    ) ?? []
  const fields = idoc?.data.children[0]?.fields
  const search = vi.spyOn(FieldPlaces.prototype, 'find')
  for (let round = 0; round < 100; round++) fields?.get(`MISSING${round}`)
  expect(search).not.toHaveBeenCalled()
  search.mockRestore()
  expect([fields?.get('F0'), fields?.get('F4999'), fields?.has('F5000'), fields?.size]).toEqual([
    '0',
    '4999',
    false,
    5000,
  ])
})

test.each([
  ['a reference by number', document('<E1X SEGMENT="1"><A>&#65;</A></E1X>')],
  ['a bare &', document('<E1X SEGMENT="1"><A>R&D</A></E1X>')],
  ['an entity of its own', document('<E1X SEGMENT="1"><A>&nbsp;</A></E1X>')],
  ['CDATA', document('<E1X SEGMENT="1"><A><![CDATA[a]]></A></E1X>')],
  ['the end of CDATA alone', document('<E1X SEGMENT="1"><A>]]></A></E1X>')],
  ['a comment', document('<!-- a -->')],
  ['an instruction', document('<?a b?>')],
  ['a DTD', `<!DOCTYPE a>${document('')}`],
  ['a carriage return', document('<E1X SEGMENT="1"><A>a\r\nb</A></E1X>')],
  ['a control character', document('<E1X SEGMENT="1"><A>\u0001</A></E1X>')],
  ['a character that is none', document('<E1X SEGMENT="1"><A>\uffff</A></E1X>')],
  ['an attribute of its own', document('<E1X SEGMENT="1" a="b"/>')],
  ['an attribute twice', document('<E1X SEGMENT="1" SEGMENT="1"/>')],
  ['text beside elements', document('<E1X SEGMENT="1">oops<A>1</A></E1X>')],
  ['text behind the root', `${document('')}oops`],
  ['a field behind a segment', document('<E1X SEGMENT="1"><E1Y SEGMENT="1"/><A>1</A></E1X>')],
  ['a wrong end tag', document('<E1X SEGMENT="1"><A>1</B></E1X>')],
  ['an end tag that only begins right', document('<E1X SEGMENT="1"><A>1</AB></E1X>')],
  ['a segment without its mark', document('<E1X><A>1</A></E1X>')],
  ['a prefix', document('<n0:E1X SEGMENT="1"/>')],
  ['a name that begins with a digit', document('<1X SEGMENT="1"/>')],
  ['a name of 2,000 letters', document(`<${'E'.repeat(2000)} SEGMENT="1"/>`)],
  ['a thousand levels', document('<E1X SEGMENT="1">'.repeat(1000) + '</E1X>'.repeat(1000))],
  ['cut off', document('').slice(0, -14)],
  ['cut in a tag', document('<E1X SEGMENT="1"><A>1</A></E1X>').slice(0, 150)],
  ['no control record', document('').replace(control, '')],
  ['no IDoc', '<MATMAS05></MATMAS05>'],
  ['no root', '<IDOC BEGIN="1"></IDOC>'],
  ['an envelope', '<Envelope><IDOC BEGIN="1"></IDOC></Envelope>'],
  ['two roots', `${document('')}<A/>`],
  ['nothing', ''],
])('%s is left to the strict reader', (_, text) => {
  expect(readPlainIdocs(text)).toBeUndefined()
})

const whole = document(
  '<E1MARAM SEGMENT="1"><A>1</A><B>x &amp; y</B><E1MAKTM SEGMENT="1"><MAKTX>Ä</MAKTX></E1MAKTM><E1N SEGMENT="1"/></E1MARAM>',
  // Bytes in an encoding that nobody knows are refused before anybody reads them.
).replace(' encoding="UTF-8"', '')
const pieces =
  `<|>|</|/>|&|;|&amp;|"|'|=| |\n|\r|\t|\0|]]>|<!--|-->|<?a?>|<A>|</A>|<A/>|<IDOC BEGIN="1">|</IDOC>| SEGMENT="1"|` +
  ` a="b"|SEGMENT|n0:|E1X|é|9|<E1X SEGMENT="1">|</E1X>|<E1X SEGMENT="1"/>|</E1MARAM>|<![CDATA[|x|.|-|_`
const inserts = pieces.split('|')

test('however a document is broken, what the plain reader takes is what the strict reader takes', async () => {
  let takenCount = 0
  const change = fc.record({
    at: fc.nat(whole.length),
    remove: fc.oneof(fc.constant(0), fc.nat(20)),
    insert: fc.oneof(fc.constant(''), fc.constantFrom(...inserts)),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(change, { maxLength: 3 }), async changes => {
      const text = changes.reduce(
        (text, { at, remove, insert }) => text.slice(0, at) + insert + text.slice(at + remove),
        whole,
      )
      const plain = readPlainly(text)
      if (!plain) return
      takenCount += 1
      expect(plain).toEqual(await readStrictly(text))
    }),
    { numRuns: 2000 },
  )
  // Had it taken none of them, this would have shown nothing.
  expect(takenCount).toBeGreaterThan(20)
})
