import { defineMapping, each, field, firstOf, list, number, text } from 'isthmus/mapping'
import { asStored, asTold, type CountedIn, currencyOf } from './currency.ts'
import { account } from './dynamics-tables.ts'

const at = (name: string) => field(`CreditAccount/${name}`)

const amount = (of: typeof at, name: string, counted: CountedIn) =>
  of(name)
    .decimal()
    .amountIn(counted(of('CreditSegmentCurrency')))
    .round(2)

const isZero = (of: typeof at) => number(0).when(of('CreditLimitIsZero').flag())

/**
 * The currency of an account is written here, with the amounts that are in it: the credit limit and what is used of it are
 * the only amounts that an account has. DEBMAS gives it to new accounts alone (see customer.ts).
 */
const creditFields = (of: typeof at, counted: CountedIn) => ({
  // Where the business partner has another number than the customer, the report names both (CVI_CUST_LINK).
  accountnumber: firstOf(of('Customer'), of('BusinessPartner')).alpha().required(),
  creditlimit: isZero(of).or(amount(of, 'CreditLimitAmount', counted)),
  transactioncurrencyid: currencyOf(of('CreditSegmentCurrency')).key(),
  creditonhold: of('CreditAccountIsBlocked').flag(),
  new_creditblockreason: of('CreditAccountBlockReason'),
  new_creditused: amount(of, 'CreditExposureAmount', counted),
  new_creditriskclass: of('CreditRiskClass'),
  new_creditscore: of('CreditWorthinessScoreValue'),
  new_creditvalidto: of('CreditLimitValidityEndDate').date({ isOpenEnd: true }),
})

/** A call of Set Credit Limit → the credit fields of an account. An empty limit is no limit; 0 is a limit of nothing. */
export default defineMapping({
  name: 'credit account to account',
  source: 'document',
  target: account,
  fields: creditFields(at, asTold),
})

/**
 * The proxy message CreditLimit_Out → the same in a list of one, and the segment: an account has room for one of them. What
 * is not in it is initial: that a block is gone, or that there is no limit, is told by nothing else.
 */
export const bySegment = defineMapping({
  name: 'credit segment to account',
  source: 'document',
  absent: 'empty',
  one: 'CreditAccount',
  target: { segment: text(10), accounts: list(account) },
  fields: {
    segment: at('CreditSegment').required(),
    accounts: each('CreditAccount', account, {
      ...creditFields(field, asStored),
      // SAP has 0.00 in its table where no limit is defined; that of nothing is told by the flag alone.
      creditlimit: isZero(field).or(
        amount(field, 'CreditLimitAmount', asStored).to('none where it is 0', limit =>
          limit.digits === 0n ? null : limit,
        ),
      ),
    }),
  },
})
