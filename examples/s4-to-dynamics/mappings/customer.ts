import {
  anyOf,
  boolean,
  constant,
  defineMapping,
  each,
  field,
  join,
  list,
  number,
  pick,
  setting,
} from 'isthmus/mapping'
import { currencyOf } from './currency.ts'
import { account } from './dynamics-tables.ts'
import { regionName } from './regions.ts'

/** An original or a whole object; an IDoc out of change pointers (004, 018) has only the segments in which something changed. */
const isWhole = field('E1KNA1M/MSGFN').is('005', '009')
const isGone = field('E1KNA1M/MSGFN').is('003')
const sales = pick('E1KNA1M/E1KNVVM', {
  where: { VKORG: setting('sales-organization'), VTWEG: setting('distribution-channel'), SPART: setting('division') },
  else: isWhole,
})

const customerFields = {
  accountnumber: field('E1KNA1M/KUNNR').alpha().required(),
  name: join(' ', field('E1KNA1M/NAME1').trim(), field('E1KNA1M/NAME2').trim()).cut(160),
  description: join(' ', field('E1KNA1M/NAME3').trim(), field('E1KNA1M/NAME4').trim()),
  // ADRMAS keeps the address (see address.ts), and the two go in an order of their own each: a DEBMAS that is repaired
  // late must not put an older address over a newer one.
  address1_line1: field('E1KNA1M/STRAS').trim().onCreate(),
  address1_city: field('E1KNA1M/ORT01').trim().onCreate(),
  address1_county: field('E1KNA1M/ORT02').trim().onCreate(),
  address1_postalcode: field('E1KNA1M/PSTLZ').onCreate(),
  address1_stateorprovince: regionName(field('E1KNA1M/LAND1'), field('E1KNA1M/REGIO')).onCreate(),
  address1_country: field('E1KNA1M/LAND1').countryName(setting('language')).onCreate(),
  address1_postofficebox: field('E1KNA1M/PFACH').onCreate(),
  telephone1: field('E1KNA1M/TELF1').trim().onCreate(),
  fax: field('E1KNA1M/TELFX').trim().onCreate(),
  new_vatid: field('E1KNA1M/STCEG'),
  industrycode: field('E1KNA1M/BRSCH').choose({ MACH: 12, TRAD: 33, SERV: 8 }),
  customertypecode: field('E1KNA1M/KTOKD').choose({ KUNA: 3, DEBI: 3, '0001': 3, '0002': 12 }, { default: 3 }),
  new_sapblocked: anyOf(field('E1KNA1M/AUFSD'), field('E1KNA1M/LIFSD'), field('E1KNA1M/FAKSD'), field('E1KNA1M/SPERR')),
  // A deletion flag never deletes, nor does 003 (the customer is gone from SAP): the account stays, inactive, with its history.
  statecode: number(1)
    .when(isGone)
    .or(field('E1KNA1M/LOEVM').choose({ X: 1, '': 0 })),
  statuscode: number(2)
    .when(isGone)
    .or(field('E1KNA1M/LOEVM').choose({ X: 2, '': 1 })),
  // The amounts of an account are those of its credit, and they come with their currency (see credit.ts): what the sales
  // area says is where it begins.
  transactioncurrencyid: currencyOf(sales.field('WAERS')).key().onCreate(),
  paymenttermscode: sales.field('ZTERM').choose({ '0001': 1, Z030: 1, Z045: 3, Z060: 4, Z102: 2 }),
  new_customergroup: sales.field('KDGRP'),
}

/**
 * DEBMAS06/07 → account. One sales area is taken: the one that the flow names, else the first of a whole customer.
 */
export default defineMapping({
  name: 'customer to account',
  source: 'idoc',
  absent: 'empty',
  one: 'E1KNA1M',
  target: account,
  fields: customerFields,
})

/** The same in a list of one, and whether the customer is gone from SAP: an account that is not there is not made for that. */
export const orGone = defineMapping({
  name: 'customer to account, or gone',
  source: 'idoc',
  absent: 'empty',
  one: 'E1KNA1M',
  target: { isGone: boolean(), accounts: list(account) },
  fields: { isGone: isGone.or(constant(false)), accounts: each('.', account, customerFields) },
})
