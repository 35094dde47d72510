import type { Mapping } from '../../../src/mapping/mapping.ts'
import { readSource } from '../../../src/mapping/read-source.ts'

/** Elements inside elements; a list is the same element several times. */
export type Tree = { readonly [name: string]: string | Tree | readonly Tree[] }

/** What a mapping makes of a document with these fields: values, and those for new records, in one. */
export function mapped(mapping: Mapping, tree: Tree) {
  const { values, createOnly, unlinked } = mappedApart(mapping, tree)
  return { ...values, ...createOnly, ...unlinked }
}

/** The same, those for new records apart. */
export function mappedApart(mapping: Mapping, tree: Tree) {
  const control = { DOCNUM: '0000000000000017', CREDAT: '20261120', CRETIM: '101500' }
  const text =
    mapping.source === 'idoc'
      ? `<X><IDOC BEGIN="1">${xml({ EDI_DC40: control, ...tree }, ' SEGMENT="1"')}</IDOC></X>`
      : `<n0:X xmlns:n0="urn:x">${xml(tree, '')}</n0:X>`
  return mapping.run(readSource(mapping.source, Buffer.from(text)), { settings })
}

const settings = {
  language: 'EN',
  'time-zone': 'Europe/Berlin',
  'sales-organization': '1710',
  'distribution-channel': '10',
  division: '00',
  'valuation-area': '1710',
  'valuation-currency': 'EUR',
}

function xml(tree: Tree, mark: string): string {
  const elements = Object.entries(tree).flatMap(([name, value]) =>
    listOf(value).map(each =>
      typeof each === 'string' ? `<${name}>${each}</${name}>` : `<${name}${mark}>${xml(each, mark)}</${name}>`,
    ),
  )
  return elements.join('')
}

function listOf(value: string | Tree | readonly Tree[]): readonly (string | Tree)[] {
  return Array.isArray(value) ? (value as readonly Tree[]) : [value as string | Tree]
}

export const kna1 = {
  MSGFN: '005',
  KUNNR: '0000001001',
  NAME1: ' Müller ',
  NAME2: ' Söhne ',
  NAME3: ' c/o Bank ',
  NAME4: ' Halle 3 ',
  STRAS: ' Zeil 1 ',
  ORT01: ' Frankfurt ',
  ORT02: ' Nord ',
  PSTLZ: '60311',
  REGIO: '06',
  LAND1: 'DE',
  PFACH: '1234',
  TELF1: ' 069 1 ',
  TELFX: ' 069 2 ',
  STCEG: 'DE1',
  BRSCH: 'TRAD',
  KTOKD: '0002',
  AUFSD: '',
  LIFSD: '',
  FAKSD: '',
  SPERR: '',
  LOEVM: '',
}
export const knvv = { VKORG: '1710', VTWEG: '10', SPART: '00', WAERS: 'EUR', ZTERM: 'Z060', KDGRP: '01' }

export function mara(): Tree {
  return { MSGFN: '009', MATNR: '000000000000000815', MATNR_LONG: '000000000000004711', MEINS: 'PCE' }
}

export function msku(): Tree {
  return { MATNR: '000000000000004711', WERKS: '1710', CHARG: 'B1', SOBKZ: 'V', KUNNR: '0000001001' }
}

export function stock(): Tree {
  return { Material: '000000004711', Plant: '1710', Batch: 'B/1', SpecialStockType: 'W', Customer: '0000001001' }
}

export function bill(): Tree {
  return { BillingDocument: '0090001519', SoldToParty: '0000001001', TransactionCurrency: 'EUR' }
}
