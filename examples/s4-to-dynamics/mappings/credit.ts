import { defineMapping, each, field, list, text } from 'isthmus/mapping'
import { account } from './dynamics-tables.ts'

const at = (name: string) => field(`CreditAccount/${name}`)

const creditFields = (of: typeof at) => ({
  accountnumber: of('BusinessPartner').alpha().required(),
  creditlimit: of('CreditLimitAmount').decimal().amountIn(of('CreditSegmentCurrency')).round(2),
  transactioncurrencyid: of('CreditSegmentCurrency').key(),
  creditonhold: of('CreditAccountIsBlocked').flag(),
  new_creditused: of('CreditExposureAmount').decimal().amountIn(of('CreditSegmentCurrency')).round(2),
  new_creditriskclass: of('CreditRiskClass'),
  new_creditvalidto: of('CreditLimitValidityEndDate').date({ isOpenEnd: true }),
})

/** A call of Set Credit Limit → the credit fields of an account. An empty limit is no limit; 0 is a limit of nothing. */
export default defineMapping({
  name: 'credit account to account',
  source: 'document',
  target: account,
  fields: creditFields(at),
})

/** The proxy message CreditLimit_Out → the same in a list of one, and the segment: an account has room for one of them. */
export const bySegment = defineMapping({
  name: 'credit segment to account',
  source: 'document',
  target: { segment: text(10), accounts: list(account) },
  fields: { segment: at('CreditSegment').required(), accounts: each('CreditAccount', account, creditFields(field)) },
})
