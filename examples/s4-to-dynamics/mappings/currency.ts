import type { Rule, TextRule } from 'isthmus/mapping'

/** The currency of an amount, by which Dynamics 365 knows it too. */
export function currencyOf(code: TextRule): TextRule {
  return code.like(/^[A-Z]{3}$/, 'an ISO code of a currency (EUR)')
}

/** By which currency the digits of an amount count. */
export type CountedIn = (currency: TextRule) => Rule<string>

/** Reports send amounts as SAP stores them, always with two digits: 12.34 for 1234 yen. */
export const asStored: CountedIn = currency => currency

/** Calls tell amounts as they are, and are answered so. A currency with two digits, such as EUR, moves no point. */
export const asTold: CountedIn = currency => currency.to('told as it is', code => code && 'EUR')
