import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseAddress, parseAddresses } from './address.ts'

const plain = (value: string) => parseAddresses(value).map(({ address }) => address)

test.each([
  ['a@b.example', ['a@b.example']],
  ['<a@b.example>', ['a@b.example']],
  ['Joe <a@b.example>', ['a@b.example']],
  ['"Doe, Joe" <a@b.example>, c@d.example', ['a@b.example', 'c@d.example']],
  ['J. R. Ewing <a@b.example>', ['a@b.example']],
  ['Anna [Contoso] <a@b.example>, [EXT] B. <c@d.example>', ['a@b.example', 'c@d.example']],
  ['"a@evil.example" <b@c.example>', ['b@c.example']],
  ['a@evil.example <b@c.example>', ['b@c.example']],
  ['Undisclosed recipients:;', []],
  ['Team: a@b.example, "C" <c@d.example>; e@f.example', ['a@b.example', 'c@d.example', 'e@f.example']],
  ['(comment (nested \\) )) a@b.example (x)', ['a@b.example']],
  // RFC 5322 appendix A.5.
  ['Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>', ['pete@silly.test']],
  ['"john doe"@b.example', ['"john doe"@b.example']],
  ['"joe"@b.example', ['joe@b.example']],
  ['"a\\"b"@c.example', ['"a\\"b"@c.example']],
  ['a . b @ c . example', ['a.b@c.example']],
  ['<@x.example,@y.example:a@b.example>', ['a@b.example']],
  ['a@[192.0.2.1]', ['a@[192.0.2.1]']],
  ['a@[IPv6:2001:db8::1]', ['a@[IPv6:2001:db8::1]']],
  ['jürgen@müller.example', ['jürgen@müller.example']],
  ['a@localhost', ['a@localhost']],
  ["o'neil+tag=x!#$%&*/?^_`{|}~-@b.example", ["o'neil+tag=x!#$%&*/?^_`{|}~-@b.example"]],
  ['a..b@docomo.ne.jp, X <c.@docomo.ne.jp>, <.d@e.example>', ['a..b@docomo.ne.jp', 'c.@docomo.ne.jp', '.d@e.example']],
  [`${'a'.repeat(90)}@b.example`, [`${'a'.repeat(90)}@b.example`]],
  ['garbage, a@b.example, also garbage <>, c@d.example', ['a@b.example', 'c@d.example']],
])('%s', (value, addresses) => {
  expect(plain(value)).toEqual(addresses)
})

test.each([
  'account)@silly.test(his host)>',
  'a@b.example>',
  '<a@b.example',
  '<a@b.example> x',
  'a@b@c.example',
  '@b.example',
  'a@',
  'a b@c.example',
  'a. .b@c.example',
  '..@b.example',
  '"a"..b@c.example',
  'a@b..example',
  'a@-b.example',
  'a@b-.example',
  'a@b.example.',
  'a@[300.x]',
  'a@[]',
  'a@b_.c d',
  'a@b.example\r\nRCPT TO:<x@y.example>',
  '"a\r\nb"@c.example',
  'a\0@b.example',
  '"a\0"@b.example',
  '"unterminated@b.example',
  'a(unterminated@b.example',
  'a\\b@c.example',
  `${'a'.repeat(255)}@b.example`,
  `a@${'b'.repeat(64)}.example`,
  `a@${'b.'.repeat(130)}example`,
  '<>',
  '',
  '   ',
  '=?utf-8?Q?a=40b.example?=',
])('%j is no address', value => {
  expect(parseAddresses(value)).toEqual([])
  expect(parseAddress(value)).toBeUndefined()
})

test('names are read with their comments, quotes and encoding taken away', () => {
  expect(parseAddresses('=?utf-8?Q?J=C3=BCrgen?= "von" X (boss) <a@b.example>')).toEqual([
    { name: 'Jürgen von X', address: 'a@b.example' },
  ])
})

test('brackets in a name stay in it', () => {
  expect(parseAddresses('Anna Smith [Contoso] <a@b.example>')).toEqual([
    { name: 'Anna Smith [Contoso]', address: 'a@b.example' },
  ])
})

test('two addresses are not one', () => {
  expect(parseAddress('a@b.example, c@d.example')).toBeUndefined()
  expect(parseAddress('<a@b.example>')).toBe('a@b.example')
})

test('whatever comes in, what comes out fits an SMTP command', () => {
  const piece = fc.constantFrom(
    'a',
    'b.example',
    '@',
    '<',
    '>',
    ',',
    ';',
    ':',
    '(',
    ')',
    '"',
    '\\',
    '.',
    ' ',
    '[',
    ']',
    '\r\n',
    '\0',
    'ü',
    '1',
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), pieces => {
      for (const { address } of parseAddresses(pieces.join(''))) {
        expect(address).not.toMatch(/[\r\n\0<>]/)
        expect(address).toMatch(/^(?:"(?:[^"\\]|\\.)*"|[^\s@"]+)@[^\s@]+$/)
        // It reads the same again.
        expect(parseAddress(address)).toBe(address)
      }
    }),
    { numRuns: 2_000 },
  )
})

test('an address that was written with name and comment is read back', () => {
  const atom = fc.stringMatching(/^[a-z0-9]{1,8}$/)
  fc.assert(
    fc.property(fc.array(fc.tuple(atom, atom, fc.stringMatching(/^[ -~]{0,20}$/)), { maxLength: 5 }), people => {
      const field = people.map(
        ([local, host, name]) => `"${name.replace(/["\\]/g, '\\$&')}" (x) <${local}@${host}.example>`,
      )
      expect(plain(field.join(', '))).toEqual(people.map(([local, host]) => `${local}@${host}.example`))
    }),
  )
})

test('a hostile field is read in time that grows with its length only', () => {
  const startedAt = performance.now()
  for (const part of ['(', '"', '<', '[', ',', ':', '\\', '(a', '"a', 'a@', '<a@b.example>,'])
    parseAddresses(part.repeat(16_000))
  expect(performance.now() - startedAt).toBeLessThan(3_000)
})

test.each([
  ['quotes that are masked', `"${'\\"'.repeat(60_000)}`],
  ['parentheses that are masked', `(${'\\('.repeat(60_000)}`],
  ['colons behind what is no name of a group', `${'a '.repeat(30_000)}@${':'.repeat(60_000)}`],
])('so are 128 KiB of %s', (_what, value) => {
  const startedAt = performance.now()
  expect(parseAddresses(`${value}, a@b.example`).length).toBeLessThanOrEqual(1)
  expect(performance.now() - startedAt).toBeLessThan(1_000)
})

test('a quoted string that does not end costs its own entry only', () => {
  expect(plain('"a \\" <x@b.example>, c@d.example')).toEqual(['c@d.example'])
  expect(plain('"a \\" <x@b.example>\r\n "b" <c@d.example>')).toEqual([])
  expect(plain('"a\r\n "b, c" <d@e.example>, f@g.example')).toEqual(['f@g.example'])
})

test('the short way for usual addresses finds what the grammar finds', () => {
  const part = fc.string({ unit: fc.constantFrom(...Array.from('aZ09._-\'+=? <>@,"(')), maxLength: 12 })
  const usual = fc.tuple(part, part, part).map(([name, local, domain]) => `${name} <${local}@${domain}>`)
  const bare = fc.tuple(part, part).map(([local, domain]) => `${local}@${domain}`)
  fc.assert(
    fc.property(fc.oneof(usual, bare, part), value => {
      // A comment at the end says nothing, and takes the long way.
      expect(parseAddresses(value)).toEqual(parseAddresses(`${value} (c)`))
    }),
    { numRuns: 3000 },
  )
  for (const local of ['a'.repeat(254), 'a'.repeat(255)]) {
    for (const domain of [
      `${'b'.repeat(63)}.c`,
      `${'b'.repeat(64)}.c`,
      `${'b'.repeat(63)}.`.repeat(4) + 'c'.repeat(9),
    ]) {
      const value = `Joe O'Neil-X <${local}@${domain}>`
      expect(parseAddresses(value)).toEqual(parseAddresses(`${value} (c)`))
    }
  }
})
