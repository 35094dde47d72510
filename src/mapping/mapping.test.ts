import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { HubError } from '../kernel/error.ts'
import { coverageOf, describeMapping, jsonSchemaOf, whyOf } from './describe-mapping.ts'
import { defineMapping, type Mapping } from './mapping.ts'
import { constant, documentField, each, field, firstOf, join, number, pick, setting } from './rules.ts'
import type { SourceNode } from './source.ts'
import { boolean, choice, date, dateTime, decimal, integer, list, lookup, text } from './target.ts'
import { escapeKey, unescapeKey } from './text-rule.ts'

function node(name: string, fields: Record<string, string>, ...children: SourceNode[]): SourceNode {
  return { name, fields: new Map(Object.entries(fields)), children }
}

/** A material as MATMAS05 carries it, with what a test changes. */
function material(fields: Record<string, string> = {}, ...children: SourceNode[]): SourceNode {
  const maram = { MATNR: '000000000000004711', MTART: 'FERT', NTGEW: '4.666', GEWEI: 'KGM', ...fields }
  return node('IDOC', {}, node('E1MARAM', maram, ...children))
}

const maktx = (language: string, value: string) => node('E1MAKTM', { SPRAS_ISO: language, MAKTX: value })

const unit = { name: text(10), factor: decimal({ scale: 5 }) }
const productTable = {
  productnumber: text(100),
  name: text(20),
  producttypecode: choice({ salesInventory: 1, services: 3 }),
  quantitydecimal: integer({ min: 0, max: 5 }),
  stockweight: decimal({ scale: 3, min: 0, max: 1e9 }),
  standardcost: decimal({ scale: 2, min: -1e11, max: 1e11 }),
  validfromdate: date(),
  changedon: dateTime(),
  isstockitem: boolean(),
  productstructure: choice({ product: 1 }),
  writtenin: text(40),
  defaultuomid: lookup('uoms', 'name'),
  units: list(unit),
}

const product = defineMapping({
  name: 'material to product',
  source: 'idoc',
  target: productTable,
  fields: {
    productnumber: firstOf(field('E1MARAM/MATNR_LONG'), field('E1MARAM/MATNR')).alpha().required(),
    name: pick('E1MARAM/E1MAKTM', { where: ['SPRAS_ISO', 'EN'] })
      .field('MAKTX')
      .cut(20),
    producttypecode: field('E1MARAM/MTART').choose({ FERT: 1, HAWA: 1, DIEN: 3 }),
    stockweight: field('E1MARAM/NTGEW').decimal().toUnit('KGM', field('E1MARAM/GEWEI')).round(3),
    standardcost: field('E1MARAM/E1MBEWM/STPRS').decimal().per(field('E1MARAM/E1MBEWM/PEINH').decimal()).round(2),
    validfromdate: field('E1MARAM/MSTDE').date(),
    changedon: field('E1MARAM/LAEDA').dateTime(field('E1MARAM/LAEUHR')),
    isstockitem: field('E1MARAM/KZKFG').flag(),
    productstructure: number(1).onCreate(),
    writtenin: field('E1MARAM/MATNR').alpha().unlinked(),
    defaultuomid: setting('uom').key(),
    units: each('E1MARAM/E1MARMM', unit, {
      name: field('MEINH'),
      factor: field('UMREZ').decimal().per(field('UMREN').decimal()).round(5),
    }),
  },
})

function faultOf(mapping: Mapping, source: SourceNode): string {
  try {
    mapping.run(source)
  } catch (thrown) {
    if (thrown instanceof HubError) return `${thrown.code} ${thrown.message}`
    throw thrown
  }
  return 'no fault'
}

test('a joined text of which a part is / (no data) is left as it is; an empty or absent part is left out of it', () => {
  const customer = defineMapping({
    name: 'customer to account',
    source: 'idoc',
    target: { name: text(160), key: text(20) },
    fields: {
      name: join(' ', field('E1KNA1M/NAME1'), field('E1KNA1M/NAME2')),
      key: join('-', field('E1KNA1M/KUNNR'), field('E1KNA1M/CHARG')).required(),
    },
  })
  const named = (fields: Record<string, string>) => node('IDOC', {}, node('E1KNA1M', { KUNNR: '1', ...fields }))
  expect(customer.run(named({ NAME1: '/', NAME2: 'GmbH' })).values).toEqual({ key: '1' })
  expect(customer.run(named({ NAME1: 'Adatum', NAME2: '' })).values).toEqual({ name: 'Adatum', key: '1' })
  expect(customer.run(named({ NAME1: 'Adatum' })).values).toEqual({ name: 'Adatum', key: '1' })
  // A key without one of its parts would be that of another record.
  expect(faultOf(customer, named({ CHARG: '/' }))).toMatch(/^MAPPING_FAILED .*key/)
})

test('a material becomes a product, every value in the form its field takes', () => {
  const source = material(
    { MATNR_LONG: '000000000123456789', MSTDE: '20230718', LAEDA: '20250105', LAEUHR: '143621', KZKFG: 'X' },
    maktx('DE', 'Pumpe'),
    maktx('EN', 'Pump'),
    node('E1MBEWM', { STPRS: '1234.50', PEINH: '100' }),
    node('E1MARMM', { MEINH: 'KAR', UMREZ: '12', UMREN: '1' }),
    node('E1MARMM', { MEINH: 'PAL', UMREZ: '1', UMREN: '3' }),
  )
  expect(product.run(source, { settings: { uom: "EA'1" } })).toEqual({
    values: {
      productnumber: '123456789',
      name: 'Pump',
      producttypecode: 1,
      stockweight: 4.666,
      standardcost: 12.35,
      validfromdate: '2023-07-18',
      changedon: '2025-01-05T14:36:21Z',
      isstockitem: true,
      'defaultuomid@odata.bind': "/uoms(name='EA''1')",
      units: [
        { name: 'KAR', factor: 12 },
        { name: 'PAL', factor: 0.33333 },
      ],
    },
    createOnly: { productstructure: 1 },
    unlinked: { writtenin: '4711' },
    warnings: [],
  })
})

test('a field that is / alone or absent is left as it is; an empty one empties the target', () => {
  const source = material({ MSTDE: '/', NTGEW: '', MATNR_LONG: '/' }, maktx('EN', ''))
  expect(product.run(source).values).toEqual({
    productnumber: '4711',
    name: null,
    producttypecode: 1,
    stockweight: null,
    units: [],
  })
})

test('where a mapping says so a field that is absent is empty, as long as its segment is there and tells all', () => {
  const mapping = defineMapping({
    name: 'block',
    source: 'idoc',
    absent: 'empty',
    target: { isBlocked: boolean(), text: text(40), rows: list({ unit: text(3) }) },
    fields: {
      isBlocked: field('E1MARAM/MSTAE').flag(),
      text: pick('E1MARAM/E1MAKTM', { where: ['SPRAS_ISO', 'EN'] }).field('MAKTX'),
      rows: each('E1MARAM/E1MARMM', { unit: text(3) }, { unit: field('MEINH') }),
    },
  })
  const of = (...parameters: Parameters<typeof material>) => mapping.run(material(...parameters)).values
  expect(of({})).toEqual({ isBlocked: false, rows: [] })
  expect(of({ MSTAE: '/' })).toEqual({ rows: [] })
  const english = { name: 'E1MAKTM', fields: new Map([['SPRAS_ISO', 'EN']]), children: [] }
  const unit = { name: 'E1MARMM', fields: new Map(), children: [] }
  expect(of({}, english, unit)).toEqual({ isBlocked: false, text: null, rows: [{ unit: null }] })
  for (const MSGFN of ['003', '018']) expect(of({ MSGFN })).toEqual({ rows: [] })
  const steps: string[] = []
  mapping.run(material({}), { only: 'isBlocked', trace: (_, { what, value }) => steps.push(`${what} ${value}`) })
  expect(steps[0]).toBe('E1MARAM/MSTAE (absent: empty)')
})

test('a list has the nodes for which its condition holds, or the document itself, and its rules read above their node', () => {
  const mapping = defineMapping({
    name: 'units',
    source: 'idoc',
    target: { products: list({ number: text(40) }), units: list({ key: text(50) }) },
    fields: {
      products: each('.', { number: text(40) }, { number: field('E1MARAM/MATNR').alpha() }),
      units: each(
        'E1MARAM/E1MARMM',
        { key: text(50) },
        { key: join('-', documentField('E1MARAM/MATNR').alpha(), field('MEINH')) },
        { only: field('MSGFN').is('009') },
      ),
    },
  })
  const source = material(
    {},
    node('E1MARMM', { MSGFN: '009', MEINH: 'CT' }),
    node('E1MARMM', { MSGFN: '003', MEINH: 'PF' }),
  )
  expect(mapping.run(source).values).toEqual({ products: [{ number: '4711' }], units: [{ key: '4711-CT' }] })
  const { used, absent } = coverageOf(mapping, [source])
  expect([used, absent]).toEqual([['E1MARAM/MATNR', 'E1MARAM/E1MARMM/MSGFN', 'E1MARAM/E1MARMM/MEINH'], []])
  expect(describeMapping(mapping)).toMatchObject([
    { field: 'products', rule: 'one record' },
    { field: 'products[].number', sources: ['E1MARAM/MATNR'] },
    { field: 'units', rule: 'each E1MARAM/E1MARMM, when MSGFN, is 009' },
    { field: 'units[].key', takes: 'text 50', sources: ['E1MARAM/MATNR', 'E1MARAM/E1MARMM/MEINH'] },
  ])
})

test('or: an empty value of the other rule empties the field, where the first says nothing', () => {
  const rule = number(0).when(field('A/ZERO').flag()).or(field('A/LIMIT').decimal())
  const mapping = defineMapping({
    name: 'x',
    source: 'xml',
    target: { limit: decimal({ scale: 2 }) },
    fields: { limit: rule },
  })
  const limitOf = (fields: Readonly<Record<string, string>>) => mapping.run(node('root', {}, node('A', fields))).values
  expect(limitOf({ ZERO: 'X', LIMIT: '5.00' })).toEqual({ limit: 0 })
  expect(limitOf({ LIMIT: '5.00' })).toEqual({ limit: 5 })
  expect(limitOf({ LIMIT: '' })).toEqual({ limit: null })
  expect(limitOf({})).toEqual({})
})

test('when a field is sent holds, whatever rule comes behind it', () => {
  const isNew = field('A/MSGFN').is('005')
  const mapping = defineMapping({
    name: 'x',
    source: 'xml',
    target: { a: text(9), b: text(9), c: text(9), d: text(9), e: text(9) },
    fields: {
      a: field('A/F').onCreate().when(isNew),
      b: field('A/NONE').onCreate().or(field('A/F')),
      c: field('A/F')
        .unlinked()
        .to('the same', value => value),
      d: field('A/F').unlinked().when(isNew).or(field('A/MSGFN')),
      e: field('A/G').required().when(isNew),
    },
  })
  const run = (fields: Readonly<Record<string, string>>) => mapping.run(node('root', {}, node('A', fields)))
  expect(run({ F: '1', G: '2', MSGFN: '005' })).toMatchObject({
    values: { e: '2' },
    createOnly: { a: '1', b: '1' },
    unlinked: { c: '1', d: '1' },
  })
  expect(run({ F: '1', MSGFN: '018' })).toMatchObject({ values: {}, createOnly: { b: '1' } })
  expect(() => run({ F: '1', MSGFN: '005' })).toThrow(/^1 of .* e \(A\/G, required, when .*there is no value/)
})

test('a country has its name in the language that is wanted; what is no code passes, and no language is refused', () => {
  const mapping = defineMapping({
    name: 'x',
    source: 'xml',
    target: { country: text(80) },
    fields: { country: field('A/LAND1').countryName(setting('language')) },
  })
  const nameOf = (LAND1: string, language: string) =>
    mapping.run(node('root', {}, node('A', { LAND1 })), { settings: { language } })
  expect(nameOf('DE', 'EN').values).toEqual({ country: 'Germany' })
  expect(nameOf('DE', 'fr').values).toEqual({ country: 'Allemagne' })
  expect(nameOf('', 'EN').values).toEqual({ country: null })
  expect(nameOf('QX', 'EN')).toMatchObject({ values: { country: 'QX' }, warnings: [expect.stringContaining('"QX"')] })
  expect(() => nameOf('DE', '?')).toThrow(/"\?" is no language/)
})

test('a value of another form is refused with the words of its rule; an empty one passes', () => {
  const currency = field('A/WAERS').like(/^[A-Z]{3}$/, 'an ISO code of a currency (EUR)')
  const mapping = defineMapping({ name: 'x', source: 'xml', target: { c: text(9) }, fields: { c: currency } })
  const told = (WAERS: string) => mapping.run(node('root', {}, node('A', { WAERS }))).values
  expect([told('EUR'), told('')]).toEqual([{ c: 'EUR' }, { c: null }])
  expect(() => told('euro')).toThrow(/"euro" is not an ISO code of a currency \(EUR\)/)
})

test('outside of IDocs / is a value like any other', () => {
  const mapping = defineMapping({ name: 'x', source: 'xml', target: { sign: text(1) }, fields: { sign: field('A/B') } })
  expect(mapping.run(node('root', {}, node('A', { B: '/' }))).values).toEqual({ sign: '/' })
})

test('a list with one record stays a list, and a text of digits stays a text', () => {
  const { values } = product.run(material({ MATNR: '0815' }, node('E1MARMM', { MEINH: '007', UMREZ: '1', UMREN: '1' })))
  expect(JSON.stringify(values)).toContain('"productnumber":"815"')
  expect(JSON.stringify(values)).toContain('"units":[{"name":"007","factor":1}]')
})

test('what is cut is told of', () => {
  const { values, warnings } = product.run(material({}, maktx('FR', 'Une pompe très très longue')))
  expect(values.name).toBe('Une pompe très très ')
  expect(warnings).toEqual(['name: a text of 26 characters was cut to 20'])
})

describe('a value that does not fit is refused with field, rule and value', () => {
  test.each([
    ['an unknown value', { MTART: 'ROH' }, /producttypecode \(E1MARAM\/MTART, by table of 3 values\): "ROH" is not in/],
    ['no number', { NTGEW: '4,5' }, /stockweight .*"4,5" is no decimal number/],
    ['two signs', { NTGEW: '-4.5-' }, /"-4.5-" is no decimal number/],
    ['below the least', { NTGEW: '4.5-' }, /stockweight .*-4.5 is below 0/],
    ['an unknown unit', { GEWEI: 'QQQ' }, /QQQ cannot be converted to KGM/],
    ['a unit of another dimension', { GEWEI: 'LTR' }, /LTR cannot be converted to KGM/],
    ['an empty unit', { GEWEI: '' }, /the unit \(E1MARAM\/GEWEI\) is empty/],
    ['a 30th of February', { MSTDE: '20230230' }, /validfromdate .*"20230230" is no date/],
    ['an hour too many', { LAEDA: '20230101', LAEUHR: '250000' }, /changedon .*"250000" is no time/],
    ['no flag', { KZKFG: 'Q' }, /isstockitem .*"Q" is no flag/],
    ['no key at all', { MATNR: '' }, /productnumber .*there is no value, and the target needs one/],
    ['a number with 17 digits', { NTGEW: '12345678.123456789' }, /no fault/],
    ['too long for a text', { MATNR: 'A'.repeat(101) }, /productnumber .*has 101 characters and the field takes 100/],
  ])('%s', (_, fields, expected) => {
    expect(faultOf(product, material(fields))).toMatch(expected)
  })

  test('in a list, with the place in the list', () => {
    const source = material({}, node('E1MARMM', { MEINH: 'A' }), node('E1MARMM', { MEINH: 'B', UMREZ: 'x' }))
    expect(faultOf(product, source)).toMatch(/units\[1\]\.factor \(UMREZ, decimal.*"x" is no decimal number/)
  })

  test('all that is wrong at once, and not more than five', () => {
    const source = material({ MTART: 'ROH', NTGEW: 'a', MSTDE: '1', KZKFG: 'Q', MATNR: '', LAEDA: '1' })
    const fault = faultOf(product, source)
    expect(fault).toMatch(/^MAPPING_FAILED 6 of the target fields/)
    expect(fault).toMatch(/; and 1 more/)
  })
})

test('digits that the target would lose are refused unless the rule rounds', () => {
  const table = { amount: decimal({ scale: 2 }) }
  const exact = defineMapping({ name: 'x', source: 'idoc', target: table, fields: { amount: field('A').decimal() } })
  expect(exact.run(node('r', { A: '5.500' })).values).toEqual({ amount: 5.5 })
  expect(faultOf(exact, node('r', { A: '5.501' }))).toMatch(/5.501 has more than 2 digits .*\.round\(2\)/)
  expect(faultOf(exact, node('r', { A: '12345678901234.56' }))).toMatch(/is above 100000000000/)
})

test('amounts: yen without decimals, debit and credit, sums', () => {
  const mapping = defineMapping({
    name: 'x',
    source: 'idoc',
    target: { amount: decimal({ scale: 3 }), sum: decimal({ scale: 2 }) },
    fields: {
      amount: field('WRBTR').decimal().amountIn(field('WAERS')).signedBy(field('SHKZG')),
      sum: field('A').decimal().plus(field('B').decimal(), field('C').decimal()),
    },
  })
  const run = (fields: Record<string, string>) => mapping.run(node('r', fields)).values
  expect(run({ WRBTR: '12.34', WAERS: 'JPY', SHKZG: 'S', A: '0.1', B: '0.2' })).toEqual({ amount: 1234, sum: 0.3 })
  expect(run({ WRBTR: '12.34', WAERS: 'EUR', SHKZG: 'H' })).toEqual({ amount: -12.34 })
  expect(run({ WRBTR: '12345.60', WAERS: 'KWD', SHKZG: 'S' })).toEqual({ amount: 1234.56 })
})

test('join leaves out what is empty, and a condition leaves out the field', () => {
  const mapping = defineMapping({
    name: 'x',
    source: 'idoc',
    target: { name: text(50), blocked: boolean() },
    fields: {
      name: join(' ', field('NAME1'), field('NAME2')),
      blocked: constant(true).when(field('LOEVM').flag()),
    },
  })
  expect(mapping.run(node('r', { NAME1: 'ACME', NAME2: '' })).values).toEqual({ name: 'ACME' })
  expect(mapping.run(node('r', { NAME1: 'ACME', NAME2: 'Inc', LOEVM: 'X' })).values).toEqual({
    name: 'ACME Inc',
    blocked: true,
  })
})

test('the compiler refuses what the target does not take', () => {
  const table = {
    name: text(10),
    from: date(),
    size: integer(),
    kind: choice({ one: 1 }),
    owner: lookup('users', 'mail'),
  }
  const make = (fields: Parameters<typeof defineMapping<typeof table>>[0]['fields']) =>
    defineMapping({ name: 'x', source: 'idoc', target: table, fields })
  const wrong = [
    // @ts-expect-error The target has no such field.
    () => make({ nmae: field('A') }),
    // @ts-expect-error A number is no text.
    () => make({ name: field('A').decimal() }),
    // @ts-expect-error A text is no date.
    () => make({ from: field('A') }),
    // @ts-expect-error 2 is no choice.
    () => make({ kind: field('A').choose({ X: 2 }) }),
    // @ts-expect-error A text is no key.
    () => make({ owner: field('A') }),
  ]
  expect(wrong).toHaveLength(5)
  expect(make({ name: field('A'), from: field('B').date(), size: field('C').decimal() }).rules.size).toBe(3)
})

test('the same spec prints its table, what it does not read, its schema, and why a field got its value', () => {
  const rows = describeMapping(product)
  expect(rows.find(row => row.field === 'stockweight')).toEqual({
    field: 'stockweight',
    takes: 'decimal, 3 digits, 0 to 1000000000',
    sources: ['E1MARAM/NTGEW', 'E1MARAM/GEWEI'],
    rule: 'E1MARAM/NTGEW, decimal, from the unit in E1MARAM/GEWEI to KGM, round to 3 digits',
  })
  expect(rows.find(row => row.field === 'quantitydecimal')?.rule).toBe('not mapped')

  const coverage = coverageOf(product, [material({ BRGEW: '5' }), material({ BRGEW: '6', LABOR: 'x' })])
  expect(coverage.unused).toEqual([
    { path: 'E1MARAM/BRGEW', documents: 2 },
    { path: 'E1MARAM/LABOR', documents: 1 },
  ])
  expect(coverage.absent).toContain('E1MARAM/E1MBEWM/STPRS')
  expect(coverage.unmapped).toEqual(['quantitydecimal'])

  expect(jsonSchemaOf(product)).toMatchObject({
    properties: {
      name: { maxLength: 20 },
      'defaultuomid@odata.bind': {},
      units: { type: 'array', items: { properties: { name: { maxLength: 10 }, factor: {} } } },
      '@create': { properties: { productstructure: {} }, additionalProperties: false },
      '@unlinked': { properties: { writtenin: { maxLength: 40 } } },
    },
  })
  // What a mapping makes is what its schema says.
  const { values, createOnly, unlinked } = product.run(material({}, node('E1MARMM', { MEINH: 'CT', UMREZ: '2' })))
  const schema = z.fromJSONSchema(jsonSchemaOf(product) as Parameters<typeof z.fromJSONSchema>[0])
  expect(schema.safeParse({ ...values, '@create': createOnly, '@unlinked': unlinked }).error).toBeUndefined()
  expect(schema.safeParse({ ...values, ...createOnly }).success).toBe(false)

  const why = whyOf(product, material({ NTGEW: '500', GEWEI: 'GRM' }), 'stockweight')
  expect(why?.steps.map(({ what, value }) => `${what}: ${value}`)).toEqual([
    'E1MARAM/NTGEW: "500"',
    'decimal: 500',
    'E1MARAM/GEWEI: "GRM"',
    'from the unit in E1MARAM/GEWEI to KGM: 0.5',
    'round to 3 digits: 0.5',
    '→ stockweight: 0.5',
  ])
  expect(whyOf(product, material({ NTGEW: 'x' }), 'stockweight')?.fault).toMatch(/"x" is no decimal number/)
  expect(whyOf(product, material(), 'nothing')).toBeUndefined()
})

test('what is said of a value too long has whole characters', () => {
  const name = `${'x'.repeat(78)}\u{1F600}${'x'.repeat(40)}`
  const long = defineMapping({
    name: 'x',
    source: 'idoc',
    target: { a: text(9) },
    fields: { a: field('E1MARAM/MTART') },
  })
  expect(() => long.run(material({ MTART: name }))).toThrow('x\ufffd has 120 characters')
})

test('a document about several is refused where the mapping is about one', () => {
  const stock = defineMapping({
    name: 'stock',
    source: 'idoc',
    one: 'Z1HEAD/Z1STOCK',
    target: { new_quantity: integer() },
    fields: { new_quantity: field('Z1HEAD/Z1STOCK/LABST').decimal() },
  })
  const row = (count: string) => node('Z1STOCK', { LABST: count })
  const idoc = (...rows: SourceNode[]) => node('IDOC', {}, node('Z1HEAD', {}, ...rows))
  expect(stock.run(idoc(row('1'))).values).toEqual({ new_quantity: 1 })
  expect(stock.run(idoc()).values).toEqual({})
  expect(() => stock.run(idoc(row('1'), row('2')))).toThrow('The document has 2 of Z1HEAD/Z1STOCK, and stock')
})

test('keys that Dataverse refuses come back from their escaped form', () => {
  expect(escapeKey('BAR303/00')).toBe('BAR303_2F00')
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), value => {
      const escaped = escapeKey(value)
      expect(escaped).not.toMatch(/[/<>*%&:\\?+#]/)
      expect(unescapeKey(escaped)).toBe(value)
    }),
  )
})
