// Countries as SAP has them, by their codes of ISO 3166, and as people write them.

/** A name that two of them have means what the first one says. */
const languages = ['en', 'de', 'fr', 'es', 'it', 'nl', 'pt', 'pl', 'cs', 'sv', 'da', 'nb', 'fi', 'hu', 'tr']

/** What people and address books write that is the name of the country in no list of names. */
const others = {
  AE: ['UAE'],
  CI: ['Ivory Coast'],
  CN: ["People's Republic of China", 'PRC'],
  CZ: ['Czech Republic', 'Tschechische Republik'],
  GB: ['Great Britain', 'Großbritannien', 'England', 'Scotland', 'Wales', 'Northern Ireland'],
  HK: ['Hong Kong', 'Hongkong'],
  IE: ['Republic of Ireland'],
  KR: ['Korea', 'Republic of Korea'],
  MK: ['Macedonia'],
  MM: ['Burma'],
  MO: ['Macau', 'Macao'],
  NL: ['Holland'],
  RU: ['Russian Federation'],
  SK: ['Slovak Republic'],
  TR: ['Turkey'],
  US: ['USA', 'United States of America', 'Vereinigte Staaten von Amerika'],
} as const

const names = new Intl.DisplayNames('en', { type: 'region', fallback: 'none' })
const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ'.split('')
// ISO 3166 leaves some codes to users, and has some for parts of countries; Unicode gives a name to those, too.
const isOther = /^(X[A-Z]|Q[M-Z]|Z[ZX]|AA|EU|EZ|UN|AC|CP|CQ|DG|EA|IC|TA)$/
const known = new Set(
  letters
    .flatMap(first => letters.map(second => first + second))
    .filter(code => names.of(code) !== undefined && !isOther.test(code) && canonical(code) === code),
)
const codes = new Map<string, string>()
for (const [code, written] of Object.entries(others)) for (const name of written) codes.set(keyOf(name), code)
for (const language of languages) {
  for (const style of ['long', 'short'] as const) {
    const own = new Intl.DisplayNames(language, { type: 'region', fallback: 'none', style })
    for (const code of known) {
      const key = keyOf(own.of(code) ?? '')
      if (key.length > 2 && !codes.has(key)) codes.set(key, code)
    }
  }
}

/** `DE` for `Germany`, `Deutschland` or `de`; '' for what is no country. */
export function countryCode(text: string): string {
  return codes.get(keyOf(text)) ?? validCode(text.replace(/[\s.]/g, '')) ?? ''
}

/** The English name of a code, '' for one that is none. */
export function countryName(code: string): string {
  const valid = validCode(code)
  return valid === undefined ? '' : (names.of(valid) ?? '')
}

function validCode(text: string): string | undefined {
  const upper = text.toUpperCase()
  const code = /^[A-Z]{2}$/.test(upper) ? canonical(upper) : ''
  return known.has(code) ? code : undefined
}

/** The code that is valid today: `DE` for `DD`, whose name is Germany, too, and `GB` for `UK`. */
function canonical(code: string): string {
  return new Intl.Locale('und', { region: code }).region ?? code
}

/** The letters of a name: without case, accents, dots, articles, and which "and" it is. */
function keyOf(name: string): string {
  return name
    .normalize('NFD')
    .toLowerCase()
    .replaceAll('ß', 'ss')
    .replaceAll('&', ' and ')
    .replace(/\p{M}|[.'’]/gu, '')
    .replace(/\bst\b/g, 'saint')
    .replace(/^the\b/, '')
    .replace(/[^\p{L}]+/gu, ' ')
    .trim()
}
