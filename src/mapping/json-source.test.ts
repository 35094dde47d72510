import { describe, expect, test } from 'vitest'
import { defineMapping, each, field } from './define.ts'
import { readSource } from './read-source.ts'
import { boolean, decimal, list, text } from './target.ts'

const line = { number: text(10), amount: decimal({ scale: 4 }) }
const order = defineMapping({
  name: 'order',
  source: 'document',
  target: { id: text(10), blocked: boolean(), total: decimal({ scale: 20 }), note: text(20), lines: list(line) },
  fields: {
    id: field('Order/Id').alpha().required(),
    blocked: field('Order/Blocked').flag(),
    total: field('Order/Total').decimal(),
    note: field('Order/Note'),
    lines: each('Order/Line', line, { number: field('Number'), amount: field('Amount').decimal() }),
  },
})
const run = (body: string) => order.run(readSource('document', Buffer.from(body))).values

test('one mapping reads XML and JSON of the same names alike', () => {
  const xml =
    '<x><Order><Id>0007</Id><Blocked>X</Blocked><Total>12.50</Total><Note></Note><Line><Number>1</Number><Amount>2</Amount></Line></Order></x>'
  const json =
    ' {"Order": {"Id": "0007", "Blocked": true, "Total": 12.50, "Note": null, "Line": [{"Number": "1", "Amount": "2"}]}}'
  expect(run(json)).toEqual(run(xml))
  expect(run(json)).toEqual({ id: '7', blocked: true, total: 12.5, note: null, lines: [{ number: '1', amount: 2 }] })
})

test('one group is a list of one, and a field that is not there is left as it is', () => {
  expect(run('{"Order": {"Id": 8, "Line": {"Number": "1", "Amount": 1.5}}}')).toEqual({
    id: '8',
    lines: [{ number: '1', amount: 1.5 }],
  })
})

test('a number that no computer holds is not rounded behind the back of the caller', () => {
  expect(() => run('{"Order": {"Id": "1", "Total": 123456789012345678.125}}')).toThrow(/123456789012345678\.125/)
})

test('JSON of more lists and groups than memory has room for is refused before it is read', () => {
  expect(() => run(`{"Order": [${'{},'.repeat(500_000)}{}]}`)).toThrow(/more than 500000 lists and groups/)
})

describe('JSON that is', () => {
  test.each([
    ['cut off', '{"Order": {'],
    ['a list', '[1, 2]'],
    ['a list of lists', '{"Order": [[{"Id": "1"}]]}'],
    ['no UTF-8', '{"Order": {"Id": "\xff"}}'],
    ['of too many values', `{"Order": {"Line": [${'1,'.repeat(600_000)}1]}}`],
    ['too deep', `${'{"Order":'.repeat(200)}1${'}'.repeat(200)}`],
  ])('%s is refused', (_title, body) => {
    expect(() => readSource('document', Buffer.from(body, 'latin1'))).toThrow(/JSON/)
  })
})
