import { expect, test } from 'vitest'
import credit, { bySegment } from './credit.ts'
import { mapped, type Tree } from './field-world.ts'

const partner = { BusinessPartner: '1001', CreditSegment: '1000', CreditSegmentCurrency: 'EUR' }
const reported = (fields: Tree) => mapped(bySegment, { CreditAccount: { ...partner, ...fields } })['accounts']
const called = (fields: Tree) => mapped(credit, { CreditAccount: { ...partner, ...fields } })

test.each<[string, Tree, number | null]>([
  ['an amount', { CreditLimitAmount: '5.00', CreditLimitIsZero: '' }, 5],
  ['the smallest amount', { CreditLimitAmount: '0.01' }, 0.01],
  // Whether a proxy leaves out an amount of zero or sends it is a matter of its interface: SAP has the same in its table.
  ['no amount', {}, null],
  ['an amount of zero', { CreditLimitAmount: '0.00' }, null],
  ['an amount of zero, and a flag that is not set', { CreditLimitAmount: '0.00', CreditLimitIsZero: '' }, null],
  ['the flag', { CreditLimitIsZero: 'X' }, 0],
  ['the flag, and an amount of zero', { CreditLimitAmount: '0.00', CreditLimitIsZero: 'X' }, 0],
])('a report with %s', (_title, fields, limit) => {
  expect(reported(fields)).toMatchObject([{ creditlimit: limit }])
})

test('a call says what it means: 0 is a limit of nothing, empty is none, and what it leaves out stays', () => {
  expect(called({ CreditLimitAmount: '0.00' })).toMatchObject({ creditlimit: 0 })
  expect(called({ CreditLimitAmount: '' })).toMatchObject({ creditlimit: null })
  expect(called({ CreditLimitIsZero: 'X' })).toMatchObject({ creditlimit: 0 })
  expect(called({})).not.toHaveProperty('creditlimit')
})
