import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { coverageOf } from '../../../src/mapping/describe-mapping.ts'
import type { Mapping } from '../../../src/mapping/mapping.ts'
import { readSource } from '../../../src/mapping/read-source.ts'
import type { TargetTable } from '../../../src/mapping/target.ts'
import address from './address.ts'
import credit, { bySegment } from './credit.ts'
import customer from './customer.ts'
import customerStock from './customer-stock.ts'
import * as tables from './dynamics-tables.ts'
import invoices, { header } from './invoice.ts'
import material, { withUnits } from './material.ts'
import plantStock from './plant-stock.ts'

const filledBy: readonly (readonly [string, TargetTable, readonly Mapping[]])[] = [
  ['account', tables.account, [customer, address, credit]],
  ['product', tables.product, [material]],
  ['inventory', tables.inventory, [customerStock, plantStock]],
  ['invoice', tables.invoice, [header]],
]

test.each(filledBy)('every column of %s is filled by some mapping', (_name, table, mappings) => {
  const left = mappings.map(mapping => coverageOf(mapping, []).unmapped)
  expect(Object.keys(table).filter(column => left.every(unmapped => unmapped.includes(column)))).toEqual([])
})

const material3pl = '../../test/corpus/idoc/matmas05-material-3pl.xml'

test.each<[string, Mapping, string, TargetTable]>([
  ['unitGroups', withUnits, material3pl, tables.unitGroup],
  ['baseUnits', withUnits, material3pl, tables.baseUnit],
  ['units', withUnits, material3pl, tables.unit],
  ['lines', invoices, 'samples/invoice.xml', tables.invoiceLine],
  ['states', invoices, 'samples/invoice.xml', tables.invoiceState],
])('every column of the list %s has a value in a document of SAP', (list, mapping, file, table) => {
  const source = readSource(mapping.source, readFileSync(join(import.meta.dirname, '..', file)))
  const records = mapping.run(source, { settings: { language: 'EN' } }).values[list]
  const found = new Set<string>()
  for (const record of records as readonly Readonly<Record<string, object>>[]) {
    const { '@create': create, '@unlinked': unlinked, ...values } = record
    for (const name of Object.keys({ ...values, ...create, ...unlinked })) found.add(name.replace('@odata.bind', ''))
  }
  expect([...found].toSorted()).toEqual(Object.keys(table).toSorted())
})

test.each([withUnits, invoices, header])('$name leaves no column without a rule, in lists too', mapping => {
  expect(coverageOf(mapping, []).unmapped).toEqual([])
})

/** What a document of SAP has that no rule reads; the README says why. Control records are the sender's business. */
test.each<[string, Mapping, string, readonly string[]]>([
  ['DEBMAS07', customer, 'debmas07.xml', ['E1KNA1M/E1KNVVM/MSGFN']],
  ['ADRMAS02', address, 'adrmas02.xml', ['E1ADRMAS/OBJ_TYPE', 'E1ADRMAS/CONTEXT', 'E1ADRMAS/E1BPAD1VL/NAME']],
  ['ZCUSTSTOCK01', customerStock, 'zcuststock01.xml', []],
  ['LOISTD01', plantStock, 'loistd01.xml', []],
  ['CreditLimit_Out', bySegment, 'credit-limit.xml', []],
  ['Invoice_Out', invoices, 'invoice.xml', []],
])('%s: what is not read is known', (_title, mapping, sample, unread) => {
  const source = readSource(mapping.source, readFileSync(join(import.meta.dirname, '../samples', sample)))
  const { unused } = coverageOf(mapping, [source])
  expect(unused.map(({ path }) => path).filter(path => !path.startsWith('EDI_DC40/'))).toEqual(unread)
})
