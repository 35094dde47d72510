import { expect, test } from 'vitest'
import { countryCode, countryName } from './countries.ts'

test('a country has the code of today, not that of a state before it with the same name', () => {
  const names = ['Germany', 'Vietnam', 'Serbia', 'Yemen', 'Zimbabwe', 'Vanuatu', 'Myanmar (Burma)', 'Curaçao']
  expect(names.map(countryCode)).toEqual(['DE', 'VN', 'RS', 'YE', 'ZW', 'VU', 'MM', 'CW'])
  expect(['DE', 'VN', 'RS', 'GB', 'XX', 'AC', 'EU', ''].map(countryName)).toEqual([
    'Germany',
    'Vietnam',
    'Serbia',
    'United Kingdom',
    '',
    '',
    '',
    '',
  ])
  expect(['DD', 'uk'].map(countryName)).toEqual(['Germany', 'United Kingdom'])
})

test('each code comes back from its own name', () => {
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ'.split('')
  const codes = letters
    .flatMap(first => letters.map(second => first + second))
    .filter(code => countryCode(code) === code)
  expect(codes).toHaveLength(249)
  expect(codes.filter(code => countryCode(countryName(code)) !== code)).toEqual([])
})

test.each([
  ['US', 'USA', 'U.S.A.', 'United States of America', 'usa', 'Vereinigte Staaten', 'États-Unis'],
  ['GB', 'UK', 'U.K.', 'Great Britain', 'England', 'Großbritannien', 'Grossbritannien', 'Royaume-Uni'],
  ['NL', 'The Netherlands', 'Holland', 'Nederland', 'Niederlande'],
  ['CZ', 'Czech Republic', 'Czechia', 'Česko', 'Tschechien'],
  ['TR', 'Turkey', 'Türkiye', 'Türkei'],
  ['BA', 'Bosnia and Herzegovina', 'Bosnia & Herzegovina'],
  ['CI', 'Ivory Coast', "Cote d'Ivoire", 'Côte d’Ivoire'],
  ['CH', 'Schweiz', 'Suisse', 'Svizzera'],
  ['', '', 'Atlantis', 'D', 'EU', '日本'],
])('%s is what %j and its like mean', (code, ...names) => {
  expect(names.map(countryCode)).toEqual(names.map(() => code))
})
