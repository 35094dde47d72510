import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Json } from '../../kernel/json.ts'
import { escapeKey, unescapeKey } from '../../mapping/text-rule.ts'
import { readAddress } from '../../twins/dataverse/address.ts'
import { readFilter } from '../../twins/dataverse/filter.ts'
import { RowStore } from '../../twins/dataverse/rows.ts'
import { tables } from '../../twins/dataverse/tables.ts'
import { keyText, needsFilter, recordFilter, recordPath } from './key.ts'

const store = new RowStore(tables)
const refused = ['/', '<', '>', '*', '%', '&', ':', '\\', '?', '+', '#', '\u0000', '\n', '\u007f']
const texts = fc.string({ unit: 'binary', minLength: 1, maxLength: 40 })
const allowed = texts.filter(text => !refused.some(each => text.includes(each)) && !/\p{Cc}/u.test(text))

describe('a key in an address', () => {
  test('is read back as it was, whatever a message brings', () => {
    fc.assert(
      fc.property(allowed, text => {
        const path = recordPath('products', { columns: { new_sapkey: text } })
        expect(path).toMatch(/^products\(new_sapkey=[A-Za-z0-9%_.~!*'()-]+\)$/)
        expect(readAddress(store, decodeURIComponent(path)).key).toEqual({ new_sapkey: text })
      }),
    )
  })

  test('never becomes a second column, a path or a query', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(..."a1'=,)( $@;-_".split('')), minLength: 1 }), text => {
        const path = recordPath('products', { columns: { new_sapkey: text, productnumber: 'x' } })
        expect(readAddress(store, decodeURIComponent(path)).key).toEqual({ new_sapkey: text, productnumber: 'x' })
        expect(path).not.toMatch(/[/?#&]/)
      }),
    )
  })

  test.each(refused)('with %j is refused before it is sent, and found with $filter instead', character => {
    const value = `BAR303${character}00`
    const key = { columns: { productnumber: value } }
    expect(needsFilter(key)).toBe(true)
    expect(() => recordPath('products', key)).toThrow(expect.objectContaining({ code: 'DATAVERSE_KEY_UNFIT' }))
    const matches = readFilter(recordFilter('products', key.columns), () => {})
    expect(matches(() => value)).toBe(true)
    expect(matches(() => 'BAR303')).toBe(false)
    // The key column of the mapping's own takes it escaped, and gives it back.
    const escaped = escapeKey(value)
    expect(needsFilter({ columns: { new_sapkey: escaped } })).toBe(false)
    expect(unescapeKey(escaped)).toBe(value)
  })

  test('a filter is one comparison, whatever a message brings', () => {
    fc.assert(
      fc.property(texts, texts, (text, other) => {
        const matches = readFilter(recordFilter('accounts', { name: text }), () => {})
        expect(matches(() => text)).toBe(true)
        expect(matches(() => other)).toBe(other.toLowerCase() === text.toLowerCase())
      }),
    )
  })

  const id = '8d7f2c1a-0000-4000-8000-000000000001'
  test.each<[string, Parameters<typeof recordPath>[1], string]>([
    ['the id', { id }, `accounts(${id})`],
    ['a number', { columns: { new_number: 17 } }, 'accounts(new_number=17)'],
    [
      'a row that a lookup points to',
      { columns: { _parentaccountid_value: id } },
      `accounts(_parentaccountid_value=${id})`,
    ],
    ['an id in a column of text', { columns: { new_sapkey: id } }, `accounts(new_sapkey='${id}')`],
    ['several columns', { columns: { a: 'x', b: true } }, "accounts(a='x',b=true)"],
    ['quotes', { columns: { a: "O'Neil" } }, "accounts(a='O''Neil')"],
  ])('%s is written as Dataverse reads it', (_what, key, path) => {
    expect(decodeURIComponent(recordPath('accounts', key))).toBe(path)
  })

  test.each<[string, Json, string]>([
    ['nothing', null, 'DATAVERSE_KEY_EMPTY'],
    ['empty text', '', 'DATAVERSE_KEY_EMPTY'],
    ['a list', ['a'], 'DATAVERSE_KEY_UNFIT'],
    ['a group', { a: 1 }, 'DATAVERSE_KEY_UNFIT'],
  ])('%s is no key', (_what, value, code) => {
    expect(() => recordPath('accounts', { columns: { a: value } })).toThrow(expect.objectContaining({ code }))
    expect(() => recordFilter('accounts', { a: value })).toThrow(expect.objectContaining({ code }))
  })
})

test('no two keys are the same in the key map, whatever their values hold', () => {
  const value = fc.string({ unit: fc.constantFrom('a', '|', '\\'), minLength: 1, maxLength: 4 })
  fc.assert(
    fc.property(value, value, value, value, (a, b, c, d) => {
      const [one, other] = [keyText({ columns: { x: a, y: b } }), keyText({ columns: { y: d, x: c } })]
      expect(one === other).toBe(a === c && b === d)
    }),
    { numRuns: 2000 },
  )
  expect(keyText({ columns: { new_sapkey: 'a|b' } })).toBe('a|b')
  expect(keyText({ columns: { y: 'b', x: 'a' } })).toBe('a|b')
})
