import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { HubError } from '../../kernel/error.ts'
import { parseAddress } from './address.ts'

describe('addresses that go over the wire', () => {
  const cases: readonly [input: string, text: string, needsUtf8: boolean][] = [
    ['orders@s4.example', 'orders@s4.example', false],
    ["o'hara+tag=1@sub.s4.example", "o'hara+tag=1@sub.s4.example", false],
    ['a..b.@docomo.example', 'a..b.@docomo.example', false],
    ['"two words"@s4.example', '"two words"@s4.example', false],
    ['"a@b"@s4.example', '"a@b"@s4.example', false],
    ['postmaster@[192.0.2.1]', 'postmaster@[192.0.2.1]', false],
    ['postmaster@[IPv6:2001:db8::1]', 'postmaster@[IPv6:2001:db8::1]', false],
    ['bestellung@bücher.example', 'bestellung@xn--bcher-kva.example', false],
    ['grüße@bücher.example', 'grüße@xn--bcher-kva.example', true],
    ['用户@例子.example', '用户@xn--fsqu00a.example', true],
    [`${'x'.repeat(243)}@s4.example`, `${'x'.repeat(243)}@s4.example`, false],
  ]
  for (const [input, text, needsUtf8] of cases) {
    test(input, () => expect(parseAddress(input)).toMatchObject({ text, needsUtf8 }))
  }
})

describe('what never gets into a command', () => {
  const cases: Readonly<Record<string, string>> = {
    empty: '',
    'no at': 'orders',
    'no local part': '@s4.example',
    'no domain': 'orders@',
    'a line end': 'a@s4.example\r\nRCPT TO:<b@s4.example>',
    'a line end in the local part': 'a\r\nDATA\r\n@s4.example',
    'a line end in quotes': '"a\r\nb"@s4.example',
    'a closing angle': 'a@s4.example> SIZE=1',
    'angles in quotes': '"a>b"@s4.example',
    'a backslash in quotes': '"a\\"b"@s4.example',
    'a display name': 'Orders <orders@s4.example>',
    'what fetchmail once sent': 'account)@silly.test(his host)>',
    'a route': '@relay.example:orders@s4.example',
    'a blank': 'a b@s4.example',
    'a tab': 'a\tb@s4.example',
    NUL: 'a\0@s4.example',
    DEL: 'a\x7f@s4.example',
    'a C1 control': 'a\u0085b@s4.example',
    'a line separator': 'a\u2028b@s4.example',
    'an invisible letter': 'a\u200bb@s4.example',
    'a lone surrogate': 'a\ud800@s4.example',
    'a percent sign in the domain': 'a@s4%2eexample',
    'full-width letters that hide a line end': 'a@s4.ex\uff0dample\u000a',
    'an underscore host with a blank': 'a@s4 .example',
    'an empty label': 'a@s4..example',
    'a broken literal': 'a@[1.2.3.4',
    'a local part that leaves no room for its domain': `${'x'.repeat(244)}@s4.example`,
    'an address of 260 octets': `a@${'x'.repeat(60)}.${'x'.repeat(60)}.${'x'.repeat(60)}.${'x'.repeat(60)}.${'x'.repeat(20)}`,
  }
  for (const [name, input] of Object.entries(cases))
    test(name, () => expect(() => parseAddress(input)).toThrow(HubError))
})

test('whatever is taken has no character that could end a path, a parameter or a line', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ unit: 'binary' }),
        fc.emailAddress(),
        fc.string().map(s => `${s}@s4.example`),
      ),
      input => {
        let text: string
        try {
          text = parseAddress(input).text
        } catch {
          // Refused: nothing to look at.
          return
        }
        expect(text).not.toMatch(/[\p{Cc}<>\\\u2028\u2029]/u)
        expect(text.replace(/^"[^"]*"/, '')).not.toContain(' ')
      },
    ),
  )
})
