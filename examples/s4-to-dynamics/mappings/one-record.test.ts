import { expect, test } from 'vitest'
import type { Mapping } from '../../../src/mapping/mapping.ts'
import address from './address.ts'
import { bySegment } from './credit.ts'
import customer, { orGone } from './customer.ts'
import customerStock from './customer-stock.ts'
import { mapped } from './field-world.ts'
import invoices from './invoice.ts'
import material, { withUnits } from './material.ts'
import plantStock from './plant-stock.ts'

// The flows write one record of each message: a second one would be lost, and SAP would hear that all went well.
test.each<[Mapping, string]>([
  [customer, 'E1KNA1M'],
  [orGone, 'E1KNA1M'],
  [address, 'E1ADRMAS'],
  [material, 'E1MARAM'],
  [withUnits, 'E1MARAM'],
  [customerStock, 'ZE1CUSTSTOCK'],
  [plantStock, 'E1MDSTL'],
  [invoices, 'Invoice'],
  [bySegment, 'CreditAccount'],
])('a document with two records is refused: $1', (mapping, name) => {
  const record = { MSGFN: '005' }
  expect(() => mapped(mapping, { [name]: [record, record] })).toThrow(`The document has 2 of ${name}, `)
})
