import { describe, expect, test } from 'vitest'
import { defineMapping } from './mapping.ts'
import type { Rule } from './rule.ts'
import { anyOf, constant, documentField, each, field, firstOf, join, number, pick, setting } from './rules.ts'
import type { SourceNode } from './source.ts'
import {
  boolean,
  choice,
  date,
  dateTime,
  decimal,
  integer,
  list,
  lookup,
  type TargetField,
  text,
  time,
} from './target.ts'

function node(name: string, fields: Record<string, string>, ...children: SourceNode[]): SourceNode {
  return { name, fields: new Map(Object.entries(fields)), children }
}

/** What a field of the target gets; 'left' where it is left as it is; the words of a fault. */
function made(target: TargetField<unknown>, rule: Rule<unknown>, fields: Record<string, string>): unknown {
  const mapping = defineMapping({ name: 'm', source: 'idoc', target: { t: target }, fields: { t: rule } })
  try {
    const { values } = mapping.run(node('IDOC', {}, node('E1', fields)))
    return Object.keys(values).length === 0 ? 'left' : Object.values(values)[0]
  } catch (thrown) {
    return thrown instanceof Error ? thrown.message : String(thrown)
  }
}

const f = field('E1/F')
const g = field('E1/G')
const plain = text(40)
const amount = decimal({ scale: 6 })
const small = decimal({ scale: 2, min: -1, max: 10 })
const colours = choice({ red: 1, blue: 2 })

test.each<[string, TargetField<unknown>, Rule<unknown>, Record<string, string>, unknown]>([
  ['alpha: digits lose their zeros', plain, f.alpha(), { F: '0000001001' }, '1001'],
  ['alpha: letters keep them', plain, f.alpha(), { F: '00A1' }, '00A1'],
  ['alpha: zero stays zero', plain, f.alpha(), { F: '0000' }, '0'],
  ['alpha: blanks around a number are no part of it', plain, f.alpha(), { F: '0000001001  ' }, '1001'],
  ['alpha: blanks around a key are no part of it', plain, f.alpha(), { F: '00A1 ' }, '00A1'],
  ['trim', plain, f.trim(), { F: '  a b  ' }, 'a b'],
  ['upper', plain, f.upper(), { F: 'kg' }, 'KG'],
  ['cut: what just fits stays', plain, f.cut(3), { F: 'abc' }, 'abc'],
  ['cut: what is longer is shortened', plain, f.cut(3), { F: 'abcd' }, 'abc'],
  ['cut: no half of a character', plain, f.cut(3), { F: 'ab😀' }, 'ab'],
  ['choose: by table', colours, f.choose({ R: 1, B: 2 }), { F: 'B' }, 2],
  ['choose: empty empties', colours, f.choose({ R: 1 }), { F: '' }, null],
  ['choose: empty may stand in the table', colours, f.choose({ R: 1, '': 2 }), { F: '' }, 2],
  ['choose: the default counts for empty too', colours, f.choose({ R: 1 }, { default: 2 }), { F: '' }, 2],
  ['choose: the default counts for others', colours, f.choose({ R: 1 }, { default: 2 }), { F: 'Q' }, 2],
  [
    'choose: others are refused',
    colours,
    f.choose({ R: 1 }),
    { F: 'Q' },
    expect.stringContaining('"Q" is not in the table'),
  ],
  ['replace: by table', plain, f.replace({ PCE: 'Each' }), { F: 'PCE' }, 'Each'],
  ['replace: others pass', plain, f.replace({ PCE: 'Each' }), { F: 'KGM' }, 'KGM'],
  ['decimal: a minus behind', amount, f.decimal(), { F: '12.50-' }, -12.5],
  ['decimal: blanks around', amount, f.decimal(), { F: ' 1234.000 ' }, 1234],
  ['decimal: empty', amount, f.decimal(), { F: '  ' }, null],
  ['decimal: no number', amount, f.decimal(), { F: '1,5' }, expect.stringContaining('"1,5" is no decimal number')],
  ['decimal: two signs', amount, f.decimal(), { F: '-1-' }, expect.stringContaining('is no decimal number')],
  ['round: half away from zero', small, f.decimal().round(2), { F: '1.005' }, 1.01],
  ['round: negative too', small, f.decimal().round(1), { F: '0.25-' }, -0.3],
  ['more digits than the target has', small, f.decimal(), { F: '1.005' }, expect.stringContaining('.round(2)')],
  [
    'more digits than a double has',
    decimal({ scale: 6 }),
    f.decimal(),
    { F: '1234567890.123456' },
    expect.stringContaining('more than 15 digits'),
  ],
  ['the lowest value fits', small, f.decimal(), { F: '-1' }, -1],
  ['the highest value fits', small, f.decimal(), { F: '10' }, 10],
  ['one below does not', small, f.decimal(), { F: '1.01-' }, expect.stringContaining('is below -1')],
  ['one above does not', small, f.decimal(), { F: '10.01' }, expect.stringContaining('is above 10')],
  ['negate', amount, f.decimal().negate(), { F: '5' }, -5],
  ['times', amount, f.decimal().times('0.5'), { F: '5' }, 2.5],
  ['per: price of one', amount, f.decimal().per(g.decimal()).round(6), { F: '1', G: '3' }, 0.333333],
  ['per: nothing is one', amount, f.decimal().per(g.decimal()), { F: '7', G: '' }, 7],
  ['per: zero is one', amount, f.decimal().per(g.decimal()), { F: '7', G: '0' }, 7],
  ['plus: both', amount, f.decimal().plus(g.decimal()), { F: '1.5', G: '2.25' }, 3.75],
  ['plus: an empty one adds nothing', amount, f.decimal().plus(g.decimal()), { F: '1.5', G: '' }, 1.5],
  ['atLeast: the bound itself', amount, f.decimal().atLeast('2'), { F: '2' }, 2],
  ['atLeast: less', amount, f.decimal().atLeast('2'), { F: '1.99' }, expect.stringContaining('is below 2')],
  ['toUnit: grams', amount, f.decimal().toUnit('KGM', g), { F: '1500', G: 'GRM' }, 1.5],
  ['toUnit: pounds', amount, f.decimal().toUnit('KGM', g).round(6), { F: '1000', G: 'LBR' }, 453.59237],
  ['toUnit: tonnes', amount, f.decimal().toUnit('KGM', g), { F: '0.5', G: 'TNE' }, 500],
  ['toUnit: short tons', amount, f.decimal().toUnit('KGM', g), { F: '2.000', G: 'STN' }, 1814.36948],
  ['toUnit: fluid ounces', amount, f.decimal().toUnit('MLT', g).round(6), { F: '10', G: 'OZA' }, 295.735296],
  ['toUnit: cubic yards', amount, f.decimal().toUnit('MTQ', g).round(6), { F: '10', G: 'YDQ' }, 7.645549],
  ['toUnit: the same', amount, f.decimal().toUnit('KGM', g), { F: '7', G: 'KGM' }, 7],
  ['toUnit: cubic decimetres', amount, f.decimal().toUnit('MTQ', g), { F: '38.333', G: 'DMQ' }, 0.038333],
  ['toUnit: inches', amount, f.decimal().toUnit('CMT', g), { F: '10', G: 'INH' }, 25.4],
  [
    'toUnit: of another dimension',
    amount,
    f.decimal().toUnit('KGM', g),
    { F: '1', G: 'MTR' },
    expect.stringContaining('cannot be converted'),
  ],
  [
    'toUnit: without a unit',
    amount,
    f.decimal().toUnit('KGM', g),
    { F: '1', G: '' },
    expect.stringContaining('is empty'),
  ],
  ['toUnit: zero has none', amount, f.decimal().toUnit('KGM', g), { F: '0.000', G: '' }, 0],
  ['toUnit: zero, and no unit told', amount, f.decimal().toUnit('KGM', g), { F: '0.000', G: '/' }, 0],
  ['amountIn: euro', amount, f.decimal().amountIn(g), { F: '12.34', G: 'EUR' }, 12.34],
  ['amountIn: yen', amount, f.decimal().amountIn(g), { F: '12.34', G: 'JPY' }, 1234],
  ['amountIn: won', amount, f.decimal().amountIn(g), { F: '0.01', G: 'KRW' }, 1],
  // SAP delivers TCURX with no digits for these, where ISO 4217 has two.
  ['amountIn: forint', amount, f.decimal().amountIn(g), { F: '12.34', G: 'HUF' }, 1234],
  ['amountIn: Taiwan dollar', amount, f.decimal().amountIn(g), { F: '12.34', G: 'TWD' }, 1234],
  ['amountIn: a table of its own', amount, f.decimal().amountIn(g, { HUF: 2 }), { F: '12.34', G: 'HUF' }, 12.34],
  ['amountIn: dinar', amount, f.decimal().amountIn(g), { F: '12345.67', G: 'KWD' }, 1234.567],
  ['amountIn: zero of nothing', amount, f.decimal().amountIn(g), { F: '0.00' }, 0],
  ['amountIn: without a currency', amount, f.decimal().amountIn(g), { F: '1' }, expect.stringContaining('is empty')],
  ['signedBy: debit', amount, f.decimal().signedBy(g), { F: '5', G: 'S' }, 5],
  ['signedBy: credit', amount, f.decimal().signedBy(g), { F: '5', G: 'H' }, -5],
  ['signedBy: neither', amount, f.decimal().signedBy(g), { F: '5', G: '' }, expect.stringContaining('neither S nor H')],
  ['date', date(), f.date(), { F: '20240229' }, '2024-02-29'],
  ['date: with hyphens', date(), f.date(), { F: '2024-02-29' }, '2024-02-29'],
  ['date: none', date(), f.date(), { F: '00000000' }, null],
  ['date: none with hyphens', date(), f.date(), { F: '0000-00-00' }, null],
  ['date: that is not', date(), f.date(), { F: '20230229' }, expect.stringContaining('is no date')],
  ['date: the end of time is a day', date(), f.date(), { F: '99991231' }, '9999-12-31'],
  ['date: an open end is none', date(), f.date({ isOpenEnd: true }), { F: '99991231' }, null],
  ['date: an open end with hyphens', date(), f.date({ isOpenEnd: true }), { F: '9999-12-31' }, null],
  ['time', time(), f.time(), { F: '143621' }, '14:36:21'],
  ['time: the end of the day', time(), f.time(), { F: '240000' }, '23:59:59'],
  ['time: that is not', time(), f.time(), { F: '246000' }, expect.stringContaining('is no time')],
  ['date and time', dateTime(), f.dateTime(g), { F: '20240223', G: '143621' }, '2024-02-23T14:36:21Z'],
  ['date and no time', dateTime(), f.dateTime(g), { F: '20240223', G: '' }, '2024-02-23T00:00:00Z'],
  ['no date and a time', dateTime(), f.dateTime(g), { F: '00000000', G: '143621' }, null],
  [
    'time stamp of a proxy (xsd:dateTime)',
    dateTime(),
    f.timeStamp(),
    { F: '2024-07-23T12:36:21Z' },
    '2024-07-23T12:36:21Z',
  ],
  [
    'time stamp: its offset counts',
    dateTime(),
    f.timeStamp(),
    { F: '2024-07-23T01:36:21+02:00' },
    '2024-07-22T23:36:21Z',
  ],
  [
    'time stamp: west of Greenwich',
    dateTime(),
    f.timeStamp(),
    { F: '2024-07-22T18:06:21-0530' },
    '2024-07-22T23:36:21Z',
  ],
  [
    'time stamp: parts of a second go',
    dateTime(),
    f.timeStamp(),
    { F: '2024-07-23T12:36:21.9876543Z' },
    '2024-07-23T12:36:21Z',
  ],
  [
    'time stamp of a table (TIMESTAMPL)',
    dateTime(),
    f.timeStamp(),
    { F: '20240723123621.1234567' },
    '2024-07-23T12:36:21Z',
  ],
  ['time stamp of a table (TIMESTAMP)', dateTime(), f.timeStamp(), { F: '20240723123621' }, '2024-07-23T12:36:21Z'],
  ['time stamp: the end of the day', dateTime(), f.timeStamp(), { F: '2024-07-23T24:00:00Z' }, '2024-07-23T23:59:59Z'],
  [
    'time stamp: the end of time',
    dateTime(),
    f.timeStamp(),
    { F: '9999-12-31T23:59:59-05:00' },
    '9999-12-31T23:59:59Z',
  ],
  ['time stamp: none', dateTime(), f.timeStamp(), { F: '0' }, null],
  ['time stamp: none, all zeros', dateTime(), f.timeStamp(), { F: '0000-00-00T00:00:00' }, null],
  ['time stamp: empty', dateTime(), f.timeStamp(), { F: '' }, null],
  [
    'time stamp: a date alone',
    dateTime(),
    f.timeStamp(),
    { F: '2024-07-23' },
    expect.stringContaining('is no time stamp'),
  ],
  [
    'time stamp: a day that is not',
    dateTime(),
    f.timeStamp(),
    { F: '20240230123621' },
    expect.stringContaining('is no date'),
  ],
  [
    'time stamp: an offset that is not',
    dateTime(),
    f.timeStamp(),
    { F: '2024-07-23T12:36:21+25:00' },
    expect.stringContaining('is no time stamp'),
  ],
  [
    'time stamp: no zone, by a clock on the wall',
    dateTime(),
    f.timeStamp({ timeZone: 'Europe/Berlin' }),
    { F: '2024-07-23T12:36:21' },
    '2024-07-23T10:36:21Z',
  ],
  [
    'time stamp: a zone of its own is left to it',
    dateTime(),
    f.timeStamp({ timeZone: 'Europe/Berlin' }),
    { F: '2024-07-23T12:36:21Z' },
    '2024-07-23T12:36:21Z',
  ],
  [
    'date and time: the zone stands in a field',
    dateTime(),
    f.dateTime(field('E1/T'), { timeZone: g }),
    { F: '20240723', T: '123621', G: 'Europe/Berlin' },
    '2024-07-23T10:36:21Z',
  ],
  [
    'date and time: no zone in the field',
    dateTime(),
    f.dateTime(field('E1/T'), { timeZone: g }),
    { F: '20240723', T: '123621', G: '' },
    expect.stringContaining('"" is no time zone'),
  ],
  ['flag: X', boolean(), f.flag(), { F: 'X' }, true],
  ['flag: x', boolean(), f.flag(), { F: 'x' }, true],
  ['flag: empty', boolean(), f.flag(), { F: '' }, false],
  ['flag: -', boolean(), f.flag(), { F: '-' }, false],
  ['flag: 0', boolean(), f.flag(), { F: '0' }, false],
  ['flag: neither', boolean(), f.flag(), { F: 'N' }, expect.stringContaining('is no flag')],
  ['is', boolean(), f.is('A', 'B'), { F: 'B' }, true],
  ['key: an apostrophe is doubled', lookup('uoms', 'name'), f.key(), { F: "O'Neil" }, "/uoms(name='O''Neil')"],
  ['key: empty takes the link away', lookup('uoms', 'name'), f.key(), { F: '' }, null],
  ['escaped', plain, f.escaped(), { F: 'BAR303/00_a' }, 'BAR303_2F00_5Fa'],
  ['a text that just fits', text(3), f, { F: 'abc' }, 'abc'],
  ['a text that does not', text(3), f, { F: 'abcd' }, expect.stringContaining('takes 3')],
  [
    'a choice that the target does not have',
    colours,
    number(7),
    {},
    expect.stringContaining('none of the choices 1, 2'),
  ],
  ['a whole number', integer(), f.decimal(), { F: '000010' }, 10],
  ['a broken one in a whole', integer(), f.decimal(), { F: '1.5' }, expect.stringContaining('more than 0 digits')],
  ['/ is no data', plain, f, { F: '/' }, 'left'],
  ['absent', plain, f, {}, 'left'],
  ['required and empty', plain, f.required(), { F: '' }, expect.stringContaining('the target needs one')],
  ['required and absent', plain, f.required(), {}, expect.stringContaining('the target needs one')],
  ['firstOf: the first with a value', plain, firstOf(f, g), { F: '', G: 'b' }, 'b'],
  ['firstOf: none has one, the first that is there counts', plain, firstOf(f, g), { F: '' }, null],
  ['join: without what is empty', plain, join(' ', f, g), { F: 'a', G: '' }, 'a'],
  ['join: a part that is no data leaves the whole', plain, join(' ', f, g), { F: 'a', G: '/' }, 'left'],
  [
    'join: a part that is required',
    plain,
    join(' ', f, g.required()),
    { F: 'a', G: '' },
    expect.stringContaining('E1/G, required has no value'),
  ],
  ['anyOf: one is enough', boolean(), anyOf(f, g), { F: '', G: '01' }, true],
  ['anyOf: none', boolean(), anyOf(f, g), { F: '', G: '' }, false],
  ['anyOf: nothing is told', boolean(), anyOf(f, g), {}, 'left'],
  ['anyOf: what is no data does not count', boolean(), anyOf(f, g), { F: '', G: '/' }, false],
  ['anyOf: all are no data', boolean(), anyOf(f, g), { F: '/', G: '/' }, 'left'],
  ['or: the other where the first is empty', plain, f.or(g), { F: '', G: 'b' }, 'b'],
  ['or: empty stays empty where the other says nothing', plain, f.or(g), { F: '' }, null],
  ['when: the condition is not told', plain, constant('x').when(f.is('1')), {}, 'left'],
  ['when: it does not hold', plain, constant('x').when(f.is('1')), { F: '2' }, 'left'],
  ['when: it holds', plain, constant('x').when(f.is('1')), { F: '1' }, 'x'],
])('%s', (_title, target, rule, fields, wanted) => {
  expect(made(target, rule, fields)).toEqual(wanted)
})

test('what is cut is told, what just fits is not', () => {
  const mapping = defineMapping({ name: 'm', source: 'idoc', target: { t: plain }, fields: { t: f.cut(3) } })
  const warningsOf = (F: string) => mapping.run(node('IDOC', {}, node('E1', { F }))).warnings
  expect([warningsOf('abc'), warningsOf('abcd')]).toEqual([[], ['t: a text of 4 characters was cut to 3']])
})

test('of a long rule the beginning is told, and what is wrong with the value in any case', () => {
  const long = f
    .replace({ a: 'b' })
    .trim()
    .trim()
    .trim()
    .trim()
    .trim()
    .replace({ c: 'd' })
    .replace({ e: 'f' })
    .decimal()
  const rule = long.plus(g.decimal(), g.decimal(), g.decimal(), g.decimal())
  expect(made(amount, rule, { F: 'x' })).toMatch(/^1 of .*t \(E1\/F, by table .* …\): "x" is no decimal number$/)
})

test.each([
  ['in winter', '20240223', '143621', '2024-02-23T13:36:21Z'],
  ['in summer', '20240723', '003621', '2024-07-22T22:36:21Z'],
  ['in the hour that the clocks leave out', '20240331', '023000', '2024-03-31T01:30:00Z'],
  ['in the hour that comes twice', '20241027', '023000', '2024-10-27T00:30:00Z'],
  ['without a time', '20240223', '', '2024-02-22T23:00:00Z'],
  ['at the end of time', '99991231', '235959', '9999-12-31T23:59:59Z'],
])('date and time by the clock of a zone %s', (_when, F, G, expected) => {
  const fields = { t: f.dateTime(g, { timeZone: 'Europe/Berlin' }) }
  const mapping = defineMapping({ name: 'm', source: 'idoc', target: { t: dateTime() }, fields })
  expect(mapping.run(node('IDOC', {}, node('E1', { F, G }))).values).toEqual({ t: expected })
})

test('a time zone that there is not is told when the mapping is read', () => {
  expect(() => f.dateTime(g, { timeZone: 'CET+1' })).toThrow('"CET+1" is no time zone such as Europe/Berlin')
})

describe('nodes', () => {
  const texts = node('IDOC', {}, node('T', { L: 'DE' }), node('T', { L: 'FR', V: 'Pompe' }))
  const read = (rule: Rule<string>, source = texts) =>
    defineMapping({ name: 'm', source: 'idoc', target: { t: plain }, fields: { t: rule } }).run(source).values['t']

  test('a field is that of the first node that has it', () => {
    expect(read(field('T/V'))).toBe('Pompe')
  })

  test('pick takes the node that is wanted, else the first, none, or the first on a condition', () => {
    const wanted = (language: string, otherwise?: 'first' | 'none' | Rule<boolean>) =>
      read(pick('T', { where: ['L', language], ...(otherwise && { else: otherwise }) }).field('L'))
    expect([wanted('FR'), wanted('EN'), wanted('EN', 'none')]).toEqual(['FR', 'DE', undefined])
    expect([wanted('EN', field('T/V').is('Pompe')), wanted('EN', field('T/V').is('x'))]).toEqual(['DE', undefined])
  })

  test('pick takes the node of which each field has its value, an empty one where it has none', () => {
    const prices = node('IDOC', {}, node('P', { A: '1', T: 'X', V: 'x' }), node('P', { A: '1', V: 'all' }))
    const price = (where: Record<string, string | Rule<string>>) =>
      read(pick('P', { where, else: 'none' }).field('V'), prices)
    expect([price({ A: '1', T: 'X' }), price({ A: '1', T: '' }), price({ A: '2', T: '' })]).toEqual([
      'x',
      'all',
      undefined,
    ])
    expect(price({ A: setting('not given'), T: '' })).toBeUndefined()
  })

  test('a list in a list still reads the document itself', () => {
    const inner = { key: text(20) }
    const outer = { rows: list(inner) }
    const rows = each('B', inner, { key: join('-', documentField('H/N'), field('V')) })
    const mapping = defineMapping({
      name: 'm',
      source: 'idoc',
      target: { all: list(outer) },
      fields: { all: each('A', outer, { rows }) },
    })
    const source = node('IDOC', {}, node('H', { N: '7' }), node('A', {}, node('B', { V: '1' }), node('B', { V: '2' })))
    expect(mapping.run(source).values).toEqual({ all: [{ rows: [{ key: '7-1' }, { key: '7-2' }] }] })
  })
})
