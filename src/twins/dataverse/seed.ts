import type { RowStore } from './rows.ts'

/** The id of the application user that stands for the hub. */
export const hubUserId = '7f2c1a40-0000-4000-8000-000000000001'

/** What every organization has before anybody brings data: users, currencies, units. */
export function seedOrganization(store: RowStore): void {
  const put = (logicalName: string, values: Record<string, string | number | boolean>, id?: string) =>
    store.insert(store.table(logicalName), { createdon: '2026-01-02T08:00:00Z', ...values }, id)
  put('systemuser', { fullname: '# Isthmus', isdisabled: false, accessmode: 4 }, hubUserId)
  const people = [
    ['ada', 'Ada Ames', false],
    ['ben', 'Ben Boyd', true],
  ] as const
  for (const [name, fullname, isdisabled] of people) {
    const address = `${name}@contoso.com`
    put('systemuser', { domainname: address, internalemailaddress: address, fullname, isdisabled, accessmode: 0 })
  }
  const currencies = [
    ['EUR', 'Euro', '€', 2],
    ['USD', 'US Dollar', '$', 2],
    ['GBP', 'Pound Sterling', '£', 2],
    ['CHF', 'Swiss Franc', 'Fr.', 2],
    ['JPY', 'Yen', '¥', 0],
  ] as const
  for (const [isocurrencycode, currencyname, currencysymbol, currencyprecision] of currencies) {
    put('transactioncurrency', { isocurrencycode, currencyname, currencysymbol, currencyprecision, exchangerate: 1 })
  }
  const group = put('uomschedule', { name: 'Default Unit', baseuomname: 'Each' })
  for (const name of ['Each', 'kg', 'l', 'm'])
    put('uom', { name, new_sapkey: name, quantity: 1, uomscheduleid: group.id })
}
