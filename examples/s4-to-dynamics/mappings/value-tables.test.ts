import { expect, test } from 'vitest'
import type { Mapping } from '../../../src/mapping/mapping.ts'
import calledInventory from './called-inventory.ts'
import calledProduct from './called-product.ts'
import customer from './customer.ts'
import customerStock from './customer-stock.ts'
import { bill, kna1, knvv, mapped, mara, msku, stock, type Tree } from './field-world.ts'
import { header } from './invoice.ts'
import material from './material.ts'

test.each<[Mapping, string, (value: string) => Tree, string, Readonly<Record<string, unknown>>]>([
  [customer, 'BRSCH', BRSCH => ({ E1KNA1M: { ...kna1, BRSCH } }), 'industrycode', { MACH: 12, TRAD: 33, SERV: 8 }],
  [
    customer,
    'KTOKD',
    KTOKD => ({ E1KNA1M: { ...kna1, KTOKD } }),
    'customertypecode',
    { KUNA: 3, DEBI: 3, '0001': 3, '0002': 12, Z999: 3 },
  ],
  [customer, 'LOEVM', LOEVM => ({ E1KNA1M: { ...kna1, LOEVM } }), 'statuscode', { X: 2, '': 1 }],
  [
    customer,
    'ZTERM',
    ZTERM => ({ E1KNA1M: { ...kna1, E1KNVVM: { ...knvv, ZTERM } } }),
    'paymenttermscode',
    { '0001': 1, Z030: 1, Z045: 3, Z060: 4, Z102: 2, '': null },
  ],
  [
    header,
    'terms',
    CustomerPaymentTerms => ({ Invoice: { ...bill(), CustomerPaymentTerms } }),
    'paymenttermscode',
    { '0001': 1, Z030: 1, Z045: 3, Z060: 4, Z102: 2 },
  ],
  [
    header,
    'status',
    InvoiceStatus => ({ Invoice: { ...bill(), InvoiceStatus } }),
    'statecode',
    { A: 0, B: 2, C: 2, X: 3 },
  ],
  [
    header,
    'status',
    InvoiceStatus => ({ Invoice: { ...bill(), InvoiceStatus } }),
    'statuscode',
    { A: 1, B: 100_002, C: 100_001, X: 100_003 },
  ],
  [
    material,
    'MTART',
    MTART => ({ E1MARAM: { ...mara(), MTART } }),
    'producttypecode',
    { FERT: 1, HALB: 1, HAWA: 1, ROH: 1, VERP: 2, NLAG: 2, DIEN: 3, LEIS: 3 },
  ],
  [
    material,
    'MEINS',
    MEINS => ({ E1MARAM: { ...mara(), MEINS } }),
    'quantitydecimal',
    { PCE: 0, EA: 0, H87: 0, KGM: 3 },
  ],
  [customerStock, 'SOBKZ', SOBKZ => ({ ZE1CUSTSTOCK: { ...msku(), SOBKZ } }), 'new_specialstock', { W: 1, V: 2 }],
  [
    calledInventory,
    'stock',
    SpecialStockType => ({ Inventory: { ...stock(), SpecialStockType } }),
    'new_specialstock',
    { W: 1, V: 2 },
  ],
])('the table of %o by %s', (mapping, _field, treeOf, column, table) => {
  const made = Object.keys(table).map(value => [value, (mapped(mapping, treeOf(value)) as Tree)[column]])
  expect(Object.fromEntries(made)).toEqual(table)
})

test.each([
  ['FERT', 1],
  ['HALB', 1],
  ['HAWA', 1],
  ['ROH', 1],
  ['VERP', 2],
  ['NLAG', 2],
  ['DIEN', 3],
  ['LEIS', 3],
])('a call with the material type %s is a product of type %i', (MaterialType, producttypecode) => {
  expect(mapped(calledProduct, { Product: { Material: '1', MaterialType } })).toMatchObject({
    products: [{ producttypecode }],
  })
})
