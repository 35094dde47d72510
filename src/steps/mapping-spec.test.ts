import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { heldBody } from '../kernel/body.ts'
import { bodyText, message, nextOf, stepWorld } from './step-world.ts'

const material = readFileSync(join(import.meta.dirname, '../../test/corpus/idoc/matmas05-material-3pl.xml'))

let folder: string

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'isthmus-mapping-'))
  writeFileSync(
    join(folder, 'product.ts'),
    `import { defineMapping, each, field, firstOf, lookup, number, choice, decimal, list, pick, setting, text } from 'isthmus/mapping'
     const unit = { name: text(10), factor: decimal({ scale: 5 }) }
     export default defineMapping({
       name: 'product', source: 'idoc',
       target: { productnumber: text(100), name: text(100), weight: decimal({ scale: 3 }), structure: choice({ product: 1 }), doc: text(16), defaultuomid: lookup('uoms', 'name'), units: list(unit) },
       fields: {
         productnumber: firstOf(field('E1MARAM/MATNR_LONG'), field('E1MARAM/MATNR')).alpha(),
         name: pick('E1MARAM/E1MAKTM', { where: ['SPRAS_ISO', 'DE'] }).field('MAKTX').cut(10),
         weight: field('E1MARAM/NTGEW').decimal().toUnit('KGM', field('E1MARAM/GEWEI')),
         structure: number(1).onCreate(),
         doc: field('EDI_DC40/DOCNUM'),
         defaultuomid: setting('uom').key(),
         units: each('E1MARAM/E1MARMM', unit, { name: field('MEINH'), factor: field('UMREZ').decimal().per(field('UMREN').decimal()).round(5) }),
       },
     })
     export const order = defineMapping({ name: 'order', source: 'xml', target: { total: decimal({ scale: 2 }), currency: text(3) }, fields: { total: field('Order/Total').decimal(), currency: field('Order/Total@currencyCode') } })
     export const nothing = 1`,
  )
})

afterAll(() => rmSync(folder, { recursive: true }))

const run = async (config: object, body: Uint8Array | string, type = 'text/xml') => {
  const world = await stepWorld([{ map: config }], { folder })
  return world.run({ ...message({}), body: heldBody(body, type) })
}

test('a real material becomes the JSON of a product, with what only a new record takes apart', async () => {
  const mapped = nextOf(await run({ spec: './product.ts', with: { uom: 'Each' } }, material))
  expect(mapped.body.type).toBe('application/json')
  expect(JSON.parse((await bodyText(mapped)) ?? '')).toEqual({
    productnumber: '123456789',
    name: 'DUMMY PROD',
    weight: 4.666,
    doc: '0000000215172311',
    'defaultuomid@odata.bind': "/uoms(name='Each')",
    units: expect.arrayContaining([{ name: expect.any(String), factor: expect.any(Number) }]),
    '@create': { structure: 1 },
  })
})

test('any XML can be the source, attributes included', async () => {
  const xml = '<p:Root xmlns:p="urn:x"><Order><Total currencyCode="EUR">12.50-</Total><Note>x</Note></Order></p:Root>'
  const mapped = nextOf(await run({ spec: './product.ts', export: 'order' }, xml))
  expect(await bodyText(mapped)).toBe('{"total":-12.5,"currency":"EUR"}')
})

test('XML is read in the charset of its Content-Type (RFC 7303 section 3)', async () => {
  const xml = Buffer.from('<Root><Order><Total currencyCode="ÄÖÜ">1</Total></Order></Root>', 'latin1')
  const mapped = nextOf(await run({ spec: './product.ts', export: 'order' }, xml, 'text/xml; charset=ISO-8859-1'))
  expect(await bodyText(mapped)).toBe('{"total":1,"currency":"ÄÖÜ"}')
})

describe('mistakes', () => {
  test.each([
    ['an export that is no mapping', { spec: './product.ts', export: 'nothing' }, 'MAP_MODULE_BROKEN'],
    ['an export that is not there', { spec: './product.ts', export: 'absent' }, 'MAP_MODULE_BROKEN'],
    ['a module that is not there', { spec: './absent.ts' }, 'MAP_MODULE_BROKEN'],
  ])('%s', async (_, config, code) => {
    await expect(run(config, material)).rejects.toMatchObject({ code })
  })

  test.each([
    ['broken XML', '<MATMAS05><IDOC>', 'XML_MALFORMED'],
    ['no IDoc', '<a><b/></a>', 'IDOC_SHAPE'],
    [
      'two IDocs',
      '<M><IDOC BEGIN="1"><EDI_DC40 SEGMENT="1"/></IDOC><IDOC BEGIN="1"><EDI_DC40 SEGMENT="1"/></IDOC></M>',
      'IDOC_TOO_MANY',
    ],
    [
      'a value that does not fit',
      '<M><IDOC BEGIN="1"><EDI_DC40 SEGMENT="1"/><E1MARAM SEGMENT="1"><NTGEW>x</NTGEW></E1MARAM></IDOC></M>',
      'MAPPING_FAILED',
    ],
  ])('%s', async (_, body, code) => {
    await expect(run({ spec: './product.ts' }, body)).rejects.toMatchObject({ code })
  })

  test.each([
    ['two ways at once', { spec: './product.ts', module: './map.ts' }, /map has module and spec/],
    ['none', {}, /map needs set, module or spec/],
  ])('%s', async (_, config, text) => {
    await expect(run(config, material)).rejects.toThrow(text)
  })
})
