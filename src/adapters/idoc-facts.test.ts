import { expect, test } from 'vitest'
import type { Segment } from '../protocols/idoc/idoc.ts'
import { factsOf, objectKeysOf } from './idoc-facts.ts'

function keysOf(messageType: string, segment: string, fields: Readonly<Record<string, string>>, own = {}) {
  const child: Segment = { name: segment, fields: new Map(Object.entries(fields)), children: [] }
  const data = { name: 'IDOC', fields: new Map<string, string>(), children: [child] }
  const control = new Map(Object.entries({ MESTYP: messageType, SNDPRN: 'S4' }))
  const { objectKey, orderKey } = factsOf({ type: '', control, data, line: 1 }, objectKeysOf(own))
  return { objectKey, orderKey }
}

const stock = { ZSTOCK: ['Z1STOCK/MATNR + Z1STOCK/WERKS + Z1STOCK/CHARG', 'Z1STOCK/MATNR + Z1STOCK/WERKS'] }

test('two objects have an order each, also where the key of one reads like that of the other', () => {
  const batch = keysOf('ZSTOCK', 'Z1STOCK', { MATNR: 'A', WERKS: '1710', CHARG: '1720' }, stock)
  const slash = keysOf('ZSTOCK', 'Z1STOCK', { MATNR: 'A/1710', WERKS: '1720' }, stock)
  expect(batch).toEqual({ objectKey: 'A/1710/1720', orderKey: 'ZSTOCK/S4/A/1710/1720' })
  // SAP reads its own key, as it is.
  expect(slash).toEqual({ objectKey: 'A/1710/1720', orderKey: 'ZSTOCK/S4/A%2F1710/1720' })
  const percent = keysOf('ZSTOCK', 'Z1STOCK', { MATNR: 'A%2F1710', WERKS: '1720' }, stock)
  expect(percent.orderKey).toBe('ZSTOCK/S4/A%252F1710/1720')
})

test('a key of one field beside one of several is told from it', () => {
  const own = { ZSTOCK: ['Z1STOCK/LONG', 'Z1STOCK/MATNR + Z1STOCK/WERKS'] }
  expect(keysOf('ZSTOCK', 'Z1STOCK', { LONG: 'A/1' }, own).orderKey).toBe('ZSTOCK/S4/A%2F1')
  expect(keysOf('ZSTOCK', 'Z1STOCK', { MATNR: 'A', WERKS: '1' }, own).orderKey).toBe('ZSTOCK/S4/A/1')
})

test('a key of one field alone is as it stands there', () => {
  expect(keysOf('MATMAS', 'E1MARAM', { MATNR: 'BAR303/00' }).orderKey).toBe('MATMAS/S4/BAR303/00')
})
