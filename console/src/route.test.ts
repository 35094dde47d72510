import { expect, test } from 'vitest'
import { match, placeOf } from './route.ts'

test.each([
  ['/console', '/', ''],
  ['/console/', '/', ''],
  ['/console/flows/orders?x=1', '/flows/orders', 'x=1'],
])('%s is the path %s', (url, path, query) => {
  const place = placeOf(url)
  expect([place.path, place.query.toString()]).toEqual([path, query])
})

test.each([
  ['/flows/:name', '/flows/orders', ['orders']],
  ['/flows/:name', '/flows/orders/', ['orders']],
  ['/flows/:name', '/flows/a%2Fb', ['a/b']],
  ['/mailboxes/:address', '/mailboxes/anna%40contoso.com', ['anna@contoso.com']],
  ['/flows', '/flows', []],
  ['/flows/:name', '/flows', undefined],
  ['/flows/:name', '/flows/', undefined],
  ['/flows/:name', '/flows/a/b', undefined],
  ['/flows/:name', '/flows/%ff', undefined],
])('%s against %s', (pattern, path, names) => {
  expect(match(pattern, path)).toEqual(names)
})
