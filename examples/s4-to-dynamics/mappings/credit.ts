import { defineMapping, field } from 'isthmus/mapping'
import { account } from './dynamics-tables.ts'

const at = (name: string) => field(`CreditAccount/${name}`)
const currency = at('CreditSegmentCurrency')

/** The proxy message CreditLimit_Out → the credit fields of an account. An empty limit is no limit; 0 is a limit of nothing. */
export default defineMapping({
  name: 'credit account to account',
  source: 'document',
  target: account,
  fields: {
    accountnumber: at('BusinessPartner').alpha().required(),
    creditlimit: at('CreditLimitAmount').decimal().amountIn(currency).round(2),
    transactioncurrencyid: currency.key(),
    creditonhold: at('CreditAccountIsBlocked').flag(),
    new_creditused: at('CreditExposureAmount').decimal().amountIn(currency).round(2),
    new_creditriskclass: at('CreditRiskClass'),
    new_creditvalidto: at('CreditLimitValidityEndDate').date({ isOpenEnd: true }),
  },
})
