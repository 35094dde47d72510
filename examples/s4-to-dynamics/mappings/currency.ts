import type { TextRule } from 'isthmus/mapping'

/** The currency of an amount, by which Dynamics 365 knows it too. */
export function currencyOf(code: TextRule): TextRule {
  return code.like(/^[A-Z]{3}$/, 'an ISO code of a currency (EUR)')
}
